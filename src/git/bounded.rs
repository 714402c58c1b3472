//! Blocking work with an end. libgit2 cannot be interrupted while a server drips or says nothing, so work that takes too
//! long is left behind on its thread, and only so many such threads may exist.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// Left-behind threads end at libgit2's own timeout unless the server drips; a process with more of them is under attack.
pub(super) const HANGING_MAX: usize = 8;

static HANGING: AtomicUsize = AtomicUsize::new(0);

const RUNNING: u8 = 0;
const DONE: u8 = 1;
const LEFT_BEHIND: u8 = 2;

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoResult {
    Timeout,
    /// The work panicked, as git2 does on names that are not UTF-8.
    Panicked,
    TooManyHanging,
    NoThread,
}

/// Runs `work` on a thread of its own for at most `timeout`.
pub(super) fn bounded<T: Send + 'static>(
    timeout: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NoResult> {
    if HANGING.load(Ordering::Acquire) >= HANGING_MAX {
        return Err(NoResult::TooManyHanging);
    }
    let state = Arc::new(AtomicU8::new(RUNNING));
    let ending = Ending(Arc::clone(&state));
    let (sender, receiver) = sync_channel(1);
    let started = thread::Builder::new().name("git".to_owned()).spawn(move || {
        let _ending = ending;
        // Fails only when nobody waits any more.
        let _ = sender.send(work());
    });
    if started.is_err() {
        return Err(NoResult::NoThread);
    }
    match receiver.recv_timeout(timeout) {
        Ok(result) => Ok(result),
        Err(RecvTimeoutError::Disconnected) => Err(NoResult::Panicked),
        Err(RecvTimeoutError::Timeout) => {
            HANGING.fetch_add(1, Ordering::AcqRel);
            if state.compare_exchange(RUNNING, LEFT_BEHIND, Ordering::AcqRel, Ordering::Acquire).is_err() {
                // It ended at this very moment and has not counted itself out.
                HANGING.fetch_sub(1, Ordering::AcqRel);
            }
            receiver.try_recv().map_err(|_| NoResult::Timeout)
        }
    }
}

/// Counts a thread out that was left behind, also when it panics.
struct Ending(Arc<AtomicU8>);

impl Drop for Ending {
    fn drop(&mut self) {
        if self.0.swap(DONE, Ordering::AcqRel) == LEFT_BEHIND {
            HANGING.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Instant;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    #[expect(clippy::disallowed_methods, reason = "limit of a wait")]
    fn results_panics_and_hanging_work_all_end() {
        assert_eq!(bounded(LONG, || 7), Ok(7));
        assert_eq!(bounded::<()>(LONG, || panic!("for the test")), Err(NoResult::Panicked));
        let mut releases = Vec::new();
        for _ in 0..HANGING_MAX {
            let (release, held) = channel::<()>();
            releases.push(release);
            assert_eq!(bounded(SHORT, move || assert!(held.recv().is_err())), Err(NoResult::Timeout));
        }
        assert_eq!(bounded(LONG, || ()), Err(NoResult::TooManyHanging));
        drop(releases);
        let end = Instant::now() + LONG;
        while bounded(LONG, || ()).is_err() {
            assert!(Instant::now() < end, "the threads that ended count no more");
            thread::yield_now();
        }
    }
}
