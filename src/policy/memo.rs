//! What was found in order already: most objects of a cluster look alike in what a policy reads of them.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::expression::Read;

/// Entries of one policy; one that reads names has a new one for each object and gains nothing from more.
const ENTRIES_MAX: usize = 512;
/// Bytes of what is compared; larger values are evaluated anew.
const KEY_BYTES_MAX: usize = 4096;

/// What a policy reads of one subject, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Vec<u8>);

impl Key {
    pub(super) fn add(&mut self, read: &Read) {
        // Never fails: keys are strings, and memory takes what is written. A part without its end would equal no other.
        if serde_json::to_writer(&mut self.0, read).is_ok() {
            self.0.push(b'\n');
        }
    }
}

/// The values against which one policy has nothing to say.
#[derive(Debug, Default)]
pub(super) struct Memo(RefCell<BTreeSet<Key>>);

impl Memo {
    pub(super) fn has(&self, key: &Key) -> bool {
        self.0.borrow().contains(key)
    }

    pub(super) fn keep(&self, key: Key) {
        let mut entries = self.0.borrow_mut();
        if entries.len() < ENTRIES_MAX && key.0.len() <= KEY_BYTES_MAX {
            entries.insert(key);
        }
    }
}
