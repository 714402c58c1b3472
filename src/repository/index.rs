//! Where each blob lies. Small enough for large repositories: 32 bytes for each.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::blob::{BlobId, BlobKind};
use super::parallel::{AT_ONCE, each};
use super::sealed::{OVERHEAD, Seal};
use super::store::{Fault, FileId, FileKind, FileName, OTHER_CONTENT, Store, StoreError};

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

/// Half of a blob's name finds it; what is read is held to the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    id: u128,
    pack: u32,
    offset: u32,
    length: u32,
    /// 0 for a blob that is not compressed.
    unpacked: u32,
}

#[derive(Debug, Default)]
pub struct Index {
    /// By number.
    packs: Vec<FileId>,
    /// Sorted.
    data: Vec<Entry>,
    trees: Vec<Entry>,
}

/// A file of the index as restic writes it.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Written {
    #[serde(default)]
    pub(super) packs: Vec<WrittenPack>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WrittenPack {
    pub(super) id: FileId,
    #[serde(default)]
    pub(super) blobs: Vec<WrittenBlob>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WrittenBlob {
    pub(super) id: BlobId,
    #[serde(rename = "type")]
    pub(super) kind: BlobKind,
    pub(super) offset: u32,
    pub(super) length: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) uncompressed_length: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(length: &u32) -> bool {
    *length == 0
}

/// A file of the index that gives nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostIndex {
    pub id: FileId,
    pub reason: String,
}

impl Index {
    /// All that can be read of it, and what cannot.
    pub fn read(store: &dyn Store, seal: &Seal) -> Result<(Self, Vec<LostIndex>), StoreError> {
        let gathered = Mutex::new((Self::default(), BTreeMap::new(), Vec::new()));
        let failed: Mutex<Option<StoreError>> = Mutex::default();
        let files = store.list(FileKind::Index)?;
        each(&files, AT_ONCE, |(id, _)| {
            let packs = file(store, seal, *id);
            let mut gathered = gathered.lock().unwrap_or_else(PoisonError::into_inner);
            let (index, numbers, lost) = &mut *gathered;
            match packs {
                Ok(packs) => packs.into_iter().for_each(|pack| index.add(pack, numbers)),
                Err(IndexFault::Lost(reason)) => lost.push(LostIndex { id: *id, reason }),
                // It may well be whole: whoever took it for lost would store everything again.
                Err(IndexFault::Store(error)) => {
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let (mut index, _, mut lost) = gathered.into_inner().unwrap_or_else(PoisonError::into_inner);
        for entries in [&mut index.data, &mut index.trees] {
            entries.sort_unstable();
            entries.dedup();
        }
        lost.sort_by_key(|lost| lost.id);
        Ok((index, lost))
    }

    fn add(&mut self, pack: WrittenPack, numbers: &mut BTreeMap<FileId, u32>) {
        let Ok(next) = u32::try_from(self.packs.len()) else { return };
        let number = *numbers.entry(pack.id).or_insert(next);
        if number == next {
            self.packs.push(pack.id);
        }
        for blob in pack.blobs {
            let (length, unpacked) = (blob.length, blob.uncompressed_length);
            let entry = Entry { id: blob.id.half(), pack: number, offset: blob.offset, length, unpacked };
            match blob.kind {
                BlobKind::Data => self.data.push(entry),
                BlobKind::Tree => self.trees.push(entry),
            }
        }
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
        let wanted = id.half();
        let from = entries.partition_point(|entry| entry.id < wanted);
        let found = entries.iter().enumerate().skip(from).take_while(move |(_, entry)| entry.id == wanted);
        found.filter_map(move |(number, entry)| Some((before + number, self.location(entry)?)))
    }

    /// Every place of every blob, by number.
    pub(super) fn all(&self) -> impl Iterator<Item = (usize, Location)> {
        let entries = self.data.iter().chain(&self.trees).enumerate();
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

/// Why a file of the index gives nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum IndexFault {
    #[error("{}", .0.fault)]
    Store(StoreError),
    #[error("{0}")]
    Lost(String),
}

/// The packs that one file of the index names.
pub(super) fn file(store: &dyn Store, seal: &Seal, id: FileId) -> Result<Vec<WrittenPack>, IndexFault> {
    let sealed = store.read(FileName::Of(FileKind::Index, id)).map_err(|error| match &error.fault {
        Fault::Missing | Fault::Short { .. } => IndexFault::Lost(error.fault.to_string()),
        Fault::Exists
        | Fault::Denied(_)
        | Fault::Full
        | Fault::Unavailable(_)
        | Fault::Broken(_)
        | Fault::Cancelled => IndexFault::Store(error),
    })?;
    if !id.names(&sealed) {
        return Err(IndexFault::Lost(OTHER_CONTENT.to_owned()));
    }
    let plain = seal.open(&sealed).map_err(|error| IndexFault::Lost(error.to_string()))?;
    drop(sealed);
    let written: Written =
        serde_json::from_slice(&plain).map_err(|error| IndexFault::Lost(format!("it is no index: {error}")))?;
    Ok(written.packs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_found_in_every_pack_that_holds_it() {
        let mut index = Index::default();
        let mut numbers = BTreeMap::new();
        let blob = |number: u8, offset, uncompressed_length| WrittenBlob {
            id: BlobId([number; 32]),
            kind: BlobKind::Data,
            offset,
            length: 100,
            uncompressed_length,
        };
        let packs = [FileId([8; 32]), FileId([9; 32])];
        index.add(WrittenPack { id: packs[0], blobs: vec![blob(2, 0, 0), blob(1, 100, 500)] }, &mut numbers);
        index.add(WrittenPack { id: packs[1], blobs: vec![blob(1, 0, 0)] }, &mut numbers);
        index.data.sort_unstable();
        let found: Vec<_> = index.find(BlobKind::Data, BlobId([1; 32])).collect();
        let expected = [(packs[0], 100, 500), (packs[1], 0, 68)];
        assert_eq!(found.iter().map(|at| (at.pack, at.offset, at.plain_bytes())).collect::<Vec<_>>(), expected);
        assert_eq!(index.find(BlobKind::Data, BlobId([3; 32])).count(), 0);
        assert_eq!(index.find(BlobKind::Tree, BlobId([1; 32])).count(), 0);
        assert_eq!(size_of::<Entry>(), 32);
    }
}
