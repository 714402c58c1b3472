//! Keys are what their names say, and packs are as long as the index says.

use super::{Finding, Findings};
use crate::repository::open::Opened;
use crate::repository::packs::{self, PackUse};
use crate::repository::parallel::{AT_ONCE, each};
use crate::repository::reader::Reader;
use crate::repository::store::{Fault, FileId, FileKind, FileName, OTHER_CONTENT, StoreError};

/// Keys are what their names say; who reads snapshots and the index sees to that there.
pub(super) fn keys(opened: &Opened, findings: &Findings) -> Result<(), StoreError> {
    let files = opened.store.list(FileKind::Key)?;
    each(&files, AT_ONCE, |(id, _)| {
        let file = FileName::Of(FileKind::Key, *id);
        match opened.store.read(file) {
            Ok(content) if id.names(&content) => {}
            Ok(_) => findings.damaged(file, OTHER_CONTENT),
            // Removed meanwhile by somebody who may.
            Err(error) if error.fault == Fault::Missing => {}
            Err(error) => findings.unread(file, error),
        }
    });
    Ok(())
}

/// The packs that are there and that an index names.
pub(super) fn packs(
    opened: &Opened,
    reader: &Reader,
    findings: &Findings,
) -> Result<Vec<(FileId, PackUse)>, StoreError> {
    for lost in &reader.lost {
        findings.damaged(FileName::Of(FileKind::Index, lost.id), lost.reason.as_str());
    }
    let judged = packs::packs(opened, &reader.index)?.into_iter().filter(|(id, pack)| {
        let file = FileName::Of(FileKind::Data, *id);
        match pack.bytes {
            None => findings.damaged(file, &format!("it is not there, and held {} blobs", pack.named_blobs)),
            Some(_) if pack.named_blobs == 0 => findings.add(Finding::Unused { file }),
            Some(bytes) if !pack.is_whole() => {
                findings.damaged(file, &format!("it has {bytes} bytes and not {}", pack.expected_bytes()));
            }
            Some(_) => {}
        }
        pack.bytes.is_some() && pack.named_blobs > 0
    });
    Ok(judged.collect())
}
