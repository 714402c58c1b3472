//! Opens a repository with a password.

use std::sync::Arc;

use jiff::Timestamp;
use thiserror::Error;

use super::config::Config;
use super::key::{KeyError, KeyFile};
use super::lock::{Lock, Locks};
use super::memory::Memory;
use super::sealed::Seal;
use super::store::{Fault, FileId, FileKind, FileName, OTHER_CONTENT, Store, StoreError};

/// Trying a key costs some tenths of a second on purpose.
const KEYS_MAX: usize = 20;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    #[error("{location} is no repository: make one with `holdfast repo init`, or correct the address")]
    NoRepository { location: String },
    #[error("{location}: the password opens none of the keys")]
    WrongPassword { location: String },
    #[error(
        "{location}: every key is gone, and without one nobody can read it: put one back from a copy of the repository"
    )]
    NoKey { location: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{location}: {file}: {reason}")]
    Broken { location: String, file: FileName, reason: String },
}

/// A repository whose key is known.
#[derive(Clone, Debug)]
pub struct Opened {
    pub(super) store: Arc<dyn Store>,
    pub(super) seal: Arc<Seal>,
    pub(super) config: Config,
    pub(super) memory: Memory,
    /// Which of the keys the password has opened.
    pub key: FileId,
}

impl Opened {
    pub fn open(store: Arc<dyn Store>, password: &str) -> Result<Self, OpenError> {
        let location = store.location();
        let broken = |file, reason| OpenError::Broken { location: location.clone(), file, reason };
        let sealed = match store.read(FileName::Config) {
            Err(error) if error.fault == Fault::Missing => return Err(OpenError::NoRepository { location }),
            other => other?,
        };
        let (key, seal, plain) = open_key(&*store, password, &sealed)?;
        let config = Config::parse(&plain).map_err(|reason| broken(FileName::Config, reason))?;
        Ok(Self { store, seal: Arc::new(seal), config, memory: Memory::default(), key })
    }

    /// The same through another store, such as one with a cache.
    #[must_use]
    pub fn over(self, store: Arc<dyn Store>) -> Self {
        Self { store, ..self }
    }

    /// Work on it may take so much memory.
    #[must_use]
    pub fn within(self, memory: Memory) -> Self {
        Self { memory, ..self }
    }

    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    pub fn seal(&self) -> Arc<Seal> {
        Arc::clone(&self.seal)
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn locks(&self, me: Lock, clock: fn() -> Timestamp) -> Locks {
        Locks::new(Arc::clone(&self.store), Arc::clone(&self.seal), me, clock)
    }
}

/// The first key that the password opens and that opens the configuration, and what is in that. A key that is damaged, or that
/// somebody has left who wanted to make a repository here, keeps nobody from using another.
fn open_key(store: &dyn Store, password: &str, config: &[u8]) -> Result<(FileId, Seal, Vec<u8>), OpenError> {
    let mut damaged = None;
    let location = store.location();
    let keys = store.list(FileKind::Key)?;
    if keys.is_empty() {
        return Err(OpenError::NoKey { location });
    }
    for (id, _) in keys.into_iter().take(KEYS_MAX) {
        let file = FileName::Of(FileKind::Key, id);
        let text = match store.read(file) {
            Err(error) if error.fault == Fault::Missing => continue,
            other => other?,
        };
        let is_named = id.names(&text);
        let found = match KeyFile::parse(&text).and_then(|key| key.open(password)) {
            Ok(seal) => match seal.open(config) {
                Ok(plain) => return Ok((id, seal, plain)),
                Err(error) if is_named => (FileName::Config, error.to_string()),
                // It opens, but perhaps another repository.
                Err(_) => (file, OTHER_CONTENT.to_owned()),
            },
            // The password may well be right.
            Err(KeyError::Password) if !is_named => (file, OTHER_CONTENT.to_owned()),
            Err(KeyError::Password) => continue,
            Err(error @ (KeyError::NoKey(_) | KeyError::Seal(_))) => (file, error.to_string()),
        };
        damaged = damaged.or(Some(found));
    }
    Err(match damaged {
        Some((file, reason)) => OpenError::Broken { location, file, reason },
        None => OpenError::WrongPassword { location },
    })
}
