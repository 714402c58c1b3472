//! What went wrong with single files while the work as a whole went on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Of so many the path and the reason are kept; the others are counted.
const SHOWN_MAX: usize = 100;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    pub count: u64,
    /// The first of them, each with its reason.
    pub first: Vec<(PathBuf, String)>,
}

/// Many threads write into it.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Arc<Mutex<Noted>>);

impl Notes {
    pub(super) fn add(&self, path: &Path, reason: &(impl ToString + ?Sized)) {
        let mut noted = self.lock();
        noted.count += 1;
        if noted.first.len() < SHOWN_MAX {
            noted.first.push((path.to_owned(), reason.to_string()));
        }
    }

    pub(super) fn so_far(&self) -> Noted {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
