//! Puts files back as they were: content, links, special files, owners, modes, attributes, times. Memory is bounded: trees are
//! walked once, and content is fetched for a limited number of files at a time.

#![expect(clippy::disallowed_methods, reason = "a restore makes folders")]

mod aside;
mod attributes;
mod batch;
mod folders;
mod gaps;
mod walk;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use aside::Aside;
pub use aside::Existing;
use folders::Folder;
use walk::Walk;

use super::cancel::Cancel;
use super::noted::{Noted, Notes};
use super::pattern::Pattern;
use super::progress::Progress;
use super::reader::{BlobError, Reader};
use super::snapshot::Snapshot;
use super::tree::{self, PathError, Root};

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Order {
    /// In the snapshot: what is below goes right into the target. Empty for everything with its whole path.
    pub from: PathBuf,
    pub target: PathBuf,
    /// Empty for all.
    pub include: Vec<Pattern>,
    pub exclude: Vec<Pattern>,
    /// Without it a target that holds anything is refused.
    pub existing: Option<Existing>,
    pub holes: Holes,
}

/// Long rows of zeros in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holes {
    /// Take no room on the disk.
    Made,
    /// Are written like everything else.
    Filled,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    pub files: u64,
    pub bytes: u64,
    /// Not restored, or not whole: such a file has `.holdfast-incomplete` behind its name.
    pub lost: Noted,
    /// Restored, but without its owner, its mode, an attribute or its times.
    pub unset: Noted,
    /// Where lies what was there before: it is deleted only when nothing is lost.
    pub aside: Vec<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RestoreError {
    #[error("{} is not empty: say whether what is there is to be kept or deleted", .0.display())]
    NotEmpty(PathBuf),
    #[error(
        "only a part is to be restored, so what is there cannot be deleted: restore everything, or keep what is there"
    )]
    PartWithDelete,
    #[error("{}: {reason}", .path.display())]
    Target { path: PathBuf, reason: String },
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("the snapshot cannot be read: {0}")]
    Blob(#[from] BlobError),
    #[error("it was cancelled; what is restored so far stays, and what was there before in {}", folders(.aside))]
    Cancelled { aside: Vec<PathBuf> },
}

fn folders(aside: &[PathBuf]) -> String {
    let folders: Vec<_> = aside.iter().map(|folder| folder.display().to_string()).collect();
    if folders.is_empty() { "its place".to_owned() } else { folders.join(", ") }
}

/// What all who take part write down.
#[derive(Debug)]
struct Journal<'a> {
    lost: Notes,
    unset: Notes,
    progress: &'a Progress,
}

pub fn restore(
    reader: &Reader,
    snapshot: &Snapshot,
    order: &Order,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<Restored, RestoreError> {
    let partial = !order.include.is_empty() || !order.exclude.is_empty();
    if partial && order.existing == Some(Existing::Delete) {
        return Err(RestoreError::PartWithDelete);
    }
    let failed = |error: io::Error| RestoreError::Target { path: order.target.clone(), reason: error.to_string() };
    std::fs::create_dir_all(&order.target).map_err(failed)?;
    // Whoever names a link means what it leads to.
    let target = std::fs::canonicalize(&order.target).map_err(failed)?;
    let order = &Order { target, ..order.clone() };
    let root = tree::root(reader, snapshot.tree, &order.from)?;
    let mark = u64::try_from(snapshot.time.timestamp().as_second()).unwrap_or_default();
    let places = places(reader, snapshot, order, &root)?;
    let mut aside = Aside::prepare(&places, order.existing, mark)?.folders;
    if let (Some(bytes), false, true) = (snapshot.bytes, partial, order.from.as_os_str().is_empty()) {
        progress.expect_bytes(bytes);
    }
    let journal = Journal { lost: Notes::default(), unset: Notes::default(), progress };
    let folders = Walk::new(reader, order, &journal, cancel).run(root);
    if cancel.is_cancelled() {
        return Err(RestoreError::Cancelled { aside });
    }
    for place in places.iter().chain([&order.target]) {
        sync(place).map_err(failed)?;
    }
    let lost = journal.lost.so_far();
    if lost.count == 0 {
        aside::remove(&aside).map_err(failed)?;
        aside.clear();
    }
    // At the very end, and what is inside of another first: everything before this changes the times of folders.
    for Folder { path, node } in folders.iter().rev() {
        attributes::set(path, node, |reason| journal.unset.add(path, &reason));
    }
    let done = progress.so_far();
    Ok(Restored { files: done.files, bytes: done.bytes, lost, unset: journal.unset.so_far(), aside })
}

/// Where something may be that this restore takes the place of. The tree says where that is: the paths of a snapshot are what
/// somebody typed, and are believed only where the tree has them.
fn places(reader: &Reader, snapshot: &Snapshot, order: &Order, root: &Root) -> Result<Vec<PathBuf>, RestoreError> {
    match root {
        Root::Node(node) if node.subtree.is_some() => Ok(vec![order.target.clone()]),
        Root::Node(node) => Ok(vec![order.target.join(node.name().map_err(|_| PathError::Bad(order.from.clone()))?)]),
        Root::Tree(tree) => {
            let inside = |path: &String| Path::new(path).strip_prefix("/").unwrap_or(Path::new(path)).to_owned();
            let known: Vec<_> = snapshot.paths.iter().map(inside).collect();
            if known.iter().all(|path| tree::root(reader, *tree, path).is_ok()) && !known.is_empty() {
                return Ok(known.into_iter().map(|path| order.target.join(path)).collect());
            }
            // A tree that cannot be read restores nothing, which the walk says.
            let nodes = reader.tree(*tree).unwrap_or_default().nodes;
            let names = nodes.into_iter().filter_map(|node| node.name().ok());
            Ok(names.map(|name| order.target.join(name)).collect())
        }
    }
}

/// What is restored survives a machine that goes down right afterwards.
fn sync(place: &Path) -> io::Result<()> {
    match std::fs::File::open(place) {
        Ok(file) => rustix::fs::syncfs(file).map_err(Into::into),
        // Not restored, or no file that can be opened: what is beside it is.
        Err(_) => Ok(()),
    }
}
