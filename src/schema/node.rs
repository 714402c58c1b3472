//! The compiled schema: only what is judged, without descriptions.
//!
//! The compiler refuses every keyword that the walk does not judge, so a newer CRD cannot be half understood.

use serde_json::{Map, Value};

use super::metadata::object_meta;

/// One place of a schema.
#[derive(Debug)]
pub(super) struct Node {
    pub shape: Shape,
    pub default: Option<Box<Value>>,
}

/// What may stand there.
#[derive(Debug)]
pub(super) enum Shape {
    Text(Text),
    Whole(Width),
    Boolean,
    WholeOrText {
        /// The text must be a quantity.
        quantity: bool,
    },
    /// Fields sorted by name; any other is unknown.
    Object(Box<[Field]>),
    /// Free keys.
    Map(Box<Node>),
    List {
        item: Box<Node>,
        /// Fields that together are unique among the items; empty for a plain list.
        keys: Box<[Box<str>]>,
    },
    /// A whole Kubernetes object of any kind.
    Resource {
        metadata: Box<Node>,
    },
    /// An object that is not looked into.
    Opaque,
}

#[derive(Debug)]
pub(super) enum Text {
    Free,
    DateTime,
    Bytes,
    Enum(Box<[Box<str>]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    Bits32,
    Bits64,
}

#[derive(Debug)]
pub(super) struct Field {
    pub name: Box<str>,
    /// Without it the object is refused; false where a default fills the gap.
    pub required: bool,
    pub node: Node,
}

/// What Kubernetes writes for `resource.Quantity`; the only pattern in use, judged by `format::is_quantity`.
const QUANTITY: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";

/// Keywords that every node may have and that do not change what is valid.
const ANNOTATIONS: [&str; 3] = ["default", "description", "x-kubernetes-map-type"];

impl Node {
    /// Compiles an `OpenAPI` v3 schema as CRDs carry it; an error names the keyword that is not understood.
    pub(super) fn compile(schema: &Value) -> Result<Node, String> {
        let Value::Object(keywords) = schema else { return Err(format!("a schema is an object, not {schema}")) };
        let text = |key| keywords.get(key).and_then(Value::as_str);
        let (shape, understood): (Shape, &[&str]) = match text("type") {
            Some("object") if keywords.contains_key("x-kubernetes-embedded-resource") => (
                resource(keywords)?,
                &["type", "x-kubernetes-embedded-resource", "x-kubernetes-preserve-unknown-fields"],
            ),
            Some("object") if keywords.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)) => {
                (Shape::Opaque, &["type", "x-kubernetes-preserve-unknown-fields"])
            }
            Some("object") if keywords.contains_key("additionalProperties") => (
                Shape::Map(Box::new(Node::compile(&keywords["additionalProperties"])?)),
                &["type", "additionalProperties"],
            ),
            Some("object") => (object(keywords)?, &["type", "properties", "required"]),
            Some("array") => {
                (list(keywords)?, &["type", "items", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"])
            }
            Some("string") => (Shape::Text(string(keywords)?), &["type", "enum", "format"]),
            Some("integer") => (Shape::Whole(width(text("format"))?), &["type", "format"]),
            Some("boolean") => (Shape::Boolean, &["type"]),
            Some(other) => return Err(format!("type {other} is not understood")),
            None => (whole_or_text(keywords)?, &["anyOf", "pattern", "x-kubernetes-int-or-string"]),
        };
        match keywords.keys().find(|key| !understood.contains(&key.as_str()) && !ANNOTATIONS.contains(&key.as_str())) {
            Some(keyword) => Err(format!("keyword {keyword} is not understood")),
            None => Ok(Node { shape, default: keywords.get("default").cloned().map(Box::new) }),
        }
    }

    pub(super) fn of(shape: Shape) -> Node {
        Node { shape, default: None }
    }
}

/// The field of that name.
pub(super) fn field<'n>(fields: &'n [Field], name: &str) -> Option<&'n Field> {
    fields.binary_search_by(|field| (*field.name).cmp(name)).ok().map(|index| &fields[index])
}

/// Fields in the order that `field` needs.
pub(super) fn sorted(mut fields: Vec<Field>) -> Shape {
    fields.sort_by(|one, other| one.name.cmp(&other.name));
    Shape::Object(fields.into())
}

fn object(keywords: &Map<String, Value>) -> Result<Shape, String> {
    let required = strings(keywords.get("required"))?;
    let mut fields = Vec::new();
    for (name, schema) in keywords.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let node = Node::compile(schema).map_err(|error| format!("{name}: {error}"))?;
        let required = node.default.is_none() && required.iter().any(|required| **required == **name);
        fields.push(Field { name: name.as_str().into(), required, node });
    }
    Ok(sorted(fields))
}

fn list(keywords: &Map<String, Value>) -> Result<Shape, String> {
    let item = Box::new(Node::compile(keywords.get("items").unwrap_or(&Value::Null))?);
    let keys = match keywords.get("x-kubernetes-list-type").and_then(Value::as_str) {
        None | Some("atomic") => Box::default(),
        Some("map") => strings(keywords.get("x-kubernetes-list-map-keys"))?,
        Some(other) => return Err(format!("list type {other} is not understood")),
    };
    Ok(Shape::List { item, keys })
}

fn string(keywords: &Map<String, Value>) -> Result<Text, String> {
    match (keywords.get("enum"), keywords.get("format").and_then(Value::as_str)) {
        (None, None) => Ok(Text::Free),
        (allowed @ Some(_), None) => strings(allowed).map(Text::Enum),
        (None, Some("date-time")) => Ok(Text::DateTime),
        (None, Some("byte")) => Ok(Text::Bytes),
        (_, Some(other)) => Err(format!("format {other} is not understood")),
    }
}

fn width(format: Option<&str>) -> Result<Width, String> {
    match format {
        Some("int32") => Ok(Width::Bits32),
        Some("int64") => Ok(Width::Bits64),
        other => Err(format!("integer format {other:?} is not understood")),
    }
}

fn whole_or_text(keywords: &Map<String, Value>) -> Result<Shape, String> {
    let either = serde_json::json!([{"type": "integer"}, {"type": "string"}]);
    if keywords.get("x-kubernetes-int-or-string") != Some(&Value::Bool(true)) || keywords.get("anyOf") != Some(&either)
    {
        return Err("a schema without type is not understood".to_owned());
    }
    match keywords.get("pattern").map(|pattern| pattern.as_str()) {
        None => Ok(Shape::WholeOrText { quantity: false }),
        Some(Some(QUANTITY)) => Ok(Shape::WholeOrText { quantity: true }),
        Some(other) => Err(format!("pattern {other:?} is not understood")),
    }
}

fn resource(keywords: &Map<String, Value>) -> Result<Shape, String> {
    let is = |key: &str| keywords.get(key) == Some(&Value::Bool(true));
    if is("x-kubernetes-embedded-resource") && is("x-kubernetes-preserve-unknown-fields") {
        Ok(Shape::Resource { metadata: Box::new(object_meta()) })
    } else {
        Err("an embedded resource that prunes is not understood".to_owned())
    }
}

fn strings(list: Option<&Value>) -> Result<Box<[Box<str>]>, String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.map(|item| item.as_str().map(Into::into).ok_or_else(|| format!("{item} is not a string"))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keywords_that_are_not_judged_are_refused() {
        for (schema, complaint) in [
            (json!({"type": "integer", "format": "int32", "minimum": 1}), "keyword minimum"),
            (json!({"type": "string", "maxLength": 3}), "keyword maxLength"),
            (json!({"type": "string", "nullable": true}), "keyword nullable"),
            (json!({"type": "string", "format": "ipv4"}), "format ipv4"),
            (json!({"type": "integer"}), "integer format"),
            (json!({"type": "number"}), "type number"),
            (json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}), "list type set"),
            (json!({"type": "object", "additionalProperties": true}), "a schema is an object"),
            (
                json!({"type": "object", "properties": {"a": {"x-kubernetes-validations": []}}}),
                "a: a schema without type",
            ),
            (json!({"type": "object", "x-kubernetes-embedded-resource": true}), "that prunes"),
        ] {
            let error = Node::compile(&schema).unwrap_err();
            assert!(error.contains(complaint), "{schema}: {error}");
        }
    }
}
