//! Hosts whose outcome is not known: what the repository holds of this session is what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::answer::Answer;
use super::backup::{found, own_tags};
use super::complaint::complaint;
use super::site::{Repository, Site};
use crate::model::finding::StepReason;
use crate::model::step::{Complaint, FinishWork, HostOutcome};
use crate::repository::{Snapshot, Snapshots, absolute};

pub(super) fn run(
    site: &Site<'_>,
    repository: &Repository<'_>,
    work: &FinishWork,
    answer: &Answer,
) -> Result<(), Complaint> {
    let tags = own_tags(site)?;
    let all = Snapshots::read(&repository.opened)?;
    for host in &work.unsettled {
        let settled = settled(host, &all.all, &tags, work);
        match &settled.error {
            None => tracing::info!(host, "settled by what the repository holds"),
            Some(failed) => tracing::error!(host, reason = failed.reason.as_str(), "settled: {}", failed.message),
        }
        answer.note(|outcome| outcome.hosts.push(settled));
    }
    Ok(())
}

fn settled(host: &str, all: &[Snapshot], tags: &BTreeSet<String>, work: &FinishWork) -> HostOutcome {
    // The newest of each path: they come with the oldest first.
    let mut newest: BTreeMap<String, &Snapshot> = BTreeMap::new();
    let is_own = |snapshot: &&Snapshot| snapshot.host == host && tags.iter().all(|tag| snapshot.tags.contains(tag));
    for snapshot in all.iter().filter(is_own) {
        newest.insert(snapshot.paths.join(", "), snapshot);
    }
    let named =
        |path: &String| absolute(Path::new(path)).map_or_else(|_| path.clone(), |path| path.display().to_string());
    let missing = work.paths.iter().find(|path| !newest.contains_key(&named(path)));
    let incomplete = newest.iter().find(|(_, snapshot)| !snapshot.is_complete() && !work.incomplete_succeeds);
    let error = if newest.is_empty() {
        Some(complaint(StepReason::NothingStored, "the repository has no snapshot of this session and host"))
    } else if let Some(path) = missing {
        Some(complaint(
            StepReason::NothingStored,
            format_args!("{path}: the repository has no snapshot of this session"),
        ))
    } else {
        incomplete.map(|(path, _)| {
            complaint(StepReason::BackupIncomplete, format_args!("{path}: something could not be read"))
        })
    };
    let snapshots: Vec<_> = newest.iter().map(|(path, snapshot)| found(snapshot, path)).collect();
    let seconds = snapshots.iter().map(|snapshot| snapshot.seconds).sum();
    HostOutcome { host: host.to_owned(), error, snapshots, seconds, ..HostOutcome::default() }
}
