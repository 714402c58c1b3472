//! What is known of each pack: how long it is in the store, and what the index says of it.

use std::collections::BTreeMap;

use super::index::Index;
use super::open::Opened;
use super::pack;
use super::store::{FileId, FileKind, StoreError};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PackUse {
    /// As it lies in the store; `None` if it is not there.
    pub(super) bytes: Option<u64>,
    /// Of all blobs that an index names in it.
    pub(super) named_bytes: u64,
    pub(super) named_blobs: u32,
    /// Of blobs that a snapshot needs, from this pack and from no other; for who finds that out.
    pub(super) used_blobs: u32,
    pub(super) used_bytes: u64,
    /// What the blobs take in the list at the end of the pack.
    pub(super) list_bytes: u64,
}

impl PackUse {
    /// As the index says.
    pub(super) fn expected_bytes(&self) -> u64 {
        self.named_bytes + self.list_bytes + pack::LIST_OVERHEAD
    }

    pub(super) fn is_whole(&self) -> bool {
        self.bytes == Some(self.expected_bytes())
    }
}

pub(super) fn packs(opened: &Opened, index: &Index) -> Result<BTreeMap<FileId, PackUse>, StoreError> {
    let listed = opened.store.list(FileKind::Data)?.into_iter();
    let mut packs: BTreeMap<_, _> =
        listed.map(|(id, bytes)| (id, PackUse { bytes: Some(bytes), ..PackUse::default() })).collect();
    for (_, at) in index.all() {
        let pack = packs.entry(at.pack).or_default();
        pack.named_blobs += 1;
        pack.named_bytes += u64::from(at.length);
        pack.list_bytes += pack::entry_bytes(at.unpacked.is_some());
    }
    Ok(packs)
}
