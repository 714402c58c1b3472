//! A repository in a folder of this machine, laid out as restic does it.

#![expect(clippy::disallowed_methods, reason = "a repository is files in a folder")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::{Fault, FileId, FileKind, FileName, Store, StoreError};

/// Nobody overwrites a file of a repository by mistake.
const FILE_MODE: u32 = 0o400;
const FOLDER_MODE: u32 = 0o700;

/// In the names of files that are being written.
const UNFINISHED: &str = "-tmp-";

#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// Makes the names of unfinished files of this process differ.
    unfinished: AtomicU64,
}

impl Folder {
    pub fn new(root: PathBuf) -> Self {
        Self { root, unfinished: AtomicU64::new(0) }
    }

    fn error(&self, file: &impl ToString, error: &io::Error) -> StoreError {
        let fault = match error.kind() {
            ErrorKind::NotFound => Fault::Missing,
            ErrorKind::AlreadyExists => Fault::Exists,
            ErrorKind::PermissionDenied => Fault::Denied(error.to_string()),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Fault::Full,
            ErrorKind::Interrupted
            | ErrorKind::TimedOut
            | ErrorKind::StaleNetworkFileHandle
            | ErrorKind::WouldBlock => Fault::Unavailable(error.to_string()),
            _ => Fault::Broken(error.to_string()),
        };
        StoreError { location: self.location(), file: file.to_string(), fault }
    }

    fn path(&self, file: FileName) -> PathBuf {
        self.root.join(file.to_string())
    }

    /// All that lies in a folder; nothing in one that is not there.
    fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
        match fs::read_dir(folder) {
            Ok(entries) => entries.collect(),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn folders(&self, kind: FileKind) -> Vec<PathBuf> {
        let folder = self.root.join(kind.folder());
        match kind {
            FileKind::Data => (0..=u8::MAX).map(|first| folder.join(format!("{first:02x}"))).collect(),
            FileKind::Key | FileKind::Lock | FileKind::Snapshot | FileKind::Index => vec![folder],
        }
    }

    /// The files of one folder whose names are those of a repository; others are unfinished, or none of ours.
    fn files(folder: &Path, out: &mut Vec<(FileId, u64)>) -> io::Result<()> {
        for entry in Self::entries(folder)? {
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            match entry.metadata() {
                Ok(metadata) if metadata.is_file() => out.push((id, metadata.len())),
                Ok(_) => {}
                // Somebody removed it meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write(&self, path: &Path, content: &[Bytes]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        make_for_good(folder)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (unfinished, file) = self.begin(folder, &format!("{name}{UNFINISHED}{}", std::process::id()))?;
        let written = Self::write_whole(file, content).and_then(|()| give_name(&unfinished, path));
        // Whether it stands under its name now or failed: this name is of no more use.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => written.and(Err(error))?,
            Ok(()) | Err(_) => written?,
        }
        File::open(folder)?.sync_all()
    }

    /// In a container every process has the same number, also the one that was killed here.
    fn begin(&self, folder: &Path, name: &str) -> io::Result<(PathBuf, File)> {
        loop {
            let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{name}-{number}"));
            match OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                other => return other.map(|file| (path, file)),
            }
        }
    }

    fn write_whole(mut file: File, content: &[Bytes]) -> io::Result<()> {
        content.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()
    }
}

/// A power failure takes a folder away that its parent does not know for good, with all files in it.
fn make_for_good(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let Some(parent) = folder.parent() else { return Err(error) };
            make_for_good(parent)?;
            return make_for_good(folder);
        }
        Err(error) => return Err(error),
    }
    match folder.parent() {
        Some(parent) if parent.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Gives a file its name, if no other has it.
fn give_name(unfinished: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(unfinished, path) {
        // Some file systems have no hard links: those of Windows, most in user space, some on a network.
        Err(error) if is_unsupported(&error) => rename(unfinished, path),
        done => done,
    }
}

fn rename(unfinished: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, unfinished, CWD, path, RenameFlags::NOREPLACE).map_err(io::Error::from) {
        // Not even that: whoever writes the same name between this look and the rename is overwritten, which matters for
        // the configuration alone, as all other names are sums of their content.
        Err(error) if is_unsupported(&error) => match fs::symlink_metadata(path) {
            Ok(_) => Err(ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => fs::rename(unfinished, path),
            Err(error) => Err(error),
        },
        done => done,
    }
}

/// `EPERM` is what Linux says of hard links on file systems without.
fn is_unsupported(error: &io::Error) -> bool {
    let known = [Errno::PERM, Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL, Errno::MLINK];
    known.iter().any(|known| error.raw_os_error() == Some(known.raw_os_error()))
}

impl Store for Folder {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn list(&self, kind: FileKind) -> Result<Vec<(FileId, u64)>, StoreError> {
        let mut files = Vec::new();
        let listed = self.folders(kind).iter().try_for_each(|folder| Self::files(folder, &mut files));
        listed.map_err(|error| self.error(&kind.folder(), &error))?;
        Ok(files)
    }

    fn size(&self, file: FileName) -> Result<u64, StoreError> {
        fs::metadata(self.path(file)).map(|metadata| metadata.len()).map_err(|error| self.error(&file, &error))
    }

    fn read(&self, file: FileName) -> Result<Bytes, StoreError> {
        fs::read(self.path(file)).map(Bytes::from).map_err(|error| self.error(&file, &error))
    }

    fn read_part(&self, file: FileName, offset: u64, length: u64) -> Result<Bytes, StoreError> {
        let short = |got| StoreError {
            location: self.location(),
            file: file.to_string(),
            fault: Fault::Short { wanted: length, got },
        };
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| short(0))?];
        let opened = File::open(self.path(file)).map_err(|error| self.error(&file, &error))?;
        match opened.read_exact_at(&mut bytes, offset) {
            Ok(()) => Ok(bytes.into()),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                let size = opened.metadata().map_or(0, |metadata| metadata.len());
                Err(short(size.saturating_sub(offset)))
            }
            Err(error) => Err(self.error(&file, &error)),
        }
    }

    fn create(&self, file: FileName, content: &[Bytes]) -> Result<(), StoreError> {
        self.write(&self.path(file), content).map_err(|error| self.error(&file, &error))
    }

    fn remove(&self, file: FileName) -> Result<(), StoreError> {
        match fs::remove_file(self.path(file)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.error(&file, &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn remove_unfinished(&self) -> Result<(), StoreError> {
        // Locks are written also by those who may not write anything else.
        let kinds = FileKind::ALL.into_iter().filter(|kind| *kind != FileKind::Lock);
        kinds.flat_map(|kind| self.folders(kind)).try_for_each(|folder| {
            let removed = Self::entries(&folder).and_then(|entries| {
                let paths = entries.into_iter().map(|entry| entry.path());
                paths.filter(|path| is_unfinished(path)).try_for_each(fs::remove_file)
            });
            removed.map_err(|error| self.error(&folder.display(), &error))
        })
    }
}

/// `<name>-tmp-<what makes it differ>`, as restic calls them too.
fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split_once(UNFINISHED).is_some_and(|(id, _)| id.parse::<FileId>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_hard_links_nothing_is_overwritten_either() {
        let folder = tempfile::tempdir().unwrap();
        let [new, path] = ["new", "path"].map(|name| folder.path().join(name));
        fs::write(&new, "one").unwrap();
        rename(&new, &path).unwrap();
        fs::write(&new, "two").unwrap();
        assert_eq!(rename(&new, &path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert!(is_unsupported(&io::Error::from_raw_os_error(Errno::PERM.raw_os_error())));
        assert!(!is_unsupported(&ErrorKind::AlreadyExists.into()));
    }
}
