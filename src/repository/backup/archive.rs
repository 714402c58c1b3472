//! The pipeline of a backup: one thread goes through the folders, some read files, some store pieces, and this one makes the
//! trees, in the order in which the folders were gone through.

use std::ffi::OsStr;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use super::read::{Broken, Job, PieceJob, Reading, Stored};
use super::walk::{self, Item, Known, Walk, Wanted};
use crate::repository::blob::{BlobId, BlobKind};
use crate::repository::node::{Node, NodeKind, Tree};
use crate::repository::parallel::workers;
use crate::repository::pattern::Pattern;
use crate::repository::reader::Reader;
use crate::repository::writer::{WriteError, Writer};

/// Items and files that wait for their turn.
const WAITING_MAX: usize = 256;

/// What was gone through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub files_new: u64,
    pub files_changed: u64,
    pub files_unmodified: u64,
    pub folders: u64,
    pub bytes: u64,
}

impl Counts {
    pub fn files(&self) -> u64 {
        self.files_new + self.files_changed + self.files_unmodified
    }
}

/// Stores folders and files; gives the tree of the snapshot.
pub(super) fn folders(
    reading: Reading<'_>,
    reader: &Reader,
    paths: &[PathBuf],
    exclude: &[Pattern],
    before: Option<BlobId>,
) -> Result<(BlobId, Counts), WriteError> {
    let wanted = Wanted::of(paths);
    let (items, made) = sync_channel(WAITING_MAX);
    let (jobs, to_read) = sync_channel::<Job>(WAITING_MAX);
    let (pieces, to_store) = sync_channel::<PieceJob>(workers().get());
    let (to_read, to_store) = (Mutex::new(to_read), Mutex::new(to_store));
    thread::scope(|scope| {
        let (to_read, to_store) = (&to_read, &to_store);
        for _ in 0..workers().get() {
            let pieces = pieces.clone();
            scope.spawn(move || reading.files(to_read, &pieces));
            scope.spawn(move || reading.pieces(to_store));
        }
        drop(pieces);
        if reading.progress.is_watched() {
            scope.spawn(|| reading.progress.expect_bytes(walk::size(paths, exclude, reading.cancel)));
        }
        let (notes, progress, cancel) = (reading.notes, reading.progress, reading.cancel);
        let walk = Walk { reader, exclude, notes, progress, cancel, items, jobs };
        scope.spawn(|| walk.run(&wanted, before));
        trees(reading.writer, made)
    })
}

fn trees(writer: &Writer, items: Receiver<Item>) -> Result<(BlobId, Counts), WriteError> {
    let mut counts = Counts::default();
    let mut stack = Vec::new();
    let mut here = Tree::default();
    for item in items {
        match item {
            Item::Enter(node) => {
                counts.folders += 1;
                stack.push((node, std::mem::take(&mut here)));
            }
            Item::Leave => {
                let subtree = Some(store(writer, &here)?);
                if let Some((node, outer)) = stack.pop() {
                    here = outer;
                    here.nodes.push(Node { subtree, ..node });
                }
            }
            Item::Leaf(node, known) => {
                count(&mut counts, &node, known);
                here.nodes.push(node);
            }
            Item::File(node, content, known) => {
                // What cannot be read was noted; it is no part of the tree.
                if let Ok(Some(Stored { blobs, bytes })) = content.recv() {
                    let node = Node { content: Some(blobs), size: bytes, ..node };
                    count(&mut counts, &node, known);
                    here.nodes.push(node);
                }
            }
        }
    }
    Ok((store(writer, &here)?, counts))
}

fn count(counts: &mut Counts, node: &Node, known: Known) {
    if node.kind == NodeKind::File {
        match known {
            Known::New => counts.files_new += 1,
            Known::Changed => counts.files_changed += 1,
            Known::Unchanged => counts.files_unmodified += 1,
        }
        counts.bytes += node.size;
    }
}

fn store(writer: &Writer, tree: &Tree) -> Result<BlobId, WriteError> {
    let mut plain = serde_json::to_vec(tree).unwrap_or_default();
    // As restic ends a tree: the same folder is the same blob to both.
    plain.push(b'\n');
    writer.store(BlobKind::Tree, &plain)
}

/// Stores what a reader gives as one file.
pub(super) fn stream(
    reading: Reading<'_>,
    mut file: Node,
    folders: &[&OsStr],
    reader: impl Read,
) -> Result<(BlobId, Counts), Broken> {
    let (pieces, to_store) = sync_channel::<PieceJob>(workers().get());
    let to_store = Mutex::new(to_store);
    let stored = thread::scope(|scope| {
        for _ in 0..workers().get() {
            scope.spawn(|| reading.pieces(&to_store));
        }
        let pieces = pieces;
        reading.store(reader, &pieces)
    })?;
    let counts = Counts { files_new: 1, bytes: stored.bytes, ..Counts::default() };
    (file.content, file.size) = (Some(stored.blobs), stored.bytes);
    let mut node = file;
    for name in folders.iter().rev() {
        let subtree = store(reading.writer, &Tree { nodes: vec![node.clone()] }).map_err(Broken::Write)?;
        let mode = 1 << 31 | 0o755;
        node = Node {
            mode,
            mtime: node.mtime,
            atime: node.atime,
            ctime: node.ctime,
            subtree: Some(subtree),
            ..Node::new(name, NodeKind::Dir)
        };
    }
    let tree = store(reading.writer, &Tree { nodes: vec![node] }).map_err(Broken::Write)?;
    Ok((tree, counts))
}
