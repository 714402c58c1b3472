//! Which parts of the values that it is given an expression reads: nothing else can change its result.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;

/// What is read of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    All,
    /// Whether it is there, of what kind it is, and these fields of it. With `names` also which fields there are, and all of
    /// what is no map.
    Fields {
        names: bool,
        fields: BTreeMap<String, Part>,
    },
}

/// Of a field that is gone over.
static NAMED: Part = Part::PRESENCE;

impl Part {
    /// Only whether it is there, as `has(x)` and `x != null` ask.
    pub const PRESENCE: Part = Part::Fields { names: false, fields: BTreeMap::new() };
    /// What `all`, `filter` and their like go over.
    pub(super) const ITEMS: Part = Part::Fields { names: true, fields: BTreeMap::new() };

    pub fn merge(&mut self, other: Part) {
        match (&mut *self, other) {
            (Part::All, _) => {}
            (_, Part::All) => *self = Part::All,
            (Part::Fields { names, fields }, Part::Fields { names: more, fields: others }) => {
                *names |= more;
                for (name, part) in others {
                    fields.entry(name).or_insert(Part::PRESENCE).merge(part);
                }
            }
        }
    }

    /// Adds what is read at the end of a path.
    pub fn add(&mut self, path: &[String], part: Part) {
        let nested =
            |part, step: &String| Part::Fields { names: false, fields: BTreeMap::from([(step.clone(), part)]) };
        self.merge(path.iter().rev().fold(part, nested));
    }

    /// What is read of a field; `None` if nothing depends on it.
    pub fn field(&self, name: &str) -> Option<&Part> {
        match self {
            Part::All => Some(self),
            Part::Fields { names, fields } => fields.get(name).or(names.then_some(&NAMED)),
        }
    }

    /// The value without what is not read.
    pub fn of<'a>(&'a self, value: &'a Value) -> Read<'a> {
        Read { part: self, value }
    }
}

/// A value as an expression sees it; written as JSON. Where a path ends early, what it ends at is there: an expression can
/// tell apart a field that is missing from a parent that is.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a> {
    part: &'a Part,
    value: &'a Value,
}

impl Read<'_> {
    /// Cannot fail: all keys are strings. And a `null` would let nothing pass that reads a field of it.
    pub fn to_json(self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}

impl Serialize for Read<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.part, self.value) {
            (Part::Fields { names: true, .. }, Value::Object(object)) => serializer.collect_map(
                object.iter().map(|(name, value)| (name, self.part.field(name).map(|part| Read { part, value }))),
            ),
            (Part::Fields { names: false, fields }, Value::Object(object)) => serializer.collect_map(
                fields.iter().filter_map(|(name, part)| Some((name, Read { part, value: object.get(name)? }))),
            ),
            (Part::Fields { names: false, .. }, Value::Array(_)) => serializer.collect_seq(std::iter::empty::<()>()),
            (Part::Fields { names: false, .. }, Value::String(_)) => serializer.serialize_str(""),
            (Part::Fields { .. } | Part::All, value) => value.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    fn part(paths: &[(&str, Part)]) -> Part {
        let mut all = Part::PRESENCE;
        for (path, part) in paths {
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            all.add(&path, part.clone());
        }
        all
    }

    #[test]
    fn what_an_expression_can_tell_apart_stays_apart() {
        let values = [
            json!({}),
            json!({"a": null}),
            json!({"a": {}}),
            json!({"a": "b"}),
            json!({"a": ["b"]}),
            json!({"a": 1}),
            json!({"a": true}),
            json!({"a": {"b": null}}),
            json!({"a": {"b": ""}}),
            json!({"a": {"b": "null"}}),
            json!({"a": {"b": {}}}),
            json!(null),
        ];
        let read = part(&[("a.b", Part::All)]);
        let texts: BTreeSet<String> = values.iter().map(|value| read.of(value).to_json().to_string()).collect();
        assert_eq!(texts.len(), values.len(), "{texts:?}");
    }

    #[test]
    fn only_what_is_read_is_left() {
        let read =
            part(&[("a", Part::All), ("a.b", Part::All), ("c.d", Part::All), ("c.e", Part::All), ("x.y", Part::All)]);
        let value = json!({"a": {"b": 1, "z": 2}, "c": {"d": [1], "e": null, "z": 3}, "z": 4});
        assert_eq!(read.of(&value).to_json(), json!({"a": {"b": 1, "z": 2}, "c": {"d": [1], "e": null}}));
        assert_eq!(read.of(&json!(null)).to_json(), json!(null));
    }

    #[test]
    fn of_what_is_only_asked_for_the_kind_is_left() {
        let read = part(&[("a", Part::PRESENCE), ("b", Part::PRESENCE), ("c", Part::PRESENCE), ("d", Part::PRESENCE)]);
        let value = json!({"a": {"x": 1}, "b": [1, 2], "c": "long", "d": 4, "e": 5});
        assert_eq!(read.of(&value).to_json(), json!({"a": {}, "b": [], "c": "", "d": 4}));
        let both = part(&[("a", Part::PRESENCE), ("a.x", Part::All), ("b", Part::All), ("b", Part::PRESENCE)]);
        assert_eq!(both.of(&value).to_json(), json!({"a": {"x": 1}, "b": [1, 2]}));
    }

    #[test]
    fn of_what_is_gone_over_the_names_are_left() {
        let read = part(&[("a", Part::ITEMS), ("a.x", Part::All), ("b", Part::ITEMS)]);
        let value = json!({"a": {"x": [1], "y": {"z": 2}, "w": "long"}, "b": [{"c": 1}], "d": 4});
        assert_eq!(read.of(&value).to_json(), json!({"a": {"x": [1], "y": {}, "w": ""}, "b": [{"c": 1}]}));
    }
}
