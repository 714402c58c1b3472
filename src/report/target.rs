//! `targets/<namespace>/<kind>.<name>.yaml`: everything about one target.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::memory::{Condition, Memory, whole_second};
use crate::cron::Schedule;
use crate::model::applied::StepResult;
use crate::model::finding::ReasonCode;
use crate::model::names::hash_hex;
use crate::model::object::{ObjectKey, TargetKey};
use crate::model::observed::{Observed, Undone};
use crate::model::plan::{Protection, Refusal, Standing};

/// A namespace with more targets than this gets folders by hash, so that no folder is too long for a forge to show.
pub(super) const FOLDER_FILES_MAX: usize = 500;

/// How a target is doing, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum State {
    Refused,
    Waiting,
    Paused,
}

impl State {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            State::Refused => "Refused",
            State::Waiting => "Waiting",
            State::Paused => "Paused",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TargetFile {
    pub api_version: &'static str,
    pub kind: &'static str,
    pub schema: u32,
    #[serde(serialize_with = "display")]
    pub target: TargetKey,
    pub state: State,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub backups: Vec<Backup>,
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Backup {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blueprint: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run: Option<String>,
}

fn display<S: serde::Serializer>(key: &TargetKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

/// What is known of one target in this pass.
#[derive(Default)]
pub(super) struct Facts<'a> {
    pub protections: Vec<&'a Protection>,
    pub refusals: Vec<&'a Refusal>,
    /// Steps of its objects that did not succeed.
    pub failures: Vec<(&'a ObjectKey, &'a StepResult)>,
}

/// Where the file of a target lies.
pub(super) fn path(key: &TargetKey, fan_out: bool) -> String {
    let file = format!("{}.{}.yaml", key.kind.as_str().to_ascii_lowercase(), key.name);
    if fan_out {
        return format!("targets/{}/{}/{file}", key.namespace, hash_hex(&file, 2));
    }
    format!("targets/{}/{file}", key.namespace)
}

pub(super) fn file(
    key: &TargetKey,
    facts: &Facts,
    observed: &Observed,
    time_zone: &str,
    known: Option<&Vec<Condition>>,
    now: Timestamp,
) -> TargetFile {
    let backups = facts.protections.iter().filter(|one| one.configuration.is_some() || one.blueprint.is_some());
    let conditions = std::iter::once(accepted(facts, now)).chain(drifted(facts, observed, now));
    TargetFile {
        api_version: "holdfast.dev/v1alpha1",
        kind: "TargetStatus",
        schema: 1,
        target: key.clone(),
        state: state(facts),
        backups: backups.map(|protection| backup(protection, observed, time_zone)).collect(),
        conditions: conditions.map(|condition| Memory::since(known, condition)).collect(),
    }
}

fn state(facts: &Facts) -> State {
    if !facts.refusals.is_empty() || facts.failures.iter().any(|(_, result)| is_failure(result)) {
        return State::Refused;
    }
    let paused = !facts.protections.is_empty() && facts.protections.iter().all(|protection| protection.paused);
    if paused { State::Paused } else { State::Waiting }
}

pub(super) fn is_failure(result: &StepResult) -> bool {
    match result {
        StepResult::Failed { .. } => true,
        StepResult::Done | StepResult::Unchanged | StepResult::Unknown { .. } | StepResult::Skipped { .. } => false,
    }
}

fn condition(kind: &str, status: &str, reason: &str, message: String, now: Timestamp) -> Condition {
    Condition {
        kind: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        since: whole_second(now),
    }
}

/// Whose changes of its objects were set back. Read from the mark on the object, so that it is said until Git asks for
/// something else, whichever process undid them.
fn drifted(facts: &Facts, observed: &Observed, now: Timestamp) -> Option<Condition> {
    let keys = facts.protections.iter().flat_map(|one| one.configuration.iter().chain(&one.repository));
    let drifts: Vec<String> = keys
        .filter_map(|key| {
            let Undone { count, manager, .. } = observed.objects.get(key).filter(|live| live.is_ours())?.undone()?;
            let times = if count == 1 { "once".to_owned() } else { format!("{count} times in a row") };
            Some(format!("{manager} changed {} {}: set back {times}", key.kind.as_str(), key.short()))
        })
        .collect();
    let reason = ReasonCode::Drift.as_str();
    (!drifts.is_empty()).then(|| condition("Drifted", "True", reason, drifts.join("; "), now))
}

/// Why the first complaint stands, or that there is none.
fn accepted(facts: &Facts, now: Timestamp) -> Condition {
    let condition = |status: &str, reason: &str, message: String| condition("Accepted", status, reason, message, now);
    if let Some(refusal) = facts.refusals.first() {
        return condition("False", refusal.code.as_str(), refusal.message.clone());
    }
    for (key, result) in &facts.failures {
        if let StepResult::Failed { message, .. } = result {
            return condition("False", "ApplyFailed", format!("{} {}: {message}", key.kind.as_str(), key.short()));
        }
    }
    let standing: BTreeMap<Standing, usize> =
        facts.protections.iter().fold(BTreeMap::new(), |mut counts, protection| {
            *counts.entry(protection.standing).or_default() += 1;
            counts
        });
    if standing.contains_key(&Standing::Leaving) {
        return condition(
            "False",
            "CauseMissing",
            "the cause of a backup is gone; it is removed after a delay".to_owned(),
        );
    }
    if standing.contains_key(&Standing::Held) {
        return condition("Unknown", "Held", "the source of a backup is held back; it stays as it is".to_owned());
    }
    condition("True", "Applied", String::new())
}

fn backup(protection: &Protection, observed: &Observed, time_zone: &str) -> Backup {
    Backup {
        blueprint: protection.blueprint.clone(),
        source: protection.source.clone(),
        configuration: protection.configuration.as_ref().map(ObjectKey::short),
        repository: protection.repository.as_ref().map(ObjectKey::short),
        schedule: protection.schedule.clone(),
        next_run: next_run(protection, observed, time_zone).map(|time| time.to_string()),
    }
}

/// The first slot after the configuration came to be; no run has happened yet.
fn next_run(protection: &Protection, observed: &Observed, time_zone: &str) -> Option<Timestamp> {
    let live = observed.objects.get(protection.configuration.as_ref()?)?;
    let runs = match protection.standing {
        Standing::Wanted | Standing::Refused | Standing::Held => !protection.paused,
        Standing::Leaving => false,
    };
    let schedule = Schedule::parse(protection.schedule.as_deref()?).ok()?;
    schedule.next_after(live.created.filter(|_| runs)?, time_zone, &live.uid)
}
