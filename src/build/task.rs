//! From the name of a Task to its steps: the one way to a Job.

use serde_json::{Value, json};

use super::fault::Fault;
use super::variables::{self, Variables};
use crate::api::field::Field;
use crate::api::function::FunctionSpec;
use crate::api::runtime::ContainerSettings;
use crate::api::task::{TaskRef, TaskSpec};
use crate::api::{Function, Task};
use crate::install::catalogue::{self, Native};
use crate::model::facts::{Fact, FactKind, Facts};
use crate::model::keys;

/// Steps of a Task; each is a container, and a pod with more is no pod any more.
const STEPS_MAX: usize = 20;

/// A Task with every variable filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    pub steps: Vec<Step>,
    pub volumes: Vec<Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Of the Function: a container is called `<function>-<index>`.
    pub function: String,
    /// What our own image does in it; other images say it themselves.
    pub native: Option<Native>,
    /// Image, command, arguments, ports, mounts and so on, as in a container.
    pub container: Value,
    pub settings: ContainerSettings,
    /// Where a foreign step leaves its `output.json`.
    pub output: Option<String>,
}

/// Whether there is a Task of a name: in the catalogue, or of somebody's own.
pub fn exists(facts: &Facts, name: &str) -> bool {
    task(facts, name).is_some()
}

/// Why a Task of the catalogue cannot run yet.
pub fn refusal(facts: &Facts, name: &str) -> Option<String> {
    let task = task(facts, name)?;
    let steps = task.pointer("/spec/steps").and_then(Value::as_array)?;
    let functions = steps.iter().filter_map(|step| step.get("name").and_then(Value::as_str));
    let ours = functions
        .filter(|function_name| function(facts, function_name, "").is_some_and(|found| is_ours(function_name, &found)));
    ours.filter_map(catalogue::native).find_map(|native| catalogue::refusal(name, native))
}

fn task(facts: &Facts, name: &str) -> Option<Value> {
    or_override(facts, FactKind::Task, name, catalogue::task(name))
}

fn function(facts: &Facts, name: &str, image: &str) -> Option<Value> {
    or_override(facts, FactKind::Function, name, catalogue::function(name, image))
}

/// Names of the catalogue are ours, unless somebody says that theirs takes the place.
fn or_override(facts: &Facts, kind: FactKind, name: &str, ours: Option<Value>) -> Option<Value> {
    let live = facts.find(kind, "", name).map(Fact::value);
    match ours {
        Some(_) if live.as_ref().is_some_and(is_override) => live,
        Some(ours) => Some(ours),
        None => live,
    }
}

fn is_ours(name: &str, found: &Value) -> bool {
    catalogue::function(name, "").is_some() && !is_override(found)
}

fn is_override(object: &Value) -> bool {
    let annotations = object.pointer("/metadata/annotations");
    annotations.and_then(|all| all.get(keys::OVERRIDE)).and_then(Value::as_str) == Some("true")
}

/// Steps with `variables` in them; the parameters of a step count less than these. Volumes of the Task are left out where the
/// target brings its own.
pub fn resolve(facts: &Facts, name: &str, variables: &Variables, with_volumes: bool) -> Result<Resolved, Fault> {
    let Some(found) = task(facts, name) else {
        return Err(Fault::new("TaskNotFound", format!("there is no Task {name}: create it, or name another one")));
    };
    let task: Task = serde_json::from_value(found)
        .map_err(|error| Fault::new("TaskInvalid", format!("Task {name} cannot be read: {error}")))?;
    let none = TaskSpec::default();
    let spec = task.spec.get().unwrap_or(&none);
    let listed = spec.steps.get().map(Vec::as_slice).unwrap_or_default();
    if listed.is_empty() || listed.len() > STEPS_MAX {
        let message = format!("Task {name} has {} steps; there must be 1 to {STEPS_MAX}", listed.len());
        return Err(Fault::new("TaskInvalid", message));
    }
    let steps = listed.iter().map(|reference| step(facts, name, reference, variables)).collect::<Result<_, _>>()?;
    let volumes = spec.volumes.get().filter(|_| with_volumes).map(Vec::as_slice).unwrap_or_default();
    let volumes = volumes.iter().map(|volume| variables::fill(volume, variables, &format!("Task {name}")));
    Ok(Resolved { steps, volumes: volumes.collect::<Result<_, _>>()? })
}

fn step(facts: &Facts, task: &str, reference: &TaskRef, variables: &Variables) -> Result<Step, Fault> {
    let name = reference.name.get().cloned().unwrap_or_default();
    let image = variables.get("ADDON_IMAGE").map_or("", String::as_str);
    let Some(found) = function(facts, &name, image) else {
        let message = format!("Task {task} names Function {name:?}, which does not exist: create it");
        return Err(Fault::new("FunctionNotFound", message));
    };
    let is_ours = is_ours(&name, &found);
    let function: Function = serde_json::from_value(found)
        .map_err(|error| Fault::new("FunctionInvalid", format!("Function {name} cannot be read: {error}")))?;
    let params = reference.params.get().map(Vec::as_slice).unwrap_or_default();
    let mut known: Variables = Variables::new();
    for param in params {
        if let (Some(key), Some(value)) = (param.name.get(), param.value.get()) {
            let filled = variables::fill(&json!(value), variables, &format!("Task {task}"))?;
            known.insert(key.clone(), filled.as_str().unwrap_or_default().to_owned());
        }
    }
    known.extend(variables.clone());
    let output = known.get("outputDir").filter(|folder| !folder.is_empty()).cloned();
    let none = FunctionSpec::default();
    let spec = function.spec.get().unwrap_or(&none);
    let image = spec.image.get().cloned().unwrap_or_default();
    known.insert("ADDON_IMAGE".to_owned(), image);
    let fill = |value: &Value| variables::fill(value, &known, &format!("Function {name}"));
    let mut container = json!({});
    for (key, value) in [
        ("image", to_value(&spec.image)),
        ("command", to_value(&spec.command)),
        ("args", to_value(&spec.args)),
        ("workingDir", to_value(&spec.working_dir)),
        ("ports", to_value(&spec.ports)),
        ("volumeMounts", to_value(&spec.volume_mounts)),
        ("volumeDevices", to_value(&spec.volume_devices)),
    ] {
        if let Some(value) = value {
            container[key] = fill(&value)?;
        }
    }
    let native = if is_ours { catalogue::native(&name) } else { None };
    Ok(Step {
        function: name,
        native,
        container,
        settings: spec.runtime_settings.get().cloned().unwrap_or_default(),
        output,
    })
}

fn to_value<T: serde::Serialize>(field: &Field<T>) -> Option<Value> {
    field.get().and_then(|value| serde_json::to_value(value).ok())
}
