//! How each target stands: looked after, or refused or held with what exists of it staying as it is.

use super::documents::is_paused;
use super::draft::Draft;
use super::wanted::Wanted;
use super::world::{Identity, World};
use crate::blueprint::fault::Fault;
use crate::blueprint::request;
use crate::model::json::text;
use crate::model::object::TargetKey;
use crate::model::plan::{Protection, Refusal, Standing};

/// The target has its pair, or will have it after this plan.
pub(super) fn protect(world: &World, one: &Wanted, standing: Standing, draft: &mut Draft) {
    draft.protections.push(Protection {
        target: one.target.clone(),
        blueprint: Some(one.blueprint.name.clone()),
        source: one.blueprint.source.clone(),
        configuration: Some(one.configuration.clone()),
        repository: Some(one.repository.clone()),
        schedule: Some(one.schedule.clone()),
        paused: world.live(&one.configuration).is_some_and(is_paused),
        standing,
    });
}

/// The target's annotation cannot be read: everything that exists for it stays.
pub(super) fn refuse_all(world: &World, target: &TargetKey, fault: &Fault, draft: &mut Draft) {
    let known: Vec<Identity> = world
        .existing
        .range((target.clone(), String::new())..)
        .take_while(|((key, _), _)| key == target)
        .map(|(identity, _)| identity.clone())
        .collect();
    refuse(target, fault.clone(), draft);
    for identity in &known {
        stay(world, identity, Standing::Refused, None, draft);
    }
    if known.is_empty() {
        draft.protections.push(unresolved(target, None, Standing::Refused));
    }
}

/// While something that a target asks for is not there, what it no longer asks for stays too: it may be a move that is
/// not finished. What it asks for itself is not kept by this, or two that are gone would keep each other.
pub(super) fn keep_moved_from(world: &World, target: &TargetKey, draft: &mut Draft) {
    let annotations = world.observed.targets.get(target).map(|target| &target.annotations);
    let Some(Ok(asked_for)) = annotations.and_then(request::blueprints) else { return };
    let range = world.existing.range((target.clone(), String::new())..);
    for ((_, blueprint), existing) in range.take_while(|((of, _), _)| of == target) {
        if !asked_for.contains(&blueprint.as_str()) {
            draft.keep(existing.repository.iter().chain(&existing.configuration).cloned());
        }
    }
}

/// What exists of an identity stays as it is.
pub(super) fn stay(world: &World, identity: &Identity, standing: Standing, fault: Option<Fault>, draft: &mut Draft) {
    if let Some(fault) = fault {
        refuse(&identity.0, fault, draft);
    }
    if let Some(existing) = world.existing.get(identity) {
        draft.keep(existing.repository.iter().chain(&existing.configuration).cloned());
    }
    let known = draft.protections.iter().rev().any(|protection| {
        protection.target == identity.0 && protection.blueprint.as_deref() == Some(identity.1.as_str())
    });
    if !known {
        let existing = world.existing.get(identity);
        let live = existing.and_then(|existing| existing.configuration.as_ref()).and_then(|key| world.live(key));
        let spec = live.map(crate::model::observed::Live::spec).unwrap_or_default();
        draft.protections.push(Protection {
            configuration: existing.and_then(|existing| existing.configuration.clone()),
            repository: existing.and_then(|existing| existing.repository.clone()),
            schedule: text(&spec, "schedule").map(str::to_owned),
            paused: live.is_some_and(is_paused),
            source: live.and_then(|live| live.annotations.get(crate::model::keys::SOURCE).cloned()).unwrap_or_default(),
            ..unresolved(&identity.0, Some(identity.1.clone()), standing)
        });
    }
}

fn unresolved(target: &TargetKey, blueprint: Option<String>, standing: Standing) -> Protection {
    Protection {
        target: target.clone(),
        blueprint,
        source: String::new(),
        configuration: None,
        repository: None,
        schedule: None,
        paused: false,
        standing,
    }
}

fn refuse(target: &TargetKey, fault: Fault, draft: &mut Draft) {
    draft.refusals.push(Refusal {
        policy: None,
        code: fault.code,
        object: None,
        target: Some(target.clone()),
        at: fault.at,
        message: format!("{}: {}", target.spoken(), fault.message),
        acknowledge: None,
    });
}
