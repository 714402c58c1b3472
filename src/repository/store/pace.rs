//! A limit on bytes per second that all transfers of a store share.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many pieces make a second: one piece is never so large that a wait for it looks like a stall.
const PIECES_PER_SECOND: u64 = 10;

/// A bucket of tokens that may be in debt: who takes waits until the debt is paid.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: NonZeroU64,
    /// When all that was taken so far is paid for.
    paid: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(bytes_per_second: NonZeroU64) -> Self {
        Self { bytes_per_second, paid: Mutex::new(Instant::now()) }
    }

    /// Takes so many; the wait until they are paid for.
    pub(super) fn take(&self, bytes: u64) -> Duration {
        let cost = Duration::from_nanos(
            u64::try_from(u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second.get()))
                .unwrap_or(u64::MAX),
        );
        let now = Instant::now();
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        *paid = (*paid).max(now) + cost;
        paid.duration_since(now)
    }

    /// How much to take at once, at most.
    pub(super) fn piece(&self, limit: u64) -> u64 {
        (self.bytes_per_second.get() / PIECES_PER_SECOND).clamp(1, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_is_paid_in_turn() {
        let pace = Pace::new(NonZeroU64::new(1000).unwrap());
        assert_eq!(pace.take(500), Duration::from_millis(500));
        assert_eq!(pace.take(250), Duration::from_millis(750));
        tokio::time::advance(Duration::from_secs(10)).await;
        // Rest is not saved up.
        assert_eq!(pace.take(100), Duration::from_millis(100));
        assert_eq!((pace.piece(64 << 10), pace.piece(10)), (100, 10));
    }
}
