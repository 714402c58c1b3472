//! The Git server: a source branch that people push to, and a status branch that is written by compare-and-swap.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast::model::tree::{InputPaths, Revision, Tree, TreeBuilder};
use jiff::Timestamp;

/// Path to text.
pub(crate) type Sources = BTreeMap<String, String>;
/// Path to bytes, as the report gives them.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

#[derive(Clone, Debug)]
pub(crate) struct StatusCommit {
    pub parent: Option<usize>,
    pub files: Arc<Files>,
    /// What a commit of ours was to say; `None` for a commit by somebody else.
    pub report: Option<Arc<Files>>,
    pub when: Timestamp,
}

#[derive(Default)]
pub(crate) struct Remote {
    sources: Vec<Sources>,
    /// Place of the branch in `sources`.
    head: usize,
    pub status: Vec<StatusCommit>,
    pub tip: Option<usize>,
    /// Histories that were put aside, by the name of their ref.
    pub archives: BTreeMap<String, usize>,
    /// Commits of others that nobody took off the branch again.
    pub kept: BTreeSet<usize>,
}

impl Remote {
    pub(crate) fn push_source(&mut self, files: Sources) {
        self.sources.push(files);
        self.head = self.sources.len() - 1;
    }

    /// Moves the branch back to an earlier commit.
    pub(crate) fn rewind_source(&mut self, by: usize) -> &Sources {
        self.head = self.head.saturating_sub(by);
        &self.sources[self.head]
    }

    pub(crate) fn revision(&self) -> Revision {
        Revision { reference: "main".to_owned(), commit: format!("{:040x}", self.head + 1) }
    }

    /// The source as a complete reading gives it.
    pub(crate) fn tree(&self) -> Tree {
        let paths = InputPaths::parse(&["."]).expect("the whole source is a path");
        let mut builder = TreeBuilder::new(paths);
        for (path, text) in &self.sources[self.head] {
            let slot = builder.file("", path.as_bytes()).expect("few files");
            if let Some(slot) = slot {
                builder
                    .fill::<holdfast::model::tree::TreeError>(slot, text.len() as u64, || Ok(text.clone().into_bytes()))
                    .expect("small files");
            }
        }
        builder.finish(Some(self.revision())).expect("the root exists")
    }

    pub(crate) fn tip_files(&self) -> Option<&StatusCommit> {
        self.status.get(self.tip?)
    }

    /// Puts a commit on the branch if its tip is as expected.
    pub(crate) fn push_status(
        &mut self,
        expected: Option<usize>,
        commit: StatusCommit,
    ) -> Result<usize, Option<usize>> {
        if self.tip != expected {
            return Err(self.tip);
        }
        Ok(self.force_status(commit))
    }

    /// Keeps a commit under a name that nothing else has.
    pub(crate) fn archive(&mut self, name: &str, commit: usize) -> Result<(), usize> {
        match *self.archives.entry(name.to_owned()).or_insert(commit) {
            there if there == commit => Ok(()),
            other => Err(other),
        }
    }

    /// Puts a commit on the branch whatever is there.
    pub(crate) fn force_status(&mut self, commit: StatusCommit) -> usize {
        let place = self.status.len();
        if commit.report.is_none() {
            self.kept.insert(place);
        }
        self.status.push(commit);
        self.tip = Some(place);
        place
    }

    /// Somebody moves the branch away; what they take off it is their own doing.
    pub(crate) fn move_status(&mut self, to: Option<usize>) {
        self.tip = to;
        let reachable = self.reachable();
        self.kept.retain(|commit| reachable.contains(commit));
    }

    /// Commits of the branch and of the archives.
    pub(crate) fn reachable(&self) -> BTreeSet<usize> {
        let mut reachable = BTreeSet::new();
        for tip in self.tip.iter().chain(self.archives.values()) {
            let mut at = Some(*tip);
            while let Some(place) = at.filter(|place| reachable.insert(*place)) {
                at = self.status[place].parent;
            }
        }
        reachable
    }
}
