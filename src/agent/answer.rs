//! The outcome of a step while it grows, and how it is given: once, whoever ends first.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Surroundings;
use super::cut::cut;
use crate::model::step::{Complaint, LOG_MARK, OUTCOME_BYTES_MAX, Outcome};

#[derive(Debug)]
pub(super) struct Answer {
    termination_log: PathBuf,
    print: fn(&str),
    grown: Mutex<Outcome>,
    given: Mutex<bool>,
}

impl Answer {
    pub(super) fn new(around: &Surroundings) -> Self {
        let (grown, given) = (Mutex::default(), Mutex::default());
        Self { termination_log: around.termination_log.clone(), print: around.print, grown, given }
    }

    /// What is known now stays known if the step is cut off.
    pub(super) fn note<T>(&self, change: impl FnOnce(&mut Outcome) -> T) -> T {
        change(&mut lock(&self.grown))
    }

    /// Whether it was a success.
    pub(super) fn give(&self, error: Option<Complaint>) -> bool {
        let mut given = lock(&self.given);
        let outcome = self.note(|outcome| {
            outcome.error = outcome.error.take().or(error);
            outcome.clone()
        });
        if !*given {
            *given = true;
            if let Err(error) = write(&self.termination_log, &cut(&outcome, OUTCOME_BYTES_MAX)) {
                tracing::warn!(%error, "the termination message cannot be written: the outcome is only here");
            }
            match &outcome.error {
                None if outcome.is_success() => tracing::info!("done"),
                None => tracing::error!("done, and not all succeeded"),
                Some(error) => tracing::error!(reason = error.reason.as_str(), "{}", error.message),
            }
            // Text and numbers can always be written.
            let whole = serde_json::to_string(&outcome).unwrap_or_default();
            (self.print)(&format!("{LOG_MARK}{whole}"));
        }
        outcome.is_success()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The kubelet has made the file. Where there is none, nobody reads one.
fn write(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).truncate(true).open(path)?.write_all(text.as_bytes())
}
