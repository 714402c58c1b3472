//! How heavy a value is: what it costs to copy or to read as a whole.

use serde_json::Value;

/// Bytes of text that cost as much as one more value.
const BYTES_PER_UNIT: usize = 16;

/// Of text: one, and more the longer it is.
pub(super) fn of_text(text: &str) -> u64 {
    1 + (text.len() / BYTES_PER_UNIT) as u64
}

/// Of a value with all that is in it.
pub(super) fn of(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => of_text(text),
        Value::Array(items) => 1 + items.iter().map(of).sum::<u64>(),
        Value::Object(fields) => 1 + fields.iter().map(|(key, value)| of_text(key) + of(value)).sum::<u64>(),
    }
}

/// Characters that a text of this weight can have.
pub(super) fn characters(weight: u64) -> u64 {
    weight.saturating_add(1).saturating_mul(BYTES_PER_UNIT as u64)
}
