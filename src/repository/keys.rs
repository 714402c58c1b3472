//! The keys of a repository: each password has one, and any of them opens everything.

use jiff::Timestamp;
use thiserror::Error;

use super::key::{KeyError, KeyFile, Maker};
use super::lock::Held;
use super::open::Opened;
use super::store::{FileId, FileKind, FileName, StoreError};
use super::writer::{WriteError, create};

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeysError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("the key cannot be made: {0}")]
    Key(#[from] KeyError),
    #[error("no key begins with {0}")]
    None(String),
    #[error("more than one key begins with {0}")]
    Several(String),
    #[error("the key that this password opens was removed meanwhile, so nothing else is")]
    Gone,
    #[error("{0} is the key that this password opens: change the password instead, or remove it with another one")]
    Own(FileId),
}

/// What is known of a key without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    pub id: FileId,
    pub created: Option<Timestamp>,
    pub username: String,
    pub hostname: String,
    /// That of the password at hand.
    pub own: bool,
}

pub fn list(opened: &Opened) -> Result<Vec<KeyFacts>, StoreError> {
    let mut keys = Vec::new();
    for (id, _) in opened.store.list(FileKind::Key)? {
        let text = opened.store.read(FileName::Of(FileKind::Key, id))?;
        let (created, username, hostname) = match KeyFile::parse(&text) {
            Ok(key) => (key.created, key.username, key.hostname),
            Err(_) => (None, "damaged".to_owned(), String::new()),
        };
        keys.push(KeyFacts { id, created, username, hostname, own: id == opened.key });
    }
    keys.sort_by_key(|key| (key.created, key.id));
    Ok(keys)
}

pub fn add(opened: &Opened, lock: &Held, password: &str, maker: &Maker) -> Result<FileId, KeysError> {
    let key = KeyFile::make(&opened.seal, password, maker)?;
    let id = create(&*opened.store, lock, FileKind::Key, &[key.to_json().into()])?;
    // Nobody may come to rely on a key that does not open.
    let text = opened.store.read(FileName::Of(FileKind::Key, id))?;
    KeyFile::parse(&text)?.open(password)?;
    Ok(id)
}

/// By the beginning of its name.
pub fn remove(opened: &Opened, name: &str) -> Result<FileId, KeysError> {
    let keys = opened.store.list(FileKind::Key)?;
    let mut found = keys.iter().map(|(id, _)| *id).filter(|id| id.to_string().starts_with(name));
    let id = match (found.next(), found.next()) {
        (None, _) => return Err(KeysError::None(name.to_owned())),
        (Some(_), Some(_)) => return Err(KeysError::Several(name.to_owned())),
        (Some(id), None) => id,
    };
    if id == opened.key {
        return Err(KeysError::Own(id));
    }
    // Two who remove each other's key would leave none.
    if !keys.iter().any(|(id, _)| *id == opened.key) {
        return Err(KeysError::Gone);
    }
    opened.store.remove(FileName::Of(FileKind::Key, id))?;
    Ok(id)
}

/// The new password first: cut off in between, both open the repository.
pub fn change(opened: &Opened, lock: &Held, password: &str, maker: &Maker) -> Result<FileId, KeysError> {
    let id = add(opened, lock, password, maker)?;
    if id != opened.key {
        opened.store.remove(FileName::Of(FileKind::Key, opened.key))?;
    }
    Ok(id)
}
