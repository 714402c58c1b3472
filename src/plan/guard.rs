//! Never many deletes at once, or in a row, without a person's word.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::draft::Draft;
use super::world::World;
use crate::model::acknowledge::Digest;
use crate::model::finding::RefusalCode;
use crate::model::plan::{Action, Refusal, Step};

/// More deletes within an hour than this are a mistake more often than a wish.
const DELETES_PER_HOUR_MAX: usize = 10;
/// More than half of everything, from this many on, is a lost source more often than a wish.
const DELETES_BULK_MIN: usize = 3;

/// What goes in this pass, beside what has gone and what will.
#[derive(Default)]
pub(super) struct Leaving {
    /// Objects of ours that can be deleted and are not yet being.
    pub owned: usize,
    pub due: Vec<Step>,
    /// When those go that are not due yet.
    pub pending: Vec<Timestamp>,
}

/// Lets the deletes through, or refuses all of them with one digest.
pub(super) fn pass(world: &World, leaving: Leaving, draft: &mut Draft) {
    let Leaving { owned, due, pending } = leaving;
    if due.is_empty() {
        return;
    }
    let hour = SignedDuration::from_hours(1);
    let hour_ago = world.now.saturating_sub(hour).unwrap_or(Timestamp::MIN);
    let recent = recent(world, &due, hour_ago);
    let Some(rule) = broken_rule(world, owned, due.len(), &pending, recent.len()) else {
        draft.steps.extend(due);
        return;
    };
    let digest = Digest::of(due.iter().map(|step| match &step.action {
        Action::Delete { uid, .. } => format!("delete {} {uid}", step.object),
        Action::Create { .. } | Action::Update { .. } => format!("{} {}", step.action.as_str(), step.object),
    }));
    if due.iter().all(|step| world.acknowledged(step.reason.target.as_ref(), digest.as_str())) {
        draft.acknowledged.insert(digest);
        draft.steps.extend(due);
        return;
    }
    // The oldest delete of the hour leaves the count then.
    if let Some(oldest) = recent.iter().min() {
        draft.wake(oldest.saturating_add(hour).unwrap_or(Timestamp::MAX));
    }
    for step in due {
        draft.refusals.push(Refusal {
            policy: None,
            code: RefusalCode::TooManyDeletes,
            message: format!("{}; {rule}", step.reason.message),
            object: Some(step.object),
            target: step.reason.target,
            at: None,
            acknowledge: Some(digest.clone()),
        });
    }
}

/// Why the deletes that are due are too many. What is to follow and what has gone counts as well: a loss whose marks
/// were written in parts, or that comes object by object, is the same loss, and one pass after another decides alike.
fn broken_rule(world: &World, owned: usize, due: usize, pending: &[Timestamp], recent: usize) -> Option<String> {
    let soon = world.now.saturating_add(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MAX);
    let following = pending.iter().filter(|end| **end <= soon).count();
    let (going, all) = (due + pending.len() + recent, owned + recent);
    if going >= DELETES_BULK_MIN && going * 2 > all {
        let pending = pending.len();
        return Some(if going == due {
            format!("{due} of {all} objects would be deleted, more than half")
        } else {
            let parts = [(pending, "to follow"), (recent, "gone within the last hour")];
            let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}"));
            format!("{due} to delete{}: {going} of {all} objects, more than half", parts.collect::<String>())
        });
    }
    let follow = if following > 0 { format!(" and {following} to follow") } else { String::new() };
    (due + following + recent > DELETES_PER_HOUR_MAX).then(|| {
        format!("{due} to delete{follow} after {recent} within the last hour, more than {DELETES_PER_HOUR_MAX}")
    })
}

/// When objects were deleted. What is due again was not: it counts with the rest of what is due.
fn recent(world: &World, due: &[Step], since: Timestamp) -> Vec<Timestamp> {
    let uid = |step: &Step| match &step.action {
        Action::Delete { uid, .. } => Some(uid.clone()),
        Action::Create { .. } | Action::Update { .. } => None,
    };
    let again: BTreeSet<String> = due.iter().filter_map(uid).collect();
    let deletes = world.observed.recent_deletes.iter().filter(|delete| delete.time > since);
    let gone = deletes.filter(|delete| delete.uid.as_ref().is_none_or(|uid| !again.contains(uid)));
    gone.map(|delete| delete.time).collect()
}
