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

/// By the first byte of the name: where one part grows and is copied for that, the others stay as they are.
const PARTS: usize = 256;

#[derive(Debug)]
pub(super) struct Entries {
    parts: [Vec<Entry>; PARTS],
    /// How many there are in the parts before each; known once they are sorted.
    before: [usize; PARTS],
}

impl Default for Entries {
    fn default() -> Self {
        Self { parts: std::array::from_fn(|_| Vec::new()), before: [0; PARTS] }
    }
}

fn part(id: u128) -> usize {
    usize::from(id.to_be_bytes()[0])
}

impl Entries {
    pub(super) fn add(&mut self, entry: Entry) {
        self.parts[part(entry.id)].push(entry);
    }

    /// To be called when all are there, and before any is looked for.
    pub(super) fn sort(&mut self) {
        let mut before = 0;
        for (part, place) in self.parts.iter_mut().zip(&mut self.before) {
            part.sort_unstable();
            part.dedup();
            part.shrink_to_fit();
            *place = before;
            before += part.len();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(Vec::len).sum()
    }

    /// All of this name, each with its number among all.
    pub(super) fn find(&self, id: u128) -> impl Iterator<Item = (usize, &Entry)> {
        let (part, before) = (&self.parts[part(id)], self.before[part(id)]);
        let from = part.partition_point(|entry| entry.id < id);
        let found = part.iter().enumerate().skip(from).take_while(move |(_, entry)| entry.id == id);
        found.map(move |(number, entry)| (before + number, entry))
    }

    /// In the order of their numbers.
    pub(super) fn all(&self) -> impl Iterator<Item = &Entry> {
        self.parts.iter().flatten()
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
            ids.iter().for_each(|pair| entries.add(entry(*pair)));
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
