//! Gives the content of one file to a stream: what is written is whole and in order, or an error says where it ends.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use thiserror::Error;

use super::blob::{BlobId, BlobKind};
use super::cancel::Cancel;
use super::node::NodeKind;
use super::parallel::{each, workers};
use super::progress::Progress;
use super::reader::{BlobError, Reader};
use super::snapshot::Snapshot;
use super::tree::{self, PathError, Root};

/// Pieces that are fetched at the same time: at most 8 MiB each.
const AHEAD: usize = 8;

#[derive(Debug, Error)]
pub enum DumpError {
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("{} is no file", .0.display())]
    NoFile(PathBuf),
    #[error("after {after} bytes: {error}")]
    Blob { after: u64, error: BlobError },
    #[error("after {after} bytes it cannot be written: {error}")]
    Write { after: u64, error: io::Error },
    #[error("it was cancelled")]
    Cancelled,
}

/// How many bytes were written.
pub fn dump(
    reader: &Reader,
    snapshot: &Snapshot,
    path: &Path,
    out: &mut impl Write,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<u64, DumpError> {
    let node = match tree::root(reader, snapshot.tree, path)? {
        Root::Node(node) if node.kind == NodeKind::File => node,
        Root::Node(_) | Root::Tree(_) => return Err(DumpError::NoFile(path.to_owned())),
    };
    progress.expect_bytes(node.size);
    let mut after = 0;
    for ahead in node.blobs().chunks(AHEAD) {
        if cancel.is_cancelled() {
            return Err(DumpError::Cancelled);
        }
        for blob in fetch(reader, ahead) {
            let blob = blob.map_err(|error| DumpError::Blob { after, error })?;
            out.write_all(&blob).map_err(|error| DumpError::Write { after, error })?;
            after += blob.len() as u64;
            progress.add_bytes(blob.len() as u64);
        }
    }
    out.flush().map_err(|error| DumpError::Write { after, error })?;
    progress.add_file();
    Ok(after)
}

fn fetch(reader: &Reader, ids: &[BlobId]) -> Vec<Result<Vec<u8>, BlobError>> {
    let slots: Vec<_> = ids.iter().map(|id| (*id, Mutex::new(Err(BlobError::Unknown(*id))))).collect();
    each(&slots, workers(), |(id, slot)| {
        let blob = reader.blob(BlobKind::Data, *id);
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = blob;
    });
    slots.into_iter().map(|(_, slot)| slot.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}
