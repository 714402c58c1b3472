//! Observe, plan, apply: one pass.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Shared;
use crate::clock;
use crate::cluster::api::Handles;
use crate::cluster::apply::{apply, known_versions};
use crate::cluster::events::{About, Events, Severity};
use crate::cluster::state;
use crate::control::gitops::Passed;
use crate::model::applied::{Applied, StepResult};
use crate::model::delete_log::DeleteLog;
use crate::model::finding::ReasonCode;
use crate::model::object::ObjectKey;
use crate::model::observed::Observed;
use crate::model::plan::{Action, Group, Plan, Step};
use crate::model::withheld::Withheld;
use crate::plan;

/// How long a pass waits to see its own writes in the watches, so that the next pass does not plan them again.
const OWN_WRITES_TIME_MAX: Duration = Duration::from_secs(5);

/// What the last pass found and did.
pub(super) struct Outcome {
    pub plan: Plan,
    pub applied: Applied,
    pub withheld: Withheld,
}

pub(super) struct Lane {
    last: Mutex<Option<Arc<Outcome>>>,
    deletes: tokio::sync::Mutex<Option<DeleteLog>>,
    events: tokio::sync::Mutex<Events>,
}

impl Lane {
    pub(super) fn new(handles: &Handles, identity: &str) -> Self {
        Self {
            last: Mutex::new(None),
            deletes: tokio::sync::Mutex::new(None),
            events: tokio::sync::Mutex::new(Events::new(handles, identity)),
        }
    }

    pub(super) fn last(&self) -> Option<Arc<Outcome>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A new leader reads what the last one deleted.
    pub(super) async fn begin(&self, shared: &Shared) {
        *self.deletes.lock().await = None;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let _ = self.delete_log(shared).await;
    }

    async fn delete_log(&self, shared: &Shared) -> Option<DeleteLog> {
        let mut known = self.deletes.lock().await;
        if known.is_none() {
            match state::read(&shared.handles).await {
                Ok(log) => *known = Some(log),
                Err(failure) => tracing::warn!("recent deletes are not known, so nothing is deleted: {failure}"),
            }
        }
        known.clone()
    }
}

pub(super) async fn run(shared: &Arc<Shared>, withheld: &BTreeSet<Group>) -> Passed {
    let started = clock::now();
    let Some(desired) = shared.source.desired() else { return Passed::default() };
    let log = shared.pass.delete_log(shared).await;
    if let Some(log) = &log {
        shared.watches.set_recent_deletes(log.recent(started)).await;
    }
    let observed = shared.watches.observed().await;
    let settings = shared.settings.planning.clone();
    let planned = tokio::task::spawn_blocking(move || {
        let plan = plan::plan(&desired, &observed, &settings, started);
        let known = known_versions(&plan, &observed);
        let abouts = abouts(&plan, &observed);
        (plan, known, abouts)
    });
    let (mut plan, known, abouts) = match planned.await {
        Ok(planned) => planned,
        Err(error) => {
            // A panic while planning is a bug, and the same inputs would give it again.
            tracing::error!("planning failed: {error}");
            return Passed::default();
        }
    };
    let deletes_known = log.is_some();
    let waits = |step: &Step| {
        withheld.contains(&step.group) || (!deletes_known && matches!(step.action, Action::Delete { .. }))
    };
    let last = shared.pass.last();
    let left_out = Withheld::take(&mut plan, waits, last.as_ref().map(|last| (&last.applied, &last.withheld)));
    let mut log = log.unwrap_or_default();
    let applied = apply(&shared.handles, &shared.leader, &mut log, &plan, &known).await;
    *shared.pass.deletes.lock().await = deletes_known.then_some(log);
    shared.metrics.pass(&plan, &applied, clock::now().duration_since(started));
    speak(shared, &plan, &applied, &abouts).await;
    settle_in(shared, &plan, &applied, &known).await;
    remember(shared, Outcome { plan, applied, withheld: left_out })
}

/// Keeps the outcome for the report, and says what the loop must know.
fn remember(shared: &Shared, outcome: Outcome) -> Passed {
    let results = outcome.plan.steps.iter().zip(outcome.applied.results());
    let failed = results.filter_map(|(step, (_, result))| Some((step.group.clone(), result.failure()?))).collect();
    let mut last = shared.pass.last.lock().unwrap_or_else(PoisonError::into_inner);
    let changed = last.as_ref().is_none_or(|last| {
        !last.plan.says_the_same(&outcome.plan) || last.applied != outcome.applied || last.withheld != outcome.withheld
    });
    let urgent = last.as_ref().is_some_and(|last| !complaints(&outcome).is_subset(&complaints(last)));
    let wake_at = outcome.plan.wake_at;
    *last = Some(Arc::new(outcome));
    Passed { wake_at, failed, changed, urgent }
}

/// Everything that somebody has to look at: a new one is told at once. Without the messages, in which numbers and times
/// may change while nothing else does.
fn complaints(outcome: &Outcome) -> BTreeSet<String> {
    let refused = outcome.plan.refusals.iter().map(|refusal| {
        let target = refusal.target.as_ref().map(ToString::to_string).unwrap_or_default();
        let object = refusal.object.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{} {target} {object}", refusal.code.as_str())
    });
    let held = outcome.plan.held.iter().map(|held| format!("{} {}", held.code.as_str(), held.at));
    let results = outcome.applied.results().iter().chain(outcome.withheld.results());
    let failed = results.filter_map(|(key, result)| match result {
        StepResult::Failed { .. } => Some(key.to_string()),
        StepResult::Done | StepResult::Unchanged | StepResult::Unknown { .. } | StepResult::Skipped { .. } => None,
    });
    refused.chain(held).chain(failed).collect()
}

/// What Events would be about, found while the view of the cluster is at hand.
struct Abouts {
    targets: BTreeMap<String, About>,
    objects: BTreeMap<ObjectKey, About>,
}

fn abouts(plan: &Plan, observed: &Observed) -> Abouts {
    let mut abouts = Abouts { targets: BTreeMap::new(), objects: BTreeMap::new() };
    let named = plan.refusals.iter().filter_map(|refusal| refusal.target.as_ref());
    for key in named.chain(plan.steps.iter().filter_map(|step| step.reason.target.as_ref())) {
        if let Some(target) = observed.targets.get(key) {
            abouts.targets.insert(
                key.to_string(),
                About {
                    api_version: key.kind.api_version().to_owned(),
                    kind: key.kind.as_str().to_owned(),
                    namespace: key.namespace.clone(),
                    name: key.name.clone(),
                    uid: target.uid.clone(),
                },
            );
        }
    }
    for step in &plan.steps {
        if let Some(live) = observed.objects.get(&step.object) {
            abouts.objects.insert(
                step.object.clone(),
                About {
                    api_version: step.object.kind.api_version().to_owned(),
                    kind: step.object.kind.as_str().to_owned(),
                    namespace: step.object.namespace.clone(),
                    name: step.object.name.clone(),
                    uid: live.uid.clone(),
                },
            );
        }
    }
    abouts
}

/// One log line per decision, and an Event where the owner of a target or an object should hear of it.
async fn speak(shared: &Shared, plan: &Plan, applied: &Applied, abouts: &Abouts) {
    let before = shared.pass.last();
    let mut events = shared.pass.events.lock().await;
    for refusal in &plan.refusals {
        let known = before.as_ref().is_some_and(|last| last.plan.refusals.contains(refusal));
        if !known {
            tracing::warn!(code = refusal.code.as_str(), "refused: {}", refusal.message);
        }
        let about = refusal.target.as_ref().and_then(|key| abouts.targets.get(&key.to_string()));
        if let Some(about) = about {
            let code = refusal.code.as_str();
            events.emit(clock::now(), about, Severity::Warning, "Refuse", code, &refusal.message).await;
        }
    }
    for held in &plan.held {
        if before.as_ref().is_none_or(|last| !last.plan.held.contains(held)) {
            tracing::warn!(code = held.code.as_str(), at = %held.at, "held: {}", held.message);
        }
    }
    for (step, (_, result)) in plan.steps.iter().zip(applied.results()) {
        log_step(step, result);
        if *result != StepResult::Done {
            continue;
        }
        let drifted = step.reason.code == ReasonCode::Drift;
        let about = if drifted {
            abouts.objects.get(&step.object)
        } else {
            step.reason.target.as_ref().and_then(|key| abouts.targets.get(&key.to_string()))
        };
        if let Some(about) = about {
            let severity = if drifted { Severity::Warning } else { Severity::Normal };
            let note = format!("{} {}: {}", step.object.kind.as_str(), step.object.short(), step.reason.message);
            events.emit(clock::now(), about, severity, step.action.as_str(), step.reason.code.as_str(), &note).await;
        }
    }
}

fn log_step(step: &Step, result: &StepResult) {
    let (action, object, reason) = (step.action.as_str(), step.object.to_string(), step.reason.code.as_str());
    match result {
        StepResult::Done | StepResult::Unchanged => tracing::info!(action, object, reason, "{}", step.reason.message),
        StepResult::Failed { message, .. } => tracing::warn!(action, object, reason, "failed: {message}"),
        StepResult::Unknown { message } => tracing::warn!(action, object, reason, "no answer: {message}"),
        StepResult::Skipped { because } => tracing::info!(action, object, reason, "skipped: {because}"),
    }
}

/// Waits until the watches show what was just written.
async fn settle_in(shared: &Shared, plan: &Plan, applied: &Applied, known: &BTreeMap<ObjectKey, String>) {
    let done: Vec<&Step> = plan
        .steps
        .iter()
        .zip(applied.results())
        .filter(|(_, (_, result))| *result == StepResult::Done)
        .map(|(step, _)| step)
        .collect();
    let mut changes = shared.watches.changes();
    let shown = async {
        loop {
            changes.borrow_and_update();
            let observed = shared.watches.observed().await;
            if done.iter().all(|step| is_shown(step, &observed, known)) {
                return;
            }
            drop(observed);
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    // Past that the next pass finds conflicts, which it would settle by observing again.
    let _ = tokio::time::timeout(OWN_WRITES_TIME_MAX, shown).await;
}

fn is_shown(step: &Step, observed: &Observed, known: &BTreeMap<ObjectKey, String>) -> bool {
    let live = observed.objects.get(&step.object);
    match &step.action {
        Action::Create { .. } => live.is_some(),
        Action::Update { .. } => live.is_none_or(|live| known.get(&step.object) != Some(&live.resource_version)),
        Action::Delete { uid, .. } => live.is_none_or(|live| live.uid != *uid || live.deleting),
    }
}
