//! Asks the policies about everything that a plan is made of, and turns what they say into refusals and warnings.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::world::{World, target_of};
use crate::expression::Part;
use crate::model::desired::{Blueprint, DesiredObject, Request};
use crate::model::finding::WarningCode;
use crate::model::json::texts;
use crate::model::object::{ObjectKey, TargetKey};
use crate::model::observed::{Live, Target};
use crate::model::plan::{Action as StepAction, Refusal, Standing, Step, Warning};
use crate::model::policy::{Judged, Labels};
use crate::policy::{Decision, Subject};

/// What the policies say of an object that shall be written.
pub(super) fn of_object(
    world: &World,
    key: &ObjectKey,
    manifest: &Value,
    target: Option<&TargetKey>,
    blueprint: Option<&Blueprint>,
) -> Vec<Decision> {
    let kind = Judged::Object(key.kind);
    if !world.judge.judges(kind) {
        return Vec::new();
    }
    let known = target.and_then(|target| world.observed.targets.get_key_value(target));
    let labels = known.map_or_else(|| Cow::Owned(labels_of(manifest)), |(_, target)| Cow::Borrowed(&target.labels));
    let namespace = target.map_or(key.namespace.as_str(), |target| target.namespace.as_str());
    let others = |name: &str, part: &Part| {
        Cow::Owned(match name {
            "oldObject" => world.live(key).map_or(Value::Null, |live| old_object(key, live, part)),
            "target" => known.map_or_else(
                || target.map_or(Value::Null, bare_target),
                |(key, target)| target_object(key, target, part),
            ),
            "blueprint" => blueprint.map_or(Value::Null, |blueprint| blueprint_object(blueprint, part)),
            "namespaceObject" => namespace_object(world, namespace, part),
            _ => Value::Null,
        })
    };
    world.judge.judge(&Subject { kind, namespace, labels: &labels, object: manifest, others: &others })
}

/// What the policies say of a document in Git.
pub(super) fn of_document(world: &World, key: &ObjectKey, document: &DesiredObject) -> Vec<Decision> {
    let target = target_of(key, document.manifest.get("spec").unwrap_or(&Value::Null));
    of_object(world, key, &document.manifest, target.as_ref(), None)
}

/// What the policies say of a target, whatever it asks for.
pub(super) fn of_target(world: &World, key: &TargetKey, target: &Target) -> Vec<Decision> {
    let kind = Judged::Target(key.kind);
    if !world.judge.judges(kind) {
        return Vec::new();
    }
    let object = target_object(key, target, &Part::All);
    let others = |name: &str, part: &Part| match name {
        "target" => Cow::Borrowed(&object),
        "namespaceObject" => Cow::Owned(namespace_object(world, &key.namespace, part)),
        _ => Cow::Owned(Value::Null),
    };
    let subject = Subject { kind, namespace: &key.namespace, labels: &target.labels, object: &object, others: &others };
    world.judge.judge(&subject)
}

/// What the policies say of a blueprint, wherever it comes from.
pub(super) fn of_blueprint(world: &World, blueprint: &Blueprint) -> Vec<Decision> {
    without_target(world, Judged::Blueprint, &blueprint_object(blueprint, &Part::All))
}

/// What the policies say of the restores that Git asks for; they are not carried out, but what is wrong with them shows.
pub(super) fn requests(world: &World, draft: &mut Draft) {
    for request in &world.desired.requests {
        let decisions = of_request(world, request);
        let name = request.document.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let spoken = format!("{} {name}", request.kind.as_str());
        put(decisions, About { spoken: Some(&spoken), ..About::default() }, draft);
    }
}

pub(super) fn of_request(world: &World, request: &Request) -> Vec<Decision> {
    without_target(world, request.kind, &request.document)
}

fn without_target(world: &World, kind: Judged, object: &Value) -> Vec<Decision> {
    if !world.judge.judges(kind) {
        return Vec::new();
    }
    let labels = labels_of(object);
    let namespaces = ["/spec/target/ref/namespace", "/metadata/namespace"];
    let namespace = namespaces.iter().find_map(|pointer| object.pointer(pointer)?.as_str()).unwrap_or_default();
    let others = |name: &str, part: &Part| match name {
        "namespaceObject" => Cow::Owned(namespace_object(world, namespace, part)),
        _ => Cow::Owned(Value::Null),
    };
    world.judge.judge(&Subject { kind, namespace, labels: &labels, object, others: &others })
}

/// What a decision is about, as far as it has a name.
#[derive(Clone, Copy, Default)]
pub(super) struct About<'a> {
    pub object: Option<&'a ObjectKey>,
    pub target: Option<&'a TargetKey>,
    /// Of what is neither.
    pub spoken: Option<&'a str>,
}

/// Writes the decisions down; true if one of them refuses.
pub(super) fn put(decisions: Vec<Decision>, about: About, draft: &mut Draft) -> bool {
    let mut refused = false;
    for Decision { policy, at, action, message } in decisions {
        let message = match about.spoken {
            Some(spoken) => format!("{spoken}: {message}"),
            None => message,
        };
        let Some(code) = action.refusal() else {
            let of_target = about.target.filter(|_| about.object.is_none());
            let message = of_target.map_or(message.clone(), |target| format!("{}: {message}", target.spoken()));
            let object = about.object.cloned();
            let code = WarningCode::PolicyWarning;
            draft.warnings.push(Warning { code, policy: Some(policy), at: Some(at), object, message });
            continue;
        };
        refused = true;
        draft.refusals.push(Refusal {
            code,
            object: about.object.cloned(),
            target: about.target.cloned(),
            policy: Some(policy),
            at: Some(at),
            message,
            acknowledge: None,
        });
    }
    refused
}

/// Asks about the plan as a whole: each policy sees the steps that it selects, and refuses exactly those.
pub(super) fn of_plan(world: &World, draft: &mut Draft) {
    if !world.judge.judges(Judged::Plan) || draft.steps.is_empty() {
        return;
    }
    let mut refused: BTreeSet<usize> = BTreeSet::new();
    for policy in world.judge.policies_about(Judged::Plan) {
        let selected: Vec<usize> = (0..draft.steps.len())
            .filter(|index| {
                let (namespace, labels) = place_of(world, &draft.steps[*index]);
                policy.matching.selects(namespace, &labels)
            })
            .collect();
        if selected.is_empty() {
            continue;
        }
        let object = plan_object(selected.iter().map(|index| &draft.steps[*index]));
        let others = |_: &str, _: &Part| Cow::Owned(Value::Null);
        let subject =
            Subject { kind: Judged::Plan, namespace: "", labels: &Labels::new(), object: &object, others: &others };
        let decisions = world.judge.judge_by(&policy.name, &subject);
        for index in selected.iter().copied().filter(|_| !decisions.is_empty()) {
            let (object, target) = (draft.steps[index].object.clone(), draft.steps[index].reason.target.clone());
            let about = About { object: Some(&object), target: target.as_ref(), spoken: None };
            if put(decisions.clone(), about, draft) {
                refused.insert(index);
            }
        }
    }
    let steps = std::mem::take(&mut draft.steps).into_iter().enumerate();
    let (left, kept): (Vec<_>, Vec<_>) = steps.partition(|(index, _)| refused.contains(index));
    draft.steps = kept.into_iter().map(|(_, step)| step).collect();
    let written = |step: &Step| !matches!(step.action, StepAction::Delete { .. });
    let left: BTreeSet<ObjectKey> =
        left.into_iter().filter(|(_, step)| written(step)).map(|(_, step)| step.object).collect();
    for protection in draft.protections.iter_mut().filter(|one| one.standing == Standing::Wanted) {
        if protection.configuration.as_ref().is_some_and(|key| left.contains(key)) {
            protection.standing = Standing::Refused;
        }
    }
}

fn place_of<'w>(world: &'w World, step: &'w Step) -> (&'w str, Cow<'w, Labels>) {
    if let Some(target) = &step.reason.target {
        let labels = world.observed.targets.get(target).map(|target| Cow::Borrowed(&target.labels));
        return (&target.namespace, labels.unwrap_or_default());
    }
    let labels = match &step.action {
        StepAction::Create { manifest } | StepAction::Update { manifest, .. } => Cow::Owned(labels_of(manifest)),
        StepAction::Delete { .. } => {
            world.live(&step.object).map(|live| Cow::Borrowed(&live.labels)).unwrap_or_default()
        }
    };
    (&step.object.namespace, labels)
}

/// Without the manifests: objects are judged by their own kinds, and ten thousand of them would be copied again and again.
fn plan_object<'s>(selected: impl Iterator<Item = &'s Step>) -> Value {
    let (mut steps, mut deletes) = (Vec::new(), Vec::new());
    for step in selected {
        let reason = &step.reason;
        let mut entry = json!({
            "action": step.action.as_str(),
            "object": {"apiVersion": step.object.kind.api_version(), "kind": step.object.kind.as_str(), "name": step.object.name},
            "reason": {"code": reason.code.as_str()},
        });
        if !step.object.namespace.is_empty() {
            entry["object"]["namespace"] = step.object.namespace.clone().into();
        }
        let target = reason.target.as_ref().map(ToString::to_string);
        for (field, value) in
            [("blueprint", &reason.blueprint), ("annotation", &reason.annotation), ("target", &target)]
        {
            if let Some(value) = value {
                entry["reason"][field] = value.clone().into();
            }
        }
        match step.action {
            StepAction::Create { .. } | StepAction::Update { .. } => steps.push(entry),
            StepAction::Delete { .. } => deletes.push(entry),
        }
    }
    json!({"kind": "Plan", "steps": steps, "deletes": deletes})
}

fn labels_of(object: &Value) -> Labels {
    texts(object.get("metadata").unwrap_or(&Value::Null), "labels")
}

/// What is not read is not made: ten thousand objects are described for one pass.
fn old_object(key: &ObjectKey, live: &Live, part: &Part) -> Value {
    let mut metadata = metadata(&key.namespace, &key.name, &live.labels, &live.annotations, part);
    if let Some(created) = live.created {
        metadata.insert("creationTimestamp".to_owned(), created.to_string().into());
    }
    let spec = match part.field("spec") {
        None => json!({}),
        Some(Part::Fields { names: false, fields }) if !fields.keys().any(|field| live.spec_mentions(field)) => {
            json!({})
        }
        Some(_) => live.spec(),
    };
    json!({"apiVersion": key.kind.api_version(), "kind": key.kind.as_str(), "metadata": metadata, "spec": spec})
}

fn target_object(key: &TargetKey, target: &Target, part: &Part) -> Value {
    let metadata = metadata(&key.namespace, &key.name, &target.labels, &target.annotations, part);
    let mut object = json!({"apiVersion": key.kind.api_version(), "kind": key.kind.as_str(), "metadata": metadata});
    for (field, value) in [("type", &target.app_type), ("version", &target.app_version)] {
        if let Some(value) = value {
            object["spec"][field] = value.clone().into();
        }
    }
    object
}

/// A target that is not in the cluster, or not known.
fn bare_target(key: &TargetKey) -> Value {
    json!({
        "apiVersion": key.kind.api_version(), "kind": key.kind.as_str(),
        "metadata": {"name": key.name, "namespace": key.namespace},
    })
}

fn blueprint_object(blueprint: &Blueprint, part: &Part) -> Value {
    let spec = part.field("spec").map_or_else(|| json!({}), |_| blueprint.spec.clone());
    json!({
        "apiVersion": "stash.appscode.com/v1beta1", "kind": "BackupBlueprint",
        "metadata": {"name": blueprint.name}, "spec": spec,
    })
}

fn namespace_object(world: &World, name: &str, part: &Part) -> Value {
    let Some(namespace) = world.observed.namespaces.get(name) else { return Value::Null };
    let metadata = metadata("", name, &namespace.labels, &namespace.annotations, part);
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
}

/// Maps that are always there, so that an expression may ask what is in them.
fn metadata(namespace: &str, name: &str, labels: &Labels, annotations: &Labels, part: &Part) -> Map<String, Value> {
    let part = part.field("metadata");
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), name.into());
    if !namespace.is_empty() {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
    for (field, all) in [("labels", labels), ("annotations", annotations)] {
        let read = |key: &str| part.and_then(|part| part.field(field)?.field(key)).is_some();
        let read = all.iter().filter(|(key, _)| read(key)).map(|(key, value)| (key.clone(), value.as_str().into()));
        metadata.insert(field.to_owned(), Value::Object(read.collect()));
    }
    metadata
}
