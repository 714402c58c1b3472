//! The status branch: report, compare with its tip, commit, push once. The loop decides when, and what follows a failure.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use sha1::{Digest as _, Sha1};

use super::pass::Outcome;
use super::source::class;
use super::{Shared, StatusSettings};
use crate::clock;
use crate::control::gitops::RecordFailure;
use crate::git::{Changes, CommitText, Pushed, Rejection, StatusBranch, Tip, WriteError};
use crate::model::applied::FailureClass;
use crate::model::names::hex;
use crate::model::observed::Observed;
use crate::model::tree::Revision;
use crate::report::{self, ClusterName, Commit, Files, Input, Memory};

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Default)]
pub(super) struct Lane {
    state: Mutex<State>,
    /// What is known of the branch may be old.
    stale: AtomicBool,
}

#[derive(Default)]
struct State {
    branch: Option<StatusBranch>,
    /// The tip as it was fetched or pushed last, with the ids of its files; unknown at the start and after a failure.
    tip: Option<Known>,
    /// What the branch said, from the first look on.
    memory: Option<Memory>,
}

struct Known {
    tip: Option<Tip>,
    files: BTreeMap<String, String>,
}

impl Lane {
    /// A new leader looks at the branch before it writes: another process wrote it meanwhile. Does not wait for a push
    /// that is under way.
    pub(super) fn forget(&self) {
        self.stale.store(true, Ordering::SeqCst);
    }
}

pub(super) async fn run(shared: &Arc<Shared>) -> Result<(), RecordFailure> {
    let (Some(outcome), Some(_)) = (shared.pass.last(), &shared.settings.status) else { return Ok(()) };
    let result = write(shared, outcome).await;
    if let Err(failure) = &result {
        tracing::warn!("the status branch is not up to date: {}", failure.message);
    }
    result
}

/// First Git, as long as it takes; then the view of the cluster, which the watches must not wait for; then Git again.
async fn write(shared: &Arc<Shared>, outcome: Arc<Outcome>) -> Result<(), RecordFailure> {
    let uid = shared.watches.observed().await.cluster_uid.clone().ok_or_else(|| {
        transient("the UID of namespace kube-system is not known yet, so nothing says whose branch it is".to_owned())
    })?;
    let (source, owner) = (outcome.plan.revision.clone(), uid.clone());
    let known = blocking(shared, move |state, shared| {
        state.look(shared, source.as_ref(), &owner)?;
        Ok(state.memory.clone().unwrap_or_default())
    })
    .await?;
    let now = clock::now();
    let observed = shared.watches.observed().await;
    blocking(shared, move |state, shared| {
        let (files, memory) = report::files(&input(shared, &outcome, &observed, &uid, now), &known);
        drop(observed);
        state.push(shared, &outcome, &files, memory, &uid, now)
    })
    .await
}

/// Work with the clone, off the threads that everything else needs.
async fn blocking<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&mut State, &Shared) -> Result<T, RecordFailure> + Send + 'static,
) -> Result<T, RecordFailure> {
    let shared = Arc::clone(shared);
    let worked = tokio::task::spawn_blocking(move || {
        let mut state = shared.record.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut state, &shared);
        if result.is_err() {
            // Whatever happened, the server's branch decides what comes next.
            state.tip = None;
        }
        result
    });
    worked.await.unwrap_or_else(|error| Err(transient(format!("writing the status failed: {error}"))))
}

impl State {
    /// Asks the server for the tip each time, since others can move or delete the branch, and makes sure that it is ours.
    fn look(&mut self, shared: &Shared, source: Option<&Revision>, uid: &str) -> Result<(), RecordFailure> {
        let Some(status) = &shared.settings.status else { return Ok(()) };
        check_apart(shared, status, source)?;
        if shared.record.stale.swap(false, Ordering::SeqCst) {
            self.tip = None;
            self.memory = None;
        }
        let branch = self.open(shared, status)?;
        let tip = branch.tip().map_err(failure)?;
        let known = self.tip.as_ref().map(|known| known.tip.as_ref().map(Tip::commit));
        if known == Some(tip.as_ref().map(Tip::commit)) {
            return Ok(());
        }
        let files = tip.as_ref().map(Tip::files).transpose().map_err(failure)?.unwrap_or_default();
        if let Some(tip) = &tip {
            let theirs = tip.read("cluster.yaml").map_err(failure)?.as_deref().and_then(ClusterName::of_file);
            check_owner(theirs.as_ref(), status, uid)?;
            if self.memory.is_none() {
                self.memory = Some(remember(tip, &files)?);
            }
        }
        self.tip = Some(Known { tip, files });
        Ok(())
    }

    fn open(&mut self, shared: &Shared, status: &StatusSettings) -> Result<&mut StatusBranch, RecordFailure> {
        if self.branch.is_none() {
            let cache = shared.settings.cache.join("status");
            let branch = StatusBranch::open(status.repository.clone(), &status.branch, &cache).map_err(failure)?;
            self.branch = Some(branch);
        }
        self.branch.as_mut().ok_or_else(|| transient("the status branch could not be opened".to_owned()))
    }

    fn push(
        &mut self,
        shared: &Shared,
        outcome: &Outcome,
        files: &Files,
        memory: Memory,
        uid: &str,
        now: Timestamp,
    ) -> Result<(), RecordFailure> {
        let (Some(known), Some(branch)) = (&mut self.tip, &mut self.branch) else {
            return Err(transient("the tip of the status branch is not known".to_owned()));
        };
        let changes = changes(files, &known.files);
        if changes.is_empty() {
            self.memory = Some(memory);
            return Ok(());
        }
        let paths: Vec<&str> = changes.keys().map(String::as_str).collect();
        let revision = outcome.plan.revision.as_ref().map(ToString::to_string);
        let message = report::message(&Commit {
            cluster_name: &shared.settings.cluster_name,
            cluster_uid: uid,
            source_revision: revision.as_deref(),
            writer: &format!("{}/{VERSION}", shared.settings.instance),
            changed: &paths,
            memory: &memory,
        });
        let text = CommitText {
            message,
            author_name: "Holdfast".to_owned(),
            author_email: format!("holdfast@{}.invalid", shared.settings.cluster_name),
            when: now,
        };
        // Fetch and report took their time. What is still under way when the right ends is for compare-and-swap to stop.
        if !shared.leader.is_leader() {
            return Err(transient("this process may not write any more".to_owned()));
        }
        match branch.commit(known.tip.as_ref(), &changes, &text).map_err(failure)? {
            Pushed::Done(tip) => {
                tracing::info!(commit = tip.commit(), files = changes.len(), "wrote the status branch");
                known.files = files
                    .iter()
                    .map(|(path, bytes)| (path.clone(), blob_id(bytes)))
                    .chain(foreign(known, files))
                    .collect();
                known.tip = Some(tip);
                self.memory = Some(memory);
                Ok(())
            }
            Pushed::Unchanged => {
                self.memory = Some(memory);
                Ok(())
            }
            Pushed::Rejected(Rejection::Stale { found }) => {
                let by = found.map_or_else(|| "it is gone".to_owned(), |commit| format!("it is at {commit}"));
                Err(transient(format!("somebody else moved the status branch ({by}): it is read and written again")))
            }
            Pushed::Rejected(Rejection::Refused { message }) => Err(RecordFailure {
                class: FailureClass::Denied,
                message: format!(
                    "the server refuses the status branch: {message}: check its protection rules and our rights"
                ),
            }),
            Pushed::Unclear(error) => Err(transient(format!("the answer to the push was lost: {error}"))),
        }
    }
}

/// Files of others on the branch, which stay.
fn foreign(known: &Known, files: &Files) -> Vec<(String, String)> {
    let theirs = known.files.iter().filter(|(path, _)| !files.contains_key(*path) && !is_ours(path));
    theirs.map(|(path, id)| (path.clone(), id.clone())).collect()
}

fn input<'a>(
    shared: &'a Shared,
    outcome: &'a Outcome,
    observed: &'a Observed,
    uid: &'a str,
    now: Timestamp,
) -> Input<'a> {
    let settings = &shared.settings;
    Input {
        cluster_name: &settings.cluster_name,
        cluster_uid: uid,
        writer: VERSION,
        source_url: &settings.source_url,
        source_reference: settings.source.reference.as_deref().unwrap_or("HEAD"),
        source_paths: &settings.source_paths,
        time_zone: &settings.time_zone,
        plan: &outcome.plan,
        applied: &outcome.applied,
        withheld: &outcome.withheld,
        observed,
        now,
    }
}

/// Without a branch in its settings the source is wherever HEAD leads, so only a revision tells.
fn check_apart(shared: &Shared, status: &StatusSettings, source: Option<&Revision>) -> Result<(), RecordFailure> {
    let same = status.repository.url.is_same_repository(&shared.settings.source.endpoint.url)
        && source.is_some_and(|revision| revision.reference == status.branch);
    if !same {
        return Ok(());
    }
    Err(invalid(format!(
        "the status branch {} is the branch that the documents are read from, so every status would be a new source: give another --status-branch",
        status.branch
    )))
}

/// A branch that does not say whose it is may be anybody's, and below `targets/` everything would be replaced.
fn check_owner(theirs: Option<&ClusterName>, status: &StatusSettings, uid: &str) -> Result<(), RecordFailure> {
    let branch = &status.branch;
    match theirs {
        Some(theirs) if theirs.uid == uid || status.take_over.as_deref() == Some(&theirs.uid) => Ok(()),
        Some(theirs) => Err(invalid(format!(
            "branch {branch} belongs to cluster {} ({}): give this cluster another --cluster-name, or take the branch over with --take-over {}",
            theirs.name, theirs.uid, theirs.uid
        ))),
        None => Err(invalid(format!(
            "branch {branch} has no cluster.yaml that says which cluster it belongs to: give another --status-branch, or rename or delete that branch"
        ))),
    }
}

fn remember(tip: &Tip, files: &BTreeMap<String, String>) -> Result<Memory, RecordFailure> {
    let mut contents = Vec::new();
    for path in files.keys().filter(|path| Memory::is_read_from(path)) {
        if let Some(bytes) = tip.read(path).map_err(failure)? {
            contents.push((path.as_str(), bytes));
        }
    }
    Ok(Memory::read(contents.iter().map(|(path, bytes)| (*path, bytes.as_slice()))))
}

/// What differs from the tip: new bytes, and files of ours that are no more.
fn changes(files: &Files, tip: &BTreeMap<String, String>) -> Changes {
    let mut changes = Changes::new();
    for (path, bytes) in files {
        if tip.get(path) != Some(&blob_id(bytes)) {
            changes.insert(path.clone(), Some(bytes.clone()));
        }
    }
    for path in tip.keys().filter(|path| is_ours(path) && !files.contains_key(*path)) {
        changes.insert(path.clone(), None);
    }
    changes
}

/// Everything below `targets/` is written by us alone.
fn is_ours(path: &str) -> bool {
    path.starts_with("targets/")
}

/// The id that Git gives to a file of these bytes.
fn blob_id(bytes: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", bytes.len()));
    hash.update(bytes);
    hex(&hash.finalize())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failure(error: WriteError) -> RecordFailure {
    RecordFailure { class: class(error.class()), message: error.to_string() }
}

fn invalid(message: String) -> RecordFailure {
    RecordFailure { class: FailureClass::Invalid, message }
}

fn transient(message: String) -> RecordFailure {
    RecordFailure { class: FailureClass::Transient, message }
}
