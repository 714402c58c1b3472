//! Writes blobs: those that are not stored yet, in packs, several at a time, and then the index that names them. Whatever fails
//! ends all of it, and nothing is written once the lock is lost: a pack that nobody names may be removed by anybody else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use thiserror::Error;

use super::blob::{BlobId, BlobKind};
use super::config::Version;
use super::index::{self, Index, Written, WrittenPack};
use super::lock::Held;
use super::memory::Memory;
use super::open::Opened;
use super::pack::Pack;
use super::sealed::{Seal, SealError};
use super::store::{Fault, FileId, FileKind, FileName, Store, StoreError};
use super::taken::Taken;

/// Packs that are written at the same time. Each waits for the disk or the network, and costs its size in memory.
const UPLOADS: usize = 3;
/// What is read, packed, encrypted and on its way takes so much at most beside the rest: measured, over S3.
const WRITING_BYTES: u64 = 160 << 20;
/// As in restic: an index file does not get larger.
pub(super) const INDEX_BLOBS: usize = 50_000;
/// Nor does it name more packs: what a backup has written that is cut off is found again by the next one.
const INDEX_PACKS: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WriteError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("the lock on {0} was lost, so that others may remove what this work counts on: begin anew")]
    LockLost(String),
    #[error("blob {0} is longer than 4 GiB: a folder with too many files")]
    TooLong(BlobId),
    #[error("the threads that write have ended")]
    Ended,
}

/// What went into the repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    pub blobs: u64,
    /// Plain, and as they lie there.
    pub bytes: u64,
    pub stored_bytes: u64,
}

/// Many threads write with it at once.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    index: Arc<Index>,
    new: Taken,
    memory: Memory,
    open: [Mutex<Pack>; 2],
    uploads: Option<SyncSender<Pack>>,
    threads: Vec<JoinHandle<()>>,
    added: [AtomicU64; 3],
}

#[derive(Debug)]
struct Shared {
    store: Arc<dyn Store>,
    seal: Arc<Seal>,
    version: Version,
    lock: Arc<Held>,
    failed: Mutex<Option<WriteError>>,
    /// Written packs that no index names yet.
    unnamed: Mutex<Vec<WrittenPack>>,
    /// Packs that were sent and are not written yet.
    under_way: Mutex<usize>,
    written: Condvar,
}

impl Writer {
    pub(super) fn new(opened: &Opened, index: Arc<Index>, lock: Arc<Held>) -> Self {
        let shared = Arc::new(Shared {
            store: opened.store(),
            seal: opened.seal(),
            version: opened.config.version,
            lock,
            failed: Mutex::default(),
            unnamed: Mutex::default(),
            under_way: Mutex::default(),
            written: Condvar::new(),
        });
        // No pack waits in between: one more would only cost memory.
        let (uploads, packs) = sync_channel(0);
        let packs = Arc::new(Mutex::new(packs));
        let thread = || {
            let (shared, packs) = (Arc::clone(&shared), Arc::clone(&packs));
            thread::spawn(move || shared.upload(&packs))
        };
        let threads = (0..UPLOADS).map(|_| thread()).collect();
        Self {
            shared,
            memory: opened.memory.beside(index.bytes() + WRITING_BYTES),
            index,
            new: Taken::default(),
            open: Default::default(),
            uploads: Some(uploads),
            threads,
            added: Default::default(),
        }
    }

    /// Stores a blob, unless it is stored already.
    pub(super) fn store(&self, kind: BlobKind, plain: &[u8]) -> Result<BlobId, WriteError> {
        self.shared.check()?;
        let id = BlobId::of(plain);
        if self.index.has(kind, id) || !self.new.add(kind, id) {
            return Ok(id);
        }
        // Others count on this blob from here on: whatever fails, fails all.
        self.take_in(kind, id, plain).inspect_err(|error| self.shared.fail(error.clone()))?;
        Ok(id)
    }

    fn take_in(&self, kind: BlobKind, id: BlobId, plain: &[u8]) -> Result<(), WriteError> {
        let bytes = self.new.bytes();
        // Nobody knows how much is still to come: twice as much is a guess.
        let admitted = self.memory.admit(bytes, bytes.saturating_mul(2));
        admitted.map_err(|error| index::too_large(&*self.shared.store, error))?;
        let (sealed, unpacked) = self.shared.seal.close_blob(plain, self.shared.version)?;
        for (count, more) in self.added.iter().zip([1, plain.len(), sealed.len()]) {
            count.fetch_add(more as u64, Ordering::Relaxed);
        }
        self.add(id, kind, sealed, unpacked)
    }

    /// Stores a blob as it lies elsewhere, whether it is stored here already or not.
    pub(super) fn add(
        &self,
        id: BlobId,
        kind: BlobKind,
        sealed: Vec<u8>,
        unpacked: Option<u32>,
    ) -> Result<(), WriteError> {
        let [data, trees] = &self.open;
        let full = {
            let mut open = locked(match kind {
                BlobKind::Data => data,
                BlobKind::Tree => trees,
            });
            open.add(id, kind, sealed, unpacked).ok_or(WriteError::TooLong(id))?;
            open.is_full().then(|| std::mem::take(&mut *open))
        };
        full.map_or(Ok(()), |pack| self.send(pack))
    }

    fn send(&self, pack: Pack) -> Result<(), WriteError> {
        *locked(&self.shared.under_way) += 1;
        let sent = self.uploads.as_ref().map(|uploads| uploads.send(pack));
        self.shared.check()?;
        matches!(sent, Some(Ok(()))).then_some(()).ok_or(WriteError::Ended)
    }

    /// What was to be stored is not: nothing that counts on it may be.
    pub(super) fn fail(&self, error: WriteError) {
        self.shared.fail(error);
    }

    /// What was stored so far is in the repository, and named, when this returns.
    pub(super) fn flush(&self) -> Result<(), WriteError> {
        for open in &self.open {
            let last = std::mem::take(&mut *locked(open));
            if !last.blobs.is_empty() {
                self.send(last)?;
            }
        }
        self.shared.wait_until_written();
        self.shared.check()?;
        self.shared.name_all()
    }

    pub(super) fn finish(mut self) -> Result<Added, WriteError> {
        self.flush()?;
        self.join();
        self.shared.check()?;
        let [blobs, bytes, stored_bytes] = [0, 1, 2].map(|at| self.added[at].load(Ordering::Relaxed));
        Ok(Added { blobs, bytes, stored_bytes })
    }

    fn join(&mut self) {
        drop(self.uploads.take());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                self.shared.fail(WriteError::Ended);
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.join();
        // Work that was given up goes on from here when it is begun again; a store that failed is not asked once more.
        if self.shared.check().is_ok()
            && let Err(error) = self.shared.name_all()
        {
            tracing::warn!(%error, "packs that were written are named by no index, and will be written again");
        }
    }
}

impl Shared {
    fn check(&self) -> Result<(), WriteError> {
        match &*locked(&self.failed) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    fn fail(&self, error: WriteError) {
        locked(&self.failed).get_or_insert(error);
    }

    fn upload(&self, packs: &Mutex<Receiver<Pack>>) {
        loop {
            let next = locked(packs).recv();
            let Ok(pack) = next else { return };
            let _done = Done(self);
            // What comes after a failure is taken and dropped, so that nobody waits for a place.
            if self.check().is_ok()
                && let Err(error) = self.write(pack)
            {
                self.fail(error);
            }
        }
    }

    /// Waits until all packs that were sent are written, or have failed.
    fn wait_until_written(&self) {
        let under_way = locked(&self.under_way);
        drop(self.written.wait_while(under_way, |count| *count > 0).unwrap_or_else(PoisonError::into_inner));
    }

    fn write(&self, pack: Pack) -> Result<(), WriteError> {
        let (content, blobs) = pack.finish(&self.seal)?;
        let id = self.create(FileKind::Data, &content)?;
        let full = {
            let mut unnamed = locked(&self.unnamed);
            unnamed.push(WrittenPack { id, blobs });
            let count: usize = unnamed.iter().map(|pack| pack.blobs.len()).sum();
            (count >= INDEX_BLOBS || unnamed.len() >= INDEX_PACKS).then(|| std::mem::take(&mut *unnamed))
        };
        full.map_or(Ok(()), |packs| self.name(packs))
    }

    fn name_all(&self) -> Result<(), WriteError> {
        let unnamed = std::mem::take(&mut *locked(&self.unnamed));
        let named = if unnamed.is_empty() { Ok(()) } else { self.name(unnamed) };
        named.inspect_err(|error| self.fail(error.clone()))
    }

    fn name(&self, packs: Vec<WrittenPack>) -> Result<(), WriteError> {
        let plain = serde_json::to_vec(&Written { packs }).unwrap_or_default();
        let sealed = self.seal.close_file(&plain, self.version)?;
        self.create(FileKind::Index, &[sealed.into()]).map(|_| ())
    }

    fn create(&self, kind: FileKind, content: &[Bytes]) -> Result<FileId, WriteError> {
        create(&*self.store, &self.lock, kind, content)
    }
}

/// A pack is no longer under way, however that ended.
struct Done<'a>(&'a Shared);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        *locked(&self.0.under_way) -= 1;
        self.0.written.notify_all();
    }
}

/// Writes a file under the name of its content.
pub(super) fn create(store: &dyn Store, lock: &Held, kind: FileKind, content: &[Bytes]) -> Result<FileId, WriteError> {
    let id = FileId::of(content);
    if !lock.is_held() {
        return Err(WriteError::LockLost(store.location()));
    }
    let file = FileName::Of(kind, id);
    match store.create(file, content) {
        // It is this very file, unless a store keeps half of what it did not take.
        Err(error) if error.fault == Fault::Exists => {
            let (wanted, got) = (content.iter().map(|part| part.len() as u64).sum(), store.size(file)?);
            if got == wanted { Ok(id) } else { Err(StoreError { fault: Fault::Short { wanted, got }, ..error }.into()) }
        }
        other => Ok(other.map(|()| id)?),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
