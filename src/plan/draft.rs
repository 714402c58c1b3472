//! A plan in the making.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::world::World;
use crate::model::acknowledge::Digest;
use crate::model::desired::Described;
use crate::model::keys;
use crate::model::object::ObjectKey;
use crate::model::plan::{Action, Counted, Held, Plan, Protection, Refusal, Step, Uncovered, Warning};
use crate::model::redact;

#[derive(Default)]
pub(super) struct Draft {
    pub steps: Vec<Step>,
    pub refusals: Vec<Refusal>,
    pub warnings: Vec<Warning>,
    pub protections: Vec<Protection>,
    pub uncovered: Vec<Uncovered>,
    pub coverage: BTreeMap<String, Counted>,
    /// Objects that stay: wanted, refused or held. Only what is not here can be deleted.
    pub stays: BTreeSet<ObjectKey>,
    /// Digests of dangers that a person allowed.
    pub acknowledged: BTreeSet<Digest>,
    wake_at: Option<Timestamp>,
}

impl Draft {
    pub(super) fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }

    pub(super) fn keep(&mut self, keys: impl IntoIterator<Item = ObjectKey>) {
        self.stays.extend(keys);
    }

    pub(super) fn finish(mut self, world: &World) -> Plan {
        self.steps.sort_by(|a, b| {
            let last = |step: &Step| matches!(step.action, Action::Delete { .. });
            (last(a), &a.object).cmp(&(last(b), &b.object))
        });
        for step in &mut self.steps {
            step.reason.message = redact::message(&step.reason.message);
        }
        for refusal in &mut self.refusals {
            refusal.message = redact::message(&refusal.message);
        }
        for warning in &mut self.warnings {
            warning.message = redact::message(&warning.message);
        }
        self.refusals.sort();
        self.refusals.dedup();
        self.warnings.extend(world.desired.warnings.iter().cloned());
        self.warnings.sort();
        self.protections.sort();
        Plan {
            now: world.now,
            revision: world.desired.revision.clone(),
            inputs: world.desired.inputs.clone(),
            incomplete: world.observed.incomplete(),
            steps: self.steps,
            refusals: self.refusals,
            held: held(world),
            warnings: self.warnings,
            uncovered: self.uncovered,
            coverage: self.coverage,
            protections: self.protections,
            acknowledged: self.acknowledged.into_iter().collect(),
            wake_at: self.wake_at,
        }
    }
}

/// What is held back, each with the objects that stay as they are for it.
fn held(world: &World) -> Vec<Held> {
    if world.desired.held.is_empty() {
        return Vec::new();
    }
    let mut by_source: BTreeMap<&str, Vec<(&ObjectKey, Option<&str>)>> = BTreeMap::new();
    for (key, live) in world.observed.objects.iter().filter(|(_, live)| live.is_ours()) {
        let source = live.annotations.get(keys::SOURCE).map(String::as_str).unwrap_or_default();
        let blueprint = live.annotations.get(keys::BLUEPRINT).map(String::as_str);
        by_source.entry(source).or_default().push((key, blueprint));
    }
    world
        .desired
        .held
        .iter()
        .map(|held| {
            let source = format!("git:{}", held.at.path);
            let from_file = by_source.get(source.as_str()).into_iter().flatten();
            let keeps = from_file.filter(|(key, blueprint)| match &held.describes {
                None => true,
                Some(Described::Blueprint(name)) => *blueprint == Some(name.as_str()),
                Some(Described::Object(described)) => described == *key,
                // What a policy says is not known, so nothing that it forbids is known either.
                Some(Described::Policy(_)) => false,
            });
            Held {
                at: held.at.clone(),
                code: held.code,
                message: held.message.clone(),
                keeps: keeps.map(|(key, _)| (*key).clone()).collect(),
            }
        })
        .collect()
}
