//! One stored object: its value, and which manager set which of its fields.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fields::{self, FieldSet};
use super::schema;

/// How a manager writes: whole intents, or single changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Apply,
    Update,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object {
    /// Without `managedFields`.
    pub value: Value,
    pub managers: BTreeMap<(String, Operation), FieldSet>,
}

impl Object {
    pub(crate) fn uid(&self) -> &str {
        self.value["metadata"]["uid"].as_str().unwrap_or_default()
    }

    pub(crate) fn version(&self) -> &str {
        self.value["metadata"]["resourceVersion"].as_str().unwrap_or_default()
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.value["metadata"]["annotations"].get(key)?.as_str()
    }

    pub(crate) fn is_deleting(&self) -> bool {
        self.value["metadata"].get("deletionTimestamp").is_some()
    }

    pub(crate) fn schema(&self) -> Option<&'static Value> {
        schema::of(self.value["apiVersion"].as_str()?, self.value["kind"].as_str()?)
    }

    /// As a client gets it.
    pub(crate) fn wire(&self) -> Value {
        let mut value = self.value.clone();
        let entries = self.managers.iter().map(|((manager, operation), set)| {
            let operation = match operation {
                Operation::Apply => "Apply",
                Operation::Update => "Update",
            };
            json!({"manager": manager, "operation": operation, "apiVersion": value["apiVersion"],
                "fieldsType": "FieldsV1", "fieldsV1": fields::print(set)})
        });
        let entries: Vec<Value> = entries.collect();
        value["metadata"]["managedFields"] = entries.into();
        value
    }
}
