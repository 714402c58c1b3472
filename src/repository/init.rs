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

/// Cut off at any point and begun again it ends the same; of two that do it at the same time one wins. No key is ever removed:
/// another attempt may count on it.
pub fn init(store: &dyn Store, password: &str, version: Version, maker: &Maker) -> Result<(), InitError> {
    let unmade = |error: SealError| InitError::Unmade(error.to_string());
    let master = if let Some(master) = prove_empty(store, password)? {
        master
    } else {
        let master = Seal::random().map_err(unmade)?;
        let key = KeyFile::make(&master, password, maker).map_err(|error| InitError::Unmade(error.to_string()))?;
        let key = Bytes::from(key.to_json());
        write(store, FileName::Of(FileKind::Key, FileId::of(std::slice::from_ref(&key))), &key)?;
        master
    };
    let config = Config { version, id: FileId(random().map_err(unmade)?), polynomial: polynomial().map_err(unmade)? };
    // Uncompressed in every version. It makes this a repository, so that its key is there before.
    write(store, FileName::Config, &Bytes::from(master.close(&config.to_json()).map_err(unmade)?))
}

/// What is written is read back before anybody relies on it.
fn write(store: &dyn Store, name: FileName, content: &Bytes) -> Result<(), InitError> {
    match store.create(name, std::slice::from_ref(content)) {
        Err(error) if error.fault == Fault::Exists => return Err(InitError::Exists { location: store.location() }),
        other => other?,
    }
    if store.read(name)? == *content { Ok(()) } else { Err(InitError::Unlike { location: store.location() }) }
}

/// That there is nothing, or nothing but the key of an earlier attempt, which is gone on with.
fn prove_empty(store: &dyn Store, password: &str) -> Result<Option<Seal>, InitError> {
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
    let mut leftover = None;
    for (id, _) in store.list(FileKind::Key)? {
        let text = store.read(FileName::Of(FileKind::Key, id))?;
        let master = KeyFile::parse(&text).and_then(|key| key.open(password));
        leftover = Some(master.map_err(|_| InitError::Begun { location: location() })?);
    }
    Ok(leftover)
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
