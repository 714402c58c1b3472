//! Files of the index, as restic writes them.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::repository::blob::{BlobId, BlobKind};
use crate::repository::sealed::Seal;
use crate::repository::store::{Fault, FileId, FileKind, FileName, OTHER_CONTENT, Store, StoreError};

#[derive(Default, Serialize, Deserialize)]
pub(in crate::repository) struct Written {
    #[serde(default)]
    pub(in crate::repository) packs: Vec<WrittenPack>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::repository) struct WrittenPack {
    pub(in crate::repository) id: FileId,
    #[serde(default)]
    pub(in crate::repository) blobs: Vec<WrittenBlob>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::repository) struct WrittenBlob {
    pub(in crate::repository) id: BlobId,
    #[serde(rename = "type")]
    pub(in crate::repository) kind: BlobKind,
    pub(in crate::repository) offset: u32,
    pub(in crate::repository) length: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(in crate::repository) uncompressed_length: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(length: &u32) -> bool {
    *length == 0
}

/// Why a file of the index gives nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(in crate::repository) enum IndexFault {
    #[error("{}", .0.fault)]
    Store(StoreError),
    #[error("{0}")]
    Lost(String),
}

/// The packs that one file of the index names.
pub(in crate::repository) fn file(store: &dyn Store, seal: &Seal, id: FileId) -> Result<Vec<WrittenPack>, IndexFault> {
    let sealed = store.read(FileName::Of(FileKind::Index, id)).map_err(|error| match &error.fault {
        Fault::Missing | Fault::Short { .. } => IndexFault::Lost(error.fault.to_string()),
        Fault::Exists
        | Fault::Denied(_)
        | Fault::Full
        | Fault::Unavailable(_)
        | Fault::Broken(_)
        | Fault::Memory(_)
        | Fault::Cancelled => IndexFault::Store(error),
    })?;
    if !id.names(&sealed) {
        return Err(IndexFault::Lost(OTHER_CONTENT.to_owned()));
    }
    let plain = seal.open(&sealed).map_err(|error| IndexFault::Lost(error.to_string()))?;
    drop(sealed);
    let written: Written =
        serde_json::from_slice(&plain).map_err(|error| IndexFault::Lost(format!("it is no index: {error}")))?;
    Ok(written.packs)
}
