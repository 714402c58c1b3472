//! Which snapshots a restore means. Where several may be meant, nothing is restored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::complaint::complaint;
use crate::model::finding::StepReason;
use crate::model::step::{Complaint, Wanted};
use crate::repository::{Filter, Snapshot, Snapshots, absolute};

const LATEST: &str = "latest";
/// Begins the tag that says whose data it is.
const TARGET: &str = "holdfast-target=";
/// Digits of a name that are enough for people.
const SHORT: usize = 8;

/// Each once, in the order in which they are asked for.
pub(super) fn chosen<'a>(all: &'a Snapshots, wanted: &Wanted, tags: &[String]) -> Result<Vec<&'a Snapshot>, Complaint> {
    let mut chosen: Vec<&Snapshot> = Vec::new();
    let mut add = |snapshot: &'a Snapshot| {
        if chosen.iter().all(|one| one.id != snapshot.id) {
            chosen.push(snapshot);
        }
    };
    match wanted {
        Wanted::Snapshots { source, ids } => {
            for id in ids {
                // As with restic, a name is a name: what else is asked for counts for the newest only.
                add(if id == LATEST { latest(all, source, None, tags)? } else { all.select(id, &Filter::default())? });
            }
        }
        Wanted::Paths { source, paths } => {
            for path in paths {
                add(latest(all, source, Some(path), tags)?);
            }
        }
    }
    if chosen.is_empty() {
        return Err(complaint(StepReason::InvalidInput, "neither snapshots nor paths are named"));
    }
    Ok(chosen)
}

/// The newest complete one, if all that match are of the same target.
fn latest<'a>(all: &'a Snapshots, host: &str, path: Option<&str>, tags: &[String]) -> Result<&'a Snapshot, Complaint> {
    let path = path.map(named).transpose()?;
    let filter = Filter {
        hosts: BTreeSet::from([host.to_owned()]),
        tags: if tags.is_empty() { Vec::new() } else { vec![tags.iter().cloned().collect()] },
        paths: BTreeSet::new(),
    };
    // One of several paths would bring back more than was asked for.
    let of_path = |snapshot: &Snapshot| path.as_ref().is_none_or(|path| snapshot.paths == [path.as_str()]);
    let matching: Vec<_> =
        all.all.iter().rev().filter(|snapshot| filter.matches(snapshot) && of_path(snapshot)).collect();
    let mut targets: BTreeMap<Vec<&str>, &Snapshot> = BTreeMap::new();
    for snapshot in matching.iter().copied().filter(|snapshot| snapshot.is_complete()) {
        targets.entry(target(snapshot)).or_insert(snapshot);
    }
    let asked = || {
        let of_path = path.as_ref().map(|path| format!(" and path {path}")).unwrap_or_default();
        let with_tags = if tags.is_empty() { String::new() } else { format!(" with the tags {}", tags.join(", ")) };
        format!("of host {host}{of_path}{with_tags}")
    };
    let mut newest = targets.values();
    match (newest.next(), newest.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => {
            let why = if matching.is_empty() { "there is no snapshot" } else { "no snapshot is complete" };
            Err(complaint(StepReason::SnapshotNotFound, format_args!("{why} {}", asked())))
        }
        (Some(_), Some(_)) => {
            let list: Vec<_> = targets.iter().map(|(target, newest)| spoken(target, newest)).collect();
            let message = format!(
                "snapshots of several targets are {}: {}; name the snapshot, or the tag of the target",
                asked(),
                list.join(", ")
            );
            Err(complaint(StepReason::AmbiguousSnapshot, message))
        }
    }
}

/// As the snapshot names it.
fn named(path: &str) -> Result<String, Complaint> {
    let path = Path::new(path);
    match absolute(path) {
        Ok(named) if path.is_absolute() => Ok(named.display().to_string()),
        Ok(_) | Err(_) => {
            Err(complaint(StepReason::InvalidInput, format_args!("{:?} does not begin with `/`", path.display())))
        }
    }
}

/// Whose it is; snapshots of before there were tags are of nobody.
fn target(snapshot: &Snapshot) -> Vec<&str> {
    let mut targets: Vec<_> = snapshot.tags.iter().filter_map(|tag| tag.strip_prefix(TARGET)).collect();
    targets.sort_unstable();
    targets
}

fn spoken(target: &[&str], newest: &Snapshot) -> String {
    let id: String = newest.id.to_string().chars().take(SHORT).collect();
    let target = if target.is_empty() { "no target".to_owned() } else { target.join(" and ") };
    format!("{target} (newest {id}, {})", newest.time.strftime("%Y-%m-%d %H:%M"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::FileId;

    const WEB: &str = "holdfast-target=shop/Deployment/web";
    const DB: &str = "holdfast-target=shop/StatefulSet/db";

    /// Each one hour after the one before it.
    fn history(of: &[(&str, &[&str], &[&str])]) -> Snapshots {
        let one = |(number, (host, paths, tags)): (usize, &(&str, &[&str], &[&str]))| {
            let text = serde_json::json!({
                "time": format!("2026-11-21T{number:02}:00:00Z"), "tree": "0".repeat(64), "hostname": host,
                "paths": paths, "tags": tags,
            });
            Snapshot::parse(FileId([u8::try_from(number).unwrap(); 32]), text.to_string().as_bytes()).unwrap()
        };
        Snapshots { all: of.iter().enumerate().map(one).collect(), lost: Vec::new() }
    }

    /// The numbers of the snapshots, or what is wrong.
    fn numbers(all: &Snapshots, wanted: &Wanted, tags: &[&str]) -> Result<Vec<u8>, (StepReason, String)> {
        let tags: Vec<_> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let chosen = chosen(all, wanted, &tags).map_err(|failed| (failed.reason, failed.message))?;
        Ok(chosen.iter().map(|snapshot| snapshot.id.0[0]).collect())
    }

    fn paths(paths: &[&str]) -> Wanted {
        Wanted::Paths { source: "host-0".to_owned(), paths: paths.iter().map(|path| (*path).to_owned()).collect() }
    }

    fn ids(ids: &[&str]) -> Wanted {
        Wanted::Snapshots { source: "host-0".to_owned(), ids: ids.iter().map(|id| (*id).to_owned()).collect() }
    }

    #[test]
    fn the_newest_complete_one_of_host_and_path_is_meant() {
        let all = history(&[
            ("host-0", &["/data"], &[WEB]),
            ("host-0", &["/data"], &[WEB, "weekly"]),
            ("host-0", &["/data"], &[WEB]),
            ("host-0", &["/data"], &[WEB, crate::repository::INCOMPLETE]),
            ("host-0", &["/data", "/other"], &[WEB]),
            ("host-1", &["/data"], &[WEB]),
            ("host-0", &["/other"], &[WEB, crate::repository::INCOMPLETE]),
        ]);
        assert_eq!(numbers(&all, &paths(&["/data"]), &[]), Ok(vec![2]));
        assert_eq!(numbers(&all, &paths(&["/data/", "//data/."]), &["weekly"]), Ok(vec![1]), "each once");
        assert_eq!(numbers(&all, &ids(&["latest"]), &[]), Ok(vec![4]), "of any path");
        assert_eq!(numbers(&all, &ids(&["0303", "latest", "0303"]), &["weekly"]), Ok(vec![3, 1]), "a name is a name");
        for (wanted, reason, words) in [
            (
                paths(&["/other"]),
                StepReason::SnapshotNotFound,
                "no snapshot is complete of host host-0 and path /other",
            ),
            (paths(&["/none"]), StepReason::SnapshotNotFound, "there is no snapshot of host host-0 and path /none"),
            (paths(&["data"]), StepReason::InvalidInput, "does not begin with `/`"),
            (ids(&["abcdef"]), StepReason::SnapshotNotFound, "begins with abcdef"),
            (paths(&[]), StepReason::InvalidInput, "neither"),
        ] {
            let (found, message) = numbers(&all, &wanted, &[]).unwrap_err();
            assert!(found == reason && message.contains(words), "{wanted:?}: {message}");
        }
    }

    #[test]
    fn whose_data_it_is_must_not_be_guessed() {
        let all = history(&[
            ("host-0", &["/data"], &[DB]),
            ("host-0", &["/data"], &[WEB]),
            ("host-0", &["/old"], &[]),
            ("host-0", &["/old"], &[WEB]),
            ("host-0", &["/both"], &[WEB, DB]),
        ]);
        for path in ["/data", "/old"] {
            let (reason, message) = numbers(&all, &paths(&[path]), &[]).unwrap_err();
            assert_eq!(reason, StepReason::AmbiguousSnapshot, "{message}");
            assert!(message.contains("shop/Deployment/web (newest 0"), "{message}");
        }
        assert_eq!(numbers(&all, &paths(&["/data"]), &[DB]), Ok(vec![0]));
        assert_eq!(numbers(&all, &paths(&["/both"]), &[]), Ok(vec![4]));
        assert_eq!(numbers(&all, &ids(&["latest"]), &[]).unwrap_err().0, StepReason::AmbiguousSnapshot);
    }
}
