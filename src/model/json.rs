//! Small walks over JSON values, with RFC 6901 pointers as addresses.

use serde_json::{Map, Value};

/// Appends one reference token to a pointer.
pub fn join(pointer: &str, token: &str) -> String {
    format!("{pointer}/{}", token.replace('~', "~0").replace('/', "~1"))
}

/// Undoes the escaping of one reference token.
pub fn token(escaped: &str) -> String {
    escaped.replace("~1", "/").replace("~0", "~")
}

/// Calls `visit` with pointer and text of every string value.
pub fn each_string<E>(
    value: &Value,
    pointer: &str,
    visit: &mut impl FnMut(&str, &str) -> Result<(), E>,
) -> Result<(), E> {
    match value {
        Value::String(text) => visit(pointer, text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                each_string(item, &format!("{pointer}/{index}"), visit)?;
            }
            Ok(())
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                each_string(field, &join(pointer, key), visit)?;
            }
            Ok(())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// Sets `key` unless the value is absent, null or an empty object or list: absent beats empty.
pub fn set(object: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value.filter(|value| !is_empty(value)) {
        object.insert(key.to_owned(), value);
    }
}

/// Null, `{}` and `[]`.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// String field of an object, by key.
pub fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}
