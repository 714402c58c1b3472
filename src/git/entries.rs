//! The entries of one tree as Git writes them. libgit2's builder asks the database for every entry, which takes a plan's
//! time for ten thousand files.

use std::collections::BTreeMap;

use git2::{ObjectType, Oid, Tree};

/// The mode that marks a folder.
const FOLDER: i32 = 0o040_000;

#[derive(Default)]
pub(super) struct Entries(BTreeMap<Vec<u8>, (i32, Oid)>);

impl Entries {
    pub(super) fn of(tree: Option<&Tree<'_>>) -> Self {
        let mut entries = BTreeMap::new();
        for entry in tree.into_iter().flatten() {
            let mode = if entry.kind() == Some(ObjectType::Tree) { FOLDER } else { entry.filemode_raw() };
            entries.insert(entry.name_bytes().to_vec(), (mode, entry.id()));
        }
        Self(entries)
    }

    pub(super) fn put(&mut self, name: &str, mode: i32, id: Oid) {
        self.0.insert(name.as_bytes().to_vec(), (mode, id));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.remove(name.as_bytes());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Git sorts a folder as if its name ended in `/`.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut sorted: Vec<(Vec<u8>, &[u8], i32, Oid)> = Vec::with_capacity(self.0.len());
        for (name, (mode, id)) in &self.0 {
            let mut key = name.clone();
            if *mode == FOLDER {
                key.push(b'/');
            }
            sorted.push((key, name, *mode, *id));
        }
        sorted.sort();
        let mut bytes = Vec::new();
        for (_, name, mode, id) in sorted {
            bytes.extend_from_slice(format!("{mode:o} ").as_bytes());
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend_from_slice(id.as_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_sorts_by_its_slash() {
        let id = Oid::from_bytes(&[b'i'; 20]).unwrap();
        let mut entries = Entries::default();
        for (name, mode) in [("a", FOLDER), ("a.b", 0o100_644), ("a0", 0o100_644), ("gone", 0o100_644)] {
            entries.put(name, mode, id);
        }
        entries.remove("gone");
        let ids = "i".repeat(20);
        let wanted = format!("100644 a.b\0{ids}40000 a\0{ids}100644 a0\0{ids}");
        assert_eq!(String::from_utf8(entries.bytes()).unwrap(), wanted);
    }
}
