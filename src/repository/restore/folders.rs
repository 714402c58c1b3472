//! Folders, links and special files: what has no content of its own.

#![expect(clippy::disallowed_methods, reason = "what is in the way of a restored file goes")]

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode};

use crate::repository::node::{Node, NodeKind};

/// Until everything is in it: nobody else looks at what is half restored.
const FOLDER_MODE: u32 = 0o700;

/// A folder, whose attributes are set when everything in it is done.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) node: Node,
}

/// Makes a folder; a link in its place is replaced, so that nothing is restored where the link leads.
pub(super) fn make(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => return Ok(()),
        Ok(_) => fs::remove_file(path)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    DirBuilder::new().mode(FOLDER_MODE).create(path)
}

/// Makes what is no file and no folder; `Ok(false)` for what only a running program can make.
pub(super) fn special(path: &Path, node: &Node) -> io::Result<bool> {
    let kind = match node.kind {
        NodeKind::Symlink => None,
        NodeKind::Fifo => Some(FileType::Fifo),
        NodeKind::BlockDevice => Some(FileType::BlockDevice),
        NodeKind::CharacterDevice => Some(FileType::CharacterDevice),
        NodeKind::Unknown => return Err(io::Error::other("it is of a kind that this program does not know")),
        NodeKind::Socket | NodeKind::File | NodeKind::Dir => return Ok(false),
    };
    clear(path)?;
    match kind {
        None => std::os::unix::fs::symlink(node.target(), path)?,
        Some(kind) => rustix::fs::mknodat(CWD, path, kind, Mode::from_raw_mode(0o600), node.device)?,
    }
    Ok(true)
}

/// A second name of a file.
pub(super) fn link(first: &Path, path: &Path) -> io::Result<()> {
    clear(path)?;
    fs::hard_link(first, path)
}

/// Removes a file that is in the way, but no folder.
fn clear(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
