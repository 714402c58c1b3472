//! Opens a repository with a password.

use std::sync::Arc;

use jiff::Timestamp;
use rustic_core::{Credentials, OpenStatus, Repository, RepositoryBackends, RepositoryOptions, RusticError};
use thiserror::Error;

use super::engine::{Engine, Snapshots};
use super::lock::{Held, Lock, Locks};
use super::sealed::Seal;
use super::store::{Fault, FileName, Store, StoreError};

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    #[error("{location} is no repository: make one with `holdfast repo init`, or correct the address")]
    NoRepository { location: String },
    #[error("{location}: the password opens none of the keys")]
    WrongPassword { location: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{location}: {reason}")]
    Broken { location: String, reason: String },
}

/// A repository whose key is known.
#[derive(Debug)]
pub struct Opened {
    store: Arc<dyn Store>,
    key: rustic_core::repofile::MasterKey,
    seal: Arc<Seal>,
}

/// The engine that works, and what it works on.
pub(super) type Work = (Arc<Engine>, Repository<OpenStatus>);

impl Opened {
    pub fn open(store: Arc<dyn Store>, password: &str) -> Result<Self, OpenError> {
        let location = store.location();
        match store.size(FileName::Config) {
            Err(error) if error.fault == Fault::Missing => return Err(OpenError::NoRepository { location }),
            other => other?,
        };
        let (_, repository) = work(&store, &Credentials::password(password), None, Snapshots::WhenReleased)?;
        let key = repository.key();
        let seal =
            Seal::new(&key).ok_or_else(|| OpenError::Broken { location, reason: "its key is too short".to_owned() })?;
        Ok(Self { store, key, seal: Arc::new(seal) })
    }

    pub fn locks(&self, me: Lock, clock: fn() -> Timestamp) -> Locks {
        Locks::new(Arc::clone(&self.store), Arc::clone(&self.seal), me, clock)
    }

    pub(super) fn work(&self, lock: Option<Arc<Held>>, snapshots: Snapshots) -> Result<Work, OpenError> {
        work(&self.store, &Credentials::Masterkey(self.key.clone()), lock, snapshots)
    }
}

fn work(
    store: &Arc<dyn Store>,
    credentials: &Credentials,
    lock: Option<Arc<Held>>,
    snapshots: Snapshots,
) -> Result<Work, OpenError> {
    let location = store.location();
    let broken = |error: Box<RusticError>| match error.is_incorrect_password() {
        true => OpenError::WrongPassword { location: location.clone() },
        false => OpenError::Broken { location: location.clone(), reason: error.display_log() },
    };
    let engine = Arc::new(Engine::new(Arc::clone(store), lock, snapshots));
    let backends = RepositoryBackends::new(engine.clone(), None);
    let options = RepositoryOptions::default().no_cache(true);
    let repository = Repository::new(&options, &backends).and_then(|repository| repository.open(credentials));
    Ok((engine, repository.map_err(broken)?))
}
