//! A `PolicyCase`: what a policy must say of one object.

use jiff::Timestamp;
use serde_json::Value;

use super::Action;
use crate::model::json::text;
use crate::model::place::Place;

#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    pub name: String,
    pub at: Place,
    pub policy: String,
    pub expected: Expected,
    pub now: Option<Timestamp>,
    /// The document's `spec`: what the expressions read is in it.
    pub spec: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    Allow,
    /// The message only where the case gives one.
    Decision {
        action: Action,
        message: Option<String>,
    },
}

impl Case {
    /// From a document whose shape is sound.
    pub(in crate::model) fn read(name: &str, at: Place, document: &Value) -> Self {
        let spec = document.get("spec").cloned().unwrap_or_default();
        let expect = spec.get("expect").unwrap_or(&Value::Null);
        let action = Action::ALL.into_iter().find(|action| Some(action.as_str()) == text(expect, "action"));
        let expected = match action {
            None => Expected::Allow,
            Some(action) => Expected::Decision { action, message: text(expect, "message").map(str::to_owned) },
        };
        Self {
            name: name.to_owned(),
            at,
            policy: text(&spec, "policy").unwrap_or_default().to_owned(),
            expected,
            now: text(&spec, "now").and_then(|now| now.parse().ok()),
            spec,
        }
    }
}
