//! Labels of what the engine makes. Those of users are never copied: other tools would take our objects for theirs.

use serde_json::{Map, Value, json};

use crate::model::invoker::{Named, Target};
use crate::model::keys;
use crate::model::names::{NAME_LENGTH_MAX, limited};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    Backup,
    Restore,
}

/// Of an object that belongs to a session or an invoker.
pub fn run(component: Component, belongs_to: &str) -> Value {
    let component = match component {
        Component::Backup => "stash-backup",
        Component::Restore => "stash-restore",
    };
    json!({
        keys::MANAGED_BY: keys::MANAGED_BY_US,
        "app.kubernetes.io/component": component,
        keys::RUN: value(belongs_to),
    })
}

/// Of a session: by these Stash's users find it.
pub fn session(invoker: &Named, kind: &str, target: Option<&Target>) -> Value {
    let mut labels = Map::new();
    let mut put = |key: &str, text: &str| labels.insert(key.to_owned(), value(text).into());
    put(keys::MANAGED_BY, keys::MANAGED_BY_US);
    put("app.kubernetes.io/component", "stash-backup");
    put("stash.appscode.com/invoker-type", kind);
    put("stash.appscode.com/invoker-name", &invoker.name);
    if let Some(target) = target {
        put("stash.appscode.com/target-kind", &target.kind);
        put("stash.appscode.com/target-name", &target.name);
        put("stash.appscode.com/target-namespace", &target.namespace);
    }
    Value::Object(labels)
}

/// As a value of a label: names may be longer.
pub fn value(text: &str) -> String {
    limited(text, NAME_LENGTH_MAX)
}
