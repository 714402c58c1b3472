//! Decisions that were made already: most objects of a cluster look alike in what a policy reads of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
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

/// The value at the end of a path, and nothing apart from `null` where there is none.
pub(super) fn write(key: &mut String, value: &Value, path: &[String]) {
    let mut at = Some(value);
    for step in path {
        at = at.and_then(|value| value.get(step));
    }
    if let Some(value) = at {
        key.push_str(&value.to_string());
    }
    key.push('\n');
}
