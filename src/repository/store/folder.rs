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

    /// The files of one folder whose names are those of a repository; others are unfinished, or none of ours.
    fn files(folder: &Path, out: &mut Vec<(FileId, u64)>) -> io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
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
        let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let unfinished = folder.join(format!("{name}-tmp-{}-{number}", std::process::id()));
        let written = Self::write_whole(&unfinished, content).and_then(|()| give_name(&unfinished, path));
        // Whether it stands under its name now or failed: this name is of no more use.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => written.and(Err(error))?,
            Ok(()) | Err(_) => written?,
        }
        File::open(folder)?.sync_all()
    }

    fn write_whole(path: &Path, content: &[Bytes]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
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
        let folder = self.root.join(kind.folder());
        let mut files = Vec::new();
        let listed = match kind {
            FileKind::Data => {
                (0..=u8::MAX).try_for_each(|first| Self::files(&folder.join(format!("{first:02x}")), &mut files))
            }
            FileKind::Key | FileKind::Lock | FileKind::Snapshot | FileKind::Index => Self::files(&folder, &mut files),
        };
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
