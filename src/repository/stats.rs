//! How much a repository holds, as restic counts it.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::bits::Bits;
use super::blob::BlobKind;
use super::cancel::Cancel;
use super::index::Location;
use super::node::{Node, NodeKind};
use super::reader::{BlobError, Reader};
use super::snapshot::Snapshot;
use super::trees;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub snapshots: u64,
    /// Blobs that these snapshots need, and what they take in the repository.
    pub blobs: u64,
    pub stored_bytes: u64,
    /// The same before compression and encryption.
    pub plain_bytes: u64,
}

pub fn stats(reader: &Reader, snapshots: &[&Snapshot], cancel: &Cancel) -> Result<Stats, BlobError> {
    let seen = Bits::none(&reader.index);
    let gathered = Mutex::new((Stats { snapshots: snapshots.len() as u64, ..Stats::default() }, None));
    let roots = snapshots.iter().map(|snapshot| (snapshot.tree, PathBuf::new()));
    trees::visit(reader, roots, cancel, |(id, _), tree| {
        let mut gathered = gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let (stats, failed) = &mut *gathered;
        match tree {
            Err(error) => drop(failed.get_or_insert(error)),
            Ok(tree) => {
                let data = tree.nodes.iter().flat_map(Node::blobs).map(|blob| (BlobKind::Data, *blob));
                for (kind, id) in data.chain([(BlobKind::Tree, *id)]) {
                    match reader.index.find_numbered(kind, id).next() {
                        None => drop(failed.get_or_insert(BlobError::Unknown(id))),
                        Some((number, at)) if seen.set(number) => stats.add(at),
                        Some(_) => {}
                    }
                }
            }
        }
    });
    if cancel.is_cancelled() {
        return Err(BlobError::Cancelled);
    }
    let (stats, failed) = gathered.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.map_or(Ok(stats), Err)
}

impl Stats {
    fn add(&mut self, at: Location) {
        self.blobs += 1;
        self.stored_bytes += u64::from(at.length);
        self.plain_bytes += u64::from(at.plain_bytes());
    }
}

/// Files and bytes that a restore of one snapshot gives: a file with several names counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreSize {
    pub files: u64,
    pub bytes: u64,
}

pub fn restore_size(reader: &Reader, snapshot: &Snapshot) -> Result<RestoreSize, BlobError> {
    let mut size = RestoreSize::default();
    let mut linked = HashSet::new();
    let mut waiting = vec![snapshot.tree];
    while let Some(tree) = waiting.pop() {
        for node in reader.tree(tree)?.nodes {
            waiting.extend(node.subtree);
            if node.kind == NodeKind::File && (node.links < 2 || linked.insert((node.device_id, node.inode))) {
                size.files += 1;
                size.bytes += node.size;
            }
        }
    }
    Ok(size)
}
