//! Decisions that were made already: most objects of a cluster look alike in what a policy reads of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;

use serde_json::Value;

use super::judge::Decision;

/// Entries of one policy; one that reads names has a new one for each object and gains nothing from more.
const ENTRIES_MAX: usize = 2048;
/// Bytes of what is compared; larger values are evaluated anew.
const KEY_BYTES_MAX: usize = 4096;

/// What one policy decided, by the values that it read.
#[derive(Debug, Default)]
pub(super) struct Memo(RefCell<BTreeMap<String, Rc<[Decision]>>>);

impl Memo {
    pub(super) fn get(&self, key: &str) -> Option<Rc<[Decision]>> {
        self.0.borrow().get(key).map(Rc::clone)
    }

    pub(super) fn keep(&self, key: String, decisions: &Rc<[Decision]>) {
        let mut entries = self.0.borrow_mut();
        if entries.len() < ENTRIES_MAX && key.len() <= KEY_BYTES_MAX {
            entries.insert(key, Rc::clone(decisions));
        }
    }
}

/// The value at the end of a path. Where there is none: how far the path leads and to what, since an expression can tell
/// apart a field that is missing from a parent that is.
pub(super) fn write(key: &mut String, value: &Value, path: &[String]) {
    let mut at = value;
    for (depth, step) in path.iter().enumerate() {
        let Some(inner) = at.get(step) else {
            let _ = writeln!(key, "-{depth}{}", sort(at));
            return;
        };
        at = inner;
    }
    let _ = writeln!(key, "{at}");
}

fn sort(value: &Value) -> char {
    match value {
        Value::Null => 'n',
        Value::Bool(_) => 'b',
        Value::Number(_) => '0',
        Value::String(_) => 's',
        Value::Array(_) => 'l',
        Value::Object(_) => 'o',
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_expression_can_tell_apart_has_another_key() {
        let path: Vec<String> = ["a", "b"].map(str::to_owned).to_vec();
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
        let keys: std::collections::BTreeSet<String> = values
            .iter()
            .map(|value| {
                let mut key = String::new();
                write(&mut key, value, &path);
                key
            })
            .collect();
        assert_eq!(keys.len(), values.len(), "{keys:?}");
    }
}
