//! Objects of ours whose cause is gone: marked first, and deleted after a delay as far as the guard lets them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::compare::put;
use super::draft::Draft;
use super::guard::{self, Leaving};
use super::world::{Found, World};
use crate::blueprint::request;
use crate::model::finding::ReasonCode;
use crate::model::json::{join, text};
use crate::model::keys;
use crate::model::object::{Kind, ObjectKey, TargetKey};
use crate::model::observed::{Live, Watched};
use crate::model::plan::{Action, Group, Protection, Reason, Standing, Step};

/// Why an object of ours has no place any more.
struct Cause {
    code: ReasonCode,
    blueprint: Option<String>,
    target: Option<TargetKey>,
    phrase: String,
}

pub(super) fn plan(world: &World, draft: &mut Draft) {
    let mut leaving = Leaving::default();
    for (key, live) in &world.observed.objects {
        if key.kind == Kind::Repository || !live.is_ours() || live.deleting {
            continue;
        }
        leaving.owned += 1;
        if draft.stays.contains(key) {
            draft.steps.extend(unmark(world, key, live, draft));
            continue;
        }
        let Some(cause) = cause(world, key, live) else {
            protect(key, live, Standing::Held, draft);
            continue;
        };
        protect(key, live, Standing::Leaving, draft);
        let since = missing_since(live, world.now);
        let end = since.unwrap_or(world.now).saturating_add(world.settings.delete_delay).unwrap_or(Timestamp::MAX);
        match since {
            None => {
                draft.steps.push(mark(world, key, live, cause));
                leaving.pending.push(end);
            }
            Some(_) if end > world.now => {
                draft.wake(end);
                leaving.pending.push(end);
            }
            Some(since) => leaving.due.push(delete(key, live, cause, since)),
        }
    }
    guard::pass(world, leaving, draft);
}

/// `None` where it cannot be known that the cause is gone, and so the object stays.
fn cause(world: &World, key: &ObjectKey, live: &Live) -> Option<Cause> {
    if world.desired.held.iter().any(|held| held.mentions_policy) || !world.is_complete(Watched::Managed(key.kind)) {
        return None;
    }
    let Some((target, blueprint)) = live.identity() else {
        // An identity that this version cannot read may name a target that a newer one knows.
        return if live.annotations.contains_key(keys::TARGET) { None } else { document_gone(world, key) };
    };
    if !world.is_complete(Watched::Target(target.kind)) {
        return None;
    }
    let cause = |code, phrase: String| {
        Some(Cause { code, blueprint: Some(blueprint.to_owned()), target: Some(target.clone()), phrase })
    };
    let spoken = target.spoken();
    let Some(annotations) = world.observed.targets.get(&target).map(|target| &target.annotations) else {
        return cause(ReasonCode::TargetGone, format!("{spoken} is gone"));
    };
    match request::blueprints(annotations) {
        None => cause(ReasonCode::AnnotationRemoved, format!("{spoken} names no blueprint")),
        // A list that cannot be read is a refusal, never a removal.
        Some(Err(_)) => None,
        Some(Ok(names)) if !names.contains(&blueprint) => {
            cause(ReasonCode::AnnotationRemoved, format!("{spoken} no longer names blueprint {blueprint}"))
        }
        Some(Ok(_)) => match world.blueprint(blueprint) {
            Found::Missing if world.desired.held.is_empty() => {
                cause(ReasonCode::BlueprintGone, format!("blueprint {blueprint} of {spoken} is gone"))
            }
            Found::Missing
            | Found::Usable(_)
            | Found::Broken(_)
            | Found::InBothPlaces(_)
            | Found::Held(_)
            | Found::Unknown => None,
        },
    }
}

/// While any file is held, a document that is not seen may only be unreadable.
fn document_gone(world: &World, key: &ObjectKey) -> Option<Cause> {
    world.desired.held.is_empty().then(|| Cause {
        code: ReasonCode::DocumentGone,
        blueprint: None,
        target: None,
        phrase: format!("the document of {} {} is gone from Git", key.kind.as_str(), key.short()),
    })
}

/// When the cause was first seen missing; a mark that cannot be read, or from the future, counts as none.
fn missing_since(live: &Live, now: Timestamp) -> Option<Timestamp> {
    let since: Timestamp = live.annotations.get(keys::MISSING_SINCE)?.parse().ok()?;
    (since <= now).then_some(since)
}

fn mark(world: &World, key: &ObjectKey, live: &Live, cause: Cause) -> Step {
    let before = manifest_in_force(key, live);
    let mut manifest = before.clone();
    let now = seconds(world.now).to_string();
    put(&mut manifest, &join("/metadata/annotations", keys::MISSING_SINCE), now.clone().into());
    let message = format!("{} since {now}; it is removed after {:#}", cause.phrase, world.settings.delete_delay);
    let action = Action::Update { manifest, before, uid: live.uid.clone() };
    step(key, Cause { code: ReasonCode::CauseMissing, ..cause }, message, action)
}

/// A mark on an object that stays although nothing about it is written, since what asks for it is refused: the cause is
/// back, and the delay must begin anew when it goes again.
fn unmark(world: &World, key: &ObjectKey, live: &Live, draft: &Draft) -> Option<Step> {
    if !live.annotations.contains_key(keys::MISSING_SINCE) || draft.steps.iter().any(|step| step.object == *key) {
        return None;
    }
    let (blueprint, target) = match live.identity() {
        Some((target, blueprint)) => {
            let names = request::blueprints(&world.observed.targets.get(&target)?.annotations)?.ok()?;
            let known = match world.blueprint(blueprint) {
                Found::Usable(_) | Found::Broken(_) | Found::InBothPlaces(_) => true,
                Found::Held(_) | Found::Missing | Found::Unknown => false,
            };
            if !known || !names.contains(&blueprint) {
                return None;
            }
            (Some(blueprint.to_owned()), Some(target))
        }
        None => (None, None),
    };
    let before = manifest_in_force(key, live);
    let mut manifest = before.clone();
    manifest["metadata"]["annotations"].as_object_mut()?.remove(keys::MISSING_SINCE);
    let message = match (&target, &blueprint) {
        (Some(target), Some(blueprint)) => format!("{} asks for blueprint {blueprint} again", target.spoken()),
        _ => format!("{} {} is back in Git", key.kind.as_str(), key.short()),
    };
    let cause = Cause { code: ReasonCode::CauseBack, blueprint, target, phrase: String::new() };
    Some(step(key, cause, message, Action::Update { manifest, before, uid: live.uid.clone() }))
}

fn delete(key: &ObjectKey, live: &Live, cause: Cause, since: Timestamp) -> Step {
    let stays = if key.kind == Kind::BackupConfiguration { "; its Repository and snapshots stay" } else { "" };
    let message = format!("{} since {since}{stays}", cause.phrase);
    let action = Action::Delete { uid: live.uid.clone(), resource_version: live.resource_version.clone() };
    step(key, cause, message, action)
}

fn step(key: &ObjectKey, cause: Cause, message: String, action: Action) -> Step {
    let group = match (&cause.target, &cause.blueprint) {
        (Some(target), Some(blueprint)) => Group::Generated { target: target.clone(), blueprint: blueprint.clone() },
        _ => Group::Document(key.clone()),
    };
    let reason = Reason {
        code: cause.code,
        at: None,
        blueprint: cause.blueprint,
        target: cause.target,
        annotation: None,
        message,
    };
    Step { object: key.clone(), group, reason, action }
}

/// What we last sent, read back from what we own: server-side apply must always carry our whole intent.
fn manifest_in_force(key: &ObjectKey, live: &Live) -> Value {
    let spec = live.spec();
    let mut manifest = json!({
        "apiVersion": key.kind.api_version(),
        "kind": key.kind.as_str(),
        "metadata": {"name": key.name, "annotations": {}, "labels": {}},
    });
    if !key.namespace.is_empty() {
        manifest["metadata"]["namespace"] = key.namespace.clone().into();
    }
    let Some(owned) = &live.owned else {
        manifest["metadata"]["annotations"] = json!(live.annotations);
        manifest["metadata"]["labels"] = json!(live.labels);
        manifest["spec"] = spec;
        if let Some(fields) = manifest["spec"].as_object_mut() {
            fields.remove("paused");
        }
        return manifest;
    };
    for pointer in owned.ours() {
        let value = if let Some(below) = pointer.strip_prefix("/spec") {
            spec.pointer(below).cloned()
        } else {
            let token = |rest: &str| crate::model::json::token(rest);
            let label = pointer.strip_prefix("/metadata/labels/").and_then(|rest| live.labels.get(&token(rest)));
            let annotation =
                pointer.strip_prefix("/metadata/annotations/").and_then(|rest| live.annotations.get(&token(rest)));
            label.or(annotation).map(|text| Value::String(text.clone()))
        };
        if let Some(value) = value {
            put(&mut manifest, pointer, value);
        }
    }
    manifest
}

fn protect(key: &ObjectKey, live: &Live, standing: Standing, draft: &mut Draft) {
    if key.kind != Kind::BackupConfiguration {
        return;
    }
    let spec = live.spec();
    let (target, blueprint) = match live.identity() {
        Some((target, blueprint)) => (Some(target), Some(blueprint.to_owned())),
        None => (super::world::target_of(key, &spec), None),
    };
    let Some(target) = target else { return };
    draft.protections.push(Protection {
        target,
        blueprint,
        source: live.annotations.get(keys::SOURCE).cloned().unwrap_or_default(),
        configuration: Some(key.clone()),
        repository: super::world::repository_of(key, &spec),
        schedule: text(&spec, "schedule").map(str::to_owned),
        paused: super::documents::is_paused(live),
        standing,
    });
}

/// Marks are whole seconds, as Kubernetes writes times.
fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
