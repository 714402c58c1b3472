//! Every place of a schema with what may stand there.

use super::Crd;
use super::node::{Node, Shape, Text, Width};

/// One place of a schema, objects and lists included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// RFC 6901 pointer; `0` stands for any item of a list, `*` for any key of a map.
    pub pointer: String,
    pub kind: LeafKind,
    /// The object above is refused without it.
    pub required: bool,
}

/// What may stand at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeafKind {
    Text,
    DateTime,
    Bytes,
    Enum(Vec<String>),
    Whole32,
    Whole64,
    Boolean,
    WholeOrText,
    /// A whole number or the text of a quantity.
    Quantity,
    /// An object with known fields.
    Object,
    /// An object with free keys.
    Map,
    List,
    /// A Kubernetes object of any kind.
    Resource,
    /// An object with any content.
    Opaque,
}

impl Crd {
    /// Every place of the schema but the root, outer before inner, fields by name.
    pub fn leaves(&self) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        below(self.root(), "", &mut leaves);
        leaves
    }
}

fn below(node: &Node, pointer: &str, leaves: &mut Vec<Leaf>) {
    let mut visit = |token: &str, required: bool, node: &Node| {
        let pointer = format!("{pointer}/{token}");
        leaves.push(Leaf { pointer: pointer.clone(), kind: kind(&node.shape), required });
        below(node, &pointer, leaves);
    };
    match &node.shape {
        Shape::Object(fields) => {
            for field in fields {
                visit(&field.name, field.required, &field.node);
            }
        }
        Shape::Map(entry) => visit("*", false, entry),
        Shape::List { item, .. } => visit("0", false, item),
        Shape::Text(_)
        | Shape::Whole(_)
        | Shape::Boolean
        | Shape::WholeOrText { .. }
        | Shape::Resource { .. }
        | Shape::Opaque => {}
    }
}

fn kind(shape: &Shape) -> LeafKind {
    match shape {
        Shape::Text(Text::Free) => LeafKind::Text,
        Shape::Text(Text::DateTime) => LeafKind::DateTime,
        Shape::Text(Text::Bytes) => LeafKind::Bytes,
        Shape::Text(Text::Enum(allowed)) => LeafKind::Enum(allowed.iter().map(ToString::to_string).collect()),
        Shape::Whole(Width::Bits32) => LeafKind::Whole32,
        Shape::Whole(Width::Bits64) => LeafKind::Whole64,
        Shape::Boolean => LeafKind::Boolean,
        Shape::WholeOrText { quantity: false } => LeafKind::WholeOrText,
        Shape::WholeOrText { quantity: true } => LeafKind::Quantity,
        Shape::Object(_) => LeafKind::Object,
        Shape::Map(_) => LeafKind::Map,
        Shape::List { .. } => LeafKind::List,
        Shape::Resource { .. } => LeafKind::Resource,
        Shape::Opaque => LeafKind::Opaque,
    }
}
