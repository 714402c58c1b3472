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
