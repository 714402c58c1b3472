//! Offers the entries of a commit's tree to the builder and reads the blobs that it asks for. No work tree.

use git2::{ErrorCode, ObjectType, Oid, Repository};

use super::error::Failure;
use crate::model::tree::{IGNORE_FILE, IGNORE_FILE_BYTES_MAX, NoticeKind, TreeBuilder};

const MODE_LINK: i32 = 0o120_000;

/// Goes through the whole tree of `commit`, depth first.
pub(super) fn walk(clone: &Repository, commit: Oid, builder: &mut TreeBuilder) -> Result<(), Failure> {
    let root = clone.find_commit(commit).map_err(broken)?.tree_id();
    let mut open = vec![(String::new(), root)];
    while let Some((folder, id)) = open.pop() {
        let tree = clone.find_tree(id).map_err(broken)?;
        if let Some(entry) = tree.get_name(IGNORE_FILE)
            && entry.kind() == Some(ObjectType::Blob)
            && entry.filemode() != MODE_LINK
        {
            let small = bytes(clone, entry.id())? <= IGNORE_FILE_BYTES_MAX;
            let content = if small { Some(read(clone, entry.id())?) } else { None };
            builder.exclude(&folder, content.as_deref())?;
        }
        for entry in &tree {
            let name = entry.name_bytes();
            match entry.kind() {
                Some(ObjectType::Tree) => open.extend(builder.folder(&folder, name)?.map(|path| (path, entry.id()))),
                Some(ObjectType::Commit) => builder.link(&folder, name, NoticeKind::Submodule)?,
                Some(ObjectType::Blob) if entry.filemode() == MODE_LINK => {
                    builder.link(&folder, name, NoticeKind::Symlink)?;
                }
                Some(ObjectType::Blob) => {
                    if let Some(slot) = builder.file(&folder, name)? {
                        builder.fill(slot, bytes(clone, entry.id())?, || read(clone, entry.id()))?;
                    }
                }
                Some(ObjectType::Any | ObjectType::Tag) | None => {
                    return Err(Failure::clone("a tree holds what no tree can hold"));
                }
            }
        }
    }
    Ok(())
}

/// Content of a blob. Ask for its size before.
pub(super) fn read(clone: &Repository, blob: Oid) -> Result<Vec<u8>, Failure> {
    let odb = clone.odb().map_err(broken)?;
    odb.read(blob).map(|object| object.data().to_vec()).map_err(broken)
}

pub(super) fn bytes(clone: &Repository, blob: Oid) -> Result<u64, Failure> {
    let odb = clone.odb().map_err(broken)?;
    odb.read_header(blob).map(|(bytes, _)| bytes as u64).map_err(broken)
}

/// The entry of a file; none if there is no file at `path`.
pub(super) fn blob_at(tree: &git2::Tree<'_>, path: &str) -> Result<Option<Oid>, Failure> {
    match tree.get_path(std::path::Path::new(path)) {
        Ok(entry) if entry.kind() == Some(ObjectType::Blob) => Ok(Some(entry.id())),
        Ok(_) => Ok(None),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(broken(error)),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn broken(error: git2::Error) -> Failure {
    Failure::clone(error.message())
}
