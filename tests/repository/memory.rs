//! A store in memory: for what a test asks of any store.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use holdfast::repository::{Fault, FileId, FileKind, FileName, Store, StoreError};

#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<BTreeMap<FileName, Bytes>>);

impl Memory {
    fn all(&self) -> MutexGuard<'_, BTreeMap<FileName, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, file: FileName, fault: Fault) -> StoreError {
        StoreError { location: self.location(), file: file.to_string(), fault }
    }
}

fn length(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

impl Store for Memory {
    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn list(&self, kind: FileKind) -> Result<Vec<(FileId, u64)>, StoreError> {
        let of_kind = |(name, bytes): (&FileName, &Bytes)| match name {
            FileName::Of(other, id) if *other == kind => Some((*id, length(bytes))),
            FileName::Of(..) | FileName::Config => None,
        };
        Ok(self.all().iter().filter_map(of_kind).collect())
    }

    fn size(&self, file: FileName) -> Result<u64, StoreError> {
        self.read(file).map(|bytes| length(&bytes))
    }

    fn read(&self, file: FileName) -> Result<Bytes, StoreError> {
        self.all().get(&file).cloned().ok_or_else(|| self.error(file, Fault::Missing))
    }

    fn read_part(&self, file: FileName, offset: u64, wanted: u64) -> Result<Bytes, StoreError> {
        let bytes = self.read(file)?;
        let short = || self.error(file, Fault::Short { wanted, got: length(&bytes).saturating_sub(offset) });
        let start = usize::try_from(offset).map_err(|_| short())?;
        let end = usize::try_from(offset.saturating_add(wanted)).map_err(|_| short())?;
        if bytes.get(start..end).is_some() { Ok(bytes.slice(start..end)) } else { Err(short()) }
    }

    fn create(&self, file: FileName, content: &[Bytes]) -> Result<(), StoreError> {
        let mut all = self.all();
        if all.contains_key(&file) {
            return Err(self.error(file, Fault::Exists));
        }
        all.insert(file, content.concat().into());
        Ok(())
    }

    fn remove(&self, file: FileName) -> Result<(), StoreError> {
        self.all().remove(&file);
        Ok(())
    }
}
