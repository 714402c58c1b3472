//! Which blobs some snapshot needs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::PruneError;
use crate::repository::bits::Bits;
use crate::repository::blob::{BlobId, BlobKind};
use crate::repository::cancel::Cancel;
use crate::repository::node::{Node, NodeKind};
use crate::repository::packs::PackUse;
use crate::repository::reader::Reader;
use crate::repository::snapshots::Snapshots;
use crate::repository::store::FileId;
use crate::repository::trees;

/// By the numbers of the index: of a blob that is stored several times one place has a mark. Fails if anything that is needed
/// cannot be found.
pub(super) fn needed(
    reader: &Reader,
    snapshots: &Snapshots,
    packs: &BTreeMap<FileId, PackUse>,
    cancel: &Cancel,
) -> Result<Bits, PruneError> {
    let marks = Bits::none(&reader.index);
    let first: Mutex<Option<PruneError>> = Mutex::default();
    let give_up = |path: PathBuf, reason: String| {
        let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(PruneError::Lost { path, reason });
    };
    // A pack that is not as long as it must be holds nothing that can be counted on.
    let is_whole = |pack: &FileId| packs.get(pack).is_some_and(PackUse::is_whole);
    let need = |kind, id, path: &dyn Fn() -> PathBuf| match reader
        .index
        .find_numbered(kind, id)
        .find(|(_, at)| is_whole(&at.pack))
    {
        Some((number, _)) => drop(marks.set(number)),
        None => give_up(path(), format!("blob {id} is in no pack that is there and whole")),
    };
    let roots = snapshots.all.iter().map(|snapshot| (snapshot.tree, PathBuf::from(format!("{}:/", snapshot.id))));
    trees::visit(reader, roots, cancel, |(id, path), tree| match tree {
        Err(error) => give_up(path.clone(), error.to_string()),
        Ok(tree) => {
            need(BlobKind::Tree, *id, &|| path.clone());
            for node in &tree.nodes {
                let path = || path.join(node.name().unwrap_or_default());
                let no_tree = || give_up(path(), "a folder without a tree".to_owned());
                needs(node, |id| need(BlobKind::Data, id, &path), no_tree);
            }
        }
    });
    if cancel.is_cancelled() {
        return Err(PruneError::Cancelled);
    }
    first.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(marks), Err)
}

fn needs(node: &Node, blob: impl Fn(BlobId), no_tree: impl FnOnce()) {
    node.blobs().iter().copied().for_each(blob);
    // Its tree is visited itself.
    if node.kind == NodeKind::Dir && node.subtree.is_none() {
        no_tree();
    }
}
