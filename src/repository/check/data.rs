//! Reads packs from the beginning to the end.

use super::Findings;
use super::structure::Pack;
use crate::repository::cancel::Cancel;
use crate::repository::index::Location;
use crate::repository::open::Opened;
use crate::repository::pack::{self, PackError};
use crate::repository::parallel::{each, workers};
use crate::repository::progress::Progress;
use crate::repository::reader;
use crate::repository::store::{FileKind, FileName, OTHER_CONTENT};

pub(super) fn read(opened: &Opened, packs: &[&Pack], findings: &Findings, progress: &Progress, cancel: &Cancel) {
    each(packs, workers(), |pack| {
        if cancel.is_cancelled() {
            return;
        }
        let file = FileName::Of(FileKind::Data, pack.id);
        match opened.store.read(file) {
            Err(error) => findings.damaged(file, &error.fault),
            Ok(content) => one(opened, pack, &content, |reason| findings.damaged(file, reason.as_str())),
        }
        progress.add_bytes(pack.bytes);
        progress.add_file();
    });
}

fn one(opened: &Opened, pack: &Pack, content: &bytes::Bytes, damaged: impl Fn(String)) {
    if !pack.id.names(content) {
        damaged(OTHER_CONTENT.to_owned());
    }
    let bytes = content.len() as u64;
    let part = |offset: u64, length: u64| {
        let range = usize::try_from(offset).ok()?..usize::try_from(offset.checked_add(length)?).ok()?;
        (range.end <= content.len()).then(|| content.slice(range))
    };
    let mut named = pack.blobs.clone();
    named.sort_by_key(|blob| blob.offset);
    match pack::blobs(&opened.seal, bytes, |offset, length| part(offset, length).ok_or(PackError::Short)) {
        Err(error) => damaged(error.to_string()),
        Ok(list) if list != named => damaged("the index names other blobs than the pack itself".to_owned()),
        Ok(_) => {}
    }
    for blob in &named {
        let unpacked = (blob.uncompressed_length > 0).then_some(blob.uncompressed_length);
        let at = Location { pack: pack.id, offset: blob.offset, length: blob.length, unpacked };
        match part(blob.offset.into(), blob.length.into()) {
            None => damaged(format!("blob {} goes beyond its end", blob.id)),
            Some(sealed) => {
                if let Err(error) = reader::open(&opened.seal, blob.id, at, &sealed) {
                    damaged(error.to_string());
                }
            }
        }
    }
}
