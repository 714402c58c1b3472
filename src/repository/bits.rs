//! A bit for each blob of an index, since there may be millions.

use std::sync::atomic::{AtomicU64, Ordering};

use super::index::Index;

const BITS: usize = 64;

/// By the numbers of the index; many threads set them.
#[derive(Debug)]
pub(super) struct Bits(Vec<AtomicU64>);

impl Bits {
    pub(super) fn none(index: &Index) -> Self {
        Self((0..index.blobs().div_ceil(BITS)).map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn has(&self, number: usize) -> bool {
        self.0.get(number / BITS).is_some_and(|bits| bits.load(Ordering::Relaxed) >> (number % BITS) & 1 == 1)
    }

    /// Whether it was not set before.
    pub(super) fn set(&self, number: usize) -> bool {
        let bit = 1 << (number % BITS);
        self.0.get(number / BITS).is_some_and(|bits| bits.fetch_or(bit, Ordering::Relaxed) & bit == 0)
    }
}
