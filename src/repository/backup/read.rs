//! Reads files, cuts them, and stores the pieces: many small files at a time, or the pieces of a large one.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use rustix::fs::OFlags;

use crate::repository::blob::{BlobId, BlobKind};
use crate::repository::cancel::Cancel;
use crate::repository::chunker::{Cutter, Pieces};
use crate::repository::noted::Notes;
use crate::repository::progress::Progress;
use crate::repository::writer::{WriteError, Writer};

/// Pieces of one file that may be under way.
const PIECES_MAX: usize = 16;

/// A file to be read.
#[derive(Debug)]
pub(super) struct Job {
    path: PathBuf,
    done: SyncSender<Option<Stored>>,
}

/// What will be known of it; nothing for a file that cannot be read.
pub(super) type Content = Receiver<Option<Stored>>;

/// A file whose content is in the repository.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) blobs: Vec<BlobId>,
    /// As they were read, which may be more or fewer than the folder said.
    pub(super) bytes: u64,
}

impl Job {
    pub(super) fn new(path: PathBuf) -> (Self, Content) {
        let (done, content) = sync_channel(1);
        (Self { path, done }, content)
    }
}

/// A piece of a large file, and where its name is waited for.
#[derive(Debug)]
pub(super) struct PieceJob {
    plain: Vec<u8>,
    done: SyncSender<Result<BlobId, WriteError>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    pub(super) writer: &'a Writer,
    pub(super) cutter: &'a Cutter,
    pub(super) notes: &'a Notes,
    pub(super) progress: &'a Progress,
    pub(super) cancel: &'a Cancel,
}

/// Why nothing more is stored of a file.
pub(super) enum Broken {
    Read(io::Error),
    /// The writer knows why.
    Write(WriteError),
}

/// Takes the next job that any thread has sent.
pub(super) fn next<T>(jobs: &Mutex<Receiver<T>>) -> Option<T> {
    jobs.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

impl Reading<'_> {
    pub(super) fn pieces(self, jobs: &Mutex<Receiver<PieceJob>>) {
        while let Some(PieceJob { plain, done }) = next(jobs) {
            // Who waits has gone if this fails.
            let _ = done.send(self.writer.store(BlobKind::Data, &plain));
        }
    }

    pub(super) fn files(self, jobs: &Mutex<Receiver<Job>>, pieces: &SyncSender<PieceJob>) {
        while let Some(Job { path, done }) = next(jobs) {
            let stored = match open(&path).map_err(Broken::Read).and_then(|file| self.store(file, pieces)) {
                Ok(stored) => Some(stored),
                Err(Broken::Read(error)) => {
                    self.notes.add(&path, &error);
                    None
                }
                Err(Broken::Write(error)) => {
                    self.writer.fail(error);
                    None
                }
            };
            self.progress.add_file();
            let _ = done.send(stored);
        }
    }

    /// Stores everything that the reader gives.
    pub(super) fn store(self, reader: impl Read, pieces: &SyncSender<PieceJob>) -> Result<Stored, Broken> {
        let mut stored = Stored::default();
        let mut waiting = VecDeque::new();
        let mut cut = Pieces::new(self.cutter, Watched { inner: reader, reading: self });
        let Some(first) = cut.next() else { return Ok(stored) };
        let mut piece = first.map_err(Broken::Read)?;
        loop {
            stored.bytes += piece.len() as u64;
            let Some(next) = cut.next() else { break };
            let (done, name) = sync_channel(1);
            pieces.send(PieceJob { plain: piece, done }).map_err(|_| Broken::Write(WriteError::Ended))?;
            waiting.push_back(name);
            if waiting.len() >= PIECES_MAX {
                stored.blobs.extend(waiting.pop_front().as_ref().map(received).transpose()?);
            }
            piece = next.map_err(Broken::Read)?;
        }
        // Most files have one piece only: nobody else needs to hear of it.
        let last = self.writer.store(BlobKind::Data, &piece).map_err(Broken::Write)?;
        for name in waiting {
            stored.blobs.push(received(&name)?);
        }
        stored.blobs.push(last);
        Ok(stored)
    }
}

fn received(name: &Receiver<Result<BlobId, WriteError>>) -> Result<BlobId, Broken> {
    name.recv().unwrap_or(Err(WriteError::Ended)).map_err(Broken::Write)
}

/// As many bytes as the file has now: one that grows faster than it is read would have no end.
fn open(path: &Path) -> io::Result<io::Take<std::fs::File>> {
    // What has become a pipe meanwhile must not hold up the backup, nor a link lead it elsewhere.
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is no file any more"));
    }
    Ok(file.take(meta.len()))
}

struct Watched<'a, R> {
    inner: R,
    reading: Reading<'a>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.reading.cancel.is_cancelled() {
            return Err(io::Error::other("it was cancelled"));
        }
        let read = self.inner.read(buffer)?;
        self.reading.progress.add_bytes(read as u64);
        Ok(read)
    }
}
