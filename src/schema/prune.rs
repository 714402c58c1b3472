//! What the server does to an object before it keeps it: unknown fields and nulls go, defaults come.

use serde_json::Value;

use super::Crd;
use super::at::token;
use super::node::{Node, Shape, field};

impl Crd {
    /// Removes every field that the schema lacks. Wrong types stay: `check` complains of them.
    pub fn prune(&self, object: &mut Value) {
        prune(self.root(), object);
    }

    /// Removes the nulls that the server takes for absent fields; those in lists stay.
    pub fn drop_nulls(&self, object: &mut Value) {
        drop_nulls(self.root(), object);
    }

    /// What the server fills in at that place (RFC 6901, any index of a list) if the object above it exists.
    pub fn default_of(&self, pointer: &str) -> Option<&Value> {
        let mut node = self.root();
        for escaped in pointer.split('/').skip(1) {
            node = below(node, escaped)?;
        }
        node.default.as_deref()
    }
}

fn below<'n>(node: &'n Node, escaped: &str) -> Option<&'n Node> {
    match &node.shape {
        Shape::Object(fields) => field(fields, &token(escaped)).map(|field| &field.node),
        Shape::Map(entry) => Some(entry),
        Shape::List { item, .. } => escaped.parse::<usize>().is_ok().then_some(item),
        Shape::Text(_)
        | Shape::Whole(_)
        | Shape::Boolean
        | Shape::WholeOrText { .. }
        | Shape::Resource { .. }
        | Shape::Opaque => None,
    }
}

fn prune(node: &Node, value: &mut Value) {
    match (&node.shape, value) {
        (Shape::Object(fields), Value::Object(entries)) => entries.retain(|name, value| {
            let known = field(fields, name);
            if let Some(field) = known {
                prune(&field.node, value);
            }
            known.is_some()
        }),
        (Shape::Map(entry), Value::Object(entries)) => entries.values_mut().for_each(|value| prune(entry, value)),
        (Shape::List { item, .. }, Value::Array(items)) => items.iter_mut().for_each(|value| prune(item, value)),
        (Shape::Resource { metadata: object_meta }, Value::Object(entries)) => {
            if let Some(metadata) = entries.get_mut("metadata") {
                prune(object_meta, metadata);
            }
        }
        (
            Shape::Text(_)
            | Shape::Whole(_)
            | Shape::Boolean
            | Shape::WholeOrText { .. }
            | Shape::Object(_)
            | Shape::Map(_)
            | Shape::List { .. }
            | Shape::Resource { .. }
            | Shape::Opaque,
            _,
        ) => {}
    }
}

fn drop_nulls(node: &Node, value: &mut Value) {
    match (&node.shape, value) {
        (Shape::Object(fields), Value::Object(entries)) => entries.retain(|name, value| match field(fields, name) {
            Some(_) if value.is_null() => false,
            Some(field) => {
                drop_nulls(&field.node, value);
                true
            }
            None => true,
        }),
        (Shape::Map(entry), Value::Object(entries)) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(|value| drop_nulls(entry, value));
        }
        (Shape::List { item, .. }, Value::Array(items)) => items.iter_mut().for_each(|value| drop_nulls(item, value)),
        (
            Shape::Text(_)
            | Shape::Whole(_)
            | Shape::Boolean
            | Shape::WholeOrText { .. }
            | Shape::Object(_)
            | Shape::Map(_)
            | Shape::List { .. }
            | Shape::Resource { .. }
            | Shape::Opaque,
            _,
        ) => {}
    }
}
