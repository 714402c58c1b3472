//! Sets of fields as `managedFields` speaks of them, and access to an object by such a path.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::schema::{self, Merge};

/// Steps such as `f:spec` or `k:{"name":"a"}`.
pub(crate) type Path = Vec<String>;
pub(crate) type FieldSet = BTreeSet<Path>;

/// The fields of an object that somebody can own: labels, annotations, finalizers and `spec`.
pub(crate) fn owned(object: &Value, schema: Option<&Value>) -> FieldSet {
    let mut set = FieldSet::new();
    for name in ["labels", "annotations", "finalizers"] {
        if let Some(value) = object["metadata"].get(name) {
            let list = json!({"x-kubernetes-list-type": "atomic"});
            leaves(value, Some(&list), &["f:metadata".to_owned(), format!("f:{name}")], &mut set);
        }
    }
    if let Some(spec) = object.get("spec") {
        leaves(spec, schema::field(schema, "spec"), &["f:spec".to_owned()], &mut set);
    }
    set
}

fn leaves(value: &Value, schema: Option<&Value>, path: &[String], out: &mut FieldSet) {
    let below = |step: String| [path, &[step]].concat();
    match (schema::merge(schema, value), value) {
        (Merge::Granular, Value::Object(fields)) if !fields.is_empty() => {
            for (name, value) in fields {
                leaves(value, schema::field(schema, name), &below(format!("f:{name}")), out);
            }
        }
        (Merge::Keyed(keys), Value::Array(items)) if !items.is_empty() => {
            for item in items {
                let path = below(key_of(item, &keys));
                leaves(item, schema::item(schema), &path, out);
                out.insert(path);
            }
        }
        _ => drop(out.insert(path.to_vec())),
    }
}

fn key_of(item: &Value, keys: &[&str]) -> String {
    let key: Map<String, Value> =
        keys.iter().filter_map(|key| Some(((*key).to_owned(), item.get(*key)?.clone()))).collect();
    format!("k:{}", Value::Object(key))
}

/// The value at a path.
pub(crate) fn get<'v>(object: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(object, |at, step| match step.strip_prefix("f:") {
        Some(name) => at.get(name),
        None => at.as_array()?.iter().find(|item| is_item(item, step)),
    })
}

/// Sets the value at a path, making what is missing on the way.
pub(crate) fn set(object: &mut Value, path: &[String], value: Value) {
    let mut at = object;
    for step in path {
        at = if let Some(name) = step.strip_prefix("f:") {
            if !at.is_object() {
                *at = json!({});
            }
            &mut at[name]
        } else {
            if !at.is_array() {
                *at = json!([]);
            }
            let items = at.as_array_mut().expect("it was just made one");
            let place = items.iter().position(|item| is_item(item, step)).unwrap_or_else(|| {
                items.push(key(step));
                items.len() - 1
            });
            &mut items[place]
        };
    }
    *at = value;
}

/// Removes the value at a path, and what it leaves empty above it.
pub(crate) fn remove(object: &mut Value, path: &[String]) {
    let Some((step, rest)) = path.split_first() else { return };
    if let Some(name) = step.strip_prefix("f:") {
        let Some(fields) = object.as_object_mut() else { return };
        let Some(below) = fields.get_mut(name) else { return };
        remove(below, rest);
        if rest.is_empty() || is_hollow(below) {
            fields.remove(name);
        }
    } else if let Some(items) = object.as_array_mut() {
        let Some(place) = items.iter().position(|item| is_item(item, step)) else { return };
        remove(&mut items[place], rest);
        if rest.is_empty() || is_hollow(&items[place]) {
            items.remove(place);
        }
    }
}

fn is_hollow(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

fn key(step: &str) -> Value {
    step.strip_prefix("k:").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn is_item(item: &Value, step: &str) -> bool {
    key(step).as_object().is_some_and(|key| key.iter().all(|(name, value)| item.get(name) == Some(value)))
}

/// Whether one is the other or a part of it.
pub(crate) fn overlap(a: &[String], b: &[String]) -> bool {
    a.iter().zip(b).all(|(a, b)| a == b)
}

/// As the API server prints it.
pub(crate) fn print(set: &FieldSet) -> Value {
    let mut root = json!({});
    for path in set {
        let mut at = &mut root;
        for step in path {
            if !at.is_object() {
                *at = json!({});
            }
            at = &mut at[step.as_str()];
        }
        if at.is_null() {
            *at = json!({});
        }
        // An item of a keyed list is a member even if none of its fields is.
        if path.last().is_some_and(|step| step.starts_with("k:")) {
            at["."] = json!({});
        }
    }
    root
}

/// Reads what [`print`] or the API server wrote; a container that is owned as such counts only where it is all there is.
pub(crate) fn read(fields: &Value) -> FieldSet {
    let mut set = FieldSet::new();
    visit(fields, &mut Vec::new(), &mut set);
    set
}

fn visit(fields: &Value, path: &mut Path, out: &mut FieldSet) {
    let steps = fields.as_object().into_iter().flatten();
    let mut below = steps.filter(|(step, _)| *step != ".").peekable();
    let is_item = path.last().is_some_and(|step| step.starts_with("k:"));
    if !path.is_empty() && (below.peek().is_none() || is_item) {
        out.insert(path.clone());
    }
    for (step, value) in below {
        path.push(step.clone());
        visit(value, path, out);
        path.pop();
    }
}
