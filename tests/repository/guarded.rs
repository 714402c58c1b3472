//! A store that asks before each thing it does: so that a test can fail it, or do something else at that very moment.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use holdfast::repository::{Fault, FileId, FileKind, FileName, Folder, Store, StoreError};

/// What is about to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Look,
    Create(FileName),
    Remove(FileName),
}

type Guard = dyn Fn(Deed) -> Result<(), Fault> + Send + Sync;

pub(crate) struct Guarded {
    inner: Folder,
    guard: Box<Guard>,
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Guarded {
    pub(crate) fn new(root: PathBuf, guard: impl Fn(Deed) -> Result<(), Fault> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { inner: Folder::new(root), guard: Box::new(guard) })
    }

    /// Does so many changes and nothing any more after that, as if the program had ended there.
    pub(crate) fn limited(root: PathBuf) -> (Arc<Self>, Arc<AtomicI64>) {
        let left = Arc::new(AtomicI64::new(i64::MAX));
        let counted = Arc::clone(&left);
        let guard = move |deed| {
            let left = match deed {
                Deed::Look => counted.load(Ordering::SeqCst),
                Deed::Create(_) | Deed::Remove(_) => counted.fetch_sub(1, Ordering::SeqCst),
            };
            if left > 0 { Ok(()) } else { Err(Fault::Broken("the store is gone".to_owned())) }
        };
        (Self::new(root, guard), left)
    }

    fn ask(&self, deed: Deed, file: &(impl ToString + ?Sized)) -> Result<(), StoreError> {
        let error = |fault| StoreError { location: self.location(), file: file.to_string(), fault };
        (self.guard)(deed).map_err(error)
    }
}

impl Store for Guarded {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn list(&self, kind: FileKind) -> Result<Vec<(FileId, u64)>, StoreError> {
        self.ask(Deed::Look, kind.folder())?;
        self.inner.list(kind)
    }

    fn size(&self, file: FileName) -> Result<u64, StoreError> {
        self.ask(Deed::Look, &file)?;
        self.inner.size(file)
    }

    fn read(&self, file: FileName) -> Result<Bytes, StoreError> {
        self.ask(Deed::Look, &file)?;
        self.inner.read(file)
    }

    fn read_part(&self, file: FileName, offset: u64, length: u64) -> Result<Bytes, StoreError> {
        self.ask(Deed::Look, &file)?;
        self.inner.read_part(file, offset, length)
    }

    fn create(&self, file: FileName, content: &[Bytes]) -> Result<(), StoreError> {
        self.ask(Deed::Create(file), &file)?;
        self.inner.create(file, content)
    }

    fn remove(&self, file: FileName) -> Result<(), StoreError> {
        self.ask(Deed::Remove(file), &file)?;
        self.inner.remove(file)
    }
}
