//! Takes a lock, keeps it fresh while work goes on, and gives it back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::rule::{Conflict, conflict};
use super::{LOST, Lock, Mode, REFRESH};
use crate::repository::sealed::{Seal, SealError};
use crate::repository::store::{Fault, FileId, FileKind, FileName, Store, StoreError};

/// Two that take a lock at the same time see each other after so long, as in restic.
const SETTLE: Duration = Duration::from_millis(200);
/// Between two looks at a lock that stands in the way: the first and the longest wait.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(20)];
/// After a refresh that failed.
const AGAIN: SignedDuration = SignedDuration::from_secs(20);
/// How often whoever waits for a refresh looks at the clock: it goes on while a machine sleeps, and the wait does not.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LockError {
    #[error("the repository is locked: {}{}", .0.spoken, hint(.0.conflict.stale))]
    Locked(Box<Locked>),
    #[error("lock {id}: {error}")]
    Unreadable { id: FileId, error: SealError },
    #[error("lock {id} is no lock: {reason}")]
    NoLock { id: FileId, reason: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the lock cannot be written: {0}")]
    Unwritten(SealError),
}

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    pub conflict: Conflict,
    spoken: String,
}

fn hint(stale: bool) -> &'static str {
    if stale { "; if nobody works there any more, run `holdfast repo unlock`" } else { "; wait until it is done" }
}

/// The locks of one repository, and who takes them.
#[derive(Clone, Debug)]
pub struct Locks {
    store: Arc<dyn Store>,
    seal: Arc<Seal>,
    /// Time and mode are put in when it is taken.
    me: Lock,
    clock: fn() -> Timestamp,
}

impl Locks {
    pub fn new(store: Arc<dyn Store>, seal: Arc<Seal>, me: Lock, clock: fn() -> Timestamp) -> Self {
        Self { store, seal, me, clock }
    }

    /// All locks that there are; one that is removed while they are read is left out.
    pub fn list(&self) -> Result<Vec<(FileId, Lock)>, LockError> {
        let mut locks = Vec::new();
        for (id, _) in self.store.list(FileKind::Lock)? {
            match self.store.read(FileName::Of(FileKind::Lock, id)) {
                Ok(sealed) => locks.push((id, self.read(id, &sealed)?)),
                Err(error) if error.fault == Fault::Missing => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(locks)
    }

    pub fn remove(&self, id: FileId) -> Result<(), StoreError> {
        self.store.remove(FileName::Of(FileKind::Lock, id))
    }

    /// Takes a lock, and waits so long for others to be done.
    pub fn take(&self, mode: Mode, patience: SignedDuration) -> Result<Held, LockError> {
        let deadline = (self.clock)() + patience;
        let [mut wait, longest] = WAITS;
        loop {
            match self.try_take(mode) {
                Err(LockError::Locked(_))
                    if (self.clock)() + SignedDuration::try_from(wait).unwrap_or_default() <= deadline => {}
                other => return other,
            }
            thread::sleep(wait);
            wait = longest.min(wait * 2);
        }
    }

    fn try_take(&self, mode: Mode) -> Result<Held, LockError> {
        self.free(mode, None)?;
        let (id, time) = self.write(mode)?;
        thread::sleep(SETTLE);
        // Of two that wrote at the same time each sees the other's now.
        match self.free(mode, Some(id)) {
            Ok(()) => Ok(Held::keep(self.clone(), mode, id, time)),
            Err(error) => {
                // What is left behind after an error here goes stale, and says so to whoever comes.
                let _ = self.remove(id);
                Err(error)
            }
        }
    }

    fn free(&self, mode: Mode, own: Option<FileId>) -> Result<(), LockError> {
        let others: Vec<_> = self.list()?.into_iter().filter(|(id, _)| Some(*id) != own).collect();
        let now = (self.clock)();
        match conflict(mode, &others, now) {
            None => Ok(()),
            Some(conflict) => {
                let spoken = conflict.lock.spoken(now);
                Err(LockError::Locked(Box::new(Locked { conflict, spoken })))
            }
        }
    }

    fn write(&self, mode: Mode) -> Result<(FileId, Timestamp), LockError> {
        let lock = Lock { time: (self.clock)(), exclusive: mode == Mode::Exclusive, ..self.me.clone() };
        let plain = serde_json::to_vec(&lock).unwrap_or_default();
        let sealed = self.seal.close(&plain).map_err(LockError::Unwritten)?;
        let id = FileId(Sha256::digest(&sealed).into());
        self.store.create(FileName::Of(FileKind::Lock, id), &[sealed.into()])?;
        Ok((id, lock.time))
    }

    fn read(&self, id: FileId, sealed: &[u8]) -> Result<Lock, LockError> {
        let plain = self.seal.open(sealed).map_err(|error| LockError::Unreadable { id, error })?;
        serde_json::from_slice(&plain).map_err(|error| LockError::NoLock { id, reason: error.to_string() })
    }
}

/// A lock that is refreshed until it is dropped.
#[derive(Debug)]
pub struct Held {
    shared: Arc<Shared>,
    stop: Option<Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    locks: Locks,
    mode: Mode,
    files: Mutex<Files>,
    lost: AtomicBool,
}

#[derive(Debug)]
struct Files {
    current: FileId,
    written: Timestamp,
    /// Earlier ones that could not be removed yet.
    left: Vec<FileId>,
}

enum Refreshed {
    Done,
    /// To be tried again, as long as others take the lock for a live one.
    Failed,
    /// Somebody removed it, and may be deleting what this work counts on.
    Gone,
}

impl Held {
    fn keep(locks: Locks, mode: Mode, id: FileId, written: Timestamp) -> Self {
        let files = Mutex::new(Files { current: id, written, left: Vec::new() });
        let shared = Arc::new(Shared { locks, mode, files, lost: AtomicBool::new(false) });
        let (stop, stopped) = channel();
        let keeper = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.keep_fresh(&stopped)
        });
        Self { shared, stop: Some(stop), keeper: Some(keeper) }
    }

    /// Whether the work may go on: others still see that somebody works here.
    pub fn is_held(&self) -> bool {
        !self.shared.lost.load(Ordering::Acquire) && !self.shared.is_too_old()
    }
}

impl Held {
    /// Gives it back before the work has ended, which may write nothing from now on.
    pub fn release(&self) {
        self.shared.lost.store(true, Ordering::Release);
        self.shared.give_back();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
        self.shared.give_back();
    }
}

impl Shared {
    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_too_old(&self) -> bool {
        (self.locks.clock)().duration_since(self.files().written) > LOST
    }

    fn keep_fresh(&self, stopped: &Receiver<()>) {
        let mut next = self.files().written + REFRESH;
        while self.waits(next, stopped) {
            next = match self.refresh() {
                Refreshed::Done => self.files().written + REFRESH,
                Refreshed::Failed if !self.is_too_old() => (self.locks.clock)() + AGAIN,
                Refreshed::Failed | Refreshed::Gone => {
                    self.lost.store(true, Ordering::Release);
                    return;
                }
            };
        }
    }

    /// Until then, or for so long if the clock was set back; whether the work still goes on.
    fn waits(&self, next: Timestamp, stopped: &Receiver<()>) -> bool {
        let clock = self.locks.clock;
        let mut left = next.duration_since(clock()).clamp(SignedDuration::ZERO, REFRESH).unsigned_abs();
        loop {
            let look = left.min(LOOK);
            if stopped.recv_timeout(look) != Err(RecvTimeoutError::Timeout) {
                return false;
            }
            left -= look;
            if left.is_zero() || clock() >= next {
                return true;
            }
        }
    }

    fn refresh(&self) -> Refreshed {
        let old = self.files().current;
        match self.locks.store.size(FileName::Of(FileKind::Lock, old)) {
            Ok(_) => {}
            Err(error) if error.fault == Fault::Missing => return Refreshed::Gone,
            Err(_) => return Refreshed::Failed,
        }
        let Ok((current, written)) = self.locks.write(self.mode) else { return Refreshed::Failed };
        // Whoever removed the old one meanwhile may hold a lock already that stands against the new one.
        let gone = matches!(self.locks.store.size(FileName::Of(FileKind::Lock, old)), Err(error) if error.fault == Fault::Missing);
        {
            let mut files = self.files();
            files.left.push(old);
            (files.current, files.written) = (current, written);
        }
        self.remove_left();
        if gone { Refreshed::Gone } else { Refreshed::Done }
    }

    fn give_back(&self) {
        {
            let mut files = self.files();
            let current = files.current;
            files.left.push(current);
        }
        self.remove_left();
    }

    /// Not under the mutex: whoever asks whether the lock is held does not wait for a store.
    fn remove_left(&self) {
        let left = std::mem::take(&mut self.files().left);
        let kept = left.into_iter().filter(|id| match self.locks.remove(*id) {
            Ok(()) => false,
            Err(error) => {
                tracing::warn!(%error, "a lock could not be removed; until it is, it counts as held");
                true
            }
        });
        let kept: Vec<_> = kept.collect();
        self.files().left.extend(kept);
    }
}
