//! Writes block-style YAML that every reader takes for the same value: quoted is whatever would not be text without.
//!
//! `serde_yaml` quotes by YAML 1.2 alone, so `yes` and `1_000` would be no text for kubectl and for `parse`. It gives
//! the tree here, which keeps fields in the order of their type.

use std::fmt::Write as _;

use serde::Serialize;
use serde_yaml::{Mapping, Value};

use super::resolve;

/// A longer key stands behind a `?`: readers look only 1024 characters ahead for the colon.
const SIMPLE_KEY_LENGTH_MAX: usize = 128;
const INDENT: usize = 2;

/// The value as one document, which ends with a line break.
pub fn write<T: Serialize + ?Sized>(value: &T) -> String {
    let tree = serde_yaml::to_value(value).expect("what is written derives Serialize and has no bytes");
    let mut out = String::new();
    match collection(&tree) {
        Some(collection) => block(&mut out, &collection, 0),
        None => scalar(&mut out, &tree, 0),
    }
    out.push('\n');
    out
}

/// What stands on lines of its own.
enum Collection<'a> {
    Map(Vec<(String, &'a Value)>),
    List(&'a [Value]),
}

fn collection(value: &Value) -> Option<Collection<'_>> {
    match value {
        Value::Sequence(items) if !items.is_empty() => Some(Collection::List(items)),
        Value::Mapping(fields) if !fields.is_empty() => Some(Collection::Map(entries(fields))),
        // As JSON has it: the name of the variant is the only key.
        Value::Tagged(tagged) => Some(Collection::Map(vec![(tagged.tag.to_string(), &tagged.value)])),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Sequence(_) | Value::Mapping(_) => {
            None
        }
    }
}

/// Keys of numbers and truth values become text, as in JSON.
fn entries(fields: &Mapping) -> Vec<(String, &Value)> {
    let text = |key: &Value| {
        let mut text = String::new();
        scalar(&mut text, key, 0);
        text
    };
    fields.iter().map(|(key, value)| (key.as_str().map_or_else(|| text(key), str::to_owned), value)).collect()
}

/// Starts on a line that is indented already and ends without a line break.
fn block(out: &mut String, collection: &Collection, indent: usize) {
    match collection {
        Collection::Map(fields) => {
            for (index, (key, value)) in fields.iter().enumerate() {
                next_line(out, index, indent);
                let simple = key.len() <= SIMPLE_KEY_LENGTH_MAX;
                out.push_str(if simple { "" } else { "? " });
                out.push_str(&one_line(key));
                if !simple {
                    next_line(out, 1, indent);
                }
                out.push(':');
                field(out, value, indent);
            }
        }
        Collection::List(items) => {
            for (index, item) in items.iter().enumerate() {
                next_line(out, index, indent);
                out.push_str("- ");
                match self::collection(item) {
                    Some(inner) => block(out, &inner, indent + INDENT),
                    None => scalar(out, item, indent),
                }
            }
        }
    }
}

/// The value behind the colon of a key. A list is not indented, as in all of Kubernetes' own files.
fn field(out: &mut String, value: &Value, indent: usize) {
    match collection(value) {
        Some(inner @ Collection::Map(_)) => {
            next_line(out, 1, indent + INDENT);
            block(out, &inner, indent + INDENT);
        }
        Some(inner @ Collection::List(_)) => {
            next_line(out, 1, indent);
            block(out, &inner, indent);
        }
        None => {
            out.push(' ');
            scalar(out, value, indent);
        }
    }
}

fn next_line(out: &mut String, index: usize, indent: usize) {
    if index > 0 {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent));
    }
}

fn scalar(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        // JSON has no infinities, and serde_json writes null for them as well.
        Value::Number(number) if !number.is_finite() => out.push_str("null"),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) if text.contains('\n') && is_literal(text) => literal(out, text, indent),
        Value::String(text) => out.push_str(&one_line(text)),
        Value::Sequence(_) => out.push_str("[]"),
        Value::Mapping(_) | Value::Tagged(_) => out.push_str("{}"),
    }
}

/// Text in the plainest style that keeps it on its line and keeps it text.
fn one_line(text: &str) -> String {
    if !text.chars().all(is_printable) {
        double_quoted(text)
    } else if is_plain(text) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// Whether text of printable characters can stand without quotes in a block.
fn is_plain(text: &str) -> bool {
    let indicator = text.starts_with(['#', ',', '[', ']', '{', '}', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`']);
    let start = ["-", "?", ":"].iter().any(|mark| text == *mark || text.starts_with(&format!("{mark} ")));
    let marker = text.starts_with("---") || text.starts_with("...");
    let inside = text.contains(": ") || text.ends_with(':') || text.contains(" #");
    let space = text.starts_with(' ') || text.ends_with(' ');
    !(indicator || start || marker || inside || space) && resolve::is_text(text)
}

/// Whether readers agree on a literal block: no spaces at the end of a line, which editors and readers drop, and
/// nothing to escape.
fn is_literal(text: &str) -> bool {
    !text.split('\n').any(|line| line.ends_with(' '))
        && text.chars().all(|character| character == '\n' || is_printable(character))
}

fn literal(out: &mut String, text: &str, indent: usize) {
    out.push('|');
    if text.starts_with([' ', '\n']) {
        // The first line does not show how far the block is indented.
        out.push('2');
    }
    let body = text.trim_end_matches('\n');
    match text.len() - body.len() {
        0 => out.push('-'),
        1 if !body.is_empty() => {}
        _ => out.push('+'),
    }
    let lines = text.strip_suffix('\n').unwrap_or(text);
    for line in lines.split('\n') {
        next_line(out, 1, if line.is_empty() { 0 } else { indent + INDENT });
        out.push_str(line);
    }
}

fn double_quoted(text: &str) -> String {
    let mut out = String::from('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            _ if is_printable(character) => out.push(character),
            // All that is not printable lies below U+10000.
            _ => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
        }
    }
    out.push('"');
    out
}

/// What every reader takes as it is: no control character, no line break of YAML 1.1, no mark of the byte order.
fn is_printable(character: char) -> bool {
    !character.is_control() && !matches!(character, '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}')
}
