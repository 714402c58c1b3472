//! What a policy is about: kinds, namespaces and labels.

use std::collections::{BTreeMap, BTreeSet};

use globset::{Glob, GlobMatcher};
use serde_json::Value;

use crate::model::json::text;
use crate::model::object::{Kind, TargetKind};

/// A sort of thing that policies judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judged {
    Plan,
    Blueprint,
    RestoreBatch,
    RestoreRequest,
    RestoreSession,
    Object(Kind),
    Target(TargetKind),
}

impl Judged {
    pub fn of(kind: &str) -> Option<Self> {
        let fixed =
            [Judged::Plan, Judged::Blueprint, Judged::RestoreBatch, Judged::RestoreRequest, Judged::RestoreSession];
        let objects = Kind::ALL.into_iter().map(Judged::Object);
        let targets = TargetKind::ALL.into_iter().map(Judged::Target);
        fixed.into_iter().chain(objects).chain(targets).find(|judged| judged.as_str() == kind)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Judged::Plan => "Plan",
            Judged::Blueprint => "BackupBlueprint",
            Judged::RestoreBatch => "RestoreBatch",
            Judged::RestoreRequest => "RestoreRequest",
            Judged::RestoreSession => "RestoreSession",
            Judged::Object(kind) => kind.as_str(),
            Judged::Target(kind) => kind.as_str(),
        }
    }
}

/// Names and labels as Kubernetes has them.
pub type Labels = BTreeMap<String, String>;

/// Everything that has one of the kinds, lies in one of the namespaces and has the labels.
#[derive(Clone, Debug, Default)]
pub struct Match {
    pub kinds: BTreeSet<Judged>,
    namespaces: Vec<GlobMatcher>,
    labels: Vec<Requirement>,
}

/// The globs are compared by their text.
impl PartialEq for Match {
    fn eq(&self, other: &Self) -> bool {
        let texts = |one: &Self| one.namespaces.iter().map(|glob| glob.glob().glob().to_owned()).collect::<Vec<_>>();
        self.kinds == other.kinds && texts(self) == texts(other) && self.labels == other.labels
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In { key: String, values: Vec<String> },
    NotIn { key: String, values: Vec<String> },
    Exists { key: String },
    DoesNotExist { key: String },
}

impl Match {
    /// Reads `spec.match`, whose shape is sound; the error names the field below it and says what is wrong.
    pub(super) fn read(value: &Value) -> Result<Self, (String, String)> {
        let mut read = Self::default();
        for kind in strings(value.get("kinds")) {
            let judged = Judged::of(kind).ok_or_else(|| ("/kinds".to_owned(), format!("{kind} is not judged")))?;
            read.kinds.insert(judged);
        }
        for (index, glob) in strings(value.get("namespaces")).enumerate() {
            let matcher = Glob::new(glob).map_err(|error| {
                (format!("/namespaces/{index}"), format!("{glob:?} is not a glob: {}", error.kind()))
            })?;
            read.namespaces.push(matcher.compile_matcher());
        }
        let labels = value.get("labels").unwrap_or(&Value::Null);
        for (key, value) in labels.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
            let values = vec![value.as_str().unwrap_or_default().to_owned()];
            read.labels.push(Requirement::In { key: key.clone(), values });
        }
        let expressions = labels.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
        for (index, expression) in expressions.enumerate() {
            let requirement = requirement(expression);
            read.labels.push(requirement.map_err(|error| (format!("/labels/matchExpressions/{index}"), error))?);
        }
        Ok(read)
    }

    /// Whether a place is meant; what has no namespace is in every one.
    pub fn selects(&self, namespace: &str, labels: &Labels) -> bool {
        let namespaces = self.namespaces.is_empty()
            || namespace.is_empty()
            || self.namespaces.iter().any(|glob| glob.is_match(namespace));
        namespaces && self.labels.iter().all(|requirement| requirement.holds(labels))
    }
}

fn requirement(expression: &Value) -> Result<Requirement, String> {
    let key = text(expression, "key").unwrap_or_default().to_owned();
    let values: Vec<String> = strings(expression.get("values")).map(str::to_owned).collect();
    match (text(expression, "operator").unwrap_or_default(), values.is_empty()) {
        ("In", false) => Ok(Requirement::In { key, values }),
        ("NotIn", false) => Ok(Requirement::NotIn { key, values }),
        ("Exists", true) => Ok(Requirement::Exists { key }),
        ("DoesNotExist", true) => Ok(Requirement::DoesNotExist { key }),
        (operator, true) => Err(format!("{operator} needs values")),
        (operator, false) => Err(format!("{operator} takes no values")),
    }
}

impl Requirement {
    fn holds(&self, labels: &Labels) -> bool {
        match self {
            Requirement::In { key, values } => labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn { key, values } => labels.get(key).is_none_or(|value| !values.contains(value)),
            Requirement::Exists { key } => labels.contains_key(key),
            Requirement::DoesNotExist { key } => !labels.contains_key(key),
        }
    }
}

pub(super) fn strings(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}
