//! Makes a commit out of changed files without a work tree, all its objects in one pack and none of them loose.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;

use git2::{Commit, ObjectType, Oid, Repository, Signature, Time, Tree};

use super::clone::open_repository;
use super::error::{Failure, WriteError};
use super::walk::{blob_at, broken, read};
use super::write::{Changes, CommitText};

const MODE_FILE: i32 = 0o100_644;
const MODE_FOLDER: i32 = 0o040_000;
/// Above libgit2's own backends, of which the highest has 2: all that is written goes to memory first.
const MEMORY_PRIORITY: i32 = 1000;

/// The changes of one folder and of those below it.
#[derive(Default)]
struct Folder<'a> {
    files: BTreeMap<&'a str, Option<&'a [u8]>>,
    folders: BTreeMap<&'a str, Folder<'a>>,
}

/// Writes new objects and remembers which they are.
struct Editor<'r> {
    clone: &'r Repository,
    made: BTreeSet<Oid>,
}

/// Commits `changes` on top of `base` (none: a root commit) into the clone at `path`; none if they change nothing.
pub(super) fn commit(
    path: &Path,
    base: Option<Oid>,
    changes: &Changes,
    text: &CommitText,
) -> Result<Option<Oid>, WriteError> {
    let root = sort_by_folder(changes)?;
    let clone = open_repository(path)?;
    let odb = clone.odb().map_err(broken)?;
    let memory = odb.add_new_mempack_backend(MEMORY_PRIORITY).map_err(broken)?;
    let parent = base.map(|base| clone.find_commit(base)).transpose().map_err(broken)?;
    let before = parent.as_ref().map(Commit::tree).transpose().map_err(broken)?;
    let mut editor = Editor { clone: &clone, made: BTreeSet::new() };
    let Some(tree) = editor.tree(before.as_ref(), &root)? else { return Ok(None) };
    if before.is_some_and(|before| before.id() == tree) {
        return Ok(None);
    }
    let author = text.signature()?;
    let tree = clone.find_tree(tree).map_err(broken)?;
    let parents: Vec<&Commit<'_>> = parent.iter().collect();
    let commit = clone.commit(None, &author, &author, &text.message, &tree, &parents).map_err(broken)?;
    editor.made.insert(commit);
    pack(&clone, &editor.made)?;
    memory.reset().map_err(broken)?;
    check(path, commit, changes)?;
    Ok(Some(commit))
}

impl CommitText {
    fn signature(&self) -> Result<Signature<'static>, WriteError> {
        let time = Time::new(self.when.as_second(), 0);
        Signature::new(&self.author_name, &self.author_email, &time)
            .map_err(|_| WriteError::BadAuthor(format!("{} <{}>", self.author_name, self.author_email)))
    }
}

fn sort_by_folder(changes: &Changes) -> Result<Folder<'_>, WriteError> {
    let mut root = Folder::default();
    for (path, content) in changes {
        if !path.split('/').all(is_good) {
            return Err(WriteError::BadPath(path.clone()));
        }
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut folder = &mut root;
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            folder = folder.folders.entry(part).or_default();
        }
        folder.files.insert(name, content.as_deref());
    }
    Ok(root)
}

/// Whether a part of a path is one that every Git server and every checkout takes.
fn is_good(part: &str) -> bool {
    !matches!(part, "" | "." | "..")
        && !part.eq_ignore_ascii_case(".git")
        && !part.contains(|c: char| c == '\\' || c.is_control())
}

impl Editor<'_> {
    /// The tree with the changes; none if nothing is left in it.
    fn tree(&mut self, before: Option<&Tree<'_>>, changes: &Folder<'_>) -> Result<Option<Oid>, WriteError> {
        let mut builder = self.clone.treebuilder(before).map_err(broken)?;
        for (name, content) in &changes.files {
            let old = before.and_then(|before| before.get_name(name));
            match content {
                Some(_) if changes.folders.contains_key(name) => return Err(WriteError::BadPath((*name).to_owned())),
                Some(content) => {
                    let blob = self.clone.blob(content).map_err(broken)?;
                    if old.is_none_or(|old| old.id() != blob) {
                        self.made.insert(blob);
                    }
                    builder.insert(name, blob, MODE_FILE).map_err(broken)?;
                }
                None if old.is_some_and(|old| old.kind() != Some(ObjectType::Tree)) => {
                    builder.remove(name).map_err(broken)?;
                }
                None => {}
            }
        }
        for (name, inner) in &changes.folders {
            let old =
                before.and_then(|before| before.get_name(name)).filter(|old| old.kind() == Some(ObjectType::Tree));
            let old = old.map(|old| self.clone.find_tree(old.id())).transpose().map_err(broken)?;
            match self.tree(old.as_ref(), inner)? {
                Some(tree) => drop(builder.insert(name, tree, MODE_FOLDER).map_err(broken)?),
                None if old.is_some() => builder.remove(name).map_err(broken)?,
                None => {}
            }
        }
        if builder.is_empty() {
            return Ok(None);
        }
        let tree = builder.write().map_err(broken)?;
        if before.is_none_or(|before| before.id() != tree) {
            self.made.insert(tree);
        }
        Ok(Some(tree))
    }
}

/// Writes the objects, which so far are in memory only, as one pack. Not `Mempack::dump`: that packs the whole tree of
/// a commit, also what was there before.
fn pack(clone: &Repository, objects: &BTreeSet<Oid>) -> Result<(), Failure> {
    let mut packing = clone.packbuilder().map_err(broken)?;
    for object in objects {
        packing.insert_object(*object, None).map_err(broken)?;
    }
    let odb = clone.odb().map_err(broken)?;
    let mut writer = odb.packwriter().map_err(broken)?;
    let mut failed = None;
    let written = packing.foreach(|bytes| match writer.write_all(bytes) {
        Ok(()) => true,
        Err(error) => {
            failed = Some(Failure::clone(error.to_string()));
            false
        }
    });
    if let Some(failure) = failed {
        return Err(failure);
    }
    written.map_err(broken)?;
    writer.commit().map_err(broken)?;
    Ok(())
}

/// Reads every changed file back from the disk: what is pushed is what was meant.
fn check(path: &Path, commit: Oid, changes: &Changes) -> Result<(), WriteError> {
    let clone = open_repository(path)?;
    let tree = clone.find_commit(commit).and_then(|commit| commit.tree()).map_err(broken)?;
    for (path, content) in changes {
        let found = blob_at(&tree, path)?.map(|blob| read(&clone, blob)).transpose()?;
        if found.as_ref() != content.as_ref() {
            return Err(WriteError::ReadBack { path: path.clone() });
        }
    }
    Ok(())
}
