//! The blobs that a writer has taken: 16 bytes and some for each, since a first backup may have millions.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::blob::{BlobId, BlobKind};

/// A set is copied when it grows, and locked while it is asked: neither concerns the others.
const PARTS: usize = 256;
/// In memory: half of a name, and the room that a set keeps free.
const BLOB_BYTES: u64 = 40;

#[derive(Debug)]
pub(super) struct Taken {
    parts: [[Mutex<HashSet<u128>>; PARTS]; 2],
    count: AtomicU64,
}

impl Default for Taken {
    fn default() -> Self {
        Self { parts: [(); 2].map(|()| [(); PARTS].map(|()| Mutex::default())), count: AtomicU64::new(0) }
    }
}

impl Taken {
    /// Whether nobody has taken it before.
    pub(super) fn add(&self, kind: BlobKind, id: BlobId) -> bool {
        let [data, trees] = &self.parts;
        let parts = match kind {
            BlobKind::Data => data,
            BlobKind::Tree => trees,
        };
        let is_new = parts[usize::from(id.0[0])].lock().unwrap_or_else(PoisonError::into_inner).insert(id.half());
        self.count.fetch_add(is_new.into(), Ordering::Relaxed);
        is_new
    }

    /// What they take in memory.
    pub(super) fn bytes(&self) -> u64 {
        self.count.load(Ordering::Relaxed) * BLOB_BYTES
    }
}
