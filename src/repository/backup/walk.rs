//! Goes through files and folders of this machine, in the order of names. Whatever cannot be read is noted with its path.

#![expect(clippy::disallowed_methods, reason = "a backup reads folders")]

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::SyncSender;

use super::node::{self, Links};
use super::read::{Content, Job};
use crate::repository::blob::{BlobId, BlobKind};
use crate::repository::cancel::Cancel;
use crate::repository::node::{Node, NodeKind};
use crate::repository::noted::Notes;
use crate::repository::pattern::Pattern;
use crate::repository::progress::Progress;
use crate::repository::reader::Reader;

/// What the tree is made of, in order.
#[derive(Debug)]
pub(super) enum Item {
    Enter(Node),
    Leave,
    /// What has no content, and what has not changed.
    Leaf(Node, Known),
    /// Its content comes later.
    File(Node, Content, Known),
}

/// Whether the snapshot before has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    New,
    Changed,
    Unchanged,
}

/// Which paths are wanted: all of them are absolute.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Everything from here on.
    all: bool,
    below: BTreeMap<OsString, Wanted>,
}

impl Wanted {
    pub(super) fn of(paths: &[PathBuf]) -> Self {
        let mut root = Self::default();
        for path in paths {
            let mut at = &mut root;
            for component in path.components() {
                if let Component::Normal(name) = component {
                    at = at.below.entry(name.to_owned()).or_default();
                }
            }
            at.all = true;
        }
        root
    }
}

/// A folder that is gone through.
#[derive(Debug)]
struct Frame<'a> {
    path: PathBuf,
    /// In reverse.
    names: Vec<OsString>,
    /// For a folder on the way to what is wanted.
    wanted: Option<&'a Wanted>,
    before: HashMap<OsString, Node>,
}

#[derive(Debug)]
pub(super) struct Walk<'a> {
    pub(super) reader: &'a Reader,
    pub(super) exclude: &'a [Pattern],
    pub(super) notes: &'a Notes,
    pub(super) progress: &'a Progress,
    pub(super) cancel: &'a Cancel,
    pub(super) items: SyncSender<Item>,
    pub(super) jobs: SyncSender<Job>,
}

/// Nobody wants the rest any more: what went wrong there is known there.
struct Unwanted;

impl<'a> Walk<'a> {
    pub(super) fn run(self, wanted: &'a Wanted, before: Option<BlobId>) {
        let mut stack = Vec::new();
        self.enter(&mut stack, PathBuf::from("/"), Some(wanted).filter(|wanted| !wanted.all), before);
        while let Some(frame) = stack.last_mut().filter(|_| !self.cancel.is_cancelled()) {
            let Some(name) = frame.names.pop() else {
                stack.pop();
                if !stack.is_empty() && self.items.send(Item::Leave).is_err() {
                    return;
                }
                continue;
            };
            let path = frame.path.join(&name);
            let wanted = frame.wanted.and_then(|wanted| wanted.below.get(&name)).filter(|wanted| !wanted.all);
            let before = frame.before.remove(&name);
            if self.visit(&mut stack, path, wanted, before).is_err() {
                return;
            }
        }
    }

    fn visit(
        &self,
        stack: &mut Vec<Frame<'a>>,
        path: PathBuf,
        wanted: Option<&'a Wanted>,
        before: Option<Node>,
    ) -> Result<(), Unwanted> {
        let links = if wanted.is_some() { Links::Followed } else { Links::Kept };
        let node = match node::read(&path, links, |reason| self.notes.add(&path, &reason)) {
            Ok(node) => node,
            Err(error) => {
                self.notes.add(&path, &error);
                return Ok(());
            }
        };
        if node.kind == NodeKind::Dir {
            let before = before.and_then(|before| before.subtree);
            self.items.send(Item::Enter(node)).map_err(|_| Unwanted)?;
            self.enter(stack, path, wanted, before);
            return Ok(());
        }
        let known = known(&node, before.as_ref());
        let content = before.filter(|_| known == Known::Unchanged).and_then(|before| before.content);
        let stored = |blobs: &Vec<BlobId>| blobs.iter().all(|id| self.reader.index.has(BlobKind::Data, *id));
        let item = match (node.kind, content.filter(stored)) {
            (NodeKind::File, None) => {
                let (job, content) = Job::new(path);
                self.jobs.send(job).map_err(|_| Unwanted)?;
                Item::File(node, content, known)
            }
            (NodeKind::File, content @ Some(_)) => {
                self.progress.add_bytes(node.size);
                self.progress.add_file();
                Item::Leaf(Node { content, ..node }, known)
            }
            (
                NodeKind::Dir
                | NodeKind::Symlink
                | NodeKind::BlockDevice
                | NodeKind::CharacterDevice
                | NodeKind::Fifo
                | NodeKind::Socket
                | NodeKind::Unknown,
                _,
            ) => Item::Leaf(node, known),
        };
        self.items.send(item).map_err(|_| Unwanted)
    }

    fn enter(&self, stack: &mut Vec<Frame<'a>>, path: PathBuf, wanted: Option<&'a Wanted>, before: Option<BlobId>) {
        let names = match wanted {
            Some(wanted) => wanted.below.keys().rev().cloned().collect(),
            None => names(&path, self.exclude).unwrap_or_else(|error| {
                self.notes.add(&path, &error);
                Vec::new()
            }),
        };
        // Without the tree of before, everything is read anew.
        let tree = before.and_then(|id| self.reader.tree(id).ok()).unwrap_or_default();
        let before = tree.nodes.into_iter().filter_map(|node| Some((node.name().ok()?, node))).collect();
        stack.push(Frame { path, names, wanted, before });
    }
}

/// What is in a folder and not excluded, in reverse.
fn names(folder: &Path, exclude: &[Pattern]) -> io::Result<Vec<OsString>> {
    let names: io::Result<Vec<_>> = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name())).collect();
    let mut names = names?;
    names.retain(|name| exclude.is_empty() || !is_excluded(&folder.join(name), exclude));
    names.sort_unstable_by(|one, other| other.cmp(one));
    Ok(names)
}

fn is_excluded(path: &Path, exclude: &[Pattern]) -> bool {
    exclude.iter().any(|pattern| pattern.matches(path))
}

/// A file whose times, size and inode are those of before is not read again, as in restic.
fn known(node: &Node, before: Option<&Node>) -> Known {
    let facts = |node: &Node| (node.kind, node.size, node.mtime, node.ctime, node.inode);
    match before {
        None => Known::New,
        Some(before) if facts(before) == facts(node) => Known::Unchanged,
        Some(_) => Known::Changed,
    }
}

/// The bytes of all files, as far as they can be counted.
pub(super) fn size(paths: &[PathBuf], exclude: &[Pattern], cancel: &Cancel) -> u64 {
    let mut waiting = paths.to_vec();
    let mut bytes = 0;
    while let Some(path) = waiting.pop().filter(|_| !cancel.is_cancelled()) {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_file() {
            bytes += meta.len();
        } else if meta.is_dir() {
            let below = names(&path, exclude).unwrap_or_default();
            waiting.extend(below.into_iter().map(|name| path.join(name)));
        }
    }
    bytes
}
