//! What the definitions say about merging: which lists are keyed, which maps are whole, what is filled in.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use holdfast::schema;
use holdfast::yaml::{self, Limits};
use serde_json::{Map, Value};

/// How two versions of a value are merged.
pub(crate) enum Merge<'s> {
    /// Field by field.
    Granular,
    /// Item by item, found by these fields.
    Keyed(Vec<&'s str>),
    /// As a whole.
    Atomic,
}

/// The schema of a kind of ours; kinds of Kubernetes itself have none here.
pub(crate) fn of(api_version: &str, kind: &str) -> Option<&'static Value> {
    static SCHEMAS: OnceLock<BTreeMap<(String, String), Value>> = OnceLock::new();
    let schemas = SCHEMAS.get_or_init(|| {
        let read = |crd: &schema::Crd| {
            let document =
                yaml::parse(crd.yaml.as_bytes(), &Limits::default()).expect("a shipped definition parses").remove(0);
            let root =
                document.value.pointer("/spec/versions/0/schema/openAPIV3Schema").expect("it has a schema").clone();
            ((format!("{}/{}", crd.group, crd.version), crd.kind.to_owned()), root)
        };
        schema::all().map(read).collect()
    });
    schemas.get(&(api_version.to_owned(), kind.to_owned()))
}

pub(crate) fn merge<'s>(schema: Option<&'s Value>, value: &Value) -> Merge<'s> {
    let says = |key: &str| schema.and_then(|schema| schema.get(key)).and_then(Value::as_str);
    match value {
        Value::Object(_) if says("x-kubernetes-map-type") != Some("atomic") => Merge::Granular,
        Value::Array(_) if says("x-kubernetes-list-type") == Some("map") => {
            let keys = schema.and_then(|schema| schema.get("x-kubernetes-list-map-keys")).and_then(Value::as_array);
            Merge::Keyed(keys.into_iter().flatten().filter_map(Value::as_str).collect())
        }
        _ => Merge::Atomic,
    }
}

/// The schema of one field of an object, or of a free key.
pub(crate) fn field<'s>(schema: Option<&'s Value>, name: &str) -> Option<&'s Value> {
    let schema = schema?;
    schema.get("properties").and_then(|fields| fields.get(name)).or_else(|| schema.get("additionalProperties"))
}

pub(crate) fn item(schema: Option<&Value>) -> Option<&Value> {
    schema?.get("items")
}

/// Fills in the defaults of what is there.
pub(crate) fn fill(schema: Option<&Value>, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fill_missing(schema, fields);
            for (name, below) in fields.iter_mut() {
                fill(field(schema, name), below);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|below| fill(item(schema), below)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn fill_missing(schema: Option<&Value>, fields: &mut Map<String, Value>) {
    let known = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
    for (name, below) in known.into_iter().flatten() {
        if let Some(default) = below.get("default").filter(|_| !fields.contains_key(name)) {
            fields.insert(name.clone(), default.clone());
        }
    }
}
