//! How a process that works on repositories ends early: its work is told, gets a moment, and then its locks are given back.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::cancel::Cancel;
use super::lock::Held;

/// The work has so long to end, and then its locks to be removed: a second, in all.
const GRACE: Duration = Duration::from_millis(450);
/// After a failure: the work has had its patience with a store that does not answer.
const LAST_TRY: Duration = Duration::from_secs(10);

/// Clones are of the same process.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    cancel: Cancel,
    held: Arc<Mutex<Vec<Arc<Held>>>>,
}

impl Ending {
    /// What all work of the process looks at.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// The lock is given back when the process ends, if not before.
    pub fn keep(&self, lock: Held) -> Arc<Held> {
        let held = Arc::new(lock);
        self.held.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&held));
        held
    }

    /// Gives back all locks: whoever comes next needs not wait for this process to end.
    pub fn release(&self) {
        // Not under the mutex: whoever is told to end does not wait for this.
        let held = std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
        for lock in held {
            lock.release();
        }
    }

    /// The same after a failure, perhaps of the store that has the locks; whether all were given back.
    pub fn give_up(&self) -> bool {
        self.release_within(LAST_TRY)
    }

    fn release_within(&self, time: Duration) -> bool {
        let (done, is_done) = mpsc::channel();
        let ending = self.clone();
        thread::spawn(move || {
            ending.release();
            let _ = done.send(());
        });
        is_done.recv_timeout(time).is_ok()
    }

    /// From the first SIGTERM or SIGINT on the work is asked to end; what has not ended then ends with `last`, which does not
    /// come back.
    pub fn on_signal(&self, last: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ending = self.clone();
        thread::spawn(move || {
            runtime.block_on(async {
                match signal(SignalKind::terminate()) {
                    Ok(mut terminate) => {
                        tokio::select! { _ = tokio::signal::ctrl_c() => {}, _ = terminate.recv() => {} }
                    }
                    Err(_) => drop(tokio::signal::ctrl_c().await),
                }
            });
            ending.cancel.cancel();
            thread::sleep(GRACE);
            // From here on nothing is written, and nobody needs to wait for us. A store that does not answer is not waited for either.
            ending.release_within(GRACE);
            last();
        });
        Ok(())
    }
}
