//! The folder of a cache, laid out as restic's: `KIND/AB/ABCDEF…`, beside a file that names the version of the layout.

#![expect(clippy::disallowed_methods, reason = "a cache is files in a folder, whose times tell which was used last")]

use std::fs::{self, DirBuilder, File, FileTimes, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;

use super::{FileId, FileKind};

const KINDS: [FileKind; 3] = [FileKind::Snapshot, FileKind::Index, FileKind::Data];
/// Of the layout, as restic knows it.
const VERSION: &[u8] = b"1";
/// Tells programs that back up that nothing is lost here.
const TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n";
/// Only who may read the repository may know which files it has.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

#[derive(Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
    /// Makes the names of unfinished files of this process differ.
    unfinished: AtomicU64,
}

fn none_if_missing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Shelf {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, unfinished: AtomicU64::new(0) }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, kind: FileKind, id: FileId) -> PathBuf {
        self.folder.join(kind.folder()).join(format!("{:02x}", id.0[0])).join(id.to_string())
    }

    /// Makes the folder what it is to be.
    pub(super) fn begin(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&self.folder)?;
        let tag = self.folder.parent().map(|parent| (parent.join("CACHEDIR.TAG"), TAG));
        for (path, content) in [(self.folder.join("version"), VERSION)].into_iter().chain(tag) {
            match OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path) {
                Ok(mut file) => file.write_all(content)?,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What is read counts as used.
    fn open(&self, kind: FileKind, id: FileId) -> io::Result<Option<File>> {
        let Some(file) = none_if_missing(File::open(self.path(kind, id)))? else {
            return Ok(None);
        };
        let times = FileTimes::new().set_modified(SystemTime::now());
        // A file of somebody else is as good; it only goes earlier.
        let _ = file.set_times(times);
        Ok(Some(file))
    }

    pub(super) fn read(&self, kind: FileKind, id: FileId) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.open(kind, id)? else { return Ok(None) };
        let length = file.metadata()?.len();
        let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        file.take(length).read_to_end(&mut content)?;
        Ok(Some(content))
    }

    pub(super) fn read_part(
        &self,
        kind: FileKind,
        id: FileId,
        offset: u64,
        length: u64,
    ) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.open(kind, id)? else { return Ok(None) };
        let mut content = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.read_exact_at(&mut content, offset)?;
        Ok(Some(content))
    }

    /// Others see the whole file or none.
    pub(super) fn write(&self, kind: FileKind, id: FileId, content: &[Bytes]) -> io::Result<()> {
        let path = self.path(kind, id);
        let folder = path.parent().unwrap_or(&self.folder);
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
        let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
        let unfinished = folder.join(format!("{id}-tmp-{}-{number}", std::process::id()));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&unfinished)
            .and_then(|mut file| content.iter().try_for_each(|part| file.write_all(part)));
        let written = written.and_then(|()| fs::rename(&unfinished, &path));
        if written.is_err() {
            remove(&unfinished);
        }
        written
    }

    pub(super) fn remove(&self, kind: FileKind, id: FileId) {
        remove(&self.path(kind, id));
    }

    pub(super) fn ids(&self, kind: FileKind) -> io::Result<Vec<FileId>> {
        let mut ids = Vec::new();
        self.each(kind, |name, _| ids.extend(name.parse::<FileId>()))?;
        Ok(ids)
    }

    /// Removes what was not used for longest until no more than so many bytes are left; how many that are. What others
    /// have not finished counts and goes as well, when its turn comes.
    pub(super) fn shrink(&self, bytes_max: u64) -> io::Result<u64> {
        let mut files = Vec::new();
        for kind in KINDS {
            self.each(kind, |name, path| {
                if let Ok(metadata) = fs::metadata(path)
                    && let Ok(used) = metadata.modified()
                {
                    files.push((used, name.to_owned(), path.to_owned(), metadata.len()));
                }
            })?;
        }
        files.sort_unstable();
        let mut bytes: u64 = files.iter().map(|(_, _, _, length)| length).sum();
        for (_, _, path, length) in files {
            if bytes <= bytes_max {
                break;
            }
            remove(&path);
            bytes -= length;
        }
        Ok(bytes)
    }

    fn each(&self, kind: FileKind, mut visit: impl FnMut(&str, &Path)) -> io::Result<()> {
        for folder in entries(&self.folder.join(kind.folder()))? {
            if !folder.is_dir() {
                continue;
            }
            for path in entries(&folder)? {
                if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
                    visit(name, &path);
                }
            }
        }
        Ok(())
    }
}

/// None, if the folder is not there.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(entries) = none_if_missing(fs::read_dir(folder))? else {
        return Ok(Vec::new());
    };
    entries.map(|entry| entry.map(|entry| entry.path())).collect()
}

/// What another process removed first is gone as well.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}
