//! Gives back the room of what no snapshot needs. Cut off at any point, nothing that is needed is lost: what is needed is
//! written anew before anything is removed, and the index names it before its old place goes.

mod marks;
mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

pub use plan::Plan;

use super::bits::Bits;
use super::cancel::Cancel;
use super::index::{self, Location, Written, WrittenBlob, WrittenPack};
use super::lock::Held;
use super::open::Opened;
use super::packs::packs;
use super::parallel::{AT_ONCE, each};
use super::reader::{BlobError, Reader, data};
use super::snapshots::Snapshots;
use super::store::{FileId, FileKind, FileName, StoreError};
use super::writer::{INDEX_BLOBS, WriteError, Writer, create};

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PruneError {
    // Also while packs are removed one after the other.
    #[error("nothing that is needed was removed: {0}")]
    Store(#[from] StoreError),
    #[error("nothing that is needed was removed: {0}")]
    Write(#[from] WriteError),
    #[error(
        "nothing was removed, since it is not known what is needed: {file} is damaged: {reason}; run `holdfast repo check`"
    )]
    Damaged { file: FileName, reason: String },
    #[error("nothing was removed, since something that is needed is lost: {path}: {reason}; run `holdfast repo check`", path = .path.display())]
    Lost { path: PathBuf, reason: String },
    #[error("nothing that is needed was removed: {0}")]
    Blob(#[from] BlobError),
    #[error(
        "nothing was removed: the store lists other snapshots or index files than before, although nobody else may write"
    )]
    Changed,
    #[error("nothing was removed: it was cancelled")]
    Cancelled,
}

/// A repository that is to be pruned, and what is known of it. The lock is an exclusive one.
#[derive(Debug)]
pub struct Prune<'a> {
    opened: &'a Opened,
    lock: Arc<Held>,
    reader: Reader,
    used: Bits,
    /// Names of the snapshots that were looked at.
    snapshots: BTreeSet<FileId>,
    pub plan: Plan,
}

/// Packs that several files of the index name: old programs did that in parts, and a prune that was cut off leaves some.
#[derive(Debug)]
struct Repeated<'a> {
    packs: &'a BTreeSet<FileId>,
    seen: BTreeSet<(FileId, u32)>,
}

impl<'a> Repeated<'a> {
    fn of(packs: &'a BTreeSet<FileId>) -> Self {
        Self { packs, seen: BTreeSet::new() }
    }

    /// The blobs that were not seen yet.
    fn only_new(&mut self, mut pack: WrittenPack) -> WrittenPack {
        if self.packs.contains(&pack.id) {
            pack.blobs.retain(|blob| self.seen.insert((pack.id, blob.offset)));
        }
        pack
    }
}

impl<'a> Prune<'a> {
    /// Looks at everything and removes nothing.
    pub fn plan(opened: &'a Opened, lock: Arc<Held>, unused_percent: u64, cancel: &Cancel) -> Result<Self, PruneError> {
        let snapshots = Snapshots::read(opened)?;
        if let Some(lost) = snapshots.lost.first() {
            let file = FileName::Of(FileKind::Snapshot, lost.id());
            return Err(PruneError::Damaged { file, reason: lost.to_string() });
        }
        let reader = Reader::new(opened)?;
        if let Some(lost) = reader.lost.first() {
            let file = FileName::Of(FileKind::Index, lost.id);
            return Err(PruneError::Damaged { file, reason: lost.reason.clone() });
        }
        let mut packs = packs(opened, &reader.index)?;
        let used = marks::needed(&reader, &snapshots, &packs, cancel)?;
        for (_, at) in reader.index.all().filter(|(number, _)| used.has(*number)) {
            let pack = packs.entry(at.pack).or_default();
            pack.used_bytes += u64::from(at.length);
            pack.used_blobs += 1;
        }
        let plan = plan::plan(&packs, unused_percent);
        let snapshots = snapshots.all.iter().map(|snapshot| snapshot.id).collect();
        Ok(Self { opened, lock, reader, used, snapshots, plan })
    }

    pub fn run(self, cancel: &Cancel) -> Result<Plan, PruneError> {
        self.still_alone()?;
        self.opened.store.remove_unfinished()?;
        if self.plan.changes_nothing() {
            return Ok(self.plan);
        }
        let old = self.opened.store.list(FileKind::Index)?;
        let repeated = self.repeated(&old)?;
        self.repack(&old, Repeated::of(&repeated), cancel)?;
        if cancel.is_cancelled() {
            return Err(PruneError::Cancelled);
        }
        self.name(&old, Repeated::of(&repeated))?;
        self.look_again(&old)?;
        // From here on, what is removed is named by no index.
        for (id, _) in &old {
            self.remove(FileName::Of(FileKind::Index, *id))?;
        }
        let gone: Vec<_> = self.plan.remove.keys().chain(self.plan.repack.keys()).collect();
        let failed = Mutex::new(None);
        each(&gone, AT_ONCE, |id| {
            if let Err(error) = self.remove(FileName::Of(FileKind::Data, **id)) {
                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        });
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(self.plan), Err)
    }

    /// Writes anew what is needed of packs that go, and names it in index files of its own.
    fn repack(&self, old: &[(FileId, u64)], mut repeated: Repeated<'_>, cancel: &Cancel) -> Result<(), PruneError> {
        let writer = Writer::new(self.opened, Arc::clone(&self.reader.index), Arc::clone(&self.lock));
        let failed = Mutex::new(None);
        let failed = || failed.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, _) in old {
            let packs = self.packs(*id)?.into_iter().filter(|pack| self.plan.repack.contains_key(&pack.id));
            let packs: Vec<_> = packs.map(|pack| repeated.only_new(pack)).collect();
            each(&packs, AT_ONCE, |pack| {
                for blob in &pack.blobs {
                    if cancel.is_cancelled() || failed().is_some() {
                        return;
                    }
                    if let Err(error) = self.copy(&writer, pack.id, blob) {
                        failed().get_or_insert(error);
                    }
                }
            });
            if let Some(error) = failed().take() {
                return Err(error);
            }
        }
        Ok(writer.finish().map(drop)?)
    }

    fn packs(&self, id: FileId) -> Result<Vec<WrittenPack>, PruneError> {
        index::file(&*self.opened.store, &self.opened.seal, id)
            .map_err(|fault| PruneError::Damaged { file: FileName::Of(FileKind::Index, id), reason: fault.to_string() })
    }

    fn repeated(&self, old: &[(FileId, u64)]) -> Result<BTreeSet<FileId>, PruneError> {
        let (mut once, mut repeated) = (BTreeSet::new(), BTreeSet::new());
        for (id, _) in old {
            let packs = self.packs(*id)?.into_iter().map(|pack| pack.id);
            repeated.extend(packs.filter(|pack| !once.insert(*pack)));
        }
        Ok(repeated)
    }

    fn copy(&self, writer: &Writer, pack: FileId, blob: &WrittenBlob) -> Result<(), PruneError> {
        let here = |at: &Location| at.pack == pack && at.offset == blob.offset;
        let found = self.reader.index.find_numbered(blob.kind, blob.id).find(|(_, at)| here(at));
        let Some((_, at)) = found.filter(|(number, _)| self.used.has(*number)) else { return Ok(()) };
        let sealed = self.opened.store.read_part(data(at), at.offset.into(), at.length.into())?;
        // Damage is not copied, and not removed either.
        self.reader.open(blob.id, at, &sealed)?;
        Ok(writer.add(blob.id, blob.kind, sealed.to_vec(), at.unpacked)?)
    }

    /// Writes an index of all packs that stay.
    fn name(&self, old: &[(FileId, u64)], mut repeated: Repeated<'_>) -> Result<(), PruneError> {
        let leaving = |id: &FileId| {
            self.plan.remove.contains_key(id) || self.plan.repack.contains_key(id) || self.plan.gone.contains(id)
        };
        let mut several: BTreeMap<FileId, WrittenPack> = BTreeMap::new();
        let mut written = Written::default();
        let mut blobs = 0;
        for (id, _) in old {
            for pack in self.packs(*id)?.into_iter().filter(|pack| !leaving(&pack.id)) {
                // Named in one place from now on: of two, restic believes the last one only.
                if repeated.packs.contains(&pack.id) {
                    let pack = repeated.only_new(pack);
                    let whole = several.entry(pack.id).or_insert(WrittenPack { id: pack.id, blobs: Vec::new() });
                    whole.blobs.extend(pack.blobs);
                    continue;
                }
                blobs += pack.blobs.len();
                written.packs.push(pack);
                if blobs >= INDEX_BLOBS {
                    self.write(&std::mem::take(&mut written))?;
                    blobs = 0;
                }
            }
        }
        written.packs.extend(several.into_values());
        if written.packs.is_empty() { Ok(()) } else { self.write(&written) }
    }

    /// Nobody writes beside an exclusive lock. A store that lists something else now has given an old list before, and what
    /// it did not list must not be taken for what nobody needs.
    fn look_again(&self, old: &[(FileId, u64)]) -> Result<(), PruneError> {
        let listed = |kind| -> Result<BTreeSet<FileId>, StoreError> {
            Ok(self.opened.store.list(kind)?.into_iter().map(|(id, _)| id).collect())
        };
        let index = listed(FileKind::Index)?;
        let same = listed(FileKind::Snapshot)? == self.snapshots && old.iter().all(|(id, _)| index.contains(id));
        if same { Ok(()) } else { Err(PruneError::Changed) }
    }

    fn write(&self, index: &Written) -> Result<(), PruneError> {
        let plain = serde_json::to_vec(index).unwrap_or_default();
        let sealed = self.opened.seal.close_file(&plain, self.opened.config.version).map_err(WriteError::from)?;
        create(&*self.opened.store, &self.lock, FileKind::Index, &[sealed.into()])?;
        Ok(())
    }

    fn still_alone(&self) -> Result<(), PruneError> {
        if self.lock.is_held() { Ok(()) } else { Err(WriteError::LockLost(self.opened.store.location()).into()) }
    }

    fn remove(&self, file: FileName) -> Result<(), PruneError> {
        self.still_alone()?;
        Ok(self.opened.store.remove(file)?)
    }
}
