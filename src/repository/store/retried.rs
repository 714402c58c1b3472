//! A store that is asked again when what went wrong may pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Fault, FileId, FileKind, FileName, Store, StoreError};
use crate::repository::cancel::Cancel;

/// As in restic: an outage of a quarter of an hour ends the work.
pub(super) const PATIENCE: Duration = Duration::from_mins(15);
/// The first wait, and the longest.
const WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_mins(1)];
/// What comes too short for so many times is so short.
const SHORT_MAX: u32 = 3;
/// Files larger than this are not read back to see whose they are.
const SHOWN_BYTES_MAX: u64 = 256 << 20;

#[derive(Debug)]
pub struct Retried {
    inner: Arc<dyn Store>,
    patience: Duration,
    cancel: Cancel,
    /// Makes the waits of those who failed together differ.
    turn: AtomicU64,
    /// Some request was tried until patience ran out: until one succeeds again, the others are not tried so long too.
    gone: AtomicBool,
}

impl Retried {
    pub fn new(inner: Arc<dyn Store>, patience: Duration, cancel: Cancel) -> Self {
        Self { inner, patience, cancel, turn: AtomicU64::new(0), gone: AtomicBool::new(false) }
    }

    /// `ask` is told whether it was asked before.
    fn again<T>(&self, ask: impl Fn(bool) -> Result<T, StoreError>) -> Result<T, StoreError> {
        // The clock of the deadline; nothing that is stored depends on it.
        let begun = Instant::now();
        let [mut wait, longest] = WAITS;
        let mut before = 0;
        loop {
            let error = match ask(before > 0) {
                Err(error) if error.fault.is_passing() => error,
                done => {
                    self.gone.store(false, Ordering::Relaxed);
                    return done;
                }
            };
            if matches!(error.fault, Fault::Short { .. }) && before >= SHORT_MAX {
                return Err(error);
            }
            let pause = self.spread(wait);
            if begun.elapsed() + pause > self.patience || self.gone.load(Ordering::Relaxed) {
                self.gone.store(true, Ordering::Relaxed);
                return Err(given_up(error));
            }
            tracing::warn!(%error, "the store failed; it is asked again in {} s", pause.as_secs_f32().ceil());
            if !self.cancel.sleep(pause) {
                return Err(StoreError { fault: Fault::Cancelled, ..error });
            }
            wait = longest.min(wait * 2);
            before += 1;
        }
    }

    /// Between half of the wait and all of it.
    fn spread(&self, wait: Duration) -> Duration {
        // Fibonacci hashing: neighbours land far from each other.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
        wait / 2 + wait / 2 * u32::try_from(turn).unwrap_or_default() / 256
    }

    /// Whether a file holds this very content.
    fn holds(&self, file: FileName, content: &[Bytes]) -> Result<bool, StoreError> {
        let length: u64 = content.iter().map(|part| part.len() as u64).sum();
        if self.inner.size(file)? != length || length > SHOWN_BYTES_MAX {
            return Ok(false);
        }
        let there = self.inner.read(file)?;
        let mut rest = &*there;
        let is_next = |part: &Bytes| match rest.split_at_checked(part.len()) {
            Some((start, end)) if start == part => {
                rest = end;
                true
            }
            Some(_) | None => false,
        };
        Ok(content.iter().all(is_next))
    }
}

/// What to do about it is said only where nothing more is tried.
fn given_up(error: StoreError) -> StoreError {
    let fault = match error.fault {
        Fault::Unavailable(reason) => {
            Fault::Unavailable(format!("{reason}; nothing more is tried: begin again when the store answers"))
        }
        other @ (Fault::Missing
        | Fault::Exists
        | Fault::Denied(_)
        | Fault::Full
        | Fault::Short { .. }
        | Fault::Broken(_)
        | Fault::Memory(_)
        | Fault::Cancelled) => other,
    };
    StoreError { fault, ..error }
}

impl Store for Retried {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn list(&self, kind: FileKind) -> Result<Vec<(FileId, u64)>, StoreError> {
        self.again(|_| self.inner.list(kind))
    }

    fn size(&self, file: FileName) -> Result<u64, StoreError> {
        self.again(|_| self.inner.size(file))
    }

    fn read(&self, file: FileName) -> Result<Bytes, StoreError> {
        self.again(|_| self.inner.read(file))
    }

    fn read_part(&self, file: FileName, offset: u64, length: u64) -> Result<Bytes, StoreError> {
        self.again(|_| match self.inner.read_part(file, offset, length) {
            Err(error) if matches!(error.fault, Fault::Short { .. }) => {
                let end = self.inner.size(file)?;
                if end >= offset.saturating_add(length) {
                    return Err(error);
                }
                // No connection was cut: the file ends there.
                let fault = Fault::Short { wanted: length, got: end.saturating_sub(offset) };
                Ok(Err(StoreError { fault, ..error }))
            }
            done => done.map(Ok),
        })?
    }

    fn create(&self, file: FileName, content: &[Bytes]) -> Result<(), StoreError> {
        self.again(|before| match self.inner.create(file, content) {
            // The first attempt got there, and its answer did not get here.
            Err(error) if before && error.fault == Fault::Exists => match self.holds(file, content) {
                Ok(true) => Ok(()),
                Ok(false) => Err(error),
                Err(error) => Err(error),
            },
            done => done,
        })
    }

    fn remove(&self, file: FileName) -> Result<(), StoreError> {
        self.again(|_| self.inner.remove(file))
    }

    fn remove_unfinished(&self) -> Result<(), StoreError> {
        self.again(|_| self.inner.remove_unfinished())
    }
}
