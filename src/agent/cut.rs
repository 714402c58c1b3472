//! An outcome within the limit of a termination message: what matters least goes first, and what is left is always JSON.

use crate::model::step::{Complaint, HostOutcome, Outcome, RepositoryOutcome, Step};

/// Lengths of messages, in characters: first what is enough for a reader, in the end no more than the reason.
const MESSAGE_CHARS: [usize; 4] = [320, 120, 40, 0];
/// The shortest entry of a snapshot is longer than its name, which has 64 digits.
const SNAPSHOT_BYTES_MIN: usize = 64;
/// The shortest entry of a host: its name and a number.
const HOST_BYTES_MIN: usize = 20;

pub(super) fn cut(outcome: &Outcome, bytes_max: usize) -> String {
    let text = json(outcome);
    if text.len() <= bytes_max {
        return text;
    }
    let mut outcome = outcome.clone();
    let [enough, shorter @ ..] = MESSAGE_CHARS;
    shorten(&mut outcome, enough);
    let no_more = bytes_max / SNAPSHOT_BYTES_MIN;
    outcome.hosts.iter_mut().for_each(|host| drop_snapshots(host, no_more));
    while json(&outcome).len() > bytes_max && drop_one(&mut outcome.hosts) {}
    for chars in shorter {
        if json(&outcome).len() > bytes_max {
            shorten(&mut outcome, chars);
        }
    }
    drop_hosts(&mut outcome, bytes_max / HOST_BYTES_MIN);
    while json(&outcome).len() > bytes_max && !outcome.hosts.is_empty() {
        let one_less = outcome.hosts.len() - 1;
        drop_hosts(&mut outcome, one_less);
    }
    json(&outcome)
}

fn json(outcome: &Outcome) -> String {
    // Text and numbers can always be written.
    serde_json::to_string(outcome).unwrap_or_default()
}

fn drop_snapshots(host: &mut HostOutcome, keep: usize) {
    let dropped = host.snapshots.len().saturating_sub(keep);
    host.snapshots.truncate(keep);
    host.omitted += dropped as u64;
}

/// The last one of all; whether there was one.
fn drop_one(hosts: &mut [HostOutcome]) -> bool {
    let Some(host) = hosts.iter_mut().rev().find(|host| !host.snapshots.is_empty()) else { return false };
    drop_snapshots(host, host.snapshots.len() - 1);
    true
}

/// Those that failed are told before the others.
fn drop_hosts(outcome: &mut Outcome, keep: usize) {
    let dropped = outcome.hosts.len().saturating_sub(keep);
    if dropped > 0 {
        outcome.hosts.sort_by_key(|host| host.error.is_none());
        outcome.hosts.truncate(keep);
        outcome.omitted += dropped as u64;
    }
}

fn shorten(outcome: &mut Outcome, chars: usize) {
    let Outcome { error, hosts, omitted: _, repository } = outcome;
    let of_hosts = hosts.iter_mut().filter_map(|host| host.error.as_mut());
    let of_steps = repository.iter_mut().flat_map(|repository| {
        let RepositoryOutcome { made: _, retention, check, size } = repository;
        [failed(retention), failed(check), failed(size)].into_iter().flatten()
    });
    for Complaint { reason: _, message } in error.iter_mut().chain(of_hosts).chain(of_steps) {
        if let Some((end, _)) = message.char_indices().nth(chars) {
            message.truncate(end);
            message.push('…');
        }
    }
}

fn failed<T>(step: &mut Option<Step<T>>) -> Option<&mut Complaint> {
    match step {
        Some(Step::Failed(complaint)) => Some(complaint),
        Some(Step::Done(_)) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agent::complaint::complaint;
    use crate::model::finding::StepReason;
    use crate::model::step::{OUTCOME_BYTES_MAX, SnapshotOutcome};

    fn snapshot(path: &str) -> SnapshotOutcome {
        SnapshotOutcome { id: "ab".repeat(32), path: path.to_owned(), bytes: 7, ..SnapshotOutcome::default() }
    }

    fn host(name: &str, paths: usize, error: Option<&str>) -> HostOutcome {
        HostOutcome {
            host: name.to_owned(),
            error: error.map(|message| complaint(StepReason::NoSource, message)),
            snapshots: (0..paths).map(|number| snapshot(&format!("/data/{number}"))).collect(),
            ..HostOutcome::default()
        }
    }

    fn read(text: &str) -> Outcome {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_fits_is_not_changed() {
        let outcome = Outcome { hosts: vec![host("host-0", 2, Some("short"))], ..Outcome::default() };
        assert_eq!(read(&cut(&outcome, OUTCOME_BYTES_MAX)), outcome);
    }

    #[test]
    fn snapshots_go_from_the_end_and_are_counted() {
        let outcome = Outcome { hosts: vec![host("host-0", 100, Some(&"long ".repeat(100)))], ..Outcome::default() };
        let left = read(&cut(&outcome, OUTCOME_BYTES_MAX)).hosts.remove(0);
        assert!(left.snapshots.len() >= 3 && left.snapshots[0].path == "/data/0", "{left:?}");
        assert_eq!(left.snapshots.len() as u64 + left.omitted, 100);
        assert!(left.error.unwrap().message.starts_with("long long"));
    }

    #[test]
    fn hosts_that_failed_are_told_before_the_others() {
        let hosts = (0..200).map(|number| host(&format!("host-{number}"), 1, (number == 199).then_some("gone")));
        let outcome = Outcome { hosts: hosts.collect(), ..Outcome::default() };
        let left = read(&cut(&outcome, OUTCOME_BYTES_MAX));
        assert_eq!(left.hosts[0].host, "host-199");
        assert_eq!((left.hosts.len() as u64 + left.omitted, left.hosts[0].error.is_some()), (200, true));
    }

    prop_compose! {
        fn some_host()(name in ".{0,300}", paths in 0..40_usize, error in prop::option::of(".{0,2000}")) -> HostOutcome {
            host(&name, paths, error.as_deref())
        }
    }

    proptest! {
        #[test]
        fn every_outcome_fits_and_is_json(
            error in prop::option::of(".{0,3000}"), hosts in prop::collection::vec(some_host(), 0..30)
        ) {
            let failed = |text: &String| complaint(StepReason::StoreUnavailable, text);
            let repository = error.as_ref().map(|text| RepositoryOutcome {
                check: Some(Step::Failed(failed(text))), ..RepositoryOutcome::default()
            });
            let outcome = Outcome { error: error.as_ref().map(failed), hosts, repository, ..Outcome::default() };
            let text = cut(&outcome, OUTCOME_BYTES_MAX);
            prop_assert!(text.len() <= OUTCOME_BYTES_MAX, "{} bytes", text.len());
            let left = read(&text);
            prop_assert_eq!(left.error.is_some(), outcome.error.is_some());
            prop_assert_eq!(left.hosts.len() as u64 + left.omitted, outcome.hosts.len() as u64);
        }
    }
}
