//! Places of a document's values, in the shape of the document.

use std::collections::BTreeMap;

use super::Position;

/// One value and what it holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spans {
    /// Where the key stands, of a value in a mapping.
    pub key: Option<Position>,
    pub value: Position,
    pub inside: Inside,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Inside {
    Nothing,
    Fields(BTreeMap<Box<str>, Spans>),
    Items(Vec<Spans>),
}

impl Spans {
    /// The value that a pointer names, or its nearest parent.
    pub(super) fn at(&self, pointer: &str) -> &Spans {
        let mut found = self;
        for escaped in pointer.split('/').skip(1) {
            let token = escaped.replace("~1", "/").replace("~0", "~");
            let next = match &found.inside {
                Inside::Nothing => None,
                Inside::Fields(fields) => fields.get(token.as_str()),
                Inside::Items(items) => token.parse::<usize>().ok().and_then(|index| items.get(index)),
            };
            match next {
                Some(next) => found = next,
                None => break,
            }
        }
        found
    }
}
