//! The status branch: read at its tip, and moved by single compare-and-swap pushes. Never forced, merged or rebased.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use git2::{ErrorCode, Oid, Repository};
use jiff::Timestamp;

use super::clone::{LocalClone, open_repository};
use super::edit;
use super::error::{Failure, TransportError, WriteError};
use super::transport::{Endpoint, Listed, Session, is_branch_name};
use super::walk::{blob_at, broken, bytes, read};
use crate::model::tree::{ENTRIES_MAX, FILE_BYTES_MAX, TreeError};

/// So much of what a server prints beside its answer is kept.
const SAID_BYTES_MAX: usize = 4096;

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

/// Why the server's branch did not move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Somebody else was faster: fetch the tip and build on it. `found` is the commit there, where it is known; none
    /// also stands for a branch that is gone.
    Stale { found: Option<String> },
    /// The server has its own reason.
    Refused { message: String },
}

/// A branch with one writer at a time. Every call blocks, and ends within the timeout of its endpoint or two of them.
#[derive(Debug)]
pub struct StatusBranch {
    endpoint: Endpoint,
    branch: String,
    clone: LocalClone,
}

/// The commit that the branch was at, with all its files. It lives as long as no later call makes the clone anew; then
/// reading from it is an error of the clone.
pub struct Tip {
    commit: Oid,
    clone: Repository,
}

impl StatusBranch {
    /// `cache` is a folder that this branch has for itself. Nothing is fetched yet.
    pub fn open(endpoint: Endpoint, branch: &str, cache: &Path) -> Result<Self, WriteError> {
        if !is_branch_name(branch) {
            return Err(WriteError::BadBranch(branch.to_owned()));
        }
        Ok(Self { clone: LocalClone::open(cache)?, endpoint, branch: branch.to_owned() })
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
        let base = base.map(|tip| tip.commit);
        let mut path = self.clone.for_use().map_err(|failure| self.give_up(failure))?;
        if let Some(base) = base
            && !has(&path, base).map_err(|failure| self.give_up(failure))?
        {
            let found = self.fetch_tip()?.map(|tip| tip.commit);
            if found != Some(base) {
                return Ok(Pushed::Rejected(Rejection::Stale { found: found.map(|found| found.to_string()) }));
            }
            path = self.clone.path()?;
        }
        match edit::commit(&path, base, changes, text) {
            Ok(Some(commit)) => self.push(&path, base, commit),
            Ok(None) => Ok(Pushed::Unchanged),
            Err(WriteError::Clone(error)) => Err(self.give_up(Failure::Clone(error))),
            Err(error) => Err(error),
        }
    }

    fn fetch_tip(&mut self) -> Result<Option<Tip>, WriteError> {
        let path = self.clone.for_use()?;
        let (place, branch) = (path.clone(), self.branch.clone());
        let fetched = self.endpoint.exchange(move |session| -> Result<_, Failure> {
            let clone = open_repository(&place)?;
            let mut connection = session.connect(&clone)?;
            let listed = connection.list()?;
            Ok(if find(&listed, &branch).is_some() { Some(connection.fetch(&branch)?) } else { None })
        });
        let fetched = fetched.map_err(|failure| self.give_up(failure))?;
        fetched.map(|commit| Tip::open(&path, commit)).transpose().map_err(|failure| self.give_up(failure))
    }

    fn push(&mut self, path: &Path, base: Option<Oid>, commit: Oid) -> Result<Pushed, WriteError> {
        let sent = Arc::new(AtomicBool::new(false));
        let push = Push { clone: path.to_owned(), branch: self.branch.clone(), base, commit, sent: Arc::clone(&sent) };
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

    fn give_up(&mut self, failure: Failure) -> WriteError {
        self.clone.after(&failure);
        failure.into()
    }
}

impl Tip {
    fn open(path: &Path, commit: Oid) -> Result<Self, Failure> {
        Ok(Self { commit, clone: open_repository(path)? })
    }

    /// 40 hexadecimal digits.
    pub fn commit(&self) -> String {
        self.commit.to_string()
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

/// One push, as it is carried to the thread that does it.
struct Push {
    clone: PathBuf,
    branch: String,
    base: Option<Oid>,
    commit: Oid,
    /// Set just before the first byte goes out that can move the branch.
    sent: Arc<AtomicBool>,
}

enum Ended {
    /// Accepted; where the server lists the branch now.
    Listed(Option<String>),
    Rejected(Rejection),
}

impl Push {
    fn run(&self, session: &Session) -> Result<Ended, Failure> {
        let clone = open_repository(&self.clone)?;
        // Set by a branch that is not where we built on.
        let found: Cell<Option<Oid>> = Cell::new(None);
        let refusal: RefCell<Option<String>> = RefCell::new(None);
        let said: RefCell<Vec<u8>> = RefCell::default();
        let mut callbacks = session.callbacks();
        callbacks.sideband_progress(|text| {
            let mut said = said.borrow_mut();
            let room = SAID_BYTES_MAX.saturating_sub(said.len()).min(text.len());
            said.extend_from_slice(&text[..room]);
            session.may_go_on(0, 0)
        });
        callbacks.push_negotiation(|updates| {
            let there = updates.first().map_or(Oid::ZERO_SHA1, git2::PushUpdate::src);
            if there != self.base.unwrap_or(Oid::ZERO_SHA1) {
                found.set(Some(there));
                return Err(git2::Error::from_str("the branch has moved"));
            }
            self.sent.store(true, Ordering::Release);
            Ok(())
        });
        callbacks.push_update_reference(|_, status| {
            *refusal.borrow_mut() = status.map(str::to_owned);
            Ok(())
        });
        let refspec = format!("{}:refs/heads/{}", self.commit, self.branch);
        let mut options = session.push_options(callbacks);
        let pushed = session.connect(&clone)?.push(&refspec, &mut options);
        drop(options);
        if let Some(found) = found.take() {
            let found = (!found.is_zero()).then(|| found.to_string());
            return Ok(Ended::Rejected(Rejection::Stale { found }));
        }
        if let Some(message) = refusal.take() {
            let said = String::from_utf8_lossy(&said.borrow()).into_owned();
            return Ok(Ended::Rejected(rejection(&message, |text| session.clean(text), &said)));
        }
        match pushed {
            Ok(()) => {
                let listed = session.connect(&clone)?.list()?;
                Ok(Ended::Listed(find(&listed, &self.branch).map(|head| head.commit.clone())))
            }
            Err(error) if error.code() == ErrorCode::NotFastForward => {
                Ok(Ended::Rejected(Rejection::Stale { found: None }))
            }
            Err(error) if error.message().contains("unpacking the sent packfile failed") => {
                Ok(Ended::Rejected(Rejection::Refused { message: "the server could not store the pack".to_owned() }))
            }
            Err(error) => Err(session.failure(&error)),
        }
    }
}

/// Sorts the server's reason for not moving the branch. These are the words of Git and of its Java twin for a branch
/// that moved between our listing and the server's lock.
fn rejection(status: &str, clean: impl Fn(&str) -> String, said: &str) -> Rejection {
    const RACES: [&str; 7] = [
        "failed to update ref",
        "cannot lock ref",
        "failed to lock",
        "lock error",
        "reference already exists",
        "non-fast-forward",
        "fetch first",
    ];
    let lower = status.to_ascii_lowercase();
    if RACES.iter().any(|race| lower.contains(race)) {
        Rejection::Stale { found: None }
    } else if said.trim().is_empty() {
        Rejection::Refused { message: clean(status) }
    } else {
        // What a hook prints says why; the status only says that there is a hook.
        Rejection::Refused { message: clean(&format!("{status}: {said}")) }
    }
}

fn has(path: &Path, commit: Oid) -> Result<bool, Failure> {
    Ok(open_repository(path)?.odb().map_err(broken)?.exists(commit))
}

fn find<'a>(listed: &'a [Listed], branch: &str) -> Option<&'a Listed> {
    listed.iter().find(|head| head.name.strip_prefix("refs/heads/") == Some(branch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_race_is_told_from_a_refusal() {
        let rejection = |status: &str, said: &str| rejection(status, str::to_owned, said);
        assert_eq!(rejection("failed to update ref", "x"), Rejection::Stale { found: None });
        let refused = |message: &str| Rejection::Refused { message: message.to_owned() };
        assert_eq!(rejection("hook declined", "\n"), refused("hook declined"));
        assert_eq!(rejection("hook declined", "why"), refused("hook declined: why"));
    }
}
