//! A store that is asked by no more than so many at a time.

use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::{Fault, FileId, FileKind, FileName, Store, StoreError};
use crate::repository::cancel::Cancel;

/// How often one that waits looks whether the work is to end.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub struct Limited {
    inner: Arc<dyn Store>,
    most: NonZeroUsize,
    cancel: Cancel,
    busy: Mutex<usize>,
    freed: Condvar,
}

/// Of one that asks.
struct Turn<'a>(&'a Limited);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.busy.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.freed.notify_one();
    }
}

impl Limited {
    pub fn new(inner: Arc<dyn Store>, most: NonZeroUsize, cancel: Cancel) -> Self {
        Self { inner, most, cancel, busy: Mutex::new(0), freed: Condvar::new() }
    }

    fn turn(&self, file: &impl ToString) -> Result<Turn<'_>, StoreError> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.cancel.is_cancelled() {
            if *busy < self.most.get() {
                *busy += 1;
                return Ok(Turn(self));
            }
            busy = self.freed.wait_timeout(busy, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        Err(StoreError { location: self.location(), file: file.to_string(), fault: Fault::Cancelled })
    }
}

impl Store for Limited {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn list(&self, kind: FileKind) -> Result<Vec<(FileId, u64)>, StoreError> {
        let _turn = self.turn(&kind.folder())?;
        self.inner.list(kind)
    }

    fn size(&self, file: FileName) -> Result<u64, StoreError> {
        let _turn = self.turn(&file)?;
        self.inner.size(file)
    }

    fn read(&self, file: FileName) -> Result<Bytes, StoreError> {
        let _turn = self.turn(&file)?;
        self.inner.read(file)
    }

    fn read_part(&self, file: FileName, offset: u64, length: u64) -> Result<Bytes, StoreError> {
        let _turn = self.turn(&file)?;
        self.inner.read_part(file, offset, length)
    }

    fn create(&self, file: FileName, content: &[Bytes]) -> Result<(), StoreError> {
        let _turn = self.turn(&file)?;
        self.inner.create(file, content)
    }

    fn remove(&self, file: FileName) -> Result<(), StoreError> {
        let _turn = self.turn(&file)?;
        self.inner.remove(file)
    }

    fn remove_unfinished(&self) -> Result<(), StoreError> {
        let _turn = self.turn(&"unfinished files")?;
        self.inner.remove_unfinished()
    }
}
