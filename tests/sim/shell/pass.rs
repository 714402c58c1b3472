//! The pass lane: plan, then the steps of each group in order, up to eight groups at once, each request on its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use holdfast::model::acknowledge::Digest;
use holdfast::model::applied::{Applied, FailureClass, StepResult};
use holdfast::model::delete_log::DeleteLog;
use holdfast::model::keys;
use holdfast::model::object::ObjectKey;
use holdfast::model::observed::Observed;
use holdfast::model::plan::{Action, Group, Plan, Step};
use holdfast::model::withheld::Withheld;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::call::{Call, Reply};
use crate::bug::Bug;
use crate::env::Env;

const GROUPS_AT_ONCE: usize = 8;
const THROTTLED_MAX: u32 = 3;
/// The lane of the request that writes the deletes down.
pub(crate) const LOG_LANE: usize = usize::MAX;

/// What the last pass found and did.
pub(crate) struct Outcome {
    pub plan: Plan,
    pub applied: Applied,
    pub withheld: Withheld,
}

/// A pass under way.
pub(crate) struct Run {
    pub plan: Plan,
    known: BTreeMap<ObjectKey, String>,
    groups: Vec<GroupRun>,
    results: BTreeMap<usize, StepResult>,
    /// Steps that the server said were done.
    proven: BTreeSet<usize>,
    pub left_out: Withheld,
    recorded: bool,
    log: Option<DeleteLog>,
    log_written: bool,
    acknowledged: BTreeSet<usize>,
    pub settle_until: Option<Timestamp>,
}

struct GroupRun {
    steps: VecDeque<usize>,
    blocked: Option<String>,
    stage: Stage,
    sent: Option<Call>,
    throttled: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    First,
    Put,
    TakeBack,
}

/// What a run wants to be sent.
pub(crate) struct Send {
    pub lane: usize,
    pub call: Call,
}

impl Run {
    pub(crate) fn new(
        mut plan: Plan,
        observed: &Observed,
        withheld: &BTreeSet<Group>,
        log: Option<DeleteLog>,
        last: Option<&Outcome>,
    ) -> Self {
        let waits = |step: &Step| withheld.contains(&step.group) || (log.is_none() && is_delete(step));
        let left_out = Withheld::take(&mut plan, waits, last.map(|last| (&last.applied, &last.withheld)));
        let known =
            |step: &Step| Some((step.object.clone(), observed.objects.get(&step.object)?.resource_version.clone()));
        let mut groups: BTreeMap<&Group, VecDeque<usize>> = BTreeMap::new();
        for (index, step) in plan.steps.iter().enumerate() {
            groups.entry(&step.group).or_default().push_back(index);
        }
        let start = |steps| GroupRun { steps, blocked: None, stage: Stage::First, sent: None, throttled: 0 };
        Self {
            known: plan.steps.iter().filter_map(known).collect(),
            groups: groups.into_values().map(start).collect(),
            results: BTreeMap::new(),
            proven: BTreeSet::new(),
            left_out,
            recorded: false,
            log: log.map(|log| log.noted(plan.now, &plan.steps.iter().filter_map(deleted).collect())),
            log_written: false,
            acknowledged: acknowledged(&plan),
            settle_until: None,
            plan,
        }
    }

    /// The requests that may be sent now; empty and [`Run::is_done`] when there are no more.
    pub(crate) fn next(&mut self, env: &Env, may_write: bool) -> Vec<Send> {
        if self.plan.steps.iter().any(is_delete) && !self.recorded && !env.has(Bug::ForgetsDeletes) {
            self.recorded = true;
            if let Some(log) = self.log.clone().filter(|_| may_write) {
                return vec![Send { lane: LOG_LANE, call: Call::WriteLog(log) }];
            }
        }
        let mut sends = Vec::new();
        let mut busy = self.groups.iter().filter(|group| group.sent.is_some()).count();
        for lane in 0..self.groups.len() {
            while busy < GROUPS_AT_ONCE && self.groups[lane].sent.is_none() && !self.groups[lane].steps.is_empty() {
                if let Some(call) = self.call(lane, env, may_write) {
                    self.groups[lane].sent = Some(call.clone());
                    busy += 1;
                    sends.push(Send { lane, call });
                }
            }
        }
        sends
    }

    /// The next request of a group, or a result without one.
    fn call(&mut self, lane: usize, env: &Env, may_write: bool) -> Option<Call> {
        let index = *self.groups[lane].steps.front()?;
        if let Some(because) = self.groups[lane].blocked.clone() {
            self.end(lane, StepResult::Skipped { because });
            return None;
        }
        if !may_write && !env.has(Bug::WritesWithoutRight) {
            self.end(lane, StepResult::Skipped { because: "this process may not write any more".to_owned() });
            return None;
        }
        let step = &self.plan.steps[index];
        let key = step.object.clone();
        let call = match (&step.action, self.groups[lane].stage) {
            (Action::Create { manifest }, Stage::First) if env.has(Bug::SkipsGet) => {
                Call::Apply { key, manifest: manifest.clone(), force: true }
            }
            (Action::Create { .. }, Stage::First) => Call::Get(key),
            (Action::Create { manifest }, Stage::Put) => Call::Apply { key, manifest: manifest.clone(), force: false },
            (Action::Create { manifest }, Stage::TakeBack) => {
                Call::Apply { key, manifest: nothing(manifest), force: false }
            }
            (Action::Update { manifest, before: _, uid }, _) => {
                let mut manifest = manifest.clone();
                if !env.has(Bug::ForgetsUid) {
                    manifest["metadata"]["uid"] = json!(uid);
                }
                Call::Apply { key, manifest, force: true }
            }
            (Action::Delete { .. }, _) if !self.log_written && !env.has(Bug::ForgetsDeletes) => {
                self.end(
                    lane,
                    StepResult::Failed { class: FailureClass::Transient, message: "deletes not noted".to_owned() },
                );
                return None;
            }
            (Action::Delete { uid, resource_version }, _) => Call::Delete {
                key,
                uid: uid.clone(),
                version: resource_version.clone(),
                acknowledged: self.acknowledged.contains(&index),
            },
        };
        Some(call)
    }

    /// The request that the server did not even look at, once more.
    pub(crate) fn again(&mut self, lane: usize, env: &Env, may_write: bool) -> Option<Send> {
        let group = self.groups.get_mut(lane)?;
        if may_write || env.has(Bug::WritesWithoutRight) {
            return Some(Send { lane, call: group.sent.clone()? });
        }
        group.sent = None;
        self.end(lane, StepResult::Skipped { because: "this process may not write any more".to_owned() });
        None
    }

    /// Takes an answer in; `Some` asks for the same request again after so many milliseconds.
    pub(crate) fn answer(&mut self, lane: usize, reply: Reply) -> Option<usize> {
        if lane == LOG_LANE {
            self.log_written = matches!(reply, Reply::Done);
            return None;
        }
        let group = self.groups.get_mut(lane)?;
        let sent = group.sent.clone()?;
        if matches!(reply, Reply::Throttled) && group.throttled < THROTTLED_MAX {
            group.throttled += 1;
            return Some(1000);
        }
        group.sent = None;
        let index = *group.steps.front()?;
        let stage = group.stage;
        let failed = |class: FailureClass, message: &str| StepResult::Failed { class, message: message.to_owned() };
        let result = match reply {
            Reply::Missing if stage == Stage::First && matches!(sent, Call::Get(_)) => {
                group.stage = Stage::Put;
                return None;
            }
            Reply::Missing if matches!(sent, Call::Delete { .. }) => StepResult::Unchanged,
            Reply::Missing => failed(FailureClass::Invalid, "not found"),
            Reply::Object { .. } if matches!(sent, Call::Get(_)) => failed(FailureClass::Conflict, "it has appeared"),
            Reply::Object { .. } if stage == Stage::TakeBack => failed(FailureClass::Conflict, "somebody else made it"),
            Reply::Object { created, object } => match &self.plan.steps[index].action {
                Action::Create { .. } if !created && stage == Stage::Put => {
                    group.stage = Stage::TakeBack;
                    let Call::Apply { key: _, manifest, force: _ } = sent else { return None };
                    self.taken_back(lane, &manifest, &object);
                    return None;
                }
                Action::Create { .. } | Action::Delete { .. } => StepResult::Done,
                Action::Update { .. } => {
                    let version = object["metadata"]["resourceVersion"].as_str();
                    let known = self.known.get(&self.plan.steps[index].object).map(String::as_str);
                    if version == known { StepResult::Unchanged } else { StepResult::Done }
                }
            },
            Reply::Done => StepResult::Done,
            Reply::Conflict => failed(FailureClass::Conflict, "it changed"),
            Reply::Invalid(message) => failed(FailureClass::Invalid, &message),
            Reply::Denied => failed(FailureClass::Denied, "not allowed"),
            Reply::Throttled | Reply::Transient => failed(FailureClass::Transient, "the server is busy"),
            Reply::Unknown => StepResult::Unknown { message: "no answer".to_owned() },
        };
        if matches!(result, StepResult::Done | StepResult::Unchanged) {
            self.proven.insert(index);
        }
        self.end(lane, result);
        None
    }

    fn taken_back(&mut self, lane: usize, manifest: &Value, object: &Value) {
        // The object that the intent is taken back from, and no other of its name.
        let mut manifest = manifest.clone();
        manifest["metadata"]["uid"] = object["metadata"]["uid"].clone();
        let Some(index) = self.groups[lane].steps.front() else { return };
        self.plan.steps[*index].action = Action::Create { manifest };
    }

    fn end(&mut self, lane: usize, result: StepResult) {
        let group = &mut self.groups[lane];
        let Some(index) = group.steps.pop_front() else { return };
        (group.stage, group.throttled) = (Stage::First, 0);
        if group.blocked.is_none() {
            group.blocked = match &result {
                StepResult::Done | StepResult::Unchanged => None,
                StepResult::Skipped { because } => Some(because.clone()),
                StepResult::Failed { .. } | StepResult::Unknown { .. } => {
                    Some("an earlier step did not succeed".to_owned())
                }
            };
        }
        self.results.insert(index, result);
    }

    /// The log of deletes once the server has it.
    pub(crate) fn written(&self) -> Option<&DeleteLog> {
        self.log.as_ref().filter(|_| self.log_written)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.results.len() == self.plan.steps.len()
    }

    /// Whether the watches show all that was done.
    pub(crate) fn is_shown(&self, observed: &Observed) -> bool {
        self.plan.steps.iter().enumerate().filter(|(index, _)| self.results.get(index) == Some(&StepResult::Done)).all(
            |(_, step)| {
                let live = observed.objects.get(&step.object);
                match &step.action {
                    Action::Create { .. } => live.is_some(),
                    Action::Update { .. } => {
                        live.is_none_or(|live| self.known.get(&step.object) != Some(&live.resource_version))
                    }
                    Action::Delete { uid, .. } => live.is_none_or(|live| live.uid != *uid || live.deleting),
                }
            },
        )
    }

    pub(crate) fn finish(self, env: &mut Env) -> Outcome {
        let said = |(index, result): (usize, StepResult)| {
            if env.bug == Some(Bug::RecordsBeforeApply) && !matches!(result, StepResult::Skipped { .. }) {
                (index, StepResult::Done)
            } else {
                (index, result)
            }
        };
        let results: Vec<(usize, StepResult)> = self.results.into_iter().map(said).collect();
        for (index, result) in &results {
            if matches!(result, StepResult::Done | StepResult::Unchanged) && !self.proven.contains(index) {
                env.oracle.fail(format!("{} is reported as done without an answer", self.plan.steps[*index].object));
            }
        }
        let applied = self.plan.settle(results.into_iter().map(|(_, result)| result).collect());
        Outcome { plan: self.plan, applied, withheld: self.left_out }
    }
}

fn is_delete(step: &Step) -> bool {
    deleted(step).is_some()
}

fn deleted(step: &Step) -> Option<&str> {
    match &step.action {
        Action::Delete { uid, .. } => Some(uid),
        Action::Create { .. } | Action::Update { .. } => None,
    }
}

/// Deletes that a person's word covers.
fn acknowledged(plan: &Plan) -> BTreeSet<usize> {
    let deletes = plan.steps.iter().enumerate().filter_map(|(index, step)| match &step.action {
        Action::Delete { uid, .. } => Some((index, format!("delete {} {uid}", step.object))),
        Action::Create { .. } | Action::Update { .. } => None,
    });
    let deletes: Vec<(usize, String)> = deletes.collect();
    let digest = Digest::of(deletes.iter().map(|(_, fact)| fact.clone()));
    if plan.acknowledged.contains(&digest) {
        deletes.into_iter().map(|(index, _)| index).collect()
    } else {
        BTreeSet::new()
    }
}

fn nothing(manifest: &Value) -> Value {
    let metadata = &manifest["metadata"];
    let mut kept = json!({"name": metadata["name"], "uid": metadata["uid"]});
    if let Some(namespace) = metadata.get("namespace") {
        kept["namespace"] = namespace.clone();
    }
    json!({"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": kept})
}

/// Whether a step only says that the cause of an object is missing.
pub(crate) fn is_mark(step: &Step) -> bool {
    match &step.action {
        Action::Update { manifest, .. } => !manifest["metadata"]["annotations"][keys::MISSING_SINCE].is_null(),
        Action::Create { .. } | Action::Delete { .. } => false,
    }
}
