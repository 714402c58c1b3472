//! A source that remembers what could not be read of it: `rustic_core` logs that and goes on.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustic_core::{ReadSource, ReadSourceEntry, ReadSourceOpen, RusticError, RusticResult};

/// Of so many the path and the reason are kept; the others are counted.
const SHOWN_MAX: usize = 100;

/// What could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    pub count: u64,
    /// The first of them, each with its reason.
    pub first: Vec<(PathBuf, String)>,
}

#[derive(Clone, Debug, Default)]
struct Record(Arc<Mutex<Unread>>);

impl Record {
    fn get(&self) -> MutexGuard<'_, Unread> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, path: &Path, reason: String) {
        let mut unread = self.get();
        unread.count += 1;
        if unread.first.len() < SHOWN_MAX {
            unread.first.push((path.to_owned(), reason));
        }
    }
}

/// Passes everything on.
#[derive(Debug)]
pub(super) struct Watched<R> {
    inner: R,
    record: Record,
}

impl<R> Watched<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, record: Record::default() }
    }

    pub(super) fn unread(&self) -> Unread {
        self.record.get().clone()
    }
}

impl<R: ReadSource> ReadSource for Watched<R> {
    type Open = WatchedOpen<R::Open>;
    type Iter = WatchedEntries<R::Iter>;

    fn size(&self) -> RusticResult<Option<u64>> {
        self.inner.size()
    }

    fn entries(&self) -> Self::Iter {
        WatchedEntries { inner: self.inner.entries(), record: self.record.clone() }
    }
}

#[derive(Debug)]
pub(super) struct WatchedEntries<I> {
    inner: I,
    record: Record,
}

impl<O, I: Iterator<Item = RusticResult<ReadSourceEntry<O>>>> Iterator for WatchedEntries<I> {
    type Item = RusticResult<ReadSourceEntry<WatchedOpen<O>>>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = match self.inner.next()? {
            Ok(entry) => entry,
            Err(error) => {
                self.record.note(Path::new(""), reason(&error));
                return Some(Err(error));
            }
        };
        let ReadSourceEntry { path, node, open } = entry;
        let open = open.map(|inner| WatchedOpen { inner, path: path.clone(), record: self.record.clone() });
        Some(Ok(ReadSourceEntry { path, node, open }))
    }
}

#[derive(Debug)]
pub(super) struct WatchedOpen<O> {
    inner: O,
    path: PathBuf,
    record: Record,
}

impl<O: ReadSourceOpen> ReadSourceOpen for WatchedOpen<O> {
    type Reader = WatchedReader<O::Reader>;

    fn open(self) -> RusticResult<Self::Reader> {
        let Self { inner, path, record } = self;
        match inner.open() {
            Ok(inner) => Ok(WatchedReader { inner, path, record }),
            Err(error) => {
                record.note(&path, reason(&error));
                Err(error)
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct WatchedReader<R> {
    inner: R,
    path: PathBuf,
    record: Record,
}

impl<R: Read> Read for WatchedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.record.note(&self.path, error.to_string());
            }
        })
    }
}

/// The innermost words: those around them say where, which is known.
fn reason(error: &RusticError) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string().lines().next().unwrap_or_default().to_owned()
}
