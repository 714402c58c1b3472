//! The walk that judges an object.

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value};

use super::at::{At, shown};
use super::format;
use super::node::{Field, Node, Shape, Text, Width, field};
use super::{Crd, Issue, IssueKind};
use crate::suggest::nearest;

/// Largest whole number that the server still takes as a float.
const FLOAT_WHOLE_MAX: f64 = 9_007_199_254_740_991.0;

impl Crd {
    /// Everything that the server would refuse or prune, in the order of the object's fields.
    ///
    /// As deep as the schema at most, however deep the object is.
    pub fn check(&self, object: &Value) -> Vec<Issue> {
        let mut walk = Walk { issues: Vec::new() };
        walk.node(self.root(), object, &At::ROOT);
        walk.issues
    }
}

struct Walk {
    issues: Vec<Issue>,
}

impl Walk {
    fn node(&mut self, node: &Node, value: &Value, at: &At) {
        match (&node.shape, value) {
            (Shape::Text(text), Value::String(value)) => self.text(text, value, at),
            (Shape::WholeOrText { quantity }, Value::String(value)) => {
                if *quantity && !format::is_quantity(value) {
                    let message = format!("{} must be a quantity like 500m or 1Gi", at.named());
                    self.issue(IssueKind::OutOfRange, at, message);
                }
            }
            (Shape::Whole(width), Value::Number(number)) => self.whole(*width, number, at),
            (Shape::WholeOrText { .. }, Value::Number(number)) => self.whole(Width::Bits64, number, at),
            (Shape::Object(fields), Value::Object(entries)) => self.object(fields, entries, at),
            (Shape::Map(entry), Value::Object(entries)) => {
                for (key, value) in entries.iter().filter(|(_, value)| !value.is_null()) {
                    self.node(entry, value, &at.key(key));
                }
            }
            (Shape::List { item, keys }, Value::Array(items)) => self.list(item, keys, items, at),
            (Shape::Resource { metadata }, Value::Object(entries)) => self.resource(metadata, entries, at),
            (Shape::Boolean, Value::Bool(_)) | (Shape::Opaque, Value::Object(_)) => {}
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
            ) => self.wrong_type(&node.shape, value, at),
        }
    }

    fn object(&mut self, fields: &[Field], entries: &Map<String, Value>, at: &At) {
        for (name, value) in entries {
            match field(fields, name) {
                Some(_) if value.is_null() => {}
                Some(field) => self.node(&field.node, value, &at.field(name)),
                None => self.unknown(fields, name, at),
            }
        }
        let absent = |field: &&Field| field.required && entries.get(&*field.name).is_none_or(Value::is_null);
        for field in fields.iter().filter(absent) {
            self.required(&field.name, at);
        }
    }

    fn unknown(&mut self, fields: &[Field], name: &str, at: &At) {
        let place = at.field(name);
        let mut message = format!("unknown field {}", place.dotted());
        if let Some(meant) = nearest(name, fields.iter().map(|field| &*field.name)) {
            message.push_str(": did you mean ");
            message.push_str(meant);
            message.push('?');
        }
        self.issue(IssueKind::UnknownField, &place, message);
    }

    fn required(&mut self, name: &str, at: &At) {
        let message = format!("{} is required", at.field(name).dotted());
        self.issue(IssueKind::Required, at, message);
    }

    fn list(&mut self, item: &Node, keys: &[Box<str>], items: &[Value], at: &At) {
        for (index, value) in items.iter().enumerate() {
            self.node(item, value, &at.item(index));
        }
        if keys.is_empty() {
            return;
        }
        let mut seen = BTreeSet::new();
        for (index, value) in items.iter().enumerate().filter(|(_, value)| value.is_object()) {
            let parts: Vec<String> = keys
                .iter()
                .filter_map(|key| Some(format!("{key} {}", shown(&value.get(&**key)?.to_string()))))
                .collect();
            // What is shown is cut; what is compared is not.
            let whole: Vec<Option<String>> = keys.iter().map(|key| value.get(&**key).map(Value::to_string)).collect();
            if !seen.insert(whole) {
                let place = at.item(index);
                let message = format!("{} repeats an item: {} must be unique", place.dotted(), parts.join(" with "));
                self.issue(IssueKind::OutOfRange, &place, message);
            }
        }
    }

    fn resource(&mut self, object_meta: &Node, entries: &Map<String, Value>, at: &At) {
        for name in ["apiVersion", "kind"] {
            match entries.get(name) {
                Some(Value::String(text)) if !text.is_empty() => {}
                None | Some(Value::String(_)) => self.required(name, at),
                Some(other) => self.wrong_type(&Shape::Text(Text::Free), other, &at.field(name)),
            }
        }
        if let Some(metadata) = entries.get("metadata").filter(|metadata| !metadata.is_null()) {
            self.node(object_meta, metadata, &at.field("metadata"));
        }
    }

    fn text(&mut self, text: &Text, value: &str, at: &At) {
        match text {
            Text::DateTime if !format::is_date_time(value) => {
                let message = format!("{} must be a time like 2006-01-02T15:04:05Z", at.named());
                self.issue(IssueKind::Format, at, message);
            }
            Text::Bytes if !format::is_base64(value) => {
                self.issue(IssueKind::Format, at, format!("{} must be base64", at.named()));
            }
            Text::Enum(allowed) if !allowed.iter().any(|allowed| **allowed == *value) => {
                let allowed = match &**allowed {
                    [only] => only.to_string(),
                    many => format!("one of {}", many.join(", ")),
                };
                let message = format!("{} must be {allowed}, not \"{}\"", at.named(), shown(value));
                self.issue(IssueKind::NotInEnum, at, message);
            }
            Text::Free | Text::DateTime | Text::Bytes | Text::Enum(_) => {}
        }
    }

    fn whole(&mut self, width: Width, number: &Number, at: &At) {
        let float_is_whole = |float: f64| float.fract() == 0.0 && float.abs() <= FLOAT_WHOLE_MAX;
        let in_width = match width {
            Width::Bits64 => !number.is_u64() || number.is_i64(),
            Width::Bits32 => {
                number.as_f64().is_some_and(|value| (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value))
            }
        };
        if number.is_f64() && !number.as_f64().is_some_and(float_is_whole) {
            let message = format!("{} must be a whole number, not {number}", at.named());
            self.issue(IssueKind::WrongType, at, message);
        } else if !in_width {
            let bits = if width == Width::Bits32 { 32 } else { 64 };
            let message = format!("{} must be a whole number of {bits} bits, not {number}", at.named());
            self.issue(IssueKind::OutOfRange, at, message);
        }
    }

    fn wrong_type(&mut self, shape: &Shape, value: &Value, at: &At) {
        let allowed = match shape {
            Shape::Text(_) => "a string",
            Shape::Whole(_) => "a whole number",
            Shape::Boolean => "a boolean",
            Shape::WholeOrText { .. } => "a whole number or a string",
            Shape::Object(_) | Shape::Map(_) | Shape::Resource { .. } | Shape::Opaque => "an object",
            Shape::List { .. } => "a list",
        };
        let (kind, found) = match value {
            Value::Null => (IssueKind::NullValue, "null"),
            Value::Bool(_) => (IssueKind::WrongType, "a boolean"),
            Value::Number(_) => (IssueKind::WrongType, "a number"),
            Value::String(_) => (IssueKind::WrongType, "a string"),
            Value::Array(_) => (IssueKind::WrongType, "a list"),
            Value::Object(_) => (IssueKind::WrongType, "an object"),
        };
        let message = format!("{} must be {allowed}, not {found}", at.named());
        self.issue(kind, at, message);
    }

    fn issue(&mut self, kind: IssueKind, at: &At, message: String) {
        self.issues.push(Issue { kind, pointer: at.pointer(), message });
    }
}
