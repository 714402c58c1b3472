//! `targets/<namespace>/<kind>.<name>.yaml`: everything about one target.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::backup::{Backup, World};
use super::memory::{Condition, Memory, whole_second};
use crate::model::applied::StepResult;
use crate::model::finding::ReasonCode;
use crate::model::names::{hash_hex, is_label, is_subdomain};
use crate::model::object::{ObjectKey, TargetKey};
use crate::model::observed::{Observed, Undone};
use crate::model::plan::{Protection, Refusal, Standing};
use crate::model::redact;
use crate::model::run::Run;
use crate::yaml;

/// A namespace with more targets than this gets folders by hash, so that no folder is too long for a forge to show.
pub(super) const FOLDER_FILES_MAX: usize = 500;
/// Entries of one file: anybody who may write configurations can name a target as often as they like.
const BACKUPS_MAX: usize = 100;
/// Below what is promised of every file.
const FILE_BYTES_MAX: usize = 500 << 10;
/// What is left out of a file that is too large, step by step: snapshots of a run, and bytes of a message.
const THINNER: [(usize, usize); 3] = [(100, 1000), (10, 300), (0, 100)];

/// How a target is doing, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    Refused,
    Failed,
    Overdue,
    Running,
    Waiting,
    Paused,
    Succeeded,
}

impl State {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            State::Refused => "Refused",
            State::Failed => "Failed",
            State::Overdue => "Overdue",
            State::Running => "Running",
            State::Waiting => "Waiting",
            State::Paused => "Paused",
            State::Succeeded => "Succeeded",
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
    /// Backups that are not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted: Option<usize>,
    pub conditions: Vec<Condition>,
}

fn display<S: serde::Serializer>(key: &TargetKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

/// What is known of one target in this pass.
#[derive(Default)]
pub(super) struct Gathered<'a> {
    pub protections: Vec<Cow<'a, Protection>>,
    pub refusals: Vec<&'a Refusal>,
    /// Steps of its objects that did not succeed.
    pub failures: Vec<(&'a ObjectKey, &'a StepResult)>,
}

/// Whether an object can have that name. Others come from references in objects that anybody may write.
pub(super) fn can_exist(target: &TargetKey) -> bool {
    is_label(&target.namespace) && is_subdomain(&target.name)
}

/// The folder of a namespace.
pub(super) fn folder(namespace: &str) -> String {
    if is_label(namespace) { format!("targets/{namespace}") } else { format!("targets/{}", hash_hex(namespace, 16)) }
}

/// Where the file of a target lies.
pub(super) fn path(key: &TargetKey, fan_out: bool) -> String {
    let name = if is_subdomain(&key.name) { key.name.clone() } else { hash_hex(&key.name, 16) };
    let file = format!("{}.{name}.yaml", key.kind.as_str().to_ascii_lowercase());
    let folder = folder(&key.namespace);
    if fan_out { format!("{folder}/{}/{file}", hash_hex(&file, 2)) } else { format!("{folder}/{file}") }
}

/// The file, and the runs that ended since the branch was written.
pub(super) fn file(
    key: &TargetKey,
    gathered: &Gathered,
    world: &World,
    known: Option<&Vec<Condition>>,
) -> (TargetFile, Vec<Run>) {
    let shown = gathered.protections.iter().filter(|one| one.configuration.is_some() || one.blueprint.is_some());
    let omitted = shown.clone().count().saturating_sub(BACKUPS_MAX);
    let mut backups = Vec::new();
    let mut ended = Vec::new();
    for protection in shown.take(BACKUPS_MAX) {
        let (backup, runs) = world.backup(protection);
        backups.push(backup);
        ended.extend(runs);
    }
    let (observed, now) = (world.observed, world.now);
    let conditions = std::iter::once(accepted(gathered, now)).chain(drifted(gathered, observed, now));
    let file = TargetFile {
        api_version: "holdfast.dev/v1alpha1",
        kind: "TargetStatus",
        schema: 1,
        target: key.clone(),
        state: state(gathered, &backups),
        backups,
        omitted: (omitted > 0).then_some(omitted),
        conditions: conditions.map(|condition| Memory::since(known, condition)).collect(),
    };
    (file, ended)
}

/// The worst of its backups; a target of which nothing is there yet waits.
fn state(gathered: &Gathered, backups: &[Backup]) -> State {
    if !gathered.refusals.is_empty() || gathered.failures.iter().any(|(_, result)| is_failure(result)) {
        return State::Refused;
    }
    backups.iter().map(Backup::state).min().unwrap_or(State::Waiting)
}

/// The file as it is written. One that would be too large says less of each run.
pub(super) fn fit(file: &mut TargetFile) -> String {
    let mut text = yaml::write(file);
    for (snapshots, message) in THINNER {
        if text.len() <= FILE_BYTES_MAX {
            break;
        }
        for backup in &mut file.backups {
            for run in &mut backup.past.runs {
                run.omitted += run.snapshots.len().saturating_sub(snapshots);
                run.snapshots.truncate(snapshots);
                cut(&mut run.message, message);
            }
            for condition in &mut backup.past.conditions {
                cut(&mut condition.message, message);
            }
        }
        text = yaml::write(file);
    }
    text
}

fn cut(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        let mut end = bytes;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
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
fn drifted(gathered: &Gathered, observed: &Observed, now: Timestamp) -> Option<Condition> {
    let keys = gathered.protections.iter().flat_map(|one| one.configuration.iter().chain(&one.repository));
    let drifts: Vec<String> = keys
        .filter_map(|key| {
            let Undone { count, manager, .. } = observed.objects.get(key).filter(|live| live.is_ours())?.undone()?;
            let times = if count == 1 { "once".to_owned() } else { format!("{count} times in a row") };
            Some(format!("{manager} changed {} {}: set back {times}", key.kind.as_str(), key.short()))
        })
        .collect();
    let reason = ReasonCode::Drift.as_str();
    (!drifts.is_empty()).then(|| condition("Drifted", "True", reason, redact::message(&drifts.join("; ")), now))
}

/// Why the first complaint stands, or that there is none.
fn accepted(gathered: &Gathered, now: Timestamp) -> Condition {
    let condition = |status: &str, reason: &str, message: String| condition("Accepted", status, reason, message, now);
    if let Some(refusal) = gathered.refusals.first() {
        return condition("False", refusal.code.as_str(), refusal.message.clone());
    }
    for (key, result) in &gathered.failures {
        if let StepResult::Failed { message, .. } = result {
            return condition("False", "ApplyFailed", format!("{} {}: {message}", key.kind.as_str(), key.short()));
        }
    }
    let standing: BTreeMap<Standing, usize> =
        gathered.protections.iter().fold(BTreeMap::new(), |mut counts, protection| {
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
