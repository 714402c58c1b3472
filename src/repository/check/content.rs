//! Reads packs from the beginning to the end.

use bytes::Bytes;

use super::Findings;
use crate::repository::cancel::Cancel;
use crate::repository::index::{Location, WrittenBlob};
use crate::repository::pack::{self, PackError};
use crate::repository::packs::PackUse;
use crate::repository::parallel::{Room, each, workers};
use crate::repository::progress::Progress;
use crate::repository::reader::Reader;
use crate::repository::store::{FileId, FileKind, FileName, OTHER_CONTENT};

/// Of packs that are in memory at once; restic makes them as large as 128 MiB on request.
const BYTES_AT_ONCE: u64 = 64 << 20;

pub(super) fn read(
    reader: &Reader,
    packs: &[&(FileId, PackUse)],
    findings: &Findings,
    progress: &Progress,
    cancel: &Cancel,
) {
    let room = Room::of(BYTES_AT_ONCE);
    each(packs, workers(), |(id, pack)| {
        let bytes = pack.bytes.unwrap_or_default();
        let _place = room.take(bytes);
        if cancel.is_cancelled() || findings.is_over() {
            return;
        }
        let file = FileName::Of(FileKind::Data, *id);
        match reader.store.read(file) {
            Err(error) => findings.unread(file, error),
            Ok(content) => one(reader, *id, pack, &content, |reason| findings.damaged(file, reason.as_str())),
        }
        progress.add_bytes(bytes);
        progress.add_file();
    });
}

fn one(reader: &Reader, id: FileId, pack: &PackUse, content: &Bytes, damaged: impl Fn(String)) {
    if !id.names(content) {
        damaged(OTHER_CONTENT.to_owned());
    }
    let part = |offset: u64, length: u64| {
        let range = usize::try_from(offset).ok()?..usize::try_from(offset.checked_add(length)?).ok()?;
        (range.end <= content.len()).then(|| content.slice(range))
    };
    let read = |offset, length| part(offset, length).ok_or(PackError::Short);
    let blobs = match pack::blobs(&reader.seal, content.len() as u64, read) {
        Ok(blobs) => blobs,
        Err(error) => return damaged(error.to_string()),
    };
    let at = |blob: &WrittenBlob| {
        let unpacked = (blob.uncompressed_length > 0).then_some(blob.uncompressed_length);
        Location { pack: id, offset: blob.offset, length: blob.length, unpacked }
    };
    let is_named = |blob: &WrittenBlob| reader.index.find(blob.kind, blob.id).any(|named| named == at(blob));
    if blobs.len() as u64 != u64::from(pack.named_blobs) || !blobs.iter().all(is_named) {
        damaged("the index names other blobs than the pack itself".to_owned());
    }
    for blob in &blobs {
        if let Some(sealed) = part(blob.offset.into(), blob.length.into())
            && let Err(error) = reader.open(blob.id, at(blob), &sealed)
        {
            damaged(error.to_string());
        }
    }
}
