//! A plain folder as a source: `--tree DIR`, whether it is a checkout or not. Symbolic links in it are not followed.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::model::tree::{
    IGNORE_FILE, IGNORE_FILE_BYTES_MAX, InputPaths, NoticeKind, SEARCHED_BYTES_MAX, Tree, TreeBuilder, TreeError,
};

/// Why a folder could not be read to its end.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FolderError {
    #[error("{path} cannot be read: {kind}")]
    Unreadable { path: PathBuf, kind: io::ErrorKind },
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Everything that counts below `root`.
#[expect(clippy::disallowed_methods, reason = "a folder as a source, read within the limits of `TreeBuilder`")]
pub fn read_folder(root: &Path, paths: InputPaths) -> Result<Tree, FolderError> {
    let mut builder = TreeBuilder::new(paths);
    let mut open = vec![(String::new(), root.to_owned())];
    while let Some((folder, place)) = open.pop() {
        let ignore_file = place.join(IGNORE_FILE);
        if fs::symlink_metadata(&ignore_file).is_ok_and(|metadata| metadata.is_file()) {
            let content = read(&ignore_file, IGNORE_FILE_BYTES_MAX)?;
            builder.exclude(&folder, Some(&content))?;
        }
        let entries: io::Result<Vec<_>> = fs::read_dir(&place).and_then(Iterator::collect);
        let mut entries = entries.map_err(|error| unreadable(&place, &error))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (name, path) = (entry.file_name(), entry.path());
            // Does not follow links.
            let metadata = entry.metadata().map_err(|error| unreadable(&path, &error))?;
            let kind = metadata.file_type();
            if kind.is_symlink() {
                builder.link(&folder, name.as_bytes(), NoticeKind::Symlink)?;
            } else if kind.is_dir() {
                open.extend(builder.folder(&folder, name.as_bytes())?.map(|inner| (inner, path)));
            } else if kind.is_file()
                && let Some(slot) = builder.file(&folder, name.as_bytes())?
            {
                builder.fill(slot, metadata.len(), || read(&path, SEARCHED_BYTES_MAX))?;
            }
        }
    }
    Ok(builder.finish(None)?)
}

/// One byte more than `limit` at most, which shows that there is more.
#[expect(clippy::disallowed_methods, reason = "a folder as a source, read within the limits of `TreeBuilder`")]
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FolderError> {
    let mut content = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut content));
    read.map_err(|error| unreadable(path, &error))?;
    Ok(content)
}

fn unreadable(path: &Path, error: &io::Error) -> FolderError {
    FolderError::Unreadable { path: path.to_owned(), kind: error.kind() }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests write the folder")]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const DOCUMENT: &str = "apiVersion: stash.appscode.com/v1beta1\n";

    #[test]
    fn a_folder_is_read_as_git_would() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, content: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        write("a/b.yaml", DOCUMENT);
        write("a/tests/c.yaml", DOCUMENT);
        write("a/.holdfastignore", "tests\n");
        write(".git/d.yaml", DOCUMENT);
        write("other/e.yaml", DOCUMENT);
        symlink("/etc", root.path().join("a/etc")).unwrap();
        symlink("b.yaml", root.path().join("a/link.yaml")).unwrap();

        let tree = read_folder(root.path(), InputPaths::parse(&["a"]).unwrap()).unwrap();
        assert_eq!(tree.files().collect::<Vec<_>>(), [("a/b.yaml", DOCUMENT.as_bytes())]);
        assert_eq!(tree.revision, None);
        let notices: Vec<_> = tree.notices.iter().map(|notice| (notice.path.as_str(), notice.kind)).collect();
        assert_eq!(notices, [("a/etc", NoticeKind::Symlink), ("a/link.yaml", NoticeKind::Symlink)]);

        let missing = read_folder(&root.path().join("nowhere"), InputPaths::default());
        assert!(matches!(missing, Err(FolderError::Unreadable { kind: io::ErrorKind::NotFound, .. })));
        let missing = read_folder(root.path(), InputPaths::parse(&["nowhere"]).unwrap());
        assert_eq!(missing, Err(TreeError::PathMissing("nowhere".to_owned()).into()));
    }
}
