//! Goes through the trees of a snapshot and makes what they name.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::attributes;
use super::batch::{Batch, INCOMPLETE};
use super::folders::{self, Folder};
use super::{Journal, Order};
use crate::repository::Cancel;
use crate::repository::blob::BlobId;
use crate::repository::node::{Node, NodeKind};
use crate::repository::reader::Reader;
use crate::repository::tree::Root;

#[derive(Debug)]
pub(super) struct Walk<'a> {
    reader: &'a Reader,
    order: &'a Order,
    journal: &'a Journal<'a>,
    cancel: &'a Cancel,
    batch: Batch,
    /// In the order in which they were made: what is inside of another comes later.
    folders: Vec<Folder>,
    /// Device and inode of files with several names, and where the first of them is.
    first_names: BTreeMap<(u64, u64), (PathBuf, Vec<BlobId>)>,
    links: Vec<(PathBuf, PathBuf)>,
}

/// A folder that is gone through.
#[derive(Debug)]
struct Frame {
    nodes: std::vec::IntoIter<Node>,
    /// Names of files in it that look like unfinished ones.
    taken: BTreeSet<OsString>,
    /// In the snapshot, and in the target.
    inside: PathBuf,
    path: PathBuf,
    /// What becomes of the folder itself, which is made with the first thing that is restored in it.
    node: Option<Box<Node>>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(reader: &'a Reader, order: &'a Order, journal: &'a Journal<'a>, cancel: &'a Cancel) -> Self {
        Self {
            reader,
            order,
            journal,
            cancel,
            batch: Batch::default(),
            folders: Vec::new(),
            first_names: BTreeMap::new(),
            links: Vec::new(),
        }
    }

    /// The folders that were made, whose attributes are to be set when nothing changes in them any more.
    pub(super) fn run(mut self, root: Root) -> Vec<Folder> {
        let from = Path::new("/").join(&self.order.from);
        let target = self.order.target.clone();
        match root {
            Root::Tree(tree) => self.tree(tree, from, target, None),
            Root::Node(node) => {
                if let Some(tree) = node.subtree {
                    self.tree(tree, from, target, Some(node));
                } else {
                    let path = target.join(from.file_name().unwrap_or_default());
                    self.leaf(*node, &from, &path, &BTreeSet::new());
                }
            }
        }
        self.fetch();
        for (first, path) in std::mem::take(&mut self.links) {
            match folders::link(&first, &path) {
                Ok(()) => self.journal.progress.add_file(),
                Err(error) => {
                    self.journal.lost.add(&path, &format!("it cannot be linked to {}: {error}", first.display()));
                }
            }
        }
        self.folders
    }

    fn tree(&mut self, tree: BlobId, inside: PathBuf, path: PathBuf, node: Option<Box<Node>>) {
        let mut stack = Vec::new();
        self.enter(&mut stack, tree, inside, path, node);
        while let Some(frame) = stack.last_mut() {
            let Some(node) = frame.nodes.next().filter(|_| !self.cancel.is_cancelled()) else {
                // A folder that is wanted, and empty, is made at last.
                if let Some(done) = stack.pop()
                    && self.wanted(&done.inside)
                {
                    self.make(&mut stack, Some(done));
                }
                continue;
            };
            let name = match node.name() {
                Ok(name) => name,
                Err(reason) => {
                    self.journal.lost.add(&frame.inside, &reason);
                    continue;
                }
            };
            let (inside, path) = (frame.inside.join(&name), frame.path.join(&name));
            if self.excluded(&inside) {
                continue;
            }
            match node.subtree {
                Some(tree) if self.may_hold(&inside) => {
                    self.enter(&mut stack, tree, inside, path, Some(Box::new(node)));
                }
                None if self.wanted(&inside) => {
                    self.make(&mut stack, None);
                    let taken = stack.last().map(|frame| &frame.taken);
                    self.leaf(node, &inside, &path, taken.unwrap_or(&BTreeSet::new()));
                }
                Some(_) | None => {}
            }
        }
    }

    fn enter(&mut self, stack: &mut Vec<Frame>, tree: BlobId, inside: PathBuf, path: PathBuf, node: Option<Box<Node>>) {
        match self.reader.tree(tree) {
            Ok(tree) => {
                let names = tree.nodes.iter().filter_map(|node| node.name().ok());
                let taken = names.filter(|name| name.as_encoded_bytes().ends_with(INCOMPLETE.as_bytes())).collect();
                stack.push(Frame { nodes: tree.nodes.into_iter(), taken, inside, path, node });
            }
            Err(error) => self.journal.lost.add(&path, &error),
        }
    }

    /// Makes the folders on the way that are not made yet, and the given one.
    fn make(&mut self, stack: &mut [Frame], last: Option<Frame>) {
        let mut last = last;
        for frame in stack.iter_mut().chain(&mut last) {
            let Some(node) = frame.node.take() else { continue };
            match folders::make(&frame.path) {
                Ok(()) => self.folders.push(Folder { path: frame.path.clone(), node: *node }),
                Err(error) => self.journal.lost.add(&frame.path, &error),
            }
        }
    }

    /// Anything but a folder.
    fn leaf(&mut self, node: Node, inside: &Path, path: &Path, taken: &BTreeSet<OsString>) {
        match node.kind {
            NodeKind::File => self.file(node, path, taken),
            NodeKind::Dir => self.journal.lost.add(inside, "it is a folder without a tree"),
            NodeKind::Symlink
            | NodeKind::BlockDevice
            | NodeKind::CharacterDevice
            | NodeKind::Fifo
            | NodeKind::Socket
            | NodeKind::Unknown => match folders::special(path, &node) {
                Ok(true) => {
                    attributes::set(path, &node, |reason| self.journal.unset.add(path, &reason));
                    self.journal.progress.add_file();
                }
                Ok(false) => {}
                Err(error) => self.journal.lost.add(path, &error),
            },
        }
    }

    fn file(&mut self, node: Node, path: &Path, taken: &BTreeSet<OsString>) {
        if node.links > 1 {
            let key = (node.device_id, node.inode);
            match self.first_names.get(&key) {
                Some((first, content)) if content == node.blobs() => {
                    self.links.push((first.clone(), path.to_owned()));
                    return;
                }
                // The number was given to another file while the backup ran.
                Some(_) => {}
                None => drop(self.first_names.insert(key, (path.to_owned(), node.blobs().to_vec()))),
            }
        }
        self.batch.add(self.reader, path.to_owned(), node, taken, self.journal);
        if self.batch.is_full() {
            self.fetch();
        }
    }

    fn fetch(&mut self) {
        std::mem::take(&mut self.batch).fetch(self.reader, self.order.holes, self.journal, self.cancel);
    }

    fn wanted(&self, inside: &Path) -> bool {
        self.order.include.is_empty() || self.order.include.iter().any(|pattern| pattern.matches(inside))
    }

    fn may_hold(&self, folder: &Path) -> bool {
        self.order.include.is_empty() || self.order.include.iter().any(|pattern| pattern.may_match_in(folder))
    }

    fn excluded(&self, inside: &Path) -> bool {
        self.order.exclude.iter().any(|pattern| pattern.matches(inside))
    }
}
