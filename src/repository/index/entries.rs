//! Where blobs of one kind lie, found by half of their names: 32 bytes for each, since there may be millions.

/// Half of a blob's name finds it; what is read is held to the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) id: u128,
    pub(super) pack: u32,
    pub(super) offset: u32,
    pub(super) length: u32,
    /// 0 for a blob that is not compressed.
    pub(super) unpacked: u32,
}

/// One allocation, which grows where it is: in many small ones, what is left free between them is as much again.
#[derive(Debug, Default)]
pub(super) struct Entries(Vec<Entry>);

impl Entries {
    pub(super) fn add(&mut self, entry: Entry) {
        self.0.push(entry);
    }

    /// To be called when all are there, and before any is looked for.
    pub(super) fn sort(&mut self) {
        self.0.sort_unstable();
        self.0.dedup();
        self.0.shrink_to_fit();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// All of this name, each with its number among all.
    pub(super) fn find(&self, id: u128) -> impl Iterator<Item = (usize, &Entry)> {
        let from = self.0.partition_point(|entry| entry.id < id);
        self.0.iter().enumerate().skip(from).take_while(move |(_, entry)| entry.id == id)
    }

    /// In the order of their numbers.
    pub(super) fn all(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_takes_32_bytes() {
        assert_eq!(size_of::<Entry>(), 32);
    }

    proptest! {
        #[test]
        fn what_was_added_is_found_under_its_number(ids in prop::collection::vec((0..300_u128, 0..3_u32), 0..200)) {
            let mut entries = Entries::default();
            let entry = |(id, pack)| Entry { id: id << 117 | id, pack, offset: 0, length: 1, unpacked: 0 };
            for pair in &ids {
                entries.add(entry(*pair));
            }
            entries.sort();
            let all: Vec<_> = entries.all().copied().collect();
            prop_assert_eq!(all.len(), entries.len());
            prop_assert!(all.is_sorted_by(|one, other| one < other));
            for wanted in ids.iter().map(|pair| entry(*pair)) {
                let found: Vec<_> = entries.find(wanted.id).collect();
                prop_assert!(found.iter().any(|(_, entry)| **entry == wanted));
                prop_assert!(found.iter().all(|(number, entry)| entry.id == wanted.id && all[*number] == **entry));
                prop_assert_eq!(found.len(), all.iter().filter(|entry| entry.id == wanted.id).count());
            }
        }
    }
}
