//! The status branch: read at its tip, and moved by single compare-and-swap pushes. Never merged or rebased, and forced
//! by `rotate` alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use git2::{Oid, Repository};
use jiff::Timestamp;

use super::clone::{LocalClone, open_repository};
use super::edit::{self, Onto};
use super::error::{Failure, TransportError, WriteError};
use super::push::{Ended, Push, Rejection, Step, find};
use super::sign::SigningKey;
use super::transport::{Endpoint, is_branch_name};
use super::walk::{blob_at, broken, bytes, read};
use crate::model::tree::{ENTRIES_MAX, FILE_BYTES_MAX, TreeError};

/// Path to the new content; none removes the file.
pub type Changes = BTreeMap<String, Option<Vec<u8>>>;

/// What a commit says beside its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitText {
    pub message: String,
    pub author_name: String,
    pub author_email: String,
    pub when: Timestamp,
}

/// What became of one commit.
#[derive(Debug)]
#[must_use]
pub enum Pushed {
    /// The branch is there, and the server lists it so.
    Done(Tip),
    /// The files are so already; nothing was sent.
    Unchanged,
    /// The branch did not move by us.
    Rejected(Rejection),
    /// It was sent and the answer was lost: fetch the tip before any decision.
    Unclear(TransportError),
}

/// A branch with one writer at a time. Every call blocks, and ends within the timeout of its endpoint or two of them.
#[derive(Debug)]
pub struct StatusBranch {
    endpoint: Endpoint,
    branch: String,
    clone: LocalClone,
    key: Option<SigningKey>,
}

/// The commit that the branch was at, with all its files. It lives as long as no later call makes the clone anew; then
/// reading from it is an error of the clone.
pub struct Tip {
    pub(super) commit: Oid,
    when: Timestamp,
    clone: Repository,
}

impl StatusBranch {
    /// `cache` is a folder that this branch has for itself. Nothing is fetched yet.
    pub fn open(endpoint: Endpoint, branch: &str, cache: &Path) -> Result<Self, WriteError> {
        if !is_branch_name(branch) {
            return Err(WriteError::BadBranch(branch.to_owned()));
        }
        Ok(Self { clone: LocalClone::open(cache)?, endpoint, branch: branch.to_owned(), key: None })
    }

    /// From now on nothing is pushed that `key` did not sign.
    #[must_use]
    pub fn signed_by(self, key: SigningKey) -> Self {
        Self { key: Some(key), ..self }
    }

    /// The tip of the branch now; none if there is no such branch. A clone that turns out to be broken is made anew once.
    pub fn tip(&mut self) -> Result<Option<Tip>, WriteError> {
        let fresh = !self.clone.is_made();
        match self.fetch_tip() {
            Err(WriteError::Clone(_)) if !fresh => self.fetch_tip(),
            result => result,
        }
    }

    /// Commits `changes` on top of `base` (none: the branch is not there, so it begins) and pushes once.
    pub fn commit(&mut self, base: Option<&Tip>, changes: &Changes, text: &CommitText) -> Result<Pushed, WriteError> {
        let from = base.map(|tip| tip.commit);
        let path = match self.clone_with(from)? {
            Ok(path) => path,
            Err(rejection) => return Ok(Pushed::Rejected(rejection)),
        };
        match self.make(&path, from.map_or(Onto::Nothing, Onto::Parent), changes, text)? {
            Some(commit) => self.push(&path, Step::Forward { from }, commit),
            None => Ok(Pushed::Unchanged),
        }
    }

    /// The clone, with the files of `base` in it; or what became of the branch since.
    pub(super) fn clone_with(&mut self, base: Option<Oid>) -> Result<Result<PathBuf, Rejection>, WriteError> {
        let path = self.clone.for_use().map_err(|failure| self.give_up(failure))?;
        let Some(base) = base else { return Ok(Ok(path)) };
        if has(&path, base).map_err(|failure| self.give_up(failure))? {
            return Ok(Ok(path));
        }
        let found = self.fetch_tip()?.map(|tip| tip.commit);
        if found != Some(base) {
            return Ok(Err(Rejection::Stale { found: found.map(|found| found.to_string()) }));
        }
        Ok(Ok(self.clone.path()?))
    }

    /// Makes a commit in the clone; none if it changes nothing.
    pub(super) fn make(
        &mut self,
        path: &Path,
        onto: Onto,
        changes: &Changes,
        text: &CommitText,
    ) -> Result<Option<Oid>, WriteError> {
        edit::commit(path, onto, changes, text, self.key.as_ref()).map_err(|error| match error {
            WriteError::Clone(error) => self.give_up(Failure::Clone(error)),
            other => other,
        })
    }

    fn fetch_tip(&mut self) -> Result<Option<Tip>, WriteError> {
        let path = self.clone.for_use()?;
        let (place, branch, reference) = (path.clone(), self.branch.clone(), self.reference());
        let fetched = self.endpoint.exchange(move |session| -> Result<_, Failure> {
            let clone = open_repository(&place)?;
            let mut connection = session.connect(&clone)?;
            let listed = connection.list()?;
            Ok(if find(&listed, &reference).is_some() { Some(connection.fetch(&branch)?) } else { None })
        });
        let fetched = fetched.map_err(|failure| self.give_up(failure))?;
        fetched.map(|commit| Tip::open(&path, commit)).transpose().map_err(|failure| self.give_up(failure))
    }

    pub(super) fn push(&mut self, path: &Path, step: Step, commit: Oid) -> Result<Pushed, WriteError> {
        let sent = Arc::new(AtomicBool::new(false));
        let push = Push { clone: path.to_owned(), reference: self.reference(), step, commit, sent: Arc::clone(&sent) };
        let ended = self.endpoint.exchange(move |session| push.run(session));
        match ended {
            Ok(Ended::Listed(Some(listed))) if listed == commit.to_string() => {
                Ok(Pushed::Done(Tip::open(path, commit)?))
            }
            Ok(Ended::Listed(listed)) => Err(WriteError::NotThere {
                branch: self.branch.clone(),
                sent: commit.to_string(),
                listed: listed.unwrap_or_else(|| "no such branch".to_owned()),
            }),
            Ok(Ended::Rejected(rejection)) => Ok(Pushed::Rejected(rejection)),
            Err(Failure::Transport(error)) if sent.load(Ordering::Acquire) => Ok(Pushed::Unclear(error)),
            Err(failure) => Err(self.give_up(failure)),
        }
    }

    /// Pushes one commit to another ref than the branch, which must not be there yet.
    pub(super) fn push_beside(&mut self, path: &Path, reference: &str, commit: Oid) -> Result<Ended, WriteError> {
        let (clone, reference, sent) = (path.to_owned(), reference.to_owned(), Arc::default());
        let push = Push { clone, reference, step: Step::Forward { from: None }, commit, sent };
        self.endpoint.exchange(move |session| push.run(session)).map_err(|failure| self.give_up(failure))
    }

    fn reference(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }

    fn give_up(&mut self, failure: Failure) -> WriteError {
        self.clone.after(&failure);
        failure.into()
    }
}

impl Tip {
    fn open(path: &Path, commit: Oid) -> Result<Self, Failure> {
        let clone = open_repository(path)?;
        let seconds = clone.find_commit(commit).map_err(broken)?.time().seconds();
        // Whoever pushed it may have written any number.
        let when = Timestamp::from_second(seconds).unwrap_or(Timestamp::MIN);
        Ok(Self { commit, when, clone })
    }

    /// 40 hexadecimal digits.
    pub fn commit(&self) -> String {
        self.commit.to_string()
    }

    /// When it was made, as it says itself.
    pub fn when(&self) -> Timestamp {
        self.when
    }

    /// Content of the file at `path`; none if there is none.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, WriteError> {
        let Some(blob) = blob_at(&self.tree()?, path)? else { return Ok(None) };
        let bytes = bytes(&self.clone, blob)?;
        if bytes > FILE_BYTES_MAX {
            return Err(WriteError::FileTooLarge { path: path.to_owned(), bytes });
        }
        Ok(Some(read(&self.clone, blob)?))
    }

    /// Paths of all files with the ids of their blobs. Names that are not UTF-8 are not ours and left out.
    pub fn files(&self) -> Result<BTreeMap<String, String>, WriteError> {
        let mut files = BTreeMap::new();
        let mut entries = 0;
        let mut open = vec![(String::new(), self.tree()?.id())];
        while let Some((folder, id)) = open.pop() {
            let tree = self.clone.find_tree(id).map_err(broken)?;
            for entry in &tree {
                entries += 1;
                if entries > ENTRIES_MAX {
                    return Err(TreeError::TooManyEntries.into());
                }
                let Ok(name) = entry.name() else { continue };
                let path = format!("{folder}{name}");
                match entry.kind() {
                    Some(git2::ObjectType::Tree) => open.push((format!("{path}/"), entry.id())),
                    Some(git2::ObjectType::Blob) => drop(files.insert(path, entry.id().to_string())),
                    Some(git2::ObjectType::Any | git2::ObjectType::Commit | git2::ObjectType::Tag) | None => {}
                }
            }
        }
        Ok(files)
    }

    fn tree(&self) -> Result<git2::Tree<'_>, Failure> {
        self.clone.find_commit(self.commit).and_then(|commit| commit.tree()).map_err(broken)
    }
}

impl std::fmt::Debug for Tip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tip({})", self.commit)
    }
}

fn has(path: &Path, commit: Oid) -> Result<bool, Failure> {
    Ok(open_repository(path)?.odb().map_err(broken)?.exists(commit))
}
