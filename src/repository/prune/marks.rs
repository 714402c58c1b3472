//! Which blobs some snapshot needs: a bit for each, since there may be millions.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::PruneError;
use crate::repository::blob::{BlobId, BlobKind};
use crate::repository::cancel::Cancel;
use crate::repository::node::{Node, NodeKind};
use crate::repository::reader::Reader;
use crate::repository::snapshots::Snapshots;
use crate::repository::store::FileId;
use crate::repository::trees;

const BITS: usize = 64;

/// By the numbers of the index. Of a blob that is stored several times one place has a mark.
#[derive(Debug)]
pub(super) struct Marks(Vec<AtomicU64>);

impl Marks {
    /// Fails if anything that is needed cannot be found.
    pub(super) fn of(
        reader: &Reader,
        snapshots: &Snapshots,
        whole: &BTreeSet<FileId>,
        cancel: &Cancel,
    ) -> Result<Self, PruneError> {
        let marks = Self((0..reader.index.blobs().div_ceil(BITS)).map(|_| AtomicU64::new(0)).collect());
        let first: Mutex<Option<PruneError>> = Mutex::default();
        let give_up = |path: PathBuf, reason: String| {
            let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(PruneError::Lost { path, reason });
        };
        let need = |kind, id, path: &dyn Fn() -> PathBuf| {
            let found = reader.index.find_numbered(kind, id).find(|(_, at)| whole.contains(&at.pack));
            match found {
                Some((number, _)) => marks.set(number),
                None => give_up(path(), format!("blob {id} is in no pack that is there and whole")),
            }
        };
        let roots = snapshots.all.iter().map(|snapshot| (snapshot.tree, PathBuf::from(format!("{}:/", snapshot.id))));
        trees::visit(reader, roots, cancel, |(id, path), tree| match tree {
            Err(error) => give_up(path.clone(), error.to_string()),
            Ok(tree) => {
                need(BlobKind::Tree, *id, &|| path.clone());
                for node in &tree.nodes {
                    let path = || path.join(node.name().unwrap_or_default());
                    needs(
                        node,
                        |id| need(BlobKind::Data, id, &path),
                        || give_up(path(), "a folder without a tree".to_owned()),
                    );
                }
            }
        });
        if cancel.is_cancelled() {
            return Err(PruneError::Cancelled);
        }
        first.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(marks), Err)
    }

    pub(super) fn has(&self, number: usize) -> bool {
        self.0.get(number / BITS).is_some_and(|bits| bits.load(Ordering::Relaxed) >> (number % BITS) & 1 == 1)
    }

    fn set(&self, number: usize) {
        if let Some(bits) = self.0.get(number / BITS) {
            bits.fetch_or(1 << (number % BITS), Ordering::Relaxed);
        }
    }
}

fn needs(node: &Node, blob: impl Fn(BlobId), no_tree: impl FnOnce()) {
    node.blobs().iter().copied().for_each(blob);
    // Its tree is visited itself.
    if node.kind == NodeKind::Dir && node.subtree.is_none() {
        no_tree();
    }
}
