//! What a scalar means: as sigs.k8s.io/yaml 1.6 on go-yaml v2 (YAML 1.1) resolves it, and so kubectl.

use serde_json::Value;
use yaml_rust2::scanner::TScalarStyle;

use super::number::{self, Number};

const CORE: &str = "tag:yaml.org,2002:";
const MERGE_KEY: &str = "<<";

/// The tags that are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    /// `!`: taken as it is, without a look at the text.
    NonSpecific,
    Str,
    Int,
    Float,
    Bool,
    Null,
    Map,
    Seq,
}

impl Tag {
    /// Reads a tag as scanner (`!!`, `str`) or parser (`tag:yaml.org,2002:`, `str`) cut it in two.
    pub(super) fn read(handle: &str, suffix: &str) -> Result<Self, String> {
        let whole = format!("{}{suffix}", if handle == "!!" { CORE } else { handle });
        match whole.strip_prefix(CORE).unwrap_or(&whole) {
            "!" => Ok(Self::NonSpecific),
            _ if !whole.starts_with(CORE) => Err(refusal(&whole)),
            "str" => Ok(Self::Str),
            "int" => Ok(Self::Int),
            "float" => Ok(Self::Float),
            "bool" => Ok(Self::Bool),
            "null" => Ok(Self::Null),
            "map" => Ok(Self::Map),
            "seq" => Ok(Self::Seq),
            other => Err(refusal(&format!("!!{other}"))),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::NonSpecific => "!",
            Self::Str => "!!str",
            Self::Int => "!!int",
            Self::Float => "!!float",
            Self::Bool => "!!bool",
            Self::Null => "!!null",
            Self::Map => "!!map",
            Self::Seq => "!!seq",
        }
    }

    /// Why this tag cannot stand before something else.
    pub(super) fn misfit(self, what: &str) -> String {
        format!("the tag {} does not fit {what}; remove it", self.name())
    }
}

fn refusal(tag: &str) -> String {
    format!(
        "the tag {tag} is not supported; remove it (only !!str, !!int, !!float, !!bool, !!null, !!map and !!seq are)"
    )
}

/// A scalar as it came from the parser.
pub(super) struct Scalar<'a> {
    pub(super) text: &'a str,
    pub(super) style: TScalarStyle,
    pub(super) tag: Option<Tag>,
}

#[derive(Debug, PartialEq)]
enum Meaning {
    Null,
    Bool(bool),
    Number(Number),
    Text,
}

impl Scalar<'_> {
    /// The JSON value, or why there is none.
    pub(super) fn value(&self) -> Result<Value, String> {
        match self.meaning()? {
            Meaning::Null => Ok(Value::Null),
            Meaning::Bool(value) => Ok(Value::Bool(value)),
            Meaning::Number(value) => {
                json(value).ok_or_else(|| format!("JSON has no number {}; quote it to have it as text", self.text))
            }
            Meaning::Text => Ok(Value::String(self.text.to_owned())),
        }
    }

    /// The mapping key, or why it cannot be one.
    pub(super) fn key(&self) -> Result<String, String> {
        match self.meaning()? {
            Meaning::Null => Err("a key must not be null; quote it to have it as text".to_owned()),
            Meaning::Bool(value) => Ok(value.to_string()),
            Meaning::Number(Number::Integer(value)) => Ok(value.to_string()),
            Meaning::Number(Number::Unsigned(_)) => Err("the number is too large for a key; quote it".to_owned()),
            Meaning::Number(Number::Float(value)) => Ok(number::format_key(value)),
            Meaning::Text => Ok(self.text.to_owned()),
        }
    }

    /// Merge keys are told by their look only; quoted or tagged, `<<` is a key like any other.
    pub(super) fn is_merge_key(&self) -> bool {
        self.text == MERGE_KEY && self.style == TScalarStyle::Plain && self.tag.is_none()
    }

    fn meaning(&self) -> Result<Meaning, String> {
        let Some(tag) = self.tag else {
            return Ok(if self.style == TScalarStyle::Plain { resolve(self.text) } else { Meaning::Text });
        };
        match (tag, resolve(self.text)) {
            (Tag::NonSpecific | Tag::Str, _) => Ok(Meaning::Text),
            (Tag::Null, meaning @ Meaning::Null)
            | (Tag::Bool, meaning @ Meaning::Bool(_))
            | (Tag::Int, meaning @ Meaning::Number(Number::Integer(_) | Number::Unsigned(_)))
            | (Tag::Float, meaning @ Meaning::Number(Number::Float(_))) => Ok(meaning),
            #[expect(clippy::cast_precision_loss, reason = "the tag asks for a float")]
            (Tag::Float, Meaning::Number(Number::Integer(value))) => Ok(Meaning::Number(Number::Float(value as f64))),
            (Tag::Map | Tag::Seq, _) => Err(tag.misfit("a scalar")),
            (Tag::Int | Tag::Float | Tag::Bool | Tag::Null, _) => Err(tag.misfit(&format!("`{}`", self.text))),
        }
    }
}

/// Whether text without quotes is read as the same text, as a value and as a key.
pub(super) fn is_text(text: &str) -> bool {
    text != MERGE_KEY && resolve(text) == Meaning::Text
}

/// The table of go-yaml v2, `resolve.go`. Timestamps are text there in the end, and so is base 60.
fn resolve(text: &str) -> Meaning {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Meaning::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Meaning::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Meaning::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Meaning::Number(Number::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Meaning::Number(Number::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => return Meaning::Number(Number::Float(f64::NEG_INFINITY)),
        _ => {}
    }
    let number = match text.as_bytes() {
        [b'.', ..] => number::parse_dotted(text),
        [b'0'..=b'9' | b'+' | b'-', ..] => number::parse(text),
        _ => None,
    };
    number.map_or(Meaning::Text, Meaning::Number)
}

/// The number as the API machinery holds it after its way through JSON text: `i64` if it prints as one, else `f64`.
fn json(number: Number) -> Option<Value> {
    match number {
        Number::Integer(value) => Some(Value::from(value)),
        #[expect(clippy::cast_precision_loss, reason = "so does the API machinery")]
        Number::Unsigned(value) => Some(Value::from(value as f64)),
        Number::Float(value) if !value.is_finite() => None,
        Number::Float(value) => Some(value.to_string().parse::<i64>().map_or_else(|_| Value::from(value), Value::from)),
    }
}
