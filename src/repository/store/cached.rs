//! A store with a folder of this machine in front of it, for what is read again and again: indexes, snapshots, and packs of
//! trees. The folder is laid out as restic's and may be shared with it and with other processes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::shelf::Shelf;
use super::{Fault, FileId, FileKind, FileName, Store, StoreError};

/// Lists and files that lie there are trusted no further than their names: each is the sum of its content.
#[derive(Debug)]
pub struct Cached {
    inner: Arc<dyn Store>,
    shelf: Shelf,
    bytes_max: u64,
    /// What lies there, as far as this process knows; others may add to it.
    bytes: AtomicU64,
    /// Packs that are on their way: who else wants one waits for it.
    fetching: Mutex<BTreeMap<FileId, Arc<Mutex<()>>>>,
    /// Packs whose sums were compared since this process began.
    proven: Mutex<BTreeSet<FileId>>,
    /// The folder cannot be written: the work goes on without.
    broken: AtomicBool,
}

fn is_kept(kind: FileKind) -> bool {
    match kind {
        FileKind::Snapshot | FileKind::Index => true,
        // Packs only where who reads says so; keys and locks never: they say who may, and who does.
        FileKind::Key | FileKind::Lock | FileKind::Data => false,
    }
}

impl Cached {
    /// `id` is that of the repository; below the folder it has one of its own.
    pub fn new(inner: Arc<dyn Store>, folder: &std::path::Path, id: &str, bytes_max: u64) -> Self {
        let shelf = Shelf::new(folder.join(id));
        let cached = Self {
            inner,
            shelf,
            bytes_max,
            bytes: AtomicU64::new(0),
            fetching: Mutex::default(),
            proven: Mutex::default(),
            broken: AtomicBool::new(false),
        };
        let begun = cached.shelf.begin().and_then(|()| cached.shelf.shrink(bytes_max));
        match begun {
            Ok(bytes) => cached.bytes.store(bytes, Ordering::Relaxed),
            Err(error) => cached.give_up(&error),
        }
        cached
    }

    fn give_up(&self, error: &std::io::Error) {
        if !self.broken.swap(true, Ordering::Relaxed) {
            let folder = self.shelf.folder().display();
            tracing::warn!(%error, %folder, "the cache cannot be written; the work goes on without it");
        }
    }

    /// A whole file, if it is there and is what its name says.
    fn kept(&self, kind: FileKind, id: FileId) -> Option<Bytes> {
        let content = self.shelf.read(kind, id).ok().flatten()?;
        if id.names(&content) {
            return Some(content.into());
        }
        self.shelf.remove(kind, id);
        None
    }

    fn keep(&self, kind: FileKind, id: FileId, content: &[Bytes]) {
        let length: u64 = content.iter().map(|part| part.len() as u64).sum();
        if self.broken.load(Ordering::Relaxed) || length > self.bytes_max {
            return;
        }
        let kept = self.shelf.write(kind, id, content).and_then(|()| {
            if self.bytes.fetch_add(length, Ordering::Relaxed) + length > self.bytes_max {
                // Room for some more, so that not every file asks what there is.
                let bytes = self.shelf.shrink(self.bytes_max / 10 * 9)?;
                self.bytes.store(bytes, Ordering::Relaxed);
            }
            Ok(())
        });
        if let Err(error) = kept {
            self.give_up(&error);
        }
    }

    /// From the store, whole and as its name says.
    fn fetch(&self, kind: FileKind, id: FileId) -> Result<Bytes, StoreError> {
        let content = self.inner.read(FileName::Of(kind, id))?;
        // What the store has damaged is for who reads it to find out, and not to be kept.
        if id.names(&content) {
            self.keep(kind, id, std::slice::from_ref(&content));
        }
        Ok(content)
    }

    fn proven(&self) -> std::sync::MutexGuard<'_, BTreeSet<FileId>> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetching(&self) -> std::sync::MutexGuard<'_, BTreeMap<FileId, Arc<Mutex<()>>>> {
        self.fetching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, kind: FileKind, id: FileId) {
        self.shelf.remove(kind, id);
        self.proven().remove(&id);
    }

    /// Of a pack that is here.
    fn kept_part(&self, id: FileId, offset: u64, length: u64) -> Option<Bytes> {
        if self.proven().contains(&id) {
            return self.shelf.read_part(FileKind::Data, id, offset, length).ok().flatten().map(Bytes::from);
        }
        let content = self.kept(FileKind::Data, id)?;
        self.proven().insert(id);
        part(&content, offset, length)
    }
}

fn part(content: &Bytes, offset: u64, length: u64) -> Option<Bytes> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    content.get(start..end)?;
    Some(content.slice(start..end))
}

impl Store for Cached {
    fn location(&self) -> String {
        self.inner.location()
    }

    /// What the store has no more is not kept either.
    fn list(&self, kind: FileKind) -> Result<Vec<(FileId, u64)>, StoreError> {
        let files = self.inner.list(kind)?;
        if is_kept(kind) || kind == FileKind::Data {
            let there: BTreeSet<FileId> = files.iter().map(|(id, _)| *id).collect();
            // A file that was added after the list began goes too: it is only read once more.
            let kept = self.shelf.ids(kind).unwrap_or_default();
            kept.into_iter().filter(|id| !there.contains(id)).for_each(|id| self.forget(kind, id));
        }
        Ok(files)
    }

    fn size(&self, file: FileName) -> Result<u64, StoreError> {
        self.inner.size(file)
    }

    fn read(&self, file: FileName) -> Result<Bytes, StoreError> {
        match file {
            FileName::Of(kind, id) if is_kept(kind) => match self.kept(kind, id) {
                Some(content) => Ok(content),
                None => self.fetch(kind, id),
            },
            FileName::Config | FileName::Of(..) => self.inner.read(file),
        }
    }

    fn read_part(&self, file: FileName, offset: u64, length: u64) -> Result<Bytes, StoreError> {
        self.inner.read_part(file, offset, length)
    }

    fn read_part_again(&self, file: FileName, offset: u64, length: u64) -> Result<Bytes, StoreError> {
        let FileName::Of(FileKind::Data, id) = file else { return self.read_part(file, offset, length) };
        if let Some(content) = self.kept_part(id, offset, length) {
            return Ok(content);
        }
        if self.broken.load(Ordering::Relaxed) {
            return self.inner.read_part(file, offset, length);
        }
        let turn = Arc::clone(self.fetching().entry(id).or_default());
        let content = {
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(content) = self.kept_part(id, offset, length) {
                return Ok(content);
            }
            let fetched = self.fetch(FileKind::Data, id);
            self.fetching().remove(&id);
            fetched?
        };
        let got = (content.len() as u64).saturating_sub(offset);
        let short = || StoreError {
            location: self.location(),
            file: file.to_string(),
            fault: Fault::Short { wanted: length, got },
        };
        part(&content, offset, length).ok_or_else(short)
    }

    fn create(&self, file: FileName, content: &[Bytes]) -> Result<(), StoreError> {
        self.inner.create(file, content)?;
        if let FileName::Of(kind, id) = file
            && is_kept(kind)
        {
            self.keep(kind, id, content);
        }
        Ok(())
    }

    fn remove(&self, file: FileName) -> Result<(), StoreError> {
        self.inner.remove(file)?;
        if let FileName::Of(kind, id) = file {
            self.forget(kind, id);
        }
        Ok(())
    }

    fn remove_unfinished(&self) -> Result<(), StoreError> {
        self.inner.remove_unfinished()
    }
}
