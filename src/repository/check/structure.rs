//! Keys are what their names say, and packs are as long as the index says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::{Finding, Findings, pack_bytes};
use crate::repository::index::{self, WrittenBlob, WrittenPack};
use crate::repository::open::Opened;
use crate::repository::parallel::{AT_ONCE, each};
use crate::repository::store::{Fault, FileId, FileKind, FileName, OTHER_CONTENT, StoreError};

/// A pack that is there, and what the index says is in it.
#[derive(Debug)]
pub(super) struct Pack {
    pub(super) id: FileId,
    pub(super) bytes: u64,
    pub(super) blobs: Vec<WrittenBlob>,
}

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
            Err(error) => findings.damaged(file, &error.fault),
        }
    });
    Ok(())
}

/// The packs that are as the index says.
pub(super) fn packs(opened: &Opened, findings: &Findings) -> Result<Vec<Pack>, StoreError> {
    let named: Mutex<BTreeMap<FileId, WrittenPack>> = Mutex::default();
    let files = opened.store.list(FileKind::Index)?;
    each(&files, AT_ONCE, |(id, _)| match index::file(&*opened.store, &opened.seal, *id) {
        Err(fault) => findings.damaged(FileName::Of(FileKind::Index, *id), &fault),
        Ok(packs) => {
            let mut named = named.lock().unwrap_or_else(PoisonError::into_inner);
            for pack in packs {
                let known = named.entry(pack.id).or_insert_with(|| WrittenPack { id: pack.id, blobs: Vec::new() });
                // One pack may be named in several files, as a whole or in parts.
                let seen: BTreeSet<u32> = known.blobs.iter().map(|blob| blob.offset).collect();
                known.blobs.extend(pack.blobs.into_iter().filter(|blob| !seen.contains(&blob.offset)));
            }
        }
    });
    let mut named = named.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut packs = Vec::new();
    for (id, bytes) in opened.store.list(FileKind::Data)? {
        let file = FileName::Of(FileKind::Data, id);
        match named.remove(&id) {
            None => findings.add(Finding::Unused { file }),
            Some(pack) => {
                let expected = pack_bytes(&pack);
                if bytes != expected {
                    findings.damaged(file, &format!("it has {bytes} bytes and not {expected}"));
                }
                packs.push(Pack { id, bytes, blobs: pack.blobs });
            }
        }
    }
    for (id, pack) in named {
        findings.damaged(
            FileName::Of(FileKind::Data, id),
            &format!("it is not there, and held {} blobs", pack.blobs.len()),
        );
    }
    Ok(packs)
}
