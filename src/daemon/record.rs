//! The status branch: look at its tip, report, and what differs is pushed. The loop decides when, and what follows a failure.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::pass::Outcome;
use super::push::{About, changes, push};
use super::source::class;
use super::status::{check_apart, check_owner};
use super::{Shared, StatusSettings};
use crate::clock;
use crate::control::gitops::RecordFailure;
use crate::git::{Changes, StatusBranch, Tip, WriteError};
use crate::model::applied::FailureClass;
use crate::model::facts::Facts;
use crate::model::month::Month;
use crate::model::observed::Observed;
use crate::model::tree::Revision;
use crate::report::{self, ClusterName, Files, History, Input, Memory, Rotation, RotationRefused, Runs};

pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Default)]
pub(super) struct Lane {
    state: Mutex<State>,
    /// What is known of the branch may be old.
    stale: AtomicBool,
    /// Runs that the branch does not say yet, whether Git is there or not.
    runs: Mutex<Runs>,
}

#[derive(Default)]
struct State {
    branch: Option<StatusBranch>,
    /// The tip as it was fetched or pushed last, with the ids of its files; unknown at the start and after a failure.
    tip: Option<Known>,
    /// What the branch said, from the first look on.
    memory: Option<Memory>,
    /// The month in which the server did not let the history be rotated: it is not tried again in it.
    unrotated: Option<(Month, RotationRefused)>,
}

pub(super) struct Known {
    pub(super) tip: Option<Tip>,
    pub(super) files: BTreeMap<String, String>,
    /// What its `cluster.yaml` says.
    pub(super) history: Option<History>,
}

/// What goes to the branch.
pub(super) struct Report {
    pub(super) files: Files,
    pub(super) changes: Changes,
    pub(super) memory: Memory,
    /// Where the history goes before, if it goes.
    pub(super) rotation: Option<Rotation>,
}

/// What a report looks at.
#[derive(Clone, Copy)]
struct World<'a> {
    observed: &'a Observed,
    facts: &'a Facts,
    runs: &'a Runs,
}

enum Written {
    All,
    /// Nothing but that is known now.
    RotationRefused,
}

impl Lane {
    /// A new leader looks at the branch before it writes: another process wrote it meanwhile. Does not wait for a push
    /// that is under way.
    pub(super) fn forget(&self) {
        self.stale.store(true, Ordering::SeqCst);
    }

    /// To be called when a session has changed: it may be deleted before Git answers.
    pub(super) fn note(&self, facts: &Facts) {
        self.runs().note(facts, clock::now());
    }

    fn runs(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) async fn run(shared: &Arc<Shared>) -> Result<(), RecordFailure> {
    let (Some(outcome), Some(_)) = (shared.pass.last(), &shared.settings.status) else { return Ok(()) };
    let mut written = write(shared, Arc::clone(&outcome)).await;
    if matches!(written, Ok(Written::RotationRefused)) {
        // The report must not wait for what the server does not allow.
        written = write(shared, outcome).await;
    }
    let result = match written {
        Ok(Written::All) => Ok(()),
        Ok(Written::RotationRefused) => {
            Err(transient("the history is not rotated: the status is written without".to_owned()))
        }
        Err(failure) => Err(failure),
    };
    if let Err(failure) = &result {
        tracing::warn!("the status branch is not up to date: {}", failure.message);
    }
    result
}

/// First Git, as long as it takes; then the view of the cluster, which the watches must not wait for; then Git again.
async fn write(shared: &Arc<Shared>, outcome: Arc<Outcome>) -> Result<Written, RecordFailure> {
    let uid = shared.watches.observed().await.cluster_uid.clone().ok_or_else(|| {
        transient("the UID of namespace kube-system is not known yet, so nothing says whose branch it is".to_owned())
    })?;
    let (source, owner) = (outcome.plan.revision.clone(), uid.clone());
    blocking(shared, move |state, shared| state.look(shared, source.as_ref(), &owner)).await?;
    let now = clock::now();
    let observed = shared.watches.observed().await;
    let facts = shared.watches.facts().await;
    blocking(shared, move |state, shared| {
        shared.record.note(&facts);
        let runs = shared.record.runs().clone();
        let report =
            state.report(shared, &outcome, &World { observed: &observed, facts: &facts, runs: &runs }, &uid, now)?;
        drop((observed, facts));
        let written = match report {
            Some(report) => state.push(shared, &about(shared, &outcome, &uid, now), report)?,
            None => Written::All,
        };
        if matches!(written, Written::All) {
            shared.record.runs().written(&runs);
        }
        Ok(written)
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
        let mut history = None;
        if let Some(tip) = &tip {
            let file = tip.read("cluster.yaml").map_err(failure)?;
            check_owner(file.as_deref().and_then(ClusterName::of_file).as_ref(), status, uid)?;
            history = file.as_deref().and_then(History::of_file);
            if self.memory.is_none() {
                self.memory = Some(remember(tip, &files)?);
            }
        } else {
            // Whatever was refused, it was about another history.
            self.unrotated = None;
        }
        self.tip = Some(Known { tip, files, history });
        Ok(())
    }

    fn open(&mut self, shared: &Shared, status: &StatusSettings) -> Result<&mut StatusBranch, RecordFailure> {
        if self.branch.is_none() {
            let cache = shared.settings.cache.join("status");
            let branch = StatusBranch::open(status.repository.clone(), &status.branch, &cache).map_err(failure)?;
            self.branch = Some(match &status.signing_key {
                Some(key) => branch.signed_by(key.clone()),
                None => branch,
            });
        }
        self.branch.as_mut().ok_or_else(|| transient("the status branch could not be opened".to_owned()))
    }

    /// None if the branch says everything. The history goes with the first change of a month, so that a cluster that has
    /// nothing to say is left alone.
    fn report(
        &mut self,
        shared: &Shared,
        outcome: &Outcome,
        world: &World,
        uid: &str,
        now: Timestamp,
    ) -> Result<Option<Report>, RecordFailure> {
        let Some(known) = &self.tip else { return Err(unknown_tip()) };
        let memory = self.memory.clone().unwrap_or_default();
        let earlier = memory.cluster.as_ref().and_then(|cluster| cluster.history.as_ref());
        let history = match &known.tip {
            Some(tip) => History::of_tip(known.history.as_ref(), tip.when(), now),
            None => History::begin(earlier, now),
        };
        let refused = self.unrotated.as_ref().filter(|(month, _)| *month == Month::of(now)).map(|(_, refused)| refused);
        let make = |history: &History| {
            let input = input(shared, outcome, *world, uid, history, now);
            report::files(&Input { unrotated: refused, ..input }, &memory)
        };
        let (files, next) = make(&history);
        let different = changes(&files, &known.files);
        if different.is_empty() {
            self.remember(shared, next);
            return Ok(None);
        }
        let tip = known.tip.as_ref().filter(|_| refused.is_none());
        let rotation = tip.and_then(|tip| history.rotation(&shared.settings.cluster_name, tip.when(), now));
        let Some(rotation) = rotation else {
            return Ok(Some(Report { files, changes: different, memory: next, rotation: None }));
        };
        let (files, next) = make(&rotation.then);
        Ok(Some(Report { changes: changes(&files, &known.files), files, memory: next, rotation: Some(rotation) }))
    }

    fn push(&mut self, shared: &Shared, about: &About, report: Report) -> Result<Written, RecordFailure> {
        let (Some(known), Some(branch)) = (&mut self.tip, &mut self.branch) else { return Err(unknown_tip()) };
        match push(shared, branch, known, about, &report)? {
            None => {
                self.remember(shared, report.memory);
                Ok(Written::All)
            }
            Some(refused) => {
                tracing::warn!("the history of the status branch is not rotated: {}", refused.message());
                self.unrotated = Some((Month::of(about.now), refused));
                Ok(Written::RotationRefused)
            }
        }
    }

    fn remember(&mut self, shared: &Shared, memory: Memory) {
        let unrotated = memory.cluster.as_ref().is_some_and(|cluster| cluster.unrotated().is_some());
        shared.metrics.status_unrotated(unrotated);
        self.memory = Some(memory);
    }
}

fn input<'a>(
    shared: &'a Shared,
    outcome: &'a Outcome,
    world: World<'a>,
    uid: &'a str,
    history: &'a History,
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
        observed: world.observed,
        facts: world.facts,
        runs: world.runs,
        history,
        unrotated: None,
        now,
    }
}

fn about<'a>(shared: &'a Shared, outcome: &Outcome, uid: &'a str, now: Timestamp) -> About<'a> {
    let revision = outcome.plan.revision.as_ref().map(ToString::to_string);
    About { cluster_name: &shared.settings.cluster_name, uid, revision, instance: &shared.settings.instance, now }
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

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn failure(error: WriteError) -> RecordFailure {
    RecordFailure { class: class(error.class()), message: error.to_string() }
}

fn unknown_tip() -> RecordFailure {
    transient("the tip of the status branch is not known".to_owned())
}

pub(super) fn invalid(message: String) -> RecordFailure {
    RecordFailure { class: FailureClass::Invalid, message }
}

pub(super) fn transient(message: String) -> RecordFailure {
    RecordFailure { class: FailureClass::Transient, message }
}
