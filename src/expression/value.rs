//! Values on their way into an evaluation and out of it.

use std::sync::Arc;

use jiff::Timestamp;
use kube_cel::cel::extractors::{Arguments, This};
use kube_cel::cel::objects::{Key, Map};
use kube_cel::cel::{ExecutionError, ResolveResult, Value as Cel};
use serde_json::Value;

use super::cost::Shape;

/// What an expression can be given.
#[derive(Clone, Copy, Debug)]
pub enum Input<'v> {
    Json(&'v Value),
    Time(Timestamp),
}

impl Input<'_> {
    pub(super) fn to_cel(self) -> Cel {
        match self {
            Input::Json(value) => of_json(value),
            Input::Time(time) => match chrono::DateTime::from_timestamp(time.as_second(), 0) {
                Some(time) => Cel::Timestamp(time.fixed_offset()),
                None => Cel::Null,
            },
        }
    }
}

/// Whole numbers are signed, as in Kubernetes, so that they compare and add with literals.
fn of_json(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(truth) => Cel::Bool(*truth),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Cel::Int(whole),
            None => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(of_json).collect())),
        Value::Object(fields) => map(fields.iter().map(|(key, value)| (key.as_str(), of_json(value)))),
    }
}

pub(super) fn map<'k>(entries: impl Iterator<Item = (&'k str, Cel)>) -> Cel {
    let entries = entries.map(|(key, value)| (Key::String(Arc::new(key.to_owned())), value));
    Cel::Map(Map { map: Arc::new(entries.collect()) })
}

/// The keys of a map in order; every other value as it is.
#[expect(clippy::unnecessary_wraps, reason = "the evaluator takes nothing else")]
pub(super) fn ordered(This(value): This<Cel>) -> ResolveResult {
    let Cel::Map(map) = value else { return Ok(value) };
    let mut keys: Vec<&Key> = map.map.keys().collect();
    keys.sort();
    Ok(Cel::List(Arc::new(keys.into_iter().map(Cel::from).collect())))
}

/// Of text only, as in Kubernetes. The evaluator's own writes anything out in its notation, maps in another order each time.
pub(super) fn join(This(items): This<Arc<Vec<Cel>>>, Arguments(between): Arguments) -> ResolveResult {
    let wrong =
        || ExecutionError::function_error("join", "takes a list of strings, and a string to stand between them");
    let text = |value: &Cel| if let Cel::String(text) = value { Ok(text.to_string()) } else { Err(wrong()) };
    let between = between.first().map_or(Ok(String::new()), text)?;
    let items: Vec<String> = items.iter().map(text).collect::<Result<_, _>>()?;
    Ok(Cel::String(Arc::new(items.join(&between))))
}

/// As heavy as its JSON would be.
fn weight(value: &Cel) -> u64 {
    match value {
        Cel::String(text) => super::weight::of_text(text),
        Cel::Bytes(bytes) => 1 + bytes.len() as u64,
        Cel::List(items) => 1 + items.iter().map(weight).sum::<u64>(),
        Cel::Map(map) => 1 + map.map.values().map(|value| 1 + weight(value)).sum::<u64>(),
        _ => 1,
    }
}

/// Of a result, for what reads it.
pub(super) fn shape(value: &Cel) -> Shape {
    match value {
        Cel::List(items) => Shape::of_items(items.iter().map(weight)),
        _ => Shape::of_weight(weight(value)),
    }
}

/// `None` for anything but a boolean.
pub fn truth_of(value: &Cel) -> Option<bool> {
    match value {
        Cel::Bool(truth) => Some(*truth),
        _ => None,
    }
}

/// `None` for anything but text.
pub fn text_of(value: &Cel) -> Option<&str> {
    match value {
        Cel::String(text) => Some(text),
        _ => None,
    }
}

/// What a value is, in the words of CEL.
pub fn kind_of(value: &Cel) -> &'static str {
    match value {
        Cel::Bool(_) => "a bool",
        Cel::Int(_) => "an int",
        Cel::UInt(_) => "a uint",
        Cel::Float(_) => "a double",
        Cel::String(_) => "a string",
        Cel::Bytes(_) => "bytes",
        Cel::List(_) => "a list",
        Cel::Map(_) => "a map",
        Cel::Duration(_) => "a duration",
        Cel::Timestamp(_) => "a timestamp",
        Cel::Null => "null",
        Cel::Function(..) | Cel::Opaque(_) => "a value of another kind",
    }
}

/// A text of at most so many characters, with a sign where it goes on.
pub fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
