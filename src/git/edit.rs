//! Makes a commit out of changed files without a work tree, all its objects in one pack and none of them loose.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;

use git2::{Commit, ObjectType, Odb, Oid, Repository, Signature, Time, Tree};

use super::clone::open_repository;
use super::error::{Failure, WriteError};
use super::pack::Pack;
use super::sign::SigningKey;
use super::walk::{broken, read};
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

/// Makes new objects and remembers them.
struct Editor<'r, 'c> {
    clone: &'r Repository,
    odb: &'r Odb<'r>,
    /// Not written to the database one by one: for each it would look for a twin in every pack and on the disk. Trees
    /// name them all the same, since `process` has turned off libgit2's look at every entry.
    blobs: BTreeMap<Oid, &'c [u8]>,
    /// In memory; libgit2 reads them there.
    others: BTreeSet<Oid>,
}

/// What a commit begins with.
#[derive(Clone, Copy)]
pub(super) enum Onto {
    Nothing,
    /// The parent, whose files stay.
    Parent(Oid),
    /// Its files stay, but it is no parent: the history begins anew.
    FilesOf(Oid),
}

/// Commits `changes` into the clone at `path`; none if they change nothing.
pub(super) fn commit(
    path: &Path,
    onto: Onto,
    changes: &Changes,
    text: &CommitText,
    key: Option<&SigningKey>,
) -> Result<Option<Oid>, WriteError> {
    let root = sort_by_folder(changes)?;
    let clone = open_repository(path)?;
    let odb = clone.odb().map_err(broken)?;
    let memory = odb.add_new_mempack_backend(MEMORY_PRIORITY).map_err(broken)?;
    let base = match onto {
        Onto::Nothing => None,
        Onto::Parent(base) | Onto::FilesOf(base) => Some(clone.find_commit(base).map_err(broken)?),
    };
    let before = base.as_ref().map(Commit::tree).transpose().map_err(broken)?;
    let mut editor = Editor { clone: &clone, odb: &odb, blobs: BTreeMap::new(), others: BTreeSet::new() };
    let Some(tree) = editor.tree(before.as_ref(), &root)? else { return Ok(None) };
    if before.is_some_and(|before| before.id() == tree) {
        return Ok(None);
    }
    let tree = clone.find_tree(tree).map_err(broken)?;
    let parent = base.as_ref().filter(|_| matches!(onto, Onto::Parent(_)));
    let commit = write_commit(&clone, &tree, parent, text, key)?;
    editor.others.insert(commit);
    editor.pack()?;
    memory.reset().map_err(broken)?;
    check(path, commit, &root)?;
    Ok(Some(commit))
}

/// The commit object, with the signature of `key` over everything else in it.
fn write_commit(
    clone: &Repository,
    tree: &Tree<'_>,
    parent: Option<&Commit<'_>>,
    text: &CommitText,
    key: Option<&SigningKey>,
) -> Result<Oid, WriteError> {
    let author = text.signature()?;
    let parents: Vec<&Commit<'_>> = parent.into_iter().collect();
    let Some(key) = key else {
        return Ok(clone.commit(None, &author, &author, &text.message, tree, &parents).map_err(broken)?);
    };
    let content = clone.commit_create_buffer(&author, &author, &text.message, tree, &parents).map_err(broken)?.to_vec();
    let signature = key.sign(&content)?;
    let content = String::from_utf8(content).map_err(|_| Failure::clone("a commit is not UTF-8"))?;
    Ok(clone.commit_signed(&content, &signature, None).map_err(broken)?)
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

impl<'c> Editor<'_, 'c> {
    /// The tree with the changes; none if nothing is left in it.
    fn tree(&mut self, before: Option<&Tree<'_>>, changes: &Folder<'c>) -> Result<Option<Oid>, WriteError> {
        let mut builder = self.clone.treebuilder(before).map_err(broken)?;
        for (name, content) in &changes.files {
            let old = before.and_then(|before| before.get_name(name));
            match content {
                Some(_) if changes.folders.contains_key(name) => return Err(WriteError::BadPath((*name).to_owned())),
                Some(content) => {
                    let blob = Oid::hash_object(ObjectType::Blob, content).map_err(broken)?;
                    if old.is_none_or(|old| old.id() != blob) {
                        self.blobs.insert(blob, content);
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
            self.others.insert(tree);
        }
        Ok(Some(tree))
    }

    /// Writes all that was made as one pack, commit and trees first.
    fn pack(&self) -> Result<(), Failure> {
        let mut pack = Pack::new(self.others.len() + self.blobs.len())?;
        for id in &self.others {
            let object = self.odb.read(*id).map_err(broken)?;
            pack.add(object.kind(), object.data())?;
        }
        for content in self.blobs.values() {
            pack.add(ObjectType::Blob, content)?;
        }
        let mut writer = self.odb.packwriter().map_err(broken)?;
        writer.write_all(&pack.finish()).map_err(|error| Failure::clone(error.to_string()))?;
        writer.commit().map_err(broken)?;
        Ok(())
    }
}

/// Reads every changed file back from the disk: what is pushed is what was meant.
fn check(path: &Path, commit: Oid, root: &Folder<'_>) -> Result<(), WriteError> {
    let clone = open_repository(path)?;
    let tree = clone.find_commit(commit).and_then(|commit| commit.tree()).map_err(broken)?;
    check_folder(&clone, Some(&tree), root, "")
}

/// Folder by folder: libgit2 would read the trees on the way anew for each path.
fn check_folder(
    clone: &Repository,
    tree: Option<&Tree<'_>>,
    changes: &Folder<'_>,
    parent: &str,
) -> Result<(), WriteError> {
    let entry = |name: &str, kind| tree.and_then(|tree| tree.get_name(name)).filter(|entry| entry.kind() == Some(kind));
    for (name, content) in &changes.files {
        let found = entry(name, ObjectType::Blob).map(|blob| read(clone, blob.id())).transpose()?;
        if found.as_deref() != *content {
            return Err(WriteError::ReadBack { path: format!("{parent}{name}") });
        }
    }
    for (name, inner) in &changes.folders {
        let tree = entry(name, ObjectType::Tree).map(|tree| clone.find_tree(tree.id())).transpose().map_err(broken)?;
        check_folder(clone, tree.as_ref(), inner, &format!("{parent}{name}/"))?;
    }
    Ok(())
}
