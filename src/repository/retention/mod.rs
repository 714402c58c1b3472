//! Retention: which snapshots are kept, by which rules, and which go. Pure: nothing is removed here.

mod group;
mod keep;
mod own;
mod shrunk;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

pub use group::{BadGroupBy, GroupBy, GroupKey};
pub use keep::{Counted, Keep, Rule, TagList};
pub use own::{BadTarget, Own, Target, Untagged};
pub use shrunk::Shrunk;

use super::snapshot::Snapshot;
use super::store::FileId;

/// Whose snapshots are judged.
#[derive(Clone, Debug)]
pub enum Scope {
    /// All, as `restic forget` does it: rules by tags alone may remove all of a group. Only what is incomplete counts for
    /// nothing, and stays until something complete is newer.
    Repository(GroupBy),
    /// Those of one target, in groups of (host, paths).
    Own(Own),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// By these rules, one at least.
    Keep(Vec<Rule>),
    Remove,
    /// No rule keeps it, and yet it stays.
    Hold(Hold),
}

/// Why a snapshot stays that no rule keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// With its tag.
    OtherTarget(String),
    Untagged,
    Incomplete,
    Newest,
    BeforeDrop(Shrunk),
    AfterDrop(Shrunk),
    Acknowledged,
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Hold::OtherTarget(tag) => return write!(f, "belongs to another target: {tag}"),
            Hold::Untagged => "names no target, and more than one invoker uses the repository",
            Hold::Incomplete => "incomplete, and no complete snapshot is newer",
            Hold::Newest => "the newest complete snapshot",
            Hold::BeforeDrop(shrunk) => {
                return write!(f, "the last before the data shrank {shrunk}; held until that is acknowledged");
            }
            Hold::AfterDrop(shrunk) => {
                return write!(f, "shows that the data shrank {shrunk}; held until that is acknowledged");
            }
            Hold::Acknowledged => "its small size is acknowledged, and larger snapshots before it are kept",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    pub snapshot: FileId,
    pub decision: Decision,
}

/// What was decided of the snapshots of one group, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub key: GroupKey,
    pub decided: Vec<Decided>,
    /// Drops that nobody has acknowledged, newest first, also where rules keep what was there before.
    pub shrunk: Vec<Shrunk>,
}

/// Each snapshot is in one group, once.
pub fn decide(snapshots: &[Snapshot], keep: &Keep, scope: &Scope) -> Vec<Group> {
    let by = match scope {
        Scope::Repository(by) => *by,
        Scope::Own(_) => GroupBy::HOST_AND_PATHS,
    };
    let groups = group::grouped(snapshots, by).into_iter().map(|(key, newest_first)| {
        let (decided, shrunk) = match scope {
            Scope::Repository(_) => (by_rules(&newest_first, keep), Vec::new()),
            Scope::Own(own) => own.decide(&newest_first, keep),
        };
        Group { key, decided, shrunk }
    });
    groups.collect()
}

fn by_rules(newest_first: &[&Snapshot], keep: &Keep) -> Vec<Decided> {
    let complete: Vec<_> = newest_first.iter().copied().filter(|snapshot| snapshot.is_complete()).collect();
    let mut matched: BTreeMap<FileId, Vec<Rule>> =
        complete.iter().map(|snapshot| snapshot.id).zip(keep.matched(&complete)).collect();
    let decided = newest_first.iter().map(|snapshot| {
        let decision = match matched.remove(&snapshot.id) {
            None => own::judge_incomplete(snapshot, complete.first().copied(), keep),
            Some(rules) if rules.is_empty() => Decision::Remove,
            Some(rules) => Decision::Keep(rules),
        };
        Decided { snapshot: snapshot.id, decision }
    });
    decided.collect()
}
