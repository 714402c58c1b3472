//! Makes a new repository, as a step of its own: only where it is proven that there is none and nothing else either.

use bytes::Bytes;
use thiserror::Error;

use super::chunker;
use super::config::{Config, Version};
use super::key::{KeyFile, Maker};
use super::sealed::{Seal, SealError};
use super::store::{Fault, FileId, FileKind, FileName, Store, StoreError};

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

/// Cut off at any point and begun again it ends the same; of two that do it at the same time one wins.
pub fn init(store: &dyn Store, password: &str, version: Version, maker: &Maker) -> Result<(), InitError> {
    for leftover in prove_empty(store, password)? {
        store.remove(FileName::Of(FileKind::Key, leftover))?;
    }
    let files = make(password, version, maker)?;
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
        if KeyFile::parse(&text).and_then(|key| key.open(password)).is_err() {
            return Err(InitError::Begun { location: location() });
        }
        leftover.push(id);
    }
    Ok(leftover)
}

/// All files of a new repository; nothing is written yet.
fn make(password: &str, version: Version, maker: &Maker) -> Result<Vec<(FileName, Bytes)>, InitError> {
    let unmade = |error: SealError| InitError::Unmade(error.to_string());
    let master = Seal::random().map_err(unmade)?;
    let key = KeyFile::make(&master, password, maker).map_err(|error| InitError::Unmade(error.to_string()))?;
    let key = Bytes::from(key.to_json());
    let config = Config { version, id: FileId(random().map_err(unmade)?), polynomial: polynomial().map_err(unmade)? };
    // Uncompressed in every version.
    let config = Bytes::from(master.close(&config.to_json()).map_err(unmade)?);
    let key_id = FileId::of(std::slice::from_ref(&key));
    Ok(vec![(FileName::Of(FileKind::Key, key_id), key), (FileName::Config, config)])
}

fn random() -> Result<[u8; 32], SealError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| SealError::Random)?;
    Ok(bytes)
}

fn polynomial() -> Result<u64, SealError> {
    let mut failed = None;
    let polynomial = chunker::polynomial(|| {
        getrandom::u64().unwrap_or_else(|_| {
            failed = Some(SealError::Random);
            // One that is known, so that looking for one ends.
            0x003d_a335_8b4d_c173
        })
    });
    failed.map_or(Ok(polynomial), Err)
}
