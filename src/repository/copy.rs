//! Copies snapshots into another repository: only what is not there yet.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

use super::bits::Bits;
use super::blob::{BlobId, BlobKind};
use super::cancel::Cancel;
use super::edit::{self, EditError};
use super::index::Index;
use super::lock::Held;
use super::node::Node;
use super::open::Opened;
use super::parallel::{AT_ONCE, each};
use super::progress::Progress;
use super::reader::{BlobError, Reader};
use super::snapshot::Snapshot;
use super::snapshots::Snapshots;
use super::store::{FileId, StoreError};
use super::trees;
use super::writer::{WriteError, Writer};

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CopyError {
    #[error("the snapshot cannot be read: {0}")]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("nothing was copied: {0}")]
    Write(#[from] WriteError),
    #[error(transparent)]
    Edit(#[from] EditError),
    #[error("it was cancelled")]
    Cancelled,
}

/// Blobs of files that wait until many can be copied at once.
const WAITING_MAX: usize = 10_000;

/// Copies snapshots one after the other.
#[derive(Debug)]
pub struct Copying<'a> {
    from: (&'a Opened, &'a Reader),
    to: &'a Opened,
    lock: Arc<Held>,
    /// What was there before.
    known: Snapshots,
    index: Arc<Index>,
    writer: Writer,
}

/// The name of a snapshot there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    New(FileId),
    /// It was copied before.
    Known(FileId),
}

impl<'a> Copying<'a> {
    /// With a lock there that is at least shared.
    pub fn begin(from: (&'a Opened, &'a Reader), to: &'a Opened, lock: Arc<Held>) -> Result<Self, StoreError> {
        let known = Snapshots::read(to)?;
        // Both indexes are in memory.
        let memory = to.memory.beside(from.1.index.bytes());
        let index = Arc::clone(&Reader::new(&to.clone().within(memory))?.index);
        let writer = Writer::new(to, Arc::clone(&index), Arc::clone(&lock));
        Ok(Self { from, to, lock, known, index, writer })
    }

    pub fn copy(&self, snapshot: &Snapshot, progress: &Progress, cancel: &Cancel) -> Result<Copied, CopyError> {
        if let Some(copied) = self.known.all.iter().find(|there| is_copy(there, snapshot)) {
            return Ok(Copied::Known(copied.id));
        }
        self.blobs(snapshot, progress, cancel)?;
        self.writer.flush()?;
        let mut written = edit::json(self.from.0, snapshot.id)?;
        // It names a snapshot that is not there.
        written.remove("parent");
        Ok(Copied::New(edit::write(self.to, &self.lock, snapshot.id, written)?))
    }

    fn blobs(&self, snapshot: &Snapshot, progress: &Progress, cancel: &Cancel) -> Result<(), CopyError> {
        let (_, reader) = self.from;
        let failed: Mutex<Option<CopyError>> = Mutex::default();
        let fail = |error: CopyError| {
            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        };
        let copy = |kind, id: BlobId| {
            if self.index.has(kind, id) || cancel.is_cancelled() {
                return;
            }
            let copied = reader.blob(kind, id).map_err(CopyError::from).and_then(|blob| {
                progress.add_bytes(blob.len() as u64);
                Ok(self.writer.store(kind, &blob)?)
            });
            copied.map_or_else(&fail, drop);
        };
        let seen = Bits::none(&reader.index);
        let is_new =
            |id: &BlobId| reader.index.find_numbered(BlobKind::Data, *id).next().is_none_or(|(at, _)| seen.set(at));
        let waiting: Mutex<Vec<BlobId>> = Mutex::default();
        let locked = || waiting.lock().unwrap_or_else(PoisonError::into_inner);
        trees::visit(reader, [(snapshot.tree, PathBuf::from("/"))], cancel, |(id, _), tree| match tree {
            Err(error) => fail(error.into()),
            Ok(tree) => {
                copy(BlobKind::Tree, *id);
                let many = {
                    let mut waiting = locked();
                    waiting.extend(tree.nodes.iter().flat_map(Node::blobs).filter(|id| is_new(id)));
                    (waiting.len() >= WAITING_MAX).then(|| std::mem::take(&mut *waiting))
                };
                each(&many.unwrap_or_default(), AT_ONCE, |id| copy(BlobKind::Data, *id));
            }
        });
        each(&std::mem::take(&mut *locked()), AT_ONCE, |id| copy(BlobKind::Data, *id));
        if cancel.is_cancelled() {
            return Err(CopyError::Cancelled);
        }
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}

/// As restic sees it: made of the same snapshot, and nothing was changed in either since.
fn is_copy(there: &Snapshot, snapshot: &Snapshot) -> bool {
    let original = snapshot.original.unwrap_or(snapshot.id);
    let said = |of: &Snapshot| (of.tree, of.host.clone(), of.username.clone(), of.paths.clone(), of.tags.clone());
    (there.id == original || there.original == Some(original))
        && there.time.timestamp() == snapshot.time.timestamp()
        && said(there) == said(snapshot)
}
