//! Where each blob lies.

mod entries;
mod written;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use entries::{Entries, Entry};
use written::IndexFault;
pub(super) use written::{Written, WrittenBlob, WrittenPack, file};

use super::blob::{BlobId, BlobKind};
use super::memory::TooLittle;
use super::open::Opened;
use super::parallel::{each, workers};
use super::sealed::OVERHEAD;
use super::store::{FileId, FileKind, Store, StoreError};

/// A piece of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    pub pack: FileId,
    pub offset: u32,
    /// As it lies there: encrypted, perhaps compressed.
    pub length: u32,
    /// Of a compressed blob.
    pub unpacked: Option<u32>,
}

impl Location {
    /// Of the plain blob.
    pub fn plain_bytes(&self) -> u32 {
        self.unpacked.unwrap_or(self.length.saturating_sub(OVERHEAD))
    }

    pub fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.length)
    }
}

#[derive(Debug, Default)]
pub struct Index {
    /// By number.
    packs: Vec<FileId>,
    data: Entries,
    trees: Entries,
}

/// A file of the index that gives nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostIndex {
    pub id: FileId,
    pub reason: String,
}

/// What is read by several threads.
#[derive(Default)]
struct Gathered {
    index: Index,
    numbers: BTreeMap<FileId, u32>,
    lost: Vec<LostIndex>,
    /// Of the files that were read.
    read_bytes: u64,
    failed: Option<StoreError>,
}

/// In memory: an entry, and for a pack its name here, in a listing, and where packs are counted.
const BLOB_BYTES: u64 = 32;
const PACK_BYTES: u64 = 180;

impl Index {
    /// All that can be read of it, and what cannot.
    pub fn read(opened: &Opened) -> Result<(Self, Vec<LostIndex>), StoreError> {
        let files = opened.store.list(FileKind::Index)?;
        let bytes_in_all: u64 = files.iter().map(|(_, bytes)| bytes).sum();
        let gathered = Mutex::<Gathered>::default();
        let locked = || gathered.lock().unwrap_or_else(PoisonError::into_inner);
        each(&files, workers(), |(id, bytes)| {
            if locked().failed.is_some() {
                return;
            }
            let packs = file(&*opened.store, &opened.seal, *id);
            let mut gathered = locked();
            gathered.take(*id, packs);
            gathered.read_bytes += bytes;
            // So much for so many bytes: what all will take is known long before it is there.
            let expected = u128::from(gathered.index.bytes()) * u128::from(bytes_in_all);
            let expected = expected / u128::from(gathered.read_bytes.max(1));
            let expected = u64::try_from(expected).unwrap_or(u64::MAX);
            if let Err(error) = opened.memory.admit(gathered.index.bytes(), expected) {
                gathered.failed.get_or_insert_with(|| too_large(&*opened.store, error));
            }
        });
        let Gathered { mut index, mut lost, failed, .. } =
            gathered.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = failed {
            return Err(error);
        }
        index.data.sort();
        index.trees.sort();
        lost.sort_by_key(|lost| lost.id);
        Ok((index, lost))
    }

    /// What it takes in memory.
    pub(super) fn bytes(&self) -> u64 {
        self.blobs() as u64 * BLOB_BYTES + self.packs.len() as u64 * PACK_BYTES
    }

    /// Everywhere that the blob lies: more than one place if it was stored twice.
    pub fn find(&self, kind: BlobKind, id: BlobId) -> impl Iterator<Item = Location> {
        self.find_numbered(kind, id).map(|(_, at)| at)
    }

    /// With the number that each place has among all.
    pub(super) fn find_numbered(&self, kind: BlobKind, id: BlobId) -> impl Iterator<Item = (usize, Location)> {
        let (entries, before) = match kind {
            BlobKind::Data => (&self.data, 0),
            BlobKind::Tree => (&self.trees, self.data.len()),
        };
        entries.find(id.half()).filter_map(move |(number, entry)| Some((before + number, self.location(entry)?)))
    }

    /// Every place of every blob, by number.
    pub(super) fn all(&self) -> impl Iterator<Item = (usize, Location)> {
        let entries = self.data.all().chain(self.trees.all()).enumerate();
        entries.filter_map(|(number, entry)| Some((number, self.location(entry)?)))
    }

    fn location(&self, entry: &Entry) -> Option<Location> {
        let pack = *self.packs.get(usize::try_from(entry.pack).ok()?)?;
        let unpacked = (entry.unpacked > 0).then_some(entry.unpacked);
        Some(Location { pack, offset: entry.offset, length: entry.length, unpacked })
    }

    pub fn has(&self, kind: BlobKind, id: BlobId) -> bool {
        self.find(kind, id).next().is_some()
    }

    pub fn blobs(&self) -> usize {
        self.data.len() + self.trees.len()
    }
}

pub(super) fn too_large(store: &dyn Store, error: TooLittle) -> StoreError {
    StoreError { location: store.location(), file: FileKind::Index.folder().to_owned(), fault: error.into() }
}

impl Gathered {
    fn take(&mut self, id: FileId, packs: Result<Vec<WrittenPack>, IndexFault>) {
        match packs {
            Ok(packs) => packs.into_iter().for_each(|pack| self.add(pack)),
            Err(IndexFault::Lost(reason)) => self.lost.push(LostIndex { id, reason }),
            // It may well be whole: whoever took it for lost would store everything again.
            Err(IndexFault::Store(error)) => drop(self.failed.get_or_insert(error)),
        }
    }

    fn add(&mut self, pack: WrittenPack) {
        let Self { index, numbers, .. } = self;
        let Ok(next) = u32::try_from(index.packs.len()) else { return };
        let number = *numbers.entry(pack.id).or_insert(next);
        if number == next {
            index.packs.push(pack.id);
        }
        for blob in pack.blobs {
            let (length, unpacked) = (blob.length, blob.uncompressed_length);
            let entry = Entry { id: blob.id.half(), pack: number, offset: blob.offset, length, unpacked };
            match blob.kind {
                BlobKind::Data => index.data.add(entry),
                BlobKind::Tree => index.trees.add(entry),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_found_in_every_pack_that_holds_it() {
        let mut gathered = Gathered::default();
        let blob = |number: u8, offset, uncompressed_length| WrittenBlob {
            id: BlobId([number; 32]),
            kind: BlobKind::Data,
            offset,
            length: 100,
            uncompressed_length,
        };
        let packs = [FileId([8; 32]), FileId([9; 32])];
        gathered.add(WrittenPack { id: packs[0], blobs: vec![blob(2, 0, 0), blob(1, 100, 500)] });
        gathered.add(WrittenPack { id: packs[1], blobs: vec![blob(1, 0, 0)] });
        let mut index = gathered.index;
        index.data.sort();
        let found: Vec<_> = index.find(BlobKind::Data, BlobId([1; 32])).collect();
        let expected = [(packs[0], 100, 500), (packs[1], 0, 68)];
        assert_eq!(found.iter().map(|at| (at.pack, at.offset, at.plain_bytes())).collect::<Vec<_>>(), expected);
        assert_eq!(index.find(BlobKind::Data, BlobId([3; 32])).count(), 0);
        assert_eq!(index.find(BlobKind::Tree, BlobId([1; 32])).count(), 0);
    }
}
