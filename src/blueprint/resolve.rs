//! One blueprint filled in for one target.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::request::Request;
use super::variables::{Variables, is_guarded};
use crate::cron::Schedule;
use crate::model::address::{self, Address};
use crate::model::desired::Blueprint;
use crate::model::finding::RefusalCode;
use crate::model::json::{push, set, text};
use crate::model::keys;
use crate::model::names::is_label;
use crate::model::object::{TargetKey, TargetKind};
use crate::model::substitution::{self, is_template};

/// Specs and namespaces of the two objects; their names are decided by the planner, who knows which are taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    pub repository_namespace: String,
    pub configuration_namespace: String,
    pub repository_spec: Value,
    /// Without `repository`, which needs the name.
    pub configuration_spec: Map<String, Value>,
    pub address: Address,
    pub schedule: String,
    /// The annotation that decided the schedule, if one did.
    pub schedule_annotation: Option<&'static str>,
}

/// Fields that a blueprint and a BackupConfiguration share.
const COPIED: [&str; 8] = [
    "backupHistoryLimit",
    "hooks",
    "interimVolumeTemplate",
    "retentionPolicy",
    "retryConfig",
    "runtimeSettings",
    "tempDir",
    "timeOut",
];

pub fn resolve(
    blueprint: &Blueprint,
    key: &TargetKey,
    request: &Request,
    variables: &Variables,
) -> Result<Resolved, Fault> {
    let mut filled = fill(blueprint, &blueprint.spec, &mut String::new(), variables)?;
    let namespace = |field: &str| namespace(&filled, field);
    let configuration_namespace = namespace("backupNamespace")?.unwrap_or(&key.namespace).to_owned();
    let repository_namespace = namespace("repoNamespace")?.unwrap_or(&configuration_namespace).to_owned();
    if configuration_namespace != key.namespace && key.kind != TargetKind::AppBinding {
        let message = format!(
            "blueprint {} backs up from namespace {configuration_namespace}, but a {} can only be backed up from its own namespace",
            blueprint.name,
            key.kind.as_str()
        );
        return Err(Fault::new(RefusalCode::InvalidResult, message));
    }
    let backend = take(&mut filled, "backend").unwrap_or_default();
    let faulty_backend = |error: address::Error| Fault {
        code: RefusalCode::BadVariable,
        at: blueprint.at.clone(),
        message: format!("blueprint {}: spec.backend.{error}", blueprint.name),
    };
    address::check_segments(&backend).map_err(faulty_backend)?;
    let address = Address::of(&backend, &repository_namespace)
        .map_err(|error| Fault { code: RefusalCode::InvalidResult, ..faulty_backend(error) })?;
    let (schedule, schedule_annotation) = schedule(blueprint, &filled, request)?;
    let mut configuration_spec = Map::new();
    for field in COPIED {
        set(&mut configuration_spec, field, take(&mut filled, field));
    }
    configuration_spec.insert("schedule".to_owned(), schedule.clone().into());
    configuration_spec.insert("target".to_owned(), target(key, request, &configuration_namespace));
    set(&mut configuration_spec, "task", Some(task(take(&mut filled, "task"), request)));
    let mut repository_spec = Map::new();
    repository_spec.insert("backend".to_owned(), backend);
    set(&mut repository_spec, "usagePolicy", take(&mut filled, "usagePolicy"));
    set(&mut repository_spec, "wipeOut", take(&mut filled, "wipeOut"));
    Ok(Resolved {
        repository_namespace,
        configuration_namespace,
        repository_spec: Value::Object(repository_spec),
        configuration_spec,
        address,
        schedule,
        schedule_annotation,
    })
}

/// Moves a field out; each goes to one place only.
fn take(filled: &mut Value, field: &str) -> Option<Value> {
    filled.get_mut(field).map(Value::take)
}

/// Substitutes in every string value, never in the text of the document.
/// `pointer` leads to `value`; it is the same again afterwards.
fn fill(blueprint: &Blueprint, value: &Value, pointer: &mut String, variables: &Variables) -> Result<Value, Fault> {
    let length = pointer.len();
    Ok(match value {
        Value::String(text) if is_template(text) => Value::String(fill_text(blueprint, text, pointer, variables)?),
        Value::Array(items) => {
            let mut filled = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                let _ = write!(pointer, "/{index}");
                filled.push(fill(blueprint, item, pointer, variables)?);
                pointer.truncate(length);
            }
            Value::Array(filled)
        }
        Value::Object(fields) => {
            let mut filled = Map::new();
            for (key, field) in fields {
                push(pointer, key);
                filled.insert(key.clone(), fill(blueprint, field, pointer, variables)?);
                pointer.truncate(length);
            }
            Value::Object(filled)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    })
}

fn fill_text(blueprint: &Blueprint, text: &str, pointer: &str, variables: &Variables) -> Result<String, Fault> {
    let at = blueprint.places.get(pointer).cloned().or_else(|| blueprint.at.clone());
    let field = format!("blueprint {}: spec{}", blueprint.name, pointer.replace('/', "."));
    let fault = |code, message: String| Fault { code, at: at.clone(), message: format!("{field}: {message}") };
    let used =
        substitution::variables(text).map_err(|error| fault(RefusalCode::UnresolvedVariable, error.to_string()))?;
    let free = used.into_iter().find(|name| variables.get(*name).is_some_and(|variable| variable.free));
    if let Some(name) = free.filter(|_| is_guarded(pointer)) {
        let message = format!("variable {name} is chosen by the target's owner and is not allowed here");
        return Err(fault(RefusalCode::BadVariable, message));
    }
    substitution::expand(text, |name| variables.get(name).map(|variable| variable.value.as_str()))
        .map_err(|error| fault(RefusalCode::UnresolvedVariable, error.to_string()))
}

fn namespace<'v>(filled: &'v Value, field: &str) -> Result<Option<&'v str>, Fault> {
    match text(filled, field).filter(|name| !name.is_empty()) {
        Some(name) if !is_label(name) => {
            let message = format!("spec.{field} {name:?} is not the name of a namespace");
            Err(Fault::new(RefusalCode::InvalidResult, message))
        }
        name => Ok(name),
    }
}

fn schedule(blueprint: &Blueprint, filled: &Value, request: &Request) -> Result<(String, Option<&'static str>), Fault> {
    if let Some(schedule) = &request.schedule {
        return Ok((schedule.clone(), Some(keys::SCHEDULE)));
    }
    let Some(schedule) = text(filled, "schedule").filter(|schedule| !schedule.is_empty()) else {
        let message = format!(
            "blueprint {} has no schedule: give it one, or set the annotation {} on the target",
            blueprint.name,
            keys::SCHEDULE
        );
        return Err(Fault { code: RefusalCode::NoSchedule, at: blueprint.at.clone(), message });
    };
    // What holds no variable was judged with the blueprint.
    if text(&blueprint.spec, "schedule").is_some_and(|own| !is_template(own)) {
        return Ok((schedule.to_owned(), None));
    }
    match Schedule::parse(schedule) {
        Ok(_) => Ok((schedule.to_owned(), None)),
        Err(error) => {
            let message = format!("blueprint {}: spec.schedule {schedule:?}: {error}", blueprint.name);
            Err(Fault { code: RefusalCode::BadVariable, at: blueprint.at.clone(), message })
        }
    }
}

fn target(key: &TargetKey, request: &Request, configuration_namespace: &str) -> Value {
    let mut reference = Map::new();
    reference.insert("apiVersion".to_owned(), key.kind.api_version().into());
    reference.insert("kind".to_owned(), key.kind.as_str().into());
    reference.insert("name".to_owned(), key.name.clone().into());
    if configuration_namespace != key.namespace {
        reference.insert("namespace".to_owned(), key.namespace.clone().into());
    }
    let mounts: Vec<Value> = request
        .mounts
        .iter()
        .map(|mount| match &mount.sub_path {
            Some(sub_path) => json!({"name": mount.volume, "mountPath": mount.path, "subPath": sub_path}),
            None => json!({"name": mount.volume, "mountPath": mount.path}),
        })
        .collect();
    let mut target = Map::new();
    target.insert("ref".to_owned(), Value::Object(reference));
    set(&mut target, "paths", Some(json!(request.paths)));
    set(&mut target, "volumeMounts", Some(Value::Array(mounts)));
    Value::Object(target)
}

/// The blueprint's task; a parameter of the target replaces the blueprint's of the same name, others follow by name.
fn task(filled: Option<Value>, request: &Request) -> Value {
    let mut task = if let Some(Value::Object(task)) = filled { task } else { Map::new() };
    let mut params: Vec<Value> = task.get("params").and_then(Value::as_array).cloned().unwrap_or_default();
    for (name, value) in &request.params {
        let param = json!({"name": name, "value": value});
        match params.iter_mut().find(|existing| text(existing, "name") == Some(name)) {
            Some(existing) => *existing = param,
            None => params.push(param),
        }
    }
    set(&mut task, "params", Some(Value::Array(params)));
    Value::Object(task)
}
