//! Visits every tree of some snapshots once, many at a time.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::blob::BlobId;
use super::cancel::Cancel;
use super::node::Tree;
use super::parallel::{AT_ONCE, each};
use super::reader::{BlobError, Reader};

/// A tree, and one of the paths under which it can be found.
pub(super) type At = (BlobId, PathBuf);

/// Calls `visit` for each tree, whether it can be read or not.
pub(super) fn visit(
    reader: &Reader,
    roots: impl IntoIterator<Item = At>,
    cancel: &Cancel,
    visit: impl Fn(&At, Result<&Tree, BlobError>) + Sync,
) {
    let mut seen = HashSet::new();
    let mut level: Vec<At> = roots.into_iter().filter(|(id, _)| seen.insert(id.half())).collect();
    while !level.is_empty() && !cancel.is_cancelled() {
        let below = Mutex::new((seen, Vec::new()));
        each(&level, AT_ONCE, |at| {
            if cancel.is_cancelled() {
                return;
            }
            match reader.tree(at.0) {
                Err(error) => visit(at, Err(error)),
                Ok(tree) => {
                    visit(at, Ok(&tree));
                    let mut below = below.lock().unwrap_or_else(PoisonError::into_inner);
                    let (seen, next) = &mut *below;
                    for node in &tree.nodes {
                        // Also of a folder whose name we would not restore: what is in it is needed, and others may.
                        if let Some(subtree) = node.subtree.filter(|subtree| seen.insert(subtree.half())) {
                            let name = node.name().unwrap_or_else(|_| format!("{:?}", node.name).into());
                            next.push((subtree, at.1.join(name)));
                        }
                    }
                }
            }
        });
        (seen, level) = below.into_inner().unwrap_or_else(PoisonError::into_inner);
    }
}
