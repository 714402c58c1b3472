//! Scalars as kubectl reads them: YAML 1.1 by way of JSON, so `yes` is true and `010` is eight.

use serde_json::{Number, Value};
use yaml_rust2::parser::Tag;
use yaml_rust2::scanner::TScalarStyle;

use super::{Error, ErrorKind, Position};

const CORE: &str = "tag:yaml.org,2002:";

pub(super) fn is_core(tag: &Tag, suffix: &str) -> bool {
    tag.handle == CORE && tag.suffix == suffix
}

pub(super) fn unknown_tag(tag: &Tag, at: Position) -> Error {
    let handle = if tag.handle == CORE { "!!" } else { &tag.handle };
    syntax(at, format!("tag {handle}{} is not accepted here: remove it", tag.suffix))
}

/// The value of a scalar.
pub(super) fn resolve(text: String, style: TScalarStyle, tag: Option<&Tag>, at: Position) -> Result<Value, Error> {
    let Some(tag) = tag else {
        return if style == TScalarStyle::Plain { plain(text, at) } else { Ok(Value::String(text)) };
    };
    if is_core(tag, "str") || (tag.handle == "!" && tag.suffix.is_empty()) {
        return Ok(Value::String(text));
    }
    let shown = text.clone();
    let value = plain(text, at)?;
    let fits = match tag.suffix.as_str() {
        _ if tag.handle != CORE => return Err(unknown_tag(tag, at)),
        "null" => value.is_null(),
        "bool" => value.is_boolean(),
        "int" => value.is_i64() || value.is_u64(),
        "float" => value.is_number(),
        _ => return Err(unknown_tag(tag, at)),
    };
    if fits { Ok(value) } else { Err(syntax(at, format!("{shown:?} is not a !!{}", tag.suffix))) }
}

/// A key as text: kubectl turns booleans and numbers into text, and refuses null.
pub(super) fn key(text: String, style: TScalarStyle, tag: Option<&Tag>, at: Position) -> Result<String, Error> {
    Ok(match resolve(text, style, tag, at)? {
        Value::String(text) => text,
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            return Err(syntax(at, "a key cannot be null: quote it".to_owned()));
        }
    })
}

fn plain(text: String, at: Position) -> Result<Value, Error> {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Ok(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Ok(Value::Bool(false));
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
        | "-.INF" => {
            return Err(syntax(at, format!("{text} has no place in JSON: quote it if it is text")));
        }
        _ => {}
    }
    Ok(number(&text).unwrap_or(Value::String(text)))
}

fn number(text: &str) -> Option<Value> {
    match text.as_bytes().first()? {
        b'.' => text.parse::<f64>().ok().filter(|_| is_float(text)).and_then(float),
        b'0'..=b'9' | b'+' | b'-' => {
            // A date stays text, and is seen before underscores go.
            let digits = text.replace('_', "");
            integer(&digits).or_else(|| is_float(&digits).then(|| digits.parse().ok()).flatten().and_then(float))
        }
        _ => None,
    }
}

/// Integers with an optional sign and the prefixes `0x`, `0o`, `0b` and `0` (octal), in 64 bits, the upper half unsigned.
fn integer(text: &str) -> Option<Value> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        let value = i64::try_from(-i128::from(magnitude)).ok()?;
        return Some(Value::from(value));
    }
    if text.starts_with('+') && i64::try_from(magnitude).is_err() {
        return None;
    }
    // Past the signed range JSON readers of Kubernetes keep a float.
    match i64::try_from(magnitude) {
        Ok(value) => Some(Value::from(value)),
        #[expect(clippy::cast_precision_loss, reason = "this is what kubectl sends")]
        Err(_) => Number::from_f64(magnitude as f64).map(Value::Number),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => all_digits(fraction),
        Some((whole, fraction)) => all_digits(whole) && (fraction.is_empty() || all_digits(fraction)),
        None => all_digits(mantissa),
    };
    mantissa_fits && exponent.is_none_or(|exponent| all_digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)))
}

/// A whole float becomes an integer on its way through JSON; one that is too large stays text.
fn float(value: f64) -> Option<Value> {
    if !value.is_finite() {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
    if value.fract() == 0.0 && value.abs() < 9_223_372_036_854_775_808.0 {
        return Some(Value::from(value as i64));
    }
    Number::from_f64(value).map(Value::Number)
}

fn syntax(at: Position, message: String) -> Error {
    Error { kind: ErrorKind::Syntax, at, message }
}
