//! `ObjectMeta`, which CRD schemas leave out, and the root of every object.

use super::node::{Field, Node, Shape, Text, Width, sorted};

/// The definition's schema with what every object has: its only `apiVersion` and `kind`, and `ObjectMeta`.
pub(super) fn with_envelope(root: Node, api_version: &str, kind: &str) -> Node {
    let Node { shape: Shape::Object(fields), .. } = root else { return root };
    let own = |field: &Field| !["apiVersion", "kind", "metadata"].contains(&&*field.name);
    let mut fields: Vec<Field> = fields.into_iter().filter(own).collect();
    let only = |value: &str| Node::of(Shape::Text(Text::Enum([value.into()].into())));
    fields.push(required("apiVersion", only(api_version)));
    fields.push(required("kind", only(kind)));
    fields.push(optional("metadata", object_meta()));
    Node::of(sorted(fields))
}

/// Fields of `metav1.ObjectMeta`.
pub(super) fn object_meta() -> Node {
    let mut fields = vec![
        optional("annotations", map(text())),
        optional("deletionGracePeriodSeconds", whole()),
        optional("finalizers", list(text())),
        optional("generation", whole()),
        optional("labels", map(text())),
        optional("managedFields", list(managed_fields())),
        optional("ownerReferences", list(owner_reference())),
    ];
    for name in ["generateName", "name", "namespace", "resourceVersion", "selfLink", "uid"] {
        fields.push(optional(name, text()));
    }
    for name in ["creationTimestamp", "deletionTimestamp"] {
        fields.push(optional(name, time()));
    }
    Node::of(sorted(fields))
}

fn owner_reference() -> Node {
    let mut fields = vec![
        optional("blockOwnerDeletion", Node::of(Shape::Boolean)),
        optional("controller", Node::of(Shape::Boolean)),
    ];
    for name in ["apiVersion", "kind", "name", "uid"] {
        fields.push(required(name, text()));
    }
    Node::of(sorted(fields))
}

fn managed_fields() -> Node {
    let mut fields = vec![optional("time", time()), optional("fieldsV1", Node::of(Shape::Opaque))];
    for name in ["apiVersion", "fieldsType", "manager", "operation", "subresource"] {
        fields.push(optional(name, text()));
    }
    Node::of(sorted(fields))
}

fn required(name: &str, node: Node) -> Field {
    Field { name: name.into(), required: true, node }
}

fn optional(name: &str, node: Node) -> Field {
    Field { name: name.into(), required: false, node }
}

fn text() -> Node {
    Node::of(Shape::Text(Text::Free))
}

fn time() -> Node {
    Node::of(Shape::Text(Text::DateTime))
}

fn whole() -> Node {
    Node::of(Shape::Whole(Width::Bits64))
}

fn map(entry: Node) -> Node {
    Node::of(Shape::Map(Box::new(entry)))
}

fn list(item: Node) -> Node {
    Node::of(Shape::List { item: Box::new(item), keys: Box::default() })
}
