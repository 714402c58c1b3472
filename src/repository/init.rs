//! Makes a new repository, as a step of its own: only where it is proven that there is none and nothing else either.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use rustic_core::repofile::{ConfigFile, KeyFile};
use rustic_core::{
    ConfigOptions, Credentials, KeyOptions, Repository, RepositoryBackends, RepositoryOptions, RusticError,
};
use thiserror::Error;

use super::engine::{Engine, Snapshots};
use super::store::{Fault, FileId, FileKind, FileName, Memory, Store, StoreError};

/// Why there is no new repository.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InitError {
    #[error("{location} is a repository already")]
    Exists { location: String },
    #[error(
        "{location} has no configuration, but {count} files in {folder}: that is a damaged repository, or something else; nothing was written"
    )]
    NotEmpty { location: String, folder: &'static str, count: usize },
    #[error(
        "{location} has a key and nothing else, and the password does not open it: somebody else began to make a repository there"
    )]
    Begun { location: String },
    #[error("{location}: what was written reads differently")]
    Unlike { location: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the files of a new repository cannot be made: {0}")]
    Unmade(String),
}

/// Version of the repository's format; restic reads 2 since 0.14.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

/// Cut off at any point and begun again it ends the same; of two that do it at the same time one wins.
pub fn init(store: &dyn Store, password: &str, version: Version) -> Result<(), InitError> {
    for leftover in prove_empty(store, password)? {
        store.remove(FileName::Of(FileKind::Key, leftover))?;
    }
    let files = make(password, version)?;
    // The key first: a configuration makes it a repository, and one without a key could not be opened.
    let (config, keys): (Vec<_>, Vec<_>) = files.into_iter().partition(|(name, _)| *name == FileName::Config);
    for (name, content) in keys.iter().chain(&config) {
        match store.create(*name, std::slice::from_ref(content)) {
            Err(error) if error.fault == Fault::Exists => {
                for (name, _) in &keys {
                    store.remove(*name)?;
                }
                return Err(InitError::Exists { location: store.location() });
            }
            other => other?,
        }
    }
    for (name, content) in keys.iter().chain(&config) {
        if store.read(*name)? != *content {
            return Err(InitError::Unlike { location: store.location() });
        }
    }
    Ok(())
}

/// Keys that an earlier attempt has left, when the store has proven that there is nothing else.
fn prove_empty(store: &dyn Store, password: &str) -> Result<Vec<FileId>, InitError> {
    let location = || store.location();
    match store.size(FileName::Config) {
        Err(error) if error.fault == Fault::Missing => {}
        Err(error) => return Err(error.into()),
        Ok(_) => return Err(InitError::Exists { location: location() }),
    }
    for kind in [FileKind::Snapshot, FileKind::Index, FileKind::Data] {
        let count = store.list(kind)?.len();
        if count > 0 {
            return Err(InitError::NotEmpty { location: location(), folder: kind.folder(), count });
        }
    }
    let mut leftover = Vec::new();
    for (id, _) in store.list(FileKind::Key)? {
        let text = store.read(FileName::Of(FileKind::Key, id))?;
        let opens = serde_json::from_slice::<KeyFile>(&text).is_ok_and(|key| key.key_from_password(&password).is_ok());
        if !opens {
            return Err(InitError::Begun { location: location() });
        }
        leftover.push(id);
    }
    Ok(leftover)
}

/// All files of a new repository; nothing is written yet.
fn make(password: &str, version: Version) -> Result<BTreeMap<FileName, Bytes>, InitError> {
    let unmade = |error: Box<RusticError>| InitError::Unmade(error.display_log());
    let (credentials, key) = (Credentials::password(password), KeyOptions::default());
    let (memory, repository) = in_memory().map_err(unmade)?;
    let newest = repository.init(&credentials, &key, &ConfigOptions::default()).map_err(unmade)?;
    match version {
        Version::V2 => Ok(memory.files()),
        Version::V1 => {
            let (memory, repository) = in_memory().map_err(unmade)?;
            let config = ConfigFile { version: 1, ..newest.config().clone() };
            repository.init_with_config(&credentials, &key, config).map_err(unmade)?;
            Ok(memory.files())
        }
    }
}

fn in_memory() -> Result<(Arc<Memory>, Repository<()>), Box<RusticError>> {
    let memory = Arc::new(Memory::default());
    let engine = Arc::new(Engine::new(memory.clone(), None, Snapshots::AtOnce));
    let options = RepositoryOptions::default().no_cache(true);
    Ok((memory, Repository::new(&options, &RepositoryBackends::new(engine, None))?))
}
