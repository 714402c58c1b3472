//! A number of files whose content is fetched together: pack by pack, in requests of a bounded size.

#![expect(clippy::disallowed_methods, reason = "what an earlier restore left behind is in the way")]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::fs::OFlags;

use super::attributes;
use super::gaps::places;
use super::{Holes, Journal};
use crate::repository::Cancel;
use crate::repository::blob::{BlobId, BlobKind};
use crate::repository::index::Location;
use crate::repository::node::Node;
use crate::repository::parallel::{each, workers};
use crate::repository::reader::{Reader, data};

/// A batch is fetched when it has one of these: it bounds what is remembered of files that are not done yet.
const PIECES_MAX: usize = 1 << 16;
const FILES_MAX: usize = 1 << 14;
/// Bytes of a pack that are read at once, and between two pieces that are cheaper to read than to skip.
const REQUEST_BYTES: u64 = 8 << 20;
const SKIP_BYTES: u64 = 128 << 10;

/// Added to the name of a file until all of it is there.
pub(super) const INCOMPLETE: &str = ".holdfast-incomplete";

/// Files in the making.
#[derive(Debug, Default)]
pub(super) struct Batch {
    files: Vec<Making>,
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Making {
    path: PathBuf,
    unfinished: PathBuf,
    node: Node,
    size: u64,
    /// Pieces that are not written yet.
    left: AtomicUsize,
    failed: AtomicBool,
}

#[derive(Debug)]
struct Piece {
    at: Location,
    blob: BlobId,
    file: usize,
    offset: u64,
}

/// What a thread has open: pieces that follow each other in a pack mostly belong to one file.
type Open = Option<(usize, File)>;

impl Batch {
    pub(super) fn is_full(&self) -> bool {
        self.pieces.len() >= PIECES_MAX || self.files.len() >= FILES_MAX
    }

    pub(super) fn add(
        &mut self,
        reader: &Reader,
        path: PathBuf,
        node: Node,
        taken: &BTreeSet<OsString>,
        journal: &Journal,
    ) {
        let unfinished = unfinished(&path, taken);
        let found: Vec<_> =
            node.blobs().iter().map(|id| (*id, reader.index.find(BlobKind::Data, *id).next())).collect();
        let lengths: Vec<_> = found.iter().map(|(_, at)| at.map(|at| at.plain_bytes())).collect();
        // Programs before us have written sizes that are not those of the content.
        let size =
            lengths.iter().copied().map(|length| length.map(u64::from)).sum::<Option<u64>>().unwrap_or(node.size);
        let file = self.files.len();
        let mut failed = false;
        for ((blob, at), offset) in found.into_iter().zip(places(&lengths, size)) {
            if let (Some(at), Some(offset)) = (at, offset) {
                self.pieces.push(Piece { at, blob, file, offset });
            } else {
                failed = true;
                let reason = format!("blob {blob} is in no index, or its place is not known without it");
                journal.lost.add(&path, &reason);
            }
        }
        let left = self.pieces.iter().rev().take_while(|piece| piece.file == file).count();
        // Left behind by a restore that was cut off.
        if let Err(error) = std::fs::remove_file(&unfinished)
            && error.kind() != io::ErrorKind::NotFound
        {
            journal.lost.add(&unfinished, &error);
        }
        let making = Making { path, unfinished, node, size, left: left.into(), failed: failed.into() };
        if left == 0 {
            making.finish(None, journal);
        }
        self.files.push(making);
    }

    /// Fetches and writes everything.
    pub(super) fn fetch(self, reader: &Reader, holes: Holes, journal: &Journal, cancel: &Cancel) {
        let Self { files, mut pieces } = self;
        pieces.sort_unstable_by_key(|piece| (piece.at, piece.file, piece.offset));
        each(&requests(&pieces), workers().max(NonZeroUsize::MIN), |request| {
            if !cancel.is_cancelled() {
                let mut open = None;
                serve(reader, &files, request, holes, journal, &mut open);
            }
        });
    }
}

/// Pieces that are read together.
fn requests(pieces: &[Piece]) -> Vec<&[Piece]> {
    let mut requests = Vec::new();
    let mut rest = pieces;
    while let Some(first) = rest.first() {
        let begin = u64::from(first.at.offset);
        let mut end = first.at.end();
        let fits = |piece: &Piece| {
            let (from, to) = (u64::from(piece.at.offset), piece.at.end());
            let fits = piece.at.pack == first.at.pack && from <= end + SKIP_BYTES && to <= begin + REQUEST_BYTES;
            end = end.max(to);
            fits
        };
        let count = 1 + rest.iter().skip(1).map(fits).take_while(|fits| *fits).count();
        let (request, after) = rest.split_at(count);
        requests.push(request);
        rest = after;
    }
    requests
}

fn serve(reader: &Reader, files: &[Making], request: &[Piece], holes: Holes, journal: &Journal, open: &mut Open) {
    let (Some(first), Some(last)) = (request.first(), request.last()) else { return };
    let begin = u64::from(first.at.offset);
    let bytes = reader.store.read_part(data(first.at), begin, last.at.end() - begin).ok();
    for same in request.chunk_by(|one, other| one.at == other.at && one.blob == other.blob) {
        let Some(Piece { at, blob: id, .. }) = same.first() else { continue };
        let from = usize::try_from(u64::from(at.offset) - begin).unwrap_or(usize::MAX);
        let sealed = bytes.as_ref().and_then(|bytes| bytes.get(from..from + usize::try_from(at.length).ok()?));
        let blob = match sealed.map(|sealed| reader.open(*id, *at, sealed)) {
            Some(Ok(blob)) => Ok(blob),
            // Perhaps it is readable alone, or lies elsewhere too.
            Some(Err(_)) | None => reader.blob(BlobKind::Data, *id),
        };
        for piece in same {
            let Some(making) = files.get(piece.file) else { continue };
            let written = blob.as_ref().map_err(ToString::to_string).and_then(|blob| {
                making.write(piece, blob, holes, open).map_err(|error| format!("it cannot be written: {error}"))
            });
            match written {
                Ok(()) => journal.progress.add_bytes(blob.as_ref().map_or(0, |blob| blob.len() as u64)),
                Err(reason) => making.fail(&reason, journal),
            }
            if making.left.fetch_sub(1, Ordering::AcqRel) == 1 {
                let file = open.take().filter(|(number, _)| *number == piece.file).map(|(_, file)| file);
                making.finish(file, journal);
            }
        }
    }
}

impl Making {
    fn write(&self, piece: &Piece, blob: &[u8], holes: Holes, open: &mut Open) -> io::Result<()> {
        if holes == Holes::Made && blob.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        if open.as_ref().is_none_or(|(number, _)| *number != piece.file) {
            *open = Some((piece.file, self.open()?));
        }
        open.as_ref().map_or(Ok(()), |(_, file)| file.write_all_at(blob, piece.offset))
    }

    fn open(&self) -> io::Result<File> {
        let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(flags)
            .open(&self.unfinished)
    }

    fn fail(&self, reason: &str, journal: &Journal) {
        // One reason for each file is enough.
        if !self.failed.swap(true, Ordering::AcqRel) {
            journal.lost.add(&self.path, reason);
        }
    }

    /// Everything is written that can be.
    fn finish(&self, file: Option<File>, journal: &Journal) {
        let file = file.map_or_else(|| self.open(), Ok);
        if let Err(error) = file.and_then(|file| file.set_len(self.size)) {
            self.fail(&error.to_string(), journal);
            return;
        }
        attributes::set(&self.unfinished, &self.node, |reason| journal.unset.add(&self.path, &reason));
        if self.failed.load(Ordering::Acquire) {
            return;
        }
        match std::fs::rename(&self.unfinished, &self.path) {
            Ok(()) => journal.progress.add_file(),
            Err(error) => self.fail(&format!("it cannot take the place of what is there: {error}"), journal),
        }
    }
}

/// A name that no other file of the folder has.
fn unfinished(path: &Path, taken: &BTreeSet<OsString>) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    // The longest name that Linux has, which this one is near already.
    if name.len() + INCOMPLETE.len() > 255 {
        name = BlobId::of(name.as_encoded_bytes()).to_string().into();
    }
    name.push(INCOMPLETE);
    while taken.contains(&name) {
        name = BlobId::of(name.as_encoded_bytes()).to_string().into();
        name.push(INCOMPLETE);
    }
    path.with_file_name(name)
}
