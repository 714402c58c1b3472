//! Changes of snapshots themselves: removes them, and gives them other tags. Both need an exclusive lock.

use std::collections::BTreeSet;

use serde_json::Value;
use thiserror::Error;

use super::lock::Held;
use super::open::Opened;
use super::sealed::SealError;
use super::snapshot::Snapshot;
use super::store::{FileId, FileKind, FileName, StoreError};
use super::writer::{WriteError, create};

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EditError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("snapshot {id}: {error}")]
    Sealed { id: FileId, error: SealError },
    #[error("snapshot {0} is no snapshot")]
    NoSnapshot(FileId),
}

/// Other tags for a snapshot.
#[derive(Clone, Debug, Default)]
pub struct TagChange {
    /// In the place of all that it has.
    pub set: Option<BTreeSet<String>>,
    pub add: BTreeSet<String>,
    pub remove: BTreeSet<String>,
}

impl TagChange {
    fn of(&self, tags: &[String]) -> BTreeSet<String> {
        let old = self.set.clone().unwrap_or_else(|| tags.iter().cloned().collect());
        old.union(&self.add).filter(|tag| !self.remove.contains(*tag)).cloned().collect()
    }
}

pub fn forget(opened: &Opened, lock: &Held, snapshots: &[FileId]) -> Result<(), EditError> {
    for id in snapshots {
        held(opened, lock)?;
        opened.store.remove(FileName::Of(FileKind::Snapshot, *id))?;
    }
    Ok(())
}

/// The snapshot under its new name; `None` if its tags stay as they are.
pub fn tag(opened: &Opened, lock: &Held, snapshot: &Snapshot, change: &TagChange) -> Result<Option<FileId>, EditError> {
    let tags = change.of(&snapshot.tags);
    if tags == snapshot.tags.iter().cloned().collect() {
        return Ok(None);
    }
    let id = snapshot.id;
    let mut written = json(opened, id)?;
    if tags.is_empty() {
        written.remove("tags");
    } else {
        written.insert("tags".to_owned(), tags.into_iter().collect());
    }
    let new = write(opened, lock, id, written)?;
    held(opened, lock)?;
    // Cut off before this, both are there, and the next change finds both.
    opened.store.remove(FileName::Of(FileKind::Snapshot, id))?;
    Ok(Some(new))
}

pub(super) type Written = serde_json::Map<String, Value>;

/// All that a snapshot holds, also what we do not know.
pub(super) fn json(opened: &Opened, id: FileId) -> Result<Written, EditError> {
    let sealed = opened.store.read(FileName::Of(FileKind::Snapshot, id))?;
    let plain = opened.seal.open(&sealed).map_err(|error| EditError::Sealed { id, error })?;
    serde_json::from_slice(&plain).map_err(|_| EditError::NoSnapshot(id))
}

/// Says in it which snapshot it was made of first.
pub(super) fn write(opened: &Opened, lock: &Held, of: FileId, mut written: Written) -> Result<FileId, EditError> {
    written.entry("original").or_insert_with(|| of.to_string().into());
    let plain = serde_json::to_vec(&written).unwrap_or_default();
    let sealed =
        opened.seal.close_file(&plain, opened.config.version).map_err(|error| EditError::Sealed { id: of, error })?;
    Ok(create(&*opened.store, lock, FileKind::Snapshot, &[sealed.into()])?)
}

fn held(opened: &Opened, lock: &Held) -> Result<(), WriteError> {
    if lock.is_held() { Ok(()) } else { Err(WriteError::LockLost(opened.store.location())) }
}
