//! Stores files or a stream, and then the snapshot: others see it only when everything that it names is in the repository.

mod archive;
mod node;
mod read;
mod walk;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use jiff::{Timestamp, Zoned};
use serde_json::json;
use thiserror::Error;

pub use archive::Counts;
use read::{Broken, Reading};

use super::blob::BlobId;
use super::cancel::Cancel;
use super::chunker::Cutter;
use super::lock::Held;
use super::node::{Node, NodeKind};
use super::noted::{Noted, Notes};
use super::open::Opened;
use super::pattern::Pattern;
use super::progress::Progress;
use super::reader::Reader;
use super::snapshots::{Filter, Snapshots};
use super::store::{FileId, FileKind, FileName, StoreError};
use super::writer::{Added, WriteError, Writer, create};

/// On snapshots that lack something; no keep rule counts them.
pub const INCOMPLETE: &str = "holdfast-incomplete";
const PROGRAM: &str = concat!("holdfast ", env!("CARGO_PKG_VERSION"));
/// Of a file that is made of a stream.
const STREAM_MODE: u32 = 0o644;

/// Whose backup it is: restic groups and finds snapshots by these.
#[derive(Clone, Debug)]
pub struct Labels {
    pub host: String,
    pub username: String,
    pub tags: BTreeSet<String>,
    pub time: Zoned,
    pub clock: fn() -> Timestamp,
}

/// What was stored.
#[derive(Clone, Debug)]
pub struct Stored {
    pub snapshot: FileId,
    pub counts: Counts,
    pub added: Added,
    /// What is not in it; with any of that the snapshot has the tag [`INCOMPLETE`].
    pub unread: Noted,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BackupError {
    #[error("{path} cannot be read: {reason}")]
    NoSource { path: String, reason: String },
    #[error("{0:?} is no name for what is read from a stream: give a path without `..`")]
    Name(PathBuf),
    #[error("nothing was stored: the stream broke off: {0}")]
    Stream(String),
    #[error("nothing was stored: {0}")]
    Store(#[from] StoreError),
    #[error("nothing was stored: {0}")]
    Write(#[from] WriteError),
    #[error("nothing was stored: the index has damaged files ({count}, the first is {file}): repair it, or blobs are stored twice", file = FileName::Of(FileKind::Index, *.first))]
    Index { count: usize, first: FileId },
    #[error("nothing was stored: the configuration of the repository has no usable polynomial")]
    Polynomial,
    #[error("nothing was stored: it was cancelled")]
    Cancelled,
}

/// A piece of work on a repository, with a lock that is at least shared.
#[derive(Debug)]
pub struct Backup<'a> {
    pub opened: &'a Opened,
    pub lock: Arc<Held>,
    pub labels: &'a Labels,
    pub progress: &'a Progress,
    pub cancel: &'a Cancel,
}

impl Backup<'_> {
    /// Backs up folders and files.
    pub fn paths(&self, paths: &[PathBuf], exclude: &[Pattern]) -> Result<Stored, BackupError> {
        let no_source =
            |path: &Path, reason: String| BackupError::NoSource { path: path.display().to_string(), reason };
        let mut absolute = Vec::new();
        for path in paths {
            absolute.push(source(path).map_err(|error| no_source(path, error.to_string()))?);
        }
        let names: Vec<_> = absolute.iter().map(|path| path.display().to_string()).collect();
        let before = self.before(&names)?;
        self.run(&names, before, |reading, reader| {
            let before = before.map(|(_, tree)| tree);
            archive::folders(reading, reader, &absolute, exclude, before).map_err(BackupError::from)
        })
    }

    /// Backs up a stream as one file. `ended` says, at its end, whether it was all that there is to come.
    pub fn stream(
        &self,
        name: &Path,
        stream: impl Read,
        ended: impl FnOnce() -> Result<(), String>,
    ) -> Result<Stored, BackupError> {
        let path = plain(&Path::new("/").join(name)).ok_or_else(|| BackupError::Name(name.to_owned()))?;
        let names: Vec<&OsStr> = path.iter().skip(1).collect();
        let (file, folders) = names.split_last().ok_or_else(|| BackupError::Name(name.to_owned()))?;
        let time = Some(self.labels.time.timestamp());
        let file = Node {
            mode: STREAM_MODE,
            mtime: time,
            atime: time,
            ctime: time,
            links: 1,
            ..Node::new(file, NodeKind::File)
        };
        self.run(&[path.display().to_string()], None, |reading, _| {
            let stored = archive::stream(reading, file, folders, stream).map_err(|broken| match broken {
                Broken::Read(error) => BackupError::Stream(error.to_string()),
                Broken::Write(error) => error.into(),
            })?;
            ended().map_err(BackupError::Stream)?;
            Ok(stored)
        })
    }

    /// The last snapshot of the same: what has not changed since is not read again.
    fn before(&self, paths: &[String]) -> Result<Option<(FileId, BlobId)>, BackupError> {
        let hosts = BTreeSet::from([self.labels.host.clone()]);
        let filter = Filter { hosts, paths: paths.iter().cloned().collect(), ..Filter::default() };
        let snapshots = Snapshots::read(self.opened)?;
        let same = |count: usize| count == paths.len();
        let newest = snapshots.all.iter().rev().find(|snapshot| filter.matches(snapshot) && same(snapshot.paths.len()));
        Ok(newest.map(|snapshot| (snapshot.id, snapshot.tree)))
    }

    fn run(
        &self,
        paths: &[String],
        before: Option<(FileId, BlobId)>,
        archive: impl FnOnce(Reading<'_>, &Reader) -> Result<(BlobId, Counts), BackupError>,
    ) -> Result<Stored, BackupError> {
        let cutter = Cutter::new(self.opened.config.polynomial).ok_or(BackupError::Polynomial)?;
        let reader = Reader::new(self.opened)?;
        if let Some(first) = reader.lost.first() {
            return Err(BackupError::Index { count: reader.lost.len(), first: first.id });
        }
        let writer = Writer::new(self.opened, Arc::clone(&reader.index), Arc::clone(&self.lock));
        let notes = Notes::default();
        let (progress, cancel) = (self.progress, self.cancel);
        let reading = Reading { writer: &writer, cutter: &cutter, notes: &notes, progress, cancel };
        let (tree, counts) = archive(reading, &reader)?;
        if cancel.is_cancelled() {
            return Err(BackupError::Cancelled);
        }
        let added = writer.finish()?;
        let unread = notes.so_far();
        let snapshot = self.snapshot(paths, before.map(|(id, _)| id), tree, counts, added, unread.count > 0)?;
        Ok(Stored { snapshot, counts, added, unread })
    }

    fn snapshot(
        &self,
        paths: &[String],
        parent: Option<FileId>,
        tree: BlobId,
        counts: Counts,
        added: Added,
        incomplete: bool,
    ) -> Result<FileId, BackupError> {
        let Labels { host, username, time, clock, .. } = self.labels;
        let tags: BTreeSet<_> =
            self.labels.tags.iter().map(String::as_str).chain(incomplete.then_some(INCOMPLETE)).collect();
        let time = time.timestamp().display_with_offset(time.offset()).to_string();
        let mut written = json!({
            "time": time,
            "tree": tree,
            "paths": paths,
            "hostname": host,
            "username": username,
            "program_version": PROGRAM,
            "summary": {
                "backup_start": time,
                "backup_end": clock(),
                "files_new": counts.files_new,
                "files_changed": counts.files_changed,
                "files_unmodified": counts.files_unmodified,
                "data_added": added.bytes,
                "data_added_packed": added.stored_bytes,
                "total_files_processed": counts.files(),
                "total_bytes_processed": counts.bytes,
            },
        });
        if let Some(parent) = parent {
            written["parent"] = json!(parent);
        }
        if !tags.is_empty() {
            written["tags"] = json!(tags);
        }
        let sealed = self.opened.seal.close_file(written.to_string().as_bytes(), self.opened.config.version);
        let sealed = sealed.map_err(WriteError::from)?;
        Ok(create(&*self.opened.store, &self.lock, FileKind::Snapshot, &[sealed.into()])?)
    }
}

/// How snapshots name a path: from the root, without `.` and `..`, as restic does.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    let mut named = PathBuf::from("/");
    for component in std::path::absolute(path)?.components() {
        match component {
            Component::Normal(name) => named.push(name),
            Component::ParentDir => drop(named.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Ok(named)
}

/// The name of something that is there. Behind a symbolic link `..` is another folder than the words say.
fn source(path: &Path) -> io::Result<PathBuf> {
    let named = absolute(path)?;
    let found = std::fs::symlink_metadata(&named);
    if path.components().any(|component| component == Component::ParentDir) {
        let written: PathBuf = path.components().collect();
        let place = |facts: &Metadata| (facts.dev(), facts.ino());
        let meant = std::fs::symlink_metadata(written)?;
        if !found.as_ref().is_ok_and(|found| place(found) == place(&meant)) {
            return Err(io::Error::other("`..` follows a symbolic link here: write the path without it"));
        }
    }
    found.map(|_| named)
}

/// Without `.`; `None` with `..`, which leads nowhere in a snapshot.
fn plain(path: &Path) -> Option<PathBuf> {
    path.components()
        .filter(|component| *component != Component::CurDir)
        .map(|component| (component != Component::ParentDir).then_some(component))
        .collect()
}
