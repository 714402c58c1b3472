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

/// What was moved, and the folders to remove in the end.
#[derive(Debug, Default)]
pub(super) struct Aside {
    moved: Vec<(PathBuf, PathBuf)>,
    pub(super) folders: Vec<PathBuf>,
}

impl Aside {
    /// Moves aside what is in the way in all of these places, or in none.
    pub(super) fn prepare(places: &[PathBuf], existing: Option<Existing>, mark: u64) -> Result<Self, RestoreError> {
        let mut aside = Self::default();
        match places.iter().try_for_each(|place| aside.add(place, existing, mark)) {
            Ok(()) => Ok(aside),
            Err(error) => {
                aside.undo();
                Err(error)
            }
        }
    }

    fn add(&mut self, root: &Path, existing: Option<Existing>, mark: u64) -> Result<(), RestoreError> {
        let failed =
            |path: &Path, error: io::Error| RestoreError::Target { path: path.to_owned(), reason: error.to_string() };
        let there = match fs::symlink_metadata(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(|error| failed(root, error))?,
        };
        // What a link leads to is nobody's to move: the link is replaced.
        if !there.is_dir() {
            // A single file is replaced as a whole.
            return if existing.is_some() { Ok(()) } else { Err(RestoreError::NotEmpty(root.to_owned())) };
        }
        let children = children(root).map_err(|error| failed(root, error))?;
        let (earlier, others): (Vec<_>, Vec<_>) = children.into_iter().partition(|path| is_aside(path));
        match existing {
            None if others.is_empty() && earlier.is_empty() => {}
            None => return Err(RestoreError::NotEmpty(root.to_owned())),
            Some(Existing::Keep) => {}
            Some(Existing::Delete) => {
                let folder = new_folder(root, mark).map_err(|error| failed(root, error))?;
                self.folders.extend(earlier.into_iter().chain([folder.clone()]));
                for path in others {
                    let to = folder.join(path.file_name().unwrap_or_default());
                    // Where another file system is mounted, for one.
                    fs::rename(&path, &to).map_err(|error| failed(&path, error))?;
                    self.moved.push((path, to));
                }
            }
        }
        Ok(())
    }

    /// Nothing is restored yet: everything goes back to where it was.
    fn undo(self) {
        for (path, to) in self.moved.into_iter().rev() {
            if let Err(error) = fs::rename(&to, &path) {
                tracing::warn!(%error, from = %to.display(), to = %path.display(), "it could not be moved back");
            }
        }
        // Those of earlier attempts hold something, and stay.
        self.folders.iter().for_each(|folder| drop(fs::remove_dir(folder)));
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
