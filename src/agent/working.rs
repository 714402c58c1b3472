//! Lines in the log while something takes long.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use indicatif::HumanBytes;

use crate::repository::{Noted, Progress};

/// Between two lines.
const LINE: Duration = Duration::from_secs(10);

/// Does the work and says how far it is.
pub(super) fn while_working<T>(path: &str, progress: &Progress, work: impl FnOnce() -> T) -> T {
    let (done, is_done) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            while is_done.recv_timeout(LINE) == Err(RecvTimeoutError::Timeout) {
                let now = progress.so_far();
                tracing::info!(path, files = now.files, bytes = %HumanBytes(now.bytes), "working");
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// What went wrong with single files.
pub(super) fn tell(noted: &Noted, what: &str) {
    for (path, reason) in &noted.first {
        tracing::warn!("{what}: {}: {reason}", path.display());
    }
    let others = noted.count - noted.first.len() as u64;
    if others > 0 {
        tracing::warn!("{what}: {others} others");
    }
}

/// `3 files, the first is /a/b: it is closed`, for a message.
pub(super) fn counted(noted: &Noted) -> String {
    let files = if noted.count == 1 { "1 file".to_owned() } else { format!("{} files", noted.count) };
    match noted.first.first() {
        Some((path, reason)) => format!("{files}, the first is {}: {reason}", path.display()),
        None => files,
    }
}

/// Whole seconds since then.
pub(super) fn seconds(since: jiff::Timestamp) -> u64 {
    u64::try_from(crate::clock::now().duration_since(since).as_secs()).unwrap_or_default()
}
