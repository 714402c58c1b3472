//! What became of a Job, from what the API server says of it and of its pods.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::look::{Look, Questions, Seen};
use super::why::Why;
use crate::model::facts::{Fact, FactKey, FactKind, Facts};
use crate::model::finding::StepReason;
use crate::model::json::text;
use crate::model::keys;
use crate::model::step::{HostOutcome, Outcome};

/// A Job without a pod for so long has an obstacle that Events name.
const POD_EXPECTED: SignedDuration = SignedDuration::from_secs(3);
/// What is told of a pod comes so much later than what is told of its Job, at most.
const PODS_LATE: SignedDuration = SignedDuration::from_secs(30);
/// A pod on a node that does not answer never says that it has ended.
const ENDING_MAX: SignedDuration = SignedDuration::from_mins(10);

#[derive(Clone, Debug, PartialEq)]
pub(super) enum JobState {
    Absent,
    /// Nothing of it runs yet. Without an obstacle it is a matter of seconds.
    Starting {
        since: Timestamp,
        obstacle: Option<Why>,
    },
    Running {
        since: Timestamp,
    },
    /// It is over, but a pod of it may still do something.
    Ending,
    Ended(Box<Ended>),
}

/// How a Job ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ended {
    /// What its containers said.
    pub outcome: Outcome,
    /// Why there is no more than that.
    pub failure: Option<Why>,
    /// Pods that were cut off, whose locks may be left.
    pub cut_off: Vec<String>,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

impl Ended {
    /// It was never there.
    pub(super) fn before_it_began(why: Why) -> Self {
        Self { outcome: Outcome::default(), failure: Some(why), cut_off: Vec::new(), from: None, until: None }
    }

    /// How long its containers ran.
    pub(super) fn seconds(&self) -> Option<i64> {
        Some(self.until?.duration_since(self.from?).as_secs())
    }

    /// What went wrong with a host, if anything did.
    pub(super) fn trouble(&self, said: Option<&HostOutcome>) -> Option<Why> {
        let own = || said.and_then(|said| said.error.as_ref()).map(Why::from);
        self.trouble_of_all().or_else(own)
    }

    /// What went wrong with the Job as a whole.
    pub(super) fn trouble_of_all(&self) -> Option<Why> {
        self.failure.clone().or_else(|| self.outcome.error.as_ref().map(Why::from))
    }
}

/// Obstacles that no waiting takes away.
pub const HOPELESS: &[&str] = &["InvalidImageName"];

fn complaint(reason: &str, message: impl Into<String>) -> Why {
    Why { reason: reason.to_owned(), message: message.into() }
}

pub(super) fn of(facts: &Facts, key: &FactKey, questions: &mut Questions<'_>, now: Timestamp) -> JobState {
    let Some(fact) = facts.get(key) else { return JobState::Absent };
    let job = fact.value();
    let created = fact.created.unwrap_or(now);
    let ended_by_us = annotation(&job, keys::ENDED).map(|text| {
        let (reason, message) = text.split_once(": ").unwrap_or((text, text));
        complaint(reason, message)
    });
    let pods = pods(facts, key, fact);
    let busy = pods.iter().any(|(_, pod)| !is_finished(pod));
    let lost = busy && ending_since(&job, &pods).is_some_and(|since| now.duration_since(since) > ENDING_MAX);
    // Where a pod of it does not end, a Job is not said to have failed either.
    let over = fact.deleting || ended_by_us.is_some() || job_condition(&job).is_some() || lost;
    if over && busy && !lost {
        return JobState::Ending;
    }
    if over && pods.is_empty() && !has_no_pods(&job, now) {
        questions.look_again(now.saturating_add(PODS_LATE).unwrap_or(now));
        return JobState::Ending;
    }
    let finished = pods.iter().rev().find(|(_, pod)| is_finished(pod));
    if !over && let Some((_, pod)) = pods.iter().find(|(_, pod)| !is_finished(pod)) {
        return running_or_starting(pod, created);
    }
    if over || finished.is_some() {
        return JobState::Ended(Box::new(ended(&job, fact.deleting, ended_by_us, &pods, busy)));
    }
    let obstacle = if now.duration_since(created) >= POD_EXPECTED {
        let look = Look::Events { namespace: key.namespace.clone(), uid: fact.uid.clone() };
        let since = now.saturating_sub(POD_EXPECTED).unwrap_or(now);
        match questions.ask_or_last(look, since) {
            Some(Seen::Found(events)) => not_created(events),
            Some(Seen::Missing | Seen::Unknown(_)) | None => None,
        }
    } else {
        None
    };
    JobState::Starting { since: created, obstacle }
}

/// Since when a Job or its pods should be on their way out.
fn ending_since(job: &Value, pods: &[(bool, Value)]) -> Option<Timestamp> {
    let time = |text: Option<&str>| text.and_then(|time| time.parse::<Timestamp>().ok());
    let deleted = |object: &Value| time(object.pointer("/metadata/deletionTimestamp").and_then(Value::as_str));
    let done = conditions(job)
        .filter(|condition| text(condition, "status") == Some("True"))
        .filter_map(|condition| time(text(condition, "lastTransitionTime")));
    done.chain(deleted(job)).chain(pods.iter().filter_map(|(_, pod)| deleted(pod))).min()
}

/// Whether no pod that is not known may still come. Pods are followed apart from Jobs, so either may be ahead.
fn has_no_pods(job: &Value, now: Timestamp) -> bool {
    let finalizers = job.pointer("/metadata/finalizers").and_then(Value::as_array).into_iter().flatten();
    let is_held = finalizers.filter_map(Value::as_str).any(|finalizer| finalizer == "foregroundDeletion");
    if is_held {
        return false;
    }
    // We delete in the foreground only, so nothing is left below it.
    let deleted_by_us = annotation(job, keys::ENDED).is_some() && job.pointer("/metadata/deletionTimestamp").is_some();
    deleted_by_us || ending_since(job, &[]).is_some_and(|since| now.duration_since(since) >= PODS_LATE)
}

fn pods(facts: &Facts, key: &FactKey, fact: &Fact) -> Vec<(bool, Value)> {
    facts
        .in_namespace(FactKind::Pod, &key.namespace)
        .filter(|(_, pod)| pod.mentions(&fact.uid))
        .map(|(_, pod)| (pod.deleting, pod.value()))
        .filter(|(_, pod)| is_owned_by(pod, &fact.uid))
        .collect()
}

fn running_or_starting(pod: &Value, created: Timestamp) -> JobState {
    let statuses = statuses(pod);
    let began = statuses.iter().find_map(|status| {
        let state = &status["state"];
        let running = state.pointer("/running/startedAt").or_else(|| state.pointer("/terminated/startedAt"));
        running.and_then(Value::as_str).and_then(|time| time.parse().ok())
    });
    if let Some(since) = began {
        return JobState::Running { since };
    }
    let waiting = statuses.iter().find_map(|status| {
        let waiting = status.pointer("/state/waiting")?;
        let reason =
            text(waiting, "reason").filter(|reason| !matches!(*reason, "ContainerCreating" | "PodInitializing"))?;
        let name = text(status, "name").unwrap_or_default();
        Some(complaint(reason, format!("container {name}: {}", text(waiting, "message").unwrap_or(reason))))
    });
    let unscheduled = conditions(pod).find_map(|condition| {
        let is = text(condition, "type") == Some("PodScheduled") && text(condition, "status") == Some("False");
        is.then(|| complaint("Unschedulable", text(condition, "message").unwrap_or("no node takes the pod")))
    });
    JobState::Starting { since: created, obstacle: waiting.or(unscheduled) }
}

/// Whether none of its containers runs any more.
fn is_finished(pod: &Value) -> bool {
    matches!(pod.pointer("/status/phase").and_then(Value::as_str), Some("Succeeded" | "Failed"))
}

fn is_owned_by(pod: &Value, uid: &str) -> bool {
    let owners = pod.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten();
    owners.filter_map(|owner| text(owner, "uid")).any(|owner| owner == uid)
}

fn statuses(pod: &Value) -> Vec<&Value> {
    let of = |field: &str| pod.pointer(&format!("/status/{field}")).and_then(Value::as_array).into_iter().flatten();
    of("initContainerStatuses").chain(of("containerStatuses")).collect()
}

fn conditions(object: &Value) -> impl Iterator<Item = &Value> {
    object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten()
}

/// Reason and message of the condition that says that a Job is over.
fn job_condition(job: &Value) -> Option<(bool, String, String)> {
    conditions(job).find_map(|condition| {
        let holds = text(condition, "status") == Some("True");
        let failed = match text(condition, "type") {
            Some("Failed") => true,
            Some("Complete") => false,
            _ => return None,
        };
        let part = |key| text(condition, key).unwrap_or_default().to_owned();
        holds.then(|| (failed, part("reason"), part("message")))
    })
}

fn ended(job: &Value, deleting: bool, ended_by_us: Option<Why>, pods: &[(bool, Value)], busy: bool) -> Ended {
    let pod = pods.iter().map(|(_, pod)| pod).next_back();
    let statuses = pod.map(statuses).unwrap_or_default();
    let outcomes: Vec<Outcome> = statuses.iter().filter_map(|status| said(status)).collect();
    let has_answer = outcomes
        .iter()
        .any(|outcome| outcome.error.is_some() || !outcome.hosts.is_empty() || outcome.repository.is_some());
    let outcome = outcomes.into_iter().fold(Outcome::default(), joined);
    let died = pod.and_then(|pod| death(pod, &statuses));
    let time = |field: &str| {
        let times = statuses.iter().filter_map(|status| status.pointer(&format!("/state/terminated/{field}")));
        times.filter_map(Value::as_str).filter_map(|time| time.parse::<Timestamp>().ok()).collect::<Vec<_>>()
    };
    let by_job = job_condition(job).filter(|(failed, ..)| *failed).map(|(_, reason, message)| match reason.as_str() {
        "DeadlineExceeded" => complaint("DeadlineExceeded", "it took longer than spec.timeOut allows"),
        "BackoffLimitExceeded" | "" => complaint("PodLost", "its pod is gone, and nobody knows how it ended"),
        other => complaint(other, message),
    });
    let deleted = deleting.then(|| complaint("JobDeleted", "somebody deleted its Job"));
    let lost = busy.then(|| complaint("NodeLost", "its node does not answer, so nobody knows how it ended"));
    let silent = (!has_answer).then(|| complaint("NoOutcome", "its pod ended without saying how"));
    // What we ended ourselves, and what took the whole pod away, says more than what a container could still say. One that was
    // told to end does not know why.
    let complaints = outcome.error.iter().chain(outcome.hosts.iter().filter_map(|host| host.error.as_ref()));
    let is_cancelled = complaints.into_iter().any(|complaint| complaint.reason == StepReason::Cancelled);
    let is_told = has_answer && !(is_cancelled && deleted.is_some());
    let failure = if is_told && died.is_none() && ended_by_us.is_none() {
        None
    } else {
        ended_by_us.or(died).or(deleted).or(by_job).or(lost).or(silent)
    };
    // A pod that is on a node which does not answer may still work, so its lock stays.
    let is_cut_off = |pod: &Value| !has_answer && has_begun(pod) && is_finished(pod);
    let cut_off = pods.iter().filter(|(_, pod)| is_cut_off(pod));
    let cut_off = cut_off.filter_map(|(_, pod)| text(&pod["metadata"], "uid").map(str::to_owned)).collect();
    Ended {
        outcome,
        failure,
        cut_off,
        from: time("startedAt").into_iter().min(),
        until: time("finishedAt").into_iter().max(),
    }
}

fn has_begun(pod: &Value) -> bool {
    statuses(pod)
        .iter()
        .any(|status| status.pointer("/state/running").or_else(|| status.pointer("/state/terminated")).is_some())
}

/// What a container left as its last word.
fn said(status: &Value) -> Option<Outcome> {
    let message = status.pointer("/state/terminated/message").and_then(Value::as_str)?;
    serde_json::from_str(message.trim()).ok()
}

fn joined(mut all: Outcome, one: Outcome) -> Outcome {
    all.error = all.error.or(one.error);
    all.hosts.extend(one.hosts);
    all.repository = all.repository.or(one.repository);
    all
}

/// What took the pod, or one of its containers, away.
fn death(pod: &Value, statuses: &[&Value]) -> Option<Why> {
    let killed = statuses.iter().find_map(|status| {
        let terminated = status.pointer("/state/terminated")?;
        let name = text(status, "name").unwrap_or_default();
        match (text(terminated, "reason"), terminated.get("exitCode").and_then(Value::as_i64)) {
            (Some("OOMKilled"), _) => {
                let limit = limit_of(pod, name).unwrap_or("memory");
                Some(complaint("OutOfMemory", format!("container {name} was killed at its limit of {limit}")))
            }
            (_, Some(0)) => None,
            (reason, Some(code)) if said(status).is_none() => {
                let last = text(terminated, "message").unwrap_or_default().trim();
                let last = last.lines().last().unwrap_or_default();
                let reason = reason.filter(|reason| *reason != "Error").unwrap_or("ContainerFailed");
                Some(complaint(reason, format!("container {name} ended with code {code}: {last}")))
            }
            _ => None,
        }
    });
    let whole = text(&pod["status"], "reason").map(|reason| {
        let message = text(&pod["status"], "message").unwrap_or(reason);
        complaint(reason, message)
    });
    let disrupted = conditions(pod).find_map(|condition| {
        let is = text(condition, "type") == Some("DisruptionTarget") && text(condition, "status") == Some("True");
        is.then(|| complaint("Disrupted", text(condition, "message").unwrap_or("its pod was taken away")))
    });
    whole.or(disrupted).or(killed)
}

fn limit_of<'p>(pod: &'p Value, container: &str) -> Option<&'p str> {
    let of = |field: &str| pod.pointer(&format!("/spec/{field}")).and_then(Value::as_array).into_iter().flatten();
    let found = of("initContainers").chain(of("containers")).find(|known| text(known, "name") == Some(container))?;
    found.pointer("/resources/limits/memory").and_then(Value::as_str)
}

fn not_created(events: &Value) -> Option<Why> {
    let failed = events.as_array()?.iter().rev().find(|event| text(event, "reason") == Some("FailedCreate"))?;
    let message = text(failed, "message").or_else(|| text(failed, "note")).unwrap_or("its pod cannot be created");
    let reason = if message.contains("exceeded quota") {
        "QuotaExceeded"
    } else if message.contains("violates PodSecurity") {
        "PodSecurity"
    } else {
        "FailedCreate"
    };
    Some(complaint(reason, message))
}

fn annotation<'v>(object: &'v Value, key: &str) -> Option<&'v str> {
    object.pointer("/metadata/annotations").and_then(|all| all.get(key)).and_then(Value::as_str)
}
