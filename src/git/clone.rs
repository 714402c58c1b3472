//! The local clone: bare, shallow, and nothing but a cache.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use git2::{Repository, RepositoryInitOptions, RepositoryOpenFlags};

use super::error::{CloneError, Failure, TransportError};
use super::process;
use crate::model::tree::FETCH_BYTES_MAX;

/// Every fetch and every commit leaves a pack, libgit2 can merge none, and each lookup goes through all of them.
const USES_MAX: u32 = 100;
/// What one volume has to hold: the largest fetch, and another one beside it.
const CLONE_BYTES_MAX: u64 = 2 * FETCH_BYTES_MAX;
const PREFIX: &str = "clone-";

/// A folder of ours in which one clone at a time lives.
#[derive(Debug)]
pub(super) struct LocalClone {
    cache: PathBuf,
    current: Option<PathBuf>,
    /// Each clone has another name: a thread that was left behind may still write to the old one.
    made: u32,
    uses: u32,
}

impl LocalClone {
    /// Takes over `cache`, which must be this clone's alone. What an earlier process left is removed.
    #[expect(clippy::disallowed_methods, reason = "the clone is a folder")]
    pub(super) fn open(cache: &Path) -> Result<Self, CloneError> {
        let failed = |error: io::Error| CloneError { message: error.to_string() };
        fs::create_dir_all(cache).map_err(failed)?;
        process::prepare(cache).map_err(|message| CloneError { message })?;
        for entry in fs::read_dir(cache).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX)) {
                fs::remove_dir_all(path).map_err(failed)?;
            }
        }
        Ok(Self { cache: cache.to_owned(), current: None, made: 0, uses: 0 })
    }

    /// The clone for another fetch or commit: made anew if it has grown.
    pub(super) fn for_use(&mut self) -> Result<PathBuf, Failure> {
        if self.uses >= USES_MAX || self.current.as_deref().is_some_and(|path| bytes(path) > CLONE_BYTES_MAX) {
            self.discard();
        }
        self.uses += 1;
        self.path()
    }

    /// The clone, made anew if it was given up.
    pub(super) fn path(&mut self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.current {
            return Ok(path.clone());
        }
        self.made += 1;
        let path = self.cache.join(format!("{PREFIX}{}", self.made));
        let mut options = RepositoryInitOptions::new();
        options.bare(true).external_template(false).no_reinit(true);
        Repository::init_opts(&path, &options).map_err(|error| Failure::clone(error.message()))?;
        self.current = Some(path.clone());
        Ok(path)
    }

    /// Gives the clone up where it cannot be relied on after `failure`.
    pub(super) fn after(&mut self, failure: &Failure) {
        match failure {
            // A thread that was left behind may still write to it.
            Failure::Transport(TransportError::Timeout { .. }) | Failure::Limit(_) | Failure::Clone(_) => {
                self.discard();
            }
            Failure::Transport(_) => {}
        }
    }

    pub(super) fn is_made(&self) -> bool {
        self.current.is_some()
    }

    #[expect(clippy::disallowed_methods, reason = "the clone is a folder")]
    pub(super) fn discard(&mut self) {
        if let Some(path) = self.current.take() {
            // Whatever stays is removed when the next process starts.
            let _ = fs::remove_dir_all(path);
        }
        self.uses = 0;
    }
}

/// Opens a clone. Not by `open_bare`: that does not read where the history was cut off, and a push then looks for parents
/// that were never fetched.
pub(super) fn open_repository(path: &Path) -> Result<Repository, Failure> {
    let flags = RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::BARE;
    let no_ceiling: [&Path; 0] = [];
    Repository::open_ext(path, flags, no_ceiling).map_err(|error| Failure::clone(error.message()))
}

/// Size of the packs; what cannot be read counts nothing.
#[expect(clippy::disallowed_methods, reason = "the clone is a folder")]
fn bytes(clone: &Path) -> u64 {
    let Ok(packs) = fs::read_dir(clone.join("objects/pack")) else { return 0 };
    packs.filter_map(|pack| pack.ok()?.metadata().ok()).map(|metadata| metadata.len()).sum()
}
