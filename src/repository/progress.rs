//! How far a piece of work is: numbers that one side writes and the other looks at when it likes.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub struct Progress {
    files: AtomicU64,
    bytes: AtomicU64,
    /// 0 until it is known.
    bytes_in_all: AtomicU64,
    /// Somebody looks at it: what only they want to know is worth finding out.
    watched: bool,
}

/// Progress at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoFar {
    pub files: u64,
    pub bytes: u64,
    pub bytes_in_all: Option<u64>,
}

impl Progress {
    pub fn watched() -> Self {
        Self { watched: true, ..Self::default() }
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watched
    }

    pub(super) fn add_file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn expect_bytes(&self, bytes: u64) {
        self.bytes_in_all.store(bytes, Ordering::Relaxed);
    }

    pub fn so_far(&self) -> SoFar {
        let bytes_in_all = self.bytes_in_all.load(Ordering::Relaxed);
        SoFar {
            files: self.files.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            bytes_in_all: (bytes_in_all > 0).then_some(bytes_in_all),
        }
    }
}
