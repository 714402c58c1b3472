//! Groups of snapshots: rules count in each for itself.

use std::collections::BTreeMap;
use std::str::FromStr;

use thiserror::Error;

use crate::repository::snapshot::Snapshot;
use crate::repository::store::FileId;

/// What the snapshots of one group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupBy {
    pub host: bool,
    pub paths: bool,
    pub tags: bool,
}

impl GroupBy {
    pub const HOST_AND_PATHS: Self = Self { host: true, paths: true, tags: false };
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown grouping option: '{0}'; there are host, paths and tags")]
pub struct BadGroupBy(String);

/// As restic takes it after `--group-by`; nothing means one group of all.
impl FromStr for GroupBy {
    type Err = BadGroupBy;

    fn from_str(text: &str) -> Result<Self, BadGroupBy> {
        let mut by = Self { host: false, paths: false, tags: false };
        for word in text.split(',') {
            match word {
                "host" | "hosts" => by.host = true,
                "path" | "paths" => by.paths = true,
                "tag" | "tags" => by.tags = true,
                "" => {}
                other => return Err(BadGroupBy(other.to_owned())),
            }
        }
        Ok(by)
    }
}

/// Paths and tags in order, as often as the snapshot names them; `None` is what does not divide.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKey {
    pub host: Option<String>,
    pub paths: Option<Vec<String>>,
    pub tags: Option<Vec<String>>,
}

impl GroupKey {
    fn of(snapshot: &Snapshot, by: GroupBy) -> Self {
        let sorted = |words: &[String]| {
            let mut words = words.to_vec();
            words.sort_unstable();
            words
        };
        Self {
            host: by.host.then(|| snapshot.host.clone()),
            paths: by.paths.then(|| sorted(&snapshot.paths)),
            tags: by.tags.then(|| sorted(&snapshot.tags)),
        }
    }
}

/// Each group with its snapshots, newest first; at the same moment the smaller name comes first, so that the order of a listing
/// decides nothing (in restic it does).
pub(super) fn grouped(snapshots: &[Snapshot], by: GroupBy) -> BTreeMap<GroupKey, Vec<&Snapshot>> {
    // One that is listed twice would be kept in one place and removed in the other.
    let unique: BTreeMap<FileId, &Snapshot> = snapshots.iter().map(|snapshot| (snapshot.id, snapshot)).collect();
    let mut groups: BTreeMap<_, Vec<&Snapshot>> = BTreeMap::new();
    for snapshot in unique.into_values() {
        groups.entry(GroupKey::of(snapshot, by)).or_default().push(snapshot);
    }
    for group in groups.values_mut() {
        group.sort_by_key(|snapshot| (std::cmp::Reverse(snapshot.time.timestamp()), snapshot.id));
    }
    groups
}
