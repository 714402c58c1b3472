//! What a tree says about one file.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use jiff::Timestamp;

use crate::repository::mode;
use crate::repository::node::{Attribute, Bytes, Node, NodeKind};

/// What a link is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    Kept,
    /// On the way to what is wanted: as in restic, a folder.
    Followed,
}

/// Everything but what could not be read of its extended attributes, which is told.
pub(super) fn read(path: &Path, links: Links, mut unread: impl FnMut(String)) -> io::Result<Node> {
    let meta = match links {
        Links::Kept => fs::symlink_metadata(path)?,
        Links::Followed => fs::metadata(path)?,
    };
    let kind = meta.file_type();
    let sort = if kind.is_dir() {
        NodeKind::Dir
    } else if kind.is_symlink() {
        NodeKind::Symlink
    } else if kind.is_block_device() {
        NodeKind::BlockDevice
    } else if kind.is_char_device() {
        NodeKind::CharacterDevice
    } else if kind.is_fifo() {
        NodeKind::Fifo
    } else if kind.is_socket() {
        NodeKind::Socket
    } else {
        NodeKind::File
    };
    let mut node = Node::new(path.file_name().unwrap_or_default(), sort);
    if kind.is_symlink() {
        node.point_to(fs::read_link(path)?.as_os_str());
    }
    if kind.is_block_device() || kind.is_char_device() {
        node.device = meta.rdev();
    }
    node.mode = mode::to_go(meta.mode());
    node.mtime = time(meta.mtime(), meta.mtime_nsec());
    // The time of the last access changes with each backup, and every tree would be stored anew.
    node.atime = node.mtime;
    node.ctime = time(meta.ctime(), meta.ctime_nsec());
    (node.uid, node.gid) = (meta.uid(), meta.gid());
    node.inode = meta.ino();
    if !kind.is_dir() {
        node.links = meta.nlink();
    }
    if node.links > 1 {
        // Numbers of devices change with each mount; they only tell names of one file from names of another.
        node.device_id = meta.dev();
    }
    if kind.is_file() {
        node.size = meta.len();
    }
    node.extended_attributes = attributes(path, &mut unread).unwrap_or_else(|error| {
        unread(format!("its extended attributes: {error}"));
        Vec::new()
    });
    Ok(node)
}

/// Of the years 0 to 9999: no other can be written down in a tree, and restic cannot read it.
const SECONDS: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

fn time(seconds: i64, nanoseconds: i64) -> Option<Timestamp> {
    let whole = Timestamp::from_second(seconds.clamp(*SECONDS.start(), *SECONDS.end())).ok()?;
    whole.checked_add(jiff::SignedDuration::from_nanos(nanoseconds)).ok()
}

fn attributes(path: &Path, unread: &mut impl FnMut(String)) -> io::Result<Vec<Attribute>> {
    let names = match xattr::list(path) {
        // A file system that has none.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(Vec::new()),
        other => other?,
    };
    let mut attributes = Vec::new();
    for name in names {
        match name.to_str() {
            Some(text) => {
                let value = match xattr::get(path, &name) {
                    // A name without a value, as some file systems have it.
                    Err(error) if error.kind() == io::ErrorKind::Unsupported => None,
                    other => other?.map(Bytes),
                };
                attributes.push(Attribute { name: text.to_owned(), value });
            }
            None => unread(format!("its extended attribute {}, whose name is no UTF-8", name.display())),
        }
    }
    Ok(attributes)
}
