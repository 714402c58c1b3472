//! Retention of one target in a repository that others may use too: what is not its own is left alone, what is incomplete counts
//! for nothing, and what may be the last of use is held.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use thiserror::Error;

use super::keep::Keep;
use super::shrunk::{Shrunk, drops, is_drop};
use super::{Decided, Decision, Hold};
use crate::repository::snapshot::Snapshot;
use crate::repository::store::FileId;

const TARGET: &str = "holdfast-target=";

/// Whose snapshots they are, as their tag says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(String);

/// No namespace, kind or name of Kubernetes; a tag made of it could be that of another target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("namespace, kind and name must be given, without `/` and `,`")]
pub struct BadTarget;

impl Target {
    pub fn new(namespace: &str, kind: &str, name: &str) -> Result<Self, BadTarget> {
        let parts = [namespace, kind, name];
        let sound = parts.iter().all(|part| !part.is_empty() && !part.contains(['/', ',']));
        sound.then(|| Self(format!("{TARGET}{}", parts.join("/")))).ok_or(BadTarget)
    }
}

/// The tag.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What becomes of snapshots without the tag of any target, such as Stash has made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untagged {
    /// The repository has exactly one invoker: they are of the same target.
    Join,
    Hold,
}

/// What is known of the target when its snapshots are judged.
#[derive(Clone, Debug)]
pub struct Own {
    pub target: Target,
    pub untagged: Untagged,
    /// Snapshots whose small size somebody has accepted: [`Shrunk::after`] of drops.
    pub acknowledged: BTreeSet<FileId>,
}

impl Own {
    pub(super) fn decide(&self, newest_first: &[&Snapshot], keep: &Keep) -> (Vec<Decided>, Vec<Shrunk>) {
        let apart: Vec<_> = newest_first.iter().map(|snapshot| self.apart(snapshot)).collect();
        let ours = newest_first.iter().copied().zip(&apart).filter(|(_, hold)| hold.is_none());
        let complete: Vec<_> = ours.map(|(snapshot, _)| snapshot).filter(|snapshot| snapshot.is_complete()).collect();
        let shrunk: Vec<_> =
            drops(&complete).into_iter().filter(|shrunk| !self.acknowledged.contains(&shrunk.after)).collect();
        let mut decisions = judge_complete(&complete, keep, &shrunk);
        self.hold_acknowledged(&complete, &mut decisions);
        let decided = newest_first.iter().zip(apart).map(|(snapshot, apart)| {
            let judged = || decisions.remove(&snapshot.id);
            let decision = apart.map(Decision::Hold).or_else(judged);
            let decision = decision.unwrap_or_else(|| judge_incomplete(snapshot, complete.first().copied(), keep));
            Decided { snapshot: snapshot.id, decision }
        });
        (decided.collect(), shrunk)
    }

    /// Why it is not ours to judge. One with the tags of two targets belongs to the other too.
    fn apart(&self, snapshot: &Snapshot) -> Option<Hold> {
        let mut targets = snapshot.tags.iter().filter(|tag| tag.starts_with(TARGET)).peekable();
        if targets.peek().is_none() {
            return match self.untagged {
                Untagged::Join => None,
                Untagged::Hold => Some(Hold::Untagged),
            };
        }
        targets.find(|tag| **tag != self.target.0).map(|tag| Hold::OtherTarget(tag.clone()))
    }

    /// An acknowledged drop is seen again, between other snapshots, when the one that was acknowledged is gone. So that stays
    /// as long as one before it does that is so much larger.
    fn hold_acknowledged(&self, complete: &[&Snapshot], decisions: &mut BTreeMap<FileId, Decision>) {
        let mut largest = 0;
        for snapshot in complete.iter().rev() {
            let Some((bytes, decision)) = snapshot.bytes.zip(decisions.get_mut(&snapshot.id)) else { continue };
            if *decision == Decision::Remove && self.acknowledged.contains(&snapshot.id) && is_drop(largest, bytes) {
                *decision = Decision::Hold(Hold::Acknowledged);
            }
            if *decision != Decision::Remove {
                largest = bytes.max(largest);
            }
        }
    }
}

/// Both sides of a drop stay: without the small one nothing shows that there was a drop, and the large one would go.
fn judge_complete(newest_first: &[&Snapshot], keep: &Keep, shrunk: &[Shrunk]) -> BTreeMap<FileId, Decision> {
    let before: BTreeMap<_, _> = shrunk.iter().map(|shrunk| (shrunk.before, Hold::BeforeDrop(*shrunk))).collect();
    let after: BTreeMap<_, _> = shrunk.iter().map(|shrunk| (shrunk.after, Hold::AfterDrop(*shrunk))).collect();
    let newest = newest_first.first().map(|snapshot| snapshot.id);
    let judged = newest_first.iter().zip(keep.matched(newest_first)).map(|(snapshot, rules)| {
        let id = snapshot.id;
        let hold = || before.get(&id).or_else(|| after.get(&id)).cloned();
        let hold = || hold().or_else(|| (newest == Some(id)).then_some(Hold::Newest));
        if rules.is_empty() {
            return (id, hold().map_or(Decision::Remove, Decision::Hold));
        }
        (id, Decision::Keep(rules))
    });
    judged.collect()
}

/// It is of use as long as nothing complete is newer. A tag that is to be kept is an express wish and counts nothing.
pub(super) fn judge_incomplete(snapshot: &Snapshot, newest: Option<&Snapshot>, keep: &Keep) -> Decision {
    let rules = keep.uncounted(snapshot);
    let outdone = newest.is_some_and(|newest| newest.time.timestamp() > snapshot.time.timestamp());
    match (rules.is_empty(), outdone) {
        (false, _) => Decision::Keep(rules),
        (true, true) => Decision::Remove,
        (true, false) => Decision::Hold(Hold::Incomplete),
    }
}
