//! Data that shrank all at once: what was there before may be the last that is of use.

use std::fmt;

use crate::repository::snapshot::Snapshot;
use crate::repository::store::FileId;

/// A fifth or more of what was there is no drop.
const SHARE_LEFT: u64 = 5;

/// Two neighbours among the complete snapshots of a group whose sizes are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shrunk {
    pub before: FileId,
    pub bytes_before: u64,
    /// By this one a drop is acknowledged.
    pub after: FileId,
    pub bytes_after: u64,
}

impl fmt::Display for Shrunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, bytes_before, after, bytes_after } = self;
        write!(f, "from {bytes_before} bytes in {before} to {bytes_after} in {after}")
    }
}

/// Fallen to zero, or by more than 80 %.
pub(super) fn is_drop(before: u64, after: u64) -> bool {
    after.saturating_mul(SHARE_LEFT) < before
}

/// All drops, newest first. One of unknown size proves nothing and is passed over: what is on both sides of it is compared.
pub(super) fn drops(newest_first: &[&Snapshot]) -> Vec<Shrunk> {
    let known: Vec<_> =
        newest_first.iter().filter_map(|snapshot| snapshot.bytes.map(|bytes| (snapshot.id, bytes))).collect();
    let neighbours = known.array_windows().filter(|[(_, after), (_, before)]| is_drop(*before, *after));
    neighbours
        .map(|&[(after, bytes_after), (before, bytes_before)]| Shrunk { before, bytes_before, after, bytes_after })
        .collect()
}
