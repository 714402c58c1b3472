//! Finds a file or a folder in a snapshot.

use std::path::{Component, Path, PathBuf};

use thiserror::Error;

use super::blob::BlobId;
use super::node::Node;
use super::reader::{BlobError, Reader};

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    #[error("{} is not in the snapshot", .0.display())]
    Missing(PathBuf),
    #[error("{} is no path in a snapshot: leave `..` out", .0.display())]
    Bad(PathBuf),
    #[error("{}: {error}", .path.display())]
    Blob { path: PathBuf, error: BlobError },
}

/// Where a restore begins.
#[derive(Debug)]
pub(super) enum Root {
    /// Everything.
    Tree(BlobId),
    Node(Box<Node>),
}

/// The empty path and `/` are the whole snapshot.
pub(super) fn root(reader: &Reader, tree: BlobId, path: &Path) -> Result<Root, PathError> {
    let mut at = Root::Tree(tree);
    let mut so_far = PathBuf::from("/");
    for component in path.components() {
        let name = match component {
            Component::Normal(name) => name,
            Component::RootDir | Component::CurDir => continue,
            Component::ParentDir | Component::Prefix(_) => return Err(PathError::Bad(path.to_owned())),
        };
        let missing = || PathError::Missing(path.to_owned());
        let tree = match &at {
            Root::Tree(tree) => *tree,
            Root::Node(node) => node.subtree.ok_or_else(missing)?,
        };
        let tree = reader.tree(tree).map_err(|error| PathError::Blob { path: so_far.clone(), error })?;
        let node = tree.nodes.into_iter().find(|node| node.name().is_ok_and(|own| own == name)).ok_or_else(missing)?;
        so_far.push(name);
        at = Root::Node(Box::new(node));
    }
    Ok(at)
}
