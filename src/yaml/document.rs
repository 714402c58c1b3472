//! A document: its value, and the place of every part of it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// A place in a file, 1-based; columns count characters (Unicode scalar values).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

/// As `line:column`.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Where its mapping key, or the dash of its item, starts. Items of `[a, b]` and the root have neither.
    pub key: Option<Position>,
    /// Where the value starts; for a value that is not written (`key:`), the same as `key`.
    pub value: Position,
}

/// One YAML document with content.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub value: Value,
    /// Where the root value starts.
    pub start: Position,
    pub(super) places: Places,
}

/// The places of a value and of all that is in it. A tree, since pointers as text would take memory that grows with
/// depth times size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Places {
    pub(super) span: Span,
    pub(super) inner: Inner,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Inner {
    Scalar,
    Items(Vec<Places>),
    Fields(BTreeMap<String, Places>),
}

impl Document {
    /// Where the key of a value is, or the item, if it stands in a sequence. `pointer` is an RFC 6901 JSON pointer.
    /// For a pointer to nothing, the nearest parent that exists; in the end [`Document::start`].
    pub fn position(&self, pointer: &str) -> Position {
        let span = self.span(pointer);
        span.key.unwrap_or(span.value)
    }

    /// Where the value itself is; falls back like [`Document::position`].
    pub fn value_position(&self, pointer: &str) -> Position {
        self.span(pointer).value
    }

    /// Both places; falls back like [`Document::position`].
    pub fn span(&self, pointer: &str) -> Span {
        let mut places = &self.places;
        for token in pointer.split('/').skip(1) {
            let inner = match &places.inner {
                Inner::Scalar => None,
                Inner::Items(items) => index(token).and_then(|index| items.get(index)),
                Inner::Fields(fields) => fields.get(&unescape(token)),
            };
            match inner {
                Some(inner) => places = inner,
                None => break,
            }
        }
        places.span
    }
}

/// Array indexes have no sign and no leading zero (RFC 6901, section 4).
fn index(token: &str) -> Option<usize> {
    let canonical = token == "0" || token.bytes().next().is_some_and(|first| first.is_ascii_digit() && first != b'0');
    if canonical { token.parse().ok() } else { None }
}

/// `~1` before `~0`, or `~01` would become a slash.
fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}
