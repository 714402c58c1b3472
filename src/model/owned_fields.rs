//! What `metadata.managedFields` says: which fields we own, and who owns a field that differs.

use serde_json::Value;

use super::json::{join, token};
use super::keys::FIELD_MANAGER;

/// Compact form of one object's `managedFields` (`status` and other subresources are left out).
///
/// Twenty thousand of these live in the daemon, so both parts are text and only looked into when needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedFields {
    /// Pointers that our manager applied, one a line; `None` if our manager is not among the managers.
    ours: Option<Box<str>>,
    /// JSON of the entries of all other managers.
    others: Box<str>,
}

impl OwnedFields {
    /// `None` where the object carries no `managedFields` (a dump that leaves them out).
    pub fn parse(managed_fields: Option<&Value>) -> Option<Self> {
        let entries = managed_fields?.as_array()?;
        let mut ours: Option<String> = None;
        let mut others = Vec::new();
        for entry in entries {
            if entry.get("subresource").and_then(Value::as_str).is_some_and(|subresource| !subresource.is_empty()) {
                continue;
            }
            if manager(entry) == FIELD_MANAGER {
                let paths = ours.get_or_insert_default();
                leaves(&entry["fieldsV1"], "", &mut |pointer| {
                    paths.push_str(pointer);
                    paths.push('\n');
                });
            } else {
                others.push(entry.clone());
            }
        }
        let others = if others.is_empty() { String::new() } else { Value::Array(others).to_string() };
        Some(Self { ours: ours.map(String::into_boxed_str), others: others.into_boxed_str() })
    }

    /// Whether our manager wrote the object.
    pub fn is_ours(&self) -> bool {
        self.ours.is_some()
    }

    /// Pointers of the fields that we own; an item of a list counts as its list.
    pub fn ours(&self) -> impl Iterator<Item = &str> {
        self.ours.as_deref().unwrap_or_default().lines()
    }

    /// Whether the field, or what it is a part of, is still as we applied it: another manager who changes it takes it from us.
    pub fn still_ours(&self, pointer: &str) -> bool {
        self.ours().any(|own| within(pointer, own))
    }

    /// Managers other than ours, in the order in which the server lists them.
    pub fn other_managers(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for entry in self.other_entries() {
            let name = manager(&entry).to_owned();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The manager, other than ours, that owns the field, a part of it, or what it is a part of.
    pub fn owner_of(&self, pointer: &str) -> Option<String> {
        for entry in self.other_entries() {
            let mut owns = false;
            leaves(&entry["fieldsV1"], "", &mut |leaf| owns |= within(leaf, pointer) || within(pointer, leaf));
            if owns {
                return Some(manager(&entry).to_owned());
            }
        }
        None
    }

    fn other_entries(&self) -> Vec<Value> {
        if self.others.is_empty() {
            return Vec::new();
        }
        serde_json::from_str(&self.others).unwrap_or_default()
    }
}

fn manager(entry: &Value) -> &str {
    entry.get("manager").and_then(Value::as_str).unwrap_or("unknown")
}

fn within(pointer: &str, parent: &str) -> bool {
    pointer.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Pointers of the leaves of a `fieldsV1`; a list's items (`k:`, `v:`, `i:`) make the list itself the leaf.
fn leaves(fields: &Value, pointer: &str, visit: &mut impl FnMut(&str)) {
    let Some(children) = fields.as_object() else { return };
    let mut named =
        children.iter().filter_map(|(key, child)| key.strip_prefix("f:").map(|name| (name, child))).peekable();
    if named.peek().is_none() {
        if !pointer.is_empty() {
            visit(pointer);
        }
        return;
    }
    for (name, child) in named {
        leaves(child, &join(pointer, &token(name)), visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample() -> OwnedFields {
        let entries = json!([
            {"manager": "holdfast", "operation": "Apply", "fieldsV1": {
                "f:metadata": {"f:labels": {"f:app.kubernetes.io/managed-by": {}}},
                "f:spec": {"f:target": {"f:paths": {}, "f:volumeMounts": {}}}}},
            {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {
                "f:spec": {"f:schedule": {}, "f:list": {".": {}, "k:{\"name\":\"a\"}": {".": {}, "f:x": {}}}}}},
            {"manager": "stash", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {"f:phase": {}}}},
        ]);
        OwnedFields::parse(Some(&entries)).unwrap()
    }

    #[test]
    fn ours_and_others_are_told_apart() {
        let fields = sample();
        assert!(fields.is_ours());
        assert_eq!(
            fields.ours().collect::<Vec<_>>(),
            ["/metadata/labels/app.kubernetes.io~1managed-by", "/spec/target/paths", "/spec/target/volumeMounts"]
        );
        assert_eq!(fields.other_managers(), ["kubectl-edit"]);
        assert_eq!(fields.owner_of("/spec/schedule").as_deref(), Some("kubectl-edit"));
        assert_eq!(fields.owner_of("/spec/list/0/x").as_deref(), Some("kubectl-edit"));
        assert_eq!(fields.owner_of("/spec").as_deref(), Some("kubectl-edit"));
        assert_eq!(fields.owner_of("/spec/target/paths"), None);
        assert_eq!(fields.owner_of("/spec/sched"), None);
    }

    #[test]
    fn a_dump_without_managed_fields_says_nothing() {
        assert_eq!(OwnedFields::parse(None), None);
        assert!(!OwnedFields::parse(Some(&json!([]))).unwrap().is_ours());
    }
}
