//! What `rustic_core` reads and writes through: our stores, with three rules of ours on top.
//!
//! It reports some failures only to a log and goes on, and it writes a snapshot before anybody can look at what went into
//! it. So the first write that fails is kept and ends all writing, nothing is written once the lock is lost, and snapshots
//! wait here until whoever asked for the work says that it is complete.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rustic_core::{BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend};

use super::lock::Held;
use super::store::{Fault, FileId, FileKind, FileName, Store, StoreError};

/// When others can see a snapshot that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Snapshots {
    AtOnce,
    /// With [`Engine::release`].
    WhenReleased,
}

/// One piece of work on a repository.
#[derive(Debug)]
pub struct Engine {
    store: Arc<dyn Store>,
    snapshots: Snapshots,
    /// Without one nothing may be written but what nobody can miss.
    lock: Option<Arc<Held>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failed: Option<StoreError>,
    /// Snapshots that nobody sees yet.
    waiting: Vec<(FileId, Vec<Bytes>)>,
}

impl Engine {
    pub fn new(store: Arc<dyn Store>, lock: Option<Arc<Held>>, snapshots: Snapshots) -> Self {
        Self { store, snapshots, lock, state: Mutex::default() }
    }

    /// Lets the snapshots be seen that were written so far. None is if anything before could not be written.
    pub fn release(&self) -> Result<Vec<FileId>, StoreError> {
        let waiting = {
            let mut state = self.state();
            if let Some(error) = &state.failed {
                return Err(error.clone());
            }
            std::mem::take(&mut state.waiting)
        };
        waiting
            .into_iter()
            .map(|(id, content)| self.create(FileName::Of(FileKind::Snapshot, id), &content).map(|()| id))
            .collect()
    }

    /// Forgets the snapshots that nobody has seen.
    pub fn discard(&self) {
        self.state().waiting.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create(&self, file: FileName, content: &[Bytes]) -> Result<(), StoreError> {
        if let Some(error) = &self.state().failed {
            return Err(error.clone());
        }
        let written = self.may_write(file).and_then(|()| self.store.create(file, content));
        match written {
            // The name is the sum of the content: it is this very file.
            Err(error) if error.fault == Fault::Exists && file != FileName::Config => Ok(()),
            Err(error) => {
                self.state().failed.get_or_insert_with(|| error.clone());
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    fn may_write(&self, file: FileName) -> Result<(), StoreError> {
        if self.lock.as_ref().is_none_or(|lock| lock.is_held()) {
            return Ok(());
        }
        let fault = Fault::Broken("the lock was lost, so that others may remove what this work counts on".to_owned());
        Err(StoreError { location: self.store.location(), file: file.to_string(), fault })
    }
}

impl ReadBackend for Engine {
    fn location(&self) -> String {
        self.store.location()
    }

    fn list_with_size(&self, tpe: FileType) -> RusticResult<Vec<(Id, u32)>> {
        let small = |size: u64| u32::try_from(size).unwrap_or(u32::MAX);
        match kind(tpe) {
            None => match self.store.size(FileName::Config) {
                Ok(size) => Ok(vec![(Id::default(), small(size))]),
                Err(error) if error.fault == Fault::Missing => Ok(Vec::new()),
                Err(error) => Err(told(error)),
            },
            Some(kind) => {
                let files = self.store.list(kind).map_err(told)?;
                Ok(files.into_iter().map(|(id, size)| (Id::new(id.0), small(size))).collect())
            }
        }
    }

    fn read_full(&self, tpe: FileType, id: &Id) -> RusticResult<Bytes> {
        self.store.read(name(tpe, id)?).map_err(told)
    }

    fn read_partial(&self, tpe: FileType, id: &Id, _cacheable: bool, offset: u32, length: u32) -> RusticResult<Bytes> {
        self.store.read_part(name(tpe, id)?, offset.into(), length.into()).map_err(told)
    }

    fn warmup_path(&self, tpe: FileType, id: &Id) -> String {
        name(tpe, id).map(|file| file.to_string()).unwrap_or_default()
    }
}

impl WriteBackend for Engine {
    fn write_bytes(&self, tpe: FileType, id: &Id, _cacheable: bool, content: BytesList) -> RusticResult<()> {
        let (file, content) = (name(tpe, id)?, content.into_vec());
        if let (FileName::Of(FileKind::Snapshot, id), Snapshots::WhenReleased) = (file, self.snapshots) {
            self.state().waiting.push((id, content));
            return Ok(());
        }
        self.create(file, &content).map_err(told)
    }

    fn remove(&self, tpe: FileType, id: &Id, _cacheable: bool) -> RusticResult<()> {
        let file = name(tpe, id)?;
        self.may_write(file).and_then(|()| self.store.remove(file)).map_err(told)
    }
}

/// `None` for the configuration.
fn kind(tpe: FileType) -> Option<FileKind> {
    match tpe {
        FileType::Config => None,
        FileType::Index => Some(FileKind::Index),
        FileType::Key => Some(FileKind::Key),
        FileType::Snapshot => Some(FileKind::Snapshot),
        FileType::Pack => Some(FileKind::Data),
    }
}

fn name(tpe: FileType, id: &Id) -> RusticResult<FileName> {
    let Some(kind) = kind(tpe) else { return Ok(FileName::Config) };
    let id = id
        .to_hex()
        .as_str()
        .parse()
        .map_err(|error| RusticError::with_source(ErrorKind::Internal, "a file has no name", error))?;
    Ok(FileName::Of(kind, id))
}

fn told(error: StoreError) -> Box<RusticError> {
    RusticError::with_source(ErrorKind::Backend, "the store failed", error)
}
