//! Reads blobs and trees. What is read is what was written: every blob is held to its name.

use std::sync::Arc;

use thiserror::Error;

use super::blob::{BlobId, BlobKind};
use super::index::{Index, Location, LostIndex};
use super::node::Tree;
use super::open::Opened;
use super::sealed::{Seal, SealError};
use super::store::{FileKind, FileName, Store, StoreError};

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BlobError {
    #[error("blob {0} is in no index: its pack was lost, or a part of the index was")]
    Unknown(BlobId),
    #[error("blob {id} in {pack}: {error}", pack = FileName::Of(FileKind::Data, .at.pack))]
    Sealed { id: BlobId, at: Box<Location>, error: SealError },
    #[error("blob {id} in {pack} holds something else", pack = FileName::Of(FileKind::Data, .at.pack))]
    Other { id: BlobId, at: Box<Location> },
    #[error("blob {id}: {error}")]
    Store { id: BlobId, at: Box<Location>, error: Box<StoreError> },
    #[error("it was cancelled")]
    Cancelled,
    #[error("tree {id} is no tree: {reason}")]
    NoTree { id: BlobId, reason: String },
}

/// An opened repository and its index.
#[derive(Debug)]
pub struct Reader {
    pub(super) store: Arc<dyn Store>,
    pub(super) seal: Arc<Seal>,
    pub(super) index: Arc<Index>,
    /// What is named there only cannot be found.
    pub lost: Vec<LostIndex>,
}

impl Reader {
    pub fn new(opened: &Opened) -> Result<Self, StoreError> {
        let (store, seal) = (opened.store(), opened.seal());
        let (index, lost) = Index::read(opened)?;
        Ok(Self { store, seal, index: Arc::new(index), lost })
    }

    /// The same from another store, such as a slower copy.
    #[must_use]
    pub fn through(self, store: Arc<dyn Store>) -> Self {
        Self { store, ..self }
    }

    /// From the first place that has it whole.
    pub fn blob(&self, kind: BlobKind, id: BlobId) -> Result<Vec<u8>, BlobError> {
        let mut failed = None;
        for at in self.index.find(kind, id) {
            let (file, offset, length) = (data(at), at.offset.into(), at.length.into());
            let read = match kind {
                BlobKind::Data => self.store.read_part(file, offset, length),
                BlobKind::Tree => self.store.read_part_again(file, offset, length),
            };
            match read
                .map_err(|error| BlobError::Store { id, at: Box::new(at), error: Box::new(error) })
                .and_then(|sealed| self.open(id, at, &sealed))
            {
                Ok(blob) => return Ok(blob),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or(BlobError::Unknown(id)))
    }

    /// The blob that was read from there.
    pub(super) fn open(&self, id: BlobId, at: Location, sealed: &[u8]) -> Result<Vec<u8>, BlobError> {
        open(&self.seal, id, at, sealed)
    }

    pub fn tree(&self, id: BlobId) -> Result<Tree, BlobError> {
        let plain = self.blob(BlobKind::Tree, id)?;
        serde_json::from_slice(&plain).map_err(|error| BlobError::NoTree { id, reason: error.to_string() })
    }
}

pub(super) fn open(seal: &Seal, id: BlobId, at: Location, sealed: &[u8]) -> Result<Vec<u8>, BlobError> {
    let blob =
        seal.open_blob(sealed, at.unpacked).map_err(|error| BlobError::Sealed { id, at: Box::new(at), error })?;
    if BlobId::of(&blob) == id { Ok(blob) } else { Err(BlobError::Other { id, at: Box::new(at) }) }
}

pub(super) fn data(at: Location) -> FileName {
    FileName::Of(FileKind::Data, at.pack)
}
