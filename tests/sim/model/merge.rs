//! Server-side apply and plain updates, with the ownership that each leaves behind.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fields::{self, FieldSet, Path};
use super::object::{Object, Operation};
use super::schema;

/// Fields that other managers set to something else.
#[derive(Debug)]
pub(crate) struct Conflict(pub Vec<Path>);

/// Applies the whole intent of `manager`. `live` is without the fields that the server counts up.
pub(crate) fn apply(live: &Object, intent: &Value, manager: &str, force: bool) -> Result<Object, Conflict> {
    let schema = live.schema();
    let mut next = live.clone();
    let wanted = fields::owned(intent, schema);
    let changed: Vec<&Path> = wanted
        .iter()
        .filter(|path| is_value(path) && fields::get(&live.value, path) != fields::get(intent, path))
        .collect();
    let own = (manager.to_owned(), Operation::Apply);
    let mut conflicts = Vec::new();
    for (_, set) in next.managers.iter_mut().filter(|(key, _)| **key != own) {
        let taken: Vec<Path> = set
            .iter()
            .filter(|path| changed.iter().any(|changed| is_value(path) && fields::overlap(changed, path)))
            .cloned()
            .collect();
        if force {
            set.retain(|path| !taken.contains(path));
        } else {
            conflicts.extend(taken);
        }
    }
    if !conflicts.is_empty() {
        return Err(Conflict(conflicts));
    }
    for path in &wanted {
        if is_value(path) {
            let value = fields::get(intent, path).cloned().unwrap_or_default();
            fields::set(&mut next.value, path, value);
        }
    }
    let before = next.managers.remove(&own).unwrap_or_default();
    next.managers.retain(|_, set| !set.is_empty());
    for path in before.difference(&wanted) {
        let kept = next
            .managers
            .values()
            .chain([&wanted])
            .flatten()
            .any(|other| other.starts_with(path) || (is_value(other) && path.starts_with(other)));
        if !kept {
            fields::remove(&mut next.value, path);
        }
    }
    if !wanted.is_empty() {
        next.managers.insert(own, wanted);
    }
    Ok(finished(next, schema))
}

/// Replaces the object by `value` as `manager` edited it.
pub(crate) fn update(live: &Object, value: Value, manager: &str) -> Object {
    let schema = live.schema();
    let next = finished(Object { value, managers: BTreeMap::new() }, schema);
    let (before, after) = (fields::owned(&live.value, schema), fields::owned(&next.value, schema));
    let changed: FieldSet = after
        .iter()
        .filter(|path| {
            !before.contains(*path)
                || (is_value(path) && fields::get(&live.value, path) != fields::get(&next.value, path))
        })
        .cloned()
        .collect();
    let mut managers = live.managers.clone();
    for set in managers.values_mut() {
        set.retain(|path| after.contains(path) && !changed.contains(path));
    }
    managers.entry((manager.to_owned(), Operation::Update)).or_default().extend(changed);
    managers.retain(|_, set| !set.is_empty());
    Object { managers, ..next }
}

/// A new object as `manager` made it without apply.
pub(crate) fn made(value: Value, manager: &str) -> Object {
    let bare = json!({"apiVersion": value["apiVersion"], "kind": value["kind"], "metadata": {}});
    update(&Object { value: bare, managers: BTreeMap::new() }, value, manager)
}

/// A member of a keyed list is no value of its own.
fn is_value(path: &[String]) -> bool {
    path.last().is_some_and(|step| step.starts_with("f:"))
}

fn finished(mut object: Object, schema: Option<&Value>) -> Object {
    if let Some(spec) = object.value.get_mut("spec") {
        schema::fill(schema::field(schema, "spec"), spec);
    }
    object
}
