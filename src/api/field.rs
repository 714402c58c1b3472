//! One field of a wire type, and the walk that finds what no type knows.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A field that tells absent, `null` and a value apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Field<T> {
    #[default]
    Absent,
    Null,
    Value(T),
}

impl<T> Field<T> {
    pub fn is_absent(&self) -> bool {
        matches!(self, Field::Absent)
    }

    /// The value; the API server takes `null` for absent, and so do we.
    pub fn get(&self) -> Option<&T> {
        match self {
            Field::Value(value) => Some(value),
            Field::Absent | Field::Null => None,
        }
    }
}

impl<T> From<T> for Field<T> {
    fn from(value: T) -> Self {
        Field::Value(value)
    }
}

impl<T: Serialize> Serialize for Field<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|value| value.map_or(Field::Null, Field::Value))
    }
}

/// Entries of a map with free keys; the API server drops those that are null.
pub type Texts = BTreeMap<String, Option<String>>;

/// What a type does not know.
pub trait Leftovers {
    /// Appends the RFC 6901 pointer of every unknown field; `at` is the pointer of `self`.
    fn unknown(&self, at: &str, out: &mut Vec<String>);
}

impl<T: Leftovers> Leftovers for Field<T> {
    fn unknown(&self, at: &str, out: &mut Vec<String>) {
        if let Field::Value(value) = self {
            value.unknown(at, out);
        }
    }
}

impl<T: Leftovers> Leftovers for Vec<T> {
    fn unknown(&self, at: &str, out: &mut Vec<String>) {
        for (index, item) in self.iter().enumerate() {
            item.unknown(&format!("{at}/{index}"), out);
        }
    }
}

macro_rules! nothing_unknown {
    ($($type:ty),*) => {
        $(impl Leftovers for $type {
            fn unknown(&self, _: &str, _: &mut Vec<String>) {}
        })*
    };
}

nothing_unknown!(String, bool, i32, i64, Value, Texts);
