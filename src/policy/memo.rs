//! What was found in order already: most objects of a cluster look alike in what a policy reads of them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Entries of one policy; one that reads names has a new one for each object and gains nothing from more.
const ENTRIES_MAX: usize = 2048;
/// Bytes of what is compared; larger values are evaluated anew.
const KEY_BYTES_MAX: usize = 4096;

/// Paths into the values that an expression can read, by their first name.
pub(super) type Reads<'p> = BTreeMap<&'p str, BTreeSet<&'p [String]>>;

/// The values against which one policy has nothing to say.
#[derive(Debug, Default)]
pub(super) struct Memo(RefCell<BTreeSet<String>>);

impl Memo {
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.borrow().contains(key)
    }

    pub(super) fn keep(&self, key: String) {
        let mut entries = self.0.borrow_mut();
        if entries.len() < ENTRIES_MAX && key.len() <= KEY_BYTES_MAX {
            entries.insert(key);
        }
    }
}

/// The part of a value that the paths lead to. Where a path ends early, what it ends at is there: an expression can tell
/// apart a field that is missing from a parent that is.
pub(super) fn part(value: &Value, paths: &BTreeSet<&[String]>) -> Value {
    let below: Vec<&[String]> = paths.iter().map(|path| path.get(1..).unwrap_or_default()).collect();
    below_of(value, &below)
}

/// The paths are sorted, so those with the same first step stand together and the shortest comes first.
fn below_of(value: &Value, paths: &[&[String]]) -> Value {
    let Value::Object(fields) = value else { return value.clone() };
    if paths.first().is_some_and(|path| path.is_empty()) {
        return value.clone();
    }
    let mut out = Map::new();
    for group in paths.chunk_by(|one, other| one.first() == other.first()) {
        let Some(step) = group.first().and_then(|path| path.first()) else { continue };
        if let Some(inner) = fields.get(step) {
            let below: Vec<&[String]> = group.iter().map(|path| path.get(1..).unwrap_or_default()).collect();
            out.insert(step.clone(), below_of(inner, &below));
        }
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_expression_can_tell_apart_has_another_key() {
        let path: Vec<String> = ["root", "a", "b"].map(str::to_owned).to_vec();
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
        let paths = BTreeSet::from([path.as_slice()]);
        let keys: BTreeSet<String> = values.iter().map(|value| part(value, &paths).to_string()).collect();
        assert_eq!(keys.len(), values.len(), "{keys:?}");
    }

    #[test]
    fn only_what_is_read_is_left() {
        let paths = [&["o", "a"][..], &["o", "a", "b"], &["o", "c", "d"], &["o", "c", "e"], &["o", "x", "y"]];
        let paths: Vec<Vec<String>> =
            paths.iter().map(|path| path.iter().map(|step| (*step).to_owned()).collect()).collect();
        let paths: BTreeSet<&[String]> = paths.iter().map(Vec::as_slice).collect();
        let value = json!({"a": {"b": 1, "z": 2}, "c": {"d": [1], "e": null, "z": 3}, "z": 4});
        assert_eq!(part(&value, &paths), json!({"a": {"b": 1, "z": 2}, "c": {"d": [1], "e": null}}));
        assert_eq!(part(&json!(null), &paths), json!(null));
    }
}
