//! Whether a live object already is what the manifest says, over our fields only.

use serde_json::{Map, Value};

use crate::model::json::{at, is_empty, join, same_number};
use crate::model::keys;
use crate::model::observed::Live;
use crate::schema::{self, Crd};

/// How a live object differs from what would be sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    /// The manifest's fields with their live values, plus the fields of ours that would go.
    pub before: Value,
    /// Pointers of the fields that differ.
    pub fields: Vec<String>,
    /// Somebody else who set one of those fields after us.
    pub drifted_by: Option<String>,
}

/// `None` when sending the manifest would change nothing.
pub(super) fn difference(manifest: &Value, live: &Live) -> Option<Difference> {
    let mut fields = Vec::new();
    for (map, pointer, have) in
        [("labels", "/metadata/labels", &live.labels), ("annotations", "/metadata/annotations", &live.annotations)]
    {
        let wanted = manifest["metadata"][map].as_object();
        for (key, value) in wanted.into_iter().flatten() {
            if have.get(key).map(String::as_str) != value.as_str() {
                fields.push(join(pointer, key));
            }
        }
    }
    if fields.is_empty() && is_all_of_ours(manifest, live) && live.spec_holds(&manifest["spec"]) {
        return None;
    }
    let spec = live.spec();
    differing(&manifest["spec"], &spec, "/spec", &mut fields);
    let changed = fields.len();
    fields.extend(surplus(manifest, live, &spec));
    if fields.is_empty() {
        return None;
    }
    let owned = live.owned.as_ref();
    let drifted_by = owned.and_then(|owned| {
        fields[..changed].iter().filter(|field| !owned.still_ours(field)).find_map(|field| owned.owner_of(field))
    });
    let drifted_by = drifted_by.filter(|_| live.is_ours());
    Some(Difference { before: before(manifest, live, &spec, &fields[changed..]), fields, drifted_by })
}

/// Whether we set nothing that the manifest lacks; false where the object does not say who set what.
fn is_all_of_ours(manifest: &Value, live: &Live) -> bool {
    live.owned.as_ref().is_some_and(|owned| owned.ours().all(|pointer| at(manifest, pointer).is_some()))
}

/// Collects where `want` is not contained in `have`. Lists must have the same length; their items may have more fields
/// than we ask for, since the server fills in defaults.
fn differing(want: &Value, have: &Value, pointer: &str, out: &mut Vec<String>) {
    match (want, have) {
        (Value::Object(want), Value::Object(have)) => {
            for (key, value) in want {
                match have.get(key) {
                    Some(live) => differing(value, live, &join(pointer, key), out),
                    None => out.push(join(pointer, key)),
                }
            }
        }
        (Value::Array(want), Value::Array(have)) if want.len() == have.len() => {
            for (index, (value, live)) in want.iter().zip(have).enumerate() {
                differing(value, live, &format!("{pointer}/{index}"), out);
            }
        }
        (Value::Number(_), Value::Number(_)) if same_number(want, have) => {}
        (want, have) if want == have => {}
        _ => out.push(pointer.to_owned()),
    }
}

/// Fields that we set earlier and no longer ask for.
fn surplus(manifest: &Value, live: &Live, spec: &Value) -> Vec<String> {
    let mut extra = Vec::new();
    if let Some(owned) = &live.owned {
        for pointer in owned.ours().filter(|pointer| at(manifest, pointer).is_none()) {
            let present = match pointer.strip_prefix("/spec") {
                Some(below) => spec.pointer(below).is_some(),
                None => metadata_value(live, pointer).is_some(),
            };
            if present {
                extra.push(pointer.to_owned());
            }
        }
        return extra;
    }
    // A dump without managedFields cannot say who set what: our own marks, and whatever is no default, count as ours.
    for mark in [keys::MISSING_SINCE, keys::UNDONE] {
        let pointer = join("/metadata/annotations", mark);
        if live.annotations.contains_key(mark) && manifest.pointer(&pointer).is_none() {
            extra.push(pointer);
        }
    }
    let kind = manifest["kind"].as_str().unwrap_or_default();
    if let Some(crd) = schema::shipped(manifest["apiVersion"].as_str().unwrap_or_default(), kind) {
        undeclared(crd, &manifest["spec"], spec, "/spec", &mut extra);
    }
    extra
}

fn undeclared(crd: &Crd, want: &Value, have: &Value, pointer: &str, out: &mut Vec<String>) {
    match (want, have) {
        (Value::Object(want), Value::Object(have)) => {
            for (key, live) in have {
                let place = join(pointer, key);
                match want.get(key) {
                    Some(value) => undeclared(crd, value, live, &place, out),
                    None if is_empty(live) || place == "/spec/paused" || crd.default_of(&place) == Some(live) => {}
                    None => out.push(place),
                }
            }
        }
        (Value::Array(want), Value::Array(have)) => {
            for (index, (value, live)) in want.iter().zip(have).enumerate() {
                undeclared(crd, value, live, &format!("{pointer}/{index}"), out);
            }
        }
        _ => {}
    }
}

fn metadata_value<'l>(live: &'l Live, pointer: &str) -> Option<&'l String> {
    let key = |rest: &str| crate::model::json::token(rest);
    if let Some(rest) = pointer.strip_prefix("/metadata/labels/") {
        return live.labels.get(&key(rest));
    }
    live.annotations.get(&key(pointer.strip_prefix("/metadata/annotations/")?))
}

/// The manifest's shape with live values, so that a text diff of both shows what would change and nothing else.
fn before(manifest: &Value, live: &Live, spec: &Value, surplus: &[String]) -> Value {
    let mut before = manifest.clone();
    for (map, have) in [("labels", &live.labels), ("annotations", &live.annotations)] {
        if let Some(fields) = before["metadata"][map].as_object_mut() {
            fields.retain(|key, _| have.contains_key(key));
            for (key, value) in fields.iter_mut() {
                *value = have.get(key).cloned().unwrap_or_default().into();
            }
        }
    }
    before["spec"] = projected(&manifest["spec"], spec);
    for pointer in surplus {
        let value = match pointer.strip_prefix("/spec") {
            Some(below) => spec.pointer(below).cloned(),
            None => metadata_value(live, pointer).map(|text| Value::String(text.clone())),
        };
        if let Some(value) = value {
            put(&mut before, pointer, value);
        }
    }
    before
}

/// `have` reduced to the fields that `want` has.
fn projected(want: &Value, have: &Value) -> Value {
    match (want, have) {
        (Value::Object(want), Value::Object(have)) => Value::Object(
            want.iter().filter_map(|(key, value)| Some((key.clone(), projected(value, have.get(key)?)))).collect(),
        ),
        (Value::Array(want), Value::Array(have)) if want.len() == have.len() => {
            Value::Array(want.iter().zip(have).map(|(value, live)| projected(value, live)).collect())
        }
        (_, have) => have.clone(),
    }
}

/// Sets a value by pointer, making the objects on the way.
pub(super) fn put(root: &mut Value, pointer: &str, value: Value) {
    let mut at = root;
    for escaped in pointer.split('/').skip(1) {
        let token = crate::model::json::token(escaped);
        at = match at {
            Value::Array(items) => match token.parse::<usize>().ok().filter(|index| *index < items.len()) {
                Some(index) => &mut items[index],
                None => return,
            },
            other => {
                if !other.is_object() {
                    *other = Value::Object(Map::new());
                }
                &mut other[token.as_str()]
            }
        };
    }
    *at = value;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_of_the_server_are_no_difference() {
        let mut out = Vec::new();
        let want = json!({"a": [{"x": 1}], "b": {"c": "d"}});
        differing(&want, &json!({"a": [{"x": 1.0, "y": 2}], "b": {"c": "d", "e": 1}, "f": 1}), "", &mut out);
        assert_eq!(out, Vec::<String>::new());
        differing(&want, &json!({"a": [{"x": 2}], "b": {}}), "", &mut out);
        assert_eq!(out, ["/a/0/x", "/b/c"]);
    }

    #[test]
    fn put_makes_its_way() {
        let mut value = json!({"a": [1, {"b": 2}]});
        put(&mut value, "/a/1/c", json!(3));
        put(&mut value, "/x/y~1z", json!(4));
        assert_eq!(value, json!({"a": [1, {"b": 2, "c": 3}], "x": {"y/z": 4}}));
    }
}
