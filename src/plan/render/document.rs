//! The plan as JSON and YAML: the format that is documented and kept.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use super::text::unified;
use crate::model::object::ObjectKey;
use crate::model::plan::{Action, Held, Plan, Reason, Refusal, Step, Uncovered, Warning};
use crate::model::redact;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    schema: u32,
    now: String,
    source: Source,
    cluster: Cluster<'a>,
    steps: Vec<StepEntry<'a>>,
    refusals: Vec<RefusalEntry<'a>>,
    held: Vec<HeldEntry<'a>>,
    warnings: Vec<WarningEntry<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    uncovered: Vec<UncoveredEntry<'a>>,
}

#[derive(Serialize)]
struct Source {
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    inputs: String,
}

#[derive(Serialize)]
struct Cluster<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    incomplete: &'a [String],
}

#[derive(Serialize)]
struct StepEntry<'a> {
    action: &'static str,
    object: ObjectEntry<'a>,
    reason: ReasonEntry<'a>,
    manifest: Option<Value>,
    diff: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectEntry<'a> {
    api_version: &'static str,
    kind: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct ReasonEntry<'a> {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blueprint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotation: Option<&'a str>,
    message: Cow<'a, str>,
}

/// Entry of `refusals`, here and in `findings.yaml`.
#[derive(Serialize)]
pub struct RefusalEntry<'a> {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    message: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledge: Option<&'a str>,
}

/// Entry of `held`, here and in `findings.yaml`.
#[derive(Serialize)]
pub struct HeldEntry<'a> {
    code: &'static str,
    at: String,
    message: Cow<'a, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keeps: Vec<String>,
}

/// Entry of `warnings`, here and in `findings.yaml`.
#[derive(Serialize)]
pub struct WarningEntry<'a> {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    message: Cow<'a, str>,
}

/// Entry of `uncovered`, here and in `findings.yaml`.
#[derive(Serialize)]
pub struct UncoveredEntry<'a> {
    code: &'static str,
    target: String,
    policy: &'a str,
    at: String,
    message: Cow<'a, str>,
}

/// JSON, indented, with a line end.
pub fn json(plan: &Plan, cluster: Option<&str>) -> String {
    let mut text = serde_json::to_string_pretty(&document(plan, cluster)).unwrap_or_default();
    text.push('\n');
    text
}

/// The same as [`json`], as YAML.
pub fn yaml(plan: &Plan, cluster: Option<&str>) -> String {
    crate::yaml::write(&document(plan, cluster))
}

fn document<'a>(plan: &'a Plan, cluster: Option<&'a str>) -> Document<'a> {
    Document {
        api_version: "holdfast.dev/v1alpha1",
        kind: "Plan",
        schema: 1,
        now: plan.now.to_string(),
        source: Source { revision: plan.revision.as_ref().map(ToString::to_string), inputs: plan.inputs.to_string() },
        cluster: Cluster { name: cluster, incomplete: &plan.incomplete },
        steps: plan.steps.iter().map(step).collect(),
        refusals: plan.refusals.iter().map(RefusalEntry::from).collect(),
        held: plan.held.iter().map(HeldEntry::from).collect(),
        warnings: plan.warnings.iter().map(WarningEntry::from).collect(),
        uncovered: plan.uncovered.iter().map(UncoveredEntry::from).collect(),
    }
}

fn step(step: &Step) -> StepEntry<'_> {
    let (manifest, diff) = match &step.action {
        Action::Create { manifest } => (Some(redact::value(manifest)), None),
        Action::Update { manifest, before, .. } => (Some(redact::value(manifest)), Some(unified(before, manifest, 0))),
        Action::Delete { .. } => (None, None),
    };
    StepEntry {
        action: step.action.as_str(),
        object: object(&step.object),
        reason: reason(&step.reason),
        manifest,
        diff,
    }
}

fn object(key: &ObjectKey) -> ObjectEntry<'_> {
    ObjectEntry {
        api_version: key.kind.api_version(),
        kind: key.kind.as_str(),
        namespace: &key.namespace,
        name: &key.name,
    }
}

fn reason(reason: &Reason) -> ReasonEntry<'_> {
    ReasonEntry {
        code: reason.code.as_str(),
        at: reason.at.as_ref().map(ToString::to_string),
        blueprint: reason.blueprint.as_deref(),
        target: reason.target.as_ref().map(ToString::to_string),
        annotation: reason.annotation.as_deref(),
        message: redact::text(&reason.message),
    }
}

impl<'a> From<&'a Refusal> for RefusalEntry<'a> {
    fn from(refusal: &'a Refusal) -> Self {
        Self {
            code: refusal.code.as_str(),
            object: refusal.object.as_ref().map(ToString::to_string),
            target: refusal.target.as_ref().map(ToString::to_string),
            policy: refusal.policy.as_deref(),
            at: refusal.at.as_ref().map(ToString::to_string),
            message: redact::text(&refusal.message),
            acknowledge: refusal.acknowledge.as_ref().map(crate::model::acknowledge::Digest::as_str),
        }
    }
}

impl<'a> From<&'a Held> for HeldEntry<'a> {
    fn from(held: &'a Held) -> Self {
        Self {
            code: held.code.as_str(),
            at: held.at.to_string(),
            message: redact::text(&held.message),
            keeps: held.keeps.iter().map(ToString::to_string).collect(),
        }
    }
}

impl<'a> From<&'a Warning> for WarningEntry<'a> {
    fn from(warning: &'a Warning) -> Self {
        Self {
            code: warning.code.as_str(),
            policy: warning.policy.as_deref(),
            at: warning.at.as_ref().map(ToString::to_string),
            object: warning.object.as_ref().map(ToString::to_string),
            message: redact::text(&warning.message),
        }
    }
}

impl<'a> From<&'a Uncovered> for UncoveredEntry<'a> {
    fn from(uncovered: &'a Uncovered) -> Self {
        Self {
            code: uncovered.code.as_str(),
            target: uncovered.target.to_string(),
            policy: &uncovered.policy,
            at: uncovered.at.to_string(),
            message: redact::text(&uncovered.message),
        }
    }
}
