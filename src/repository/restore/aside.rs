//! What is in the place of a restore already. It is never deleted before everything is restored: until then it lies aside,
//! in the same folder, so that moving it copies nothing.

#![expect(clippy::disallowed_methods, reason = "moving files aside is what this module is for")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::RestoreError;

const ASIDE: &str = ".holdfast-replaced-";
/// Made by file systems, and no data of anybody.
const NO_DATA: &str = "lost+found";

/// What becomes of what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays, except for files of the same name.
    Keep,
    /// It is deleted when everything is restored.
    Delete,
}

/// Moves aside what is in the way, or refuses. Gives the folders to remove in the end.
pub(super) fn prepare(root: &Path, existing: Option<Existing>, mark: u64) -> Result<Vec<PathBuf>, RestoreError> {
    let failed = |error: io::Error| RestoreError::Target { path: root.to_owned(), reason: error.to_string() };
    let there = match fs::symlink_metadata(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    // What a link leads to is nobody's to move: the link is replaced.
    if !there.is_dir() {
        // A single file is replaced as a whole.
        return if existing.is_some() { Ok(Vec::new()) } else { Err(RestoreError::NotEmpty(root.to_owned())) };
    }
    let (earlier, others): (Vec<_>, Vec<_>) =
        children(root).map_err(failed)?.into_iter().partition(|path| is_aside(path));
    match existing {
        None if others.is_empty() && earlier.is_empty() => Ok(Vec::new()),
        None => Err(RestoreError::NotEmpty(root.to_owned())),
        Some(Existing::Keep) => Ok(Vec::new()),
        Some(Existing::Delete) => {
            let aside = new_folder(root, mark).map_err(failed)?;
            for path in others {
                let name = path.file_name().unwrap_or_default();
                fs::rename(&path, aside.join(name)).map_err(failed)?;
            }
            Ok(earlier.into_iter().chain([aside]).collect())
        }
    }
}

/// One that was not there: what an earlier attempt has put aside is never mixed with what that attempt has restored.
fn new_folder(root: &Path, mark: u64) -> io::Result<PathBuf> {
    const ATTEMPTS_MAX: u64 = 10_000;
    for attempt in 0..ATTEMPTS_MAX {
        let folder = root.join(format!("{ASIDE}{mark}-{attempt}"));
        match fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other.map(|()| folder),
        }
    }
    Err(io::Error::other("too many attempts have put something aside here"))
}

fn children(root: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(root)?.map(|entry| entry.map(|entry| entry.path()));
    let paths: io::Result<Vec<_>> = paths.collect();
    Ok(paths?.into_iter().filter(|path| path.file_name().is_none_or(|name| name != NO_DATA)).collect())
}

fn is_aside(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(ASIDE.as_bytes()))
}

pub(super) fn remove(aside: &[PathBuf]) -> io::Result<()> {
    aside.iter().try_for_each(fs::remove_dir_all)
}
