//! What one configuration has done so far: what the branch said, and what its sessions and objects say since.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::days::{Days, Mark};
use super::memory::{Condition, Memory, whole_second};
use super::runs::{self, OVERDUE};
use crate::model::json::text;
use crate::model::run::{Run, RunResult};
use crate::model::{human, redact};

/// Runs that a file shows; older ones are in the history of the file.
const RUNS_MAX: usize = 2;
pub(super) const LAST_BACKUP_SUCCEEDED: &str = "LastBackupSucceeded";
const READY: &str = "Ready";

/// The part of a backup's entry that outlives its sessions. In the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Past {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_success: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) snapshots: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) integrity: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) history: Option<Days>,
    /// The newest first; one that is under way is the newest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) runs: Vec<Run>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) conditions: Vec<Condition>,
}

/// What is known now. `None` of an object that was not listed to its end says nothing.
pub(super) struct Present<'a> {
    pub runs: &'a [&'a Run],
    pub marks: Option<&'a Days>,
    pub configuration: Known,
    pub repository: Known,
    /// All sessions were listed, so one that is not there is gone.
    pub sessions_complete: bool,
    pub now: Timestamp,
}

/// An object of the cluster.
pub(super) enum Known {
    Found(Value),
    /// There is none.
    Missing,
    /// It may exist.
    Unknown,
}

impl Past {
    /// From an entry of a file; a field that cannot be read counts as absent.
    pub(super) fn read(entry: &Value) -> Self {
        fn field<T: DeserializeOwned>(entry: &Value, name: &str) -> Option<T> {
            serde_json::from_value(entry.get(name)?.clone()).ok()
        }
        Self {
            last_success: field(entry, "lastSuccess"),
            snapshots: field(entry, "snapshots"),
            size_bytes: field(entry, "sizeBytes"),
            integrity: field(entry, "integrity"),
            history: field(entry, "history"),
            runs: field(entry, "runs").unwrap_or_default(),
            conditions: field(entry, "conditions").unwrap_or_default(),
        }
    }

    /// With what came since, and the runs that ended since, in their order.
    pub(super) fn next(known: Option<&Past>, present: &Present) -> (Self, Vec<Run>) {
        let none = Self::default();
        let known = known.unwrap_or(&none);
        let ended = ended_since(known, present.runs);
        let mut history = known.history.clone();
        let marks = present.runs.iter().filter_map(|run| Some((run.at, Mark::of(run.result)?)));
        for (at, mark) in marks {
            match &mut history {
                Some(history) => history.mark(at, mark),
                None => history = Some(Days::new(at, mark)),
            }
        }
        match (&mut history, present.marks) {
            (Some(history), Some(marks)) => history.merge(marks),
            (None, Some(marks)) => history = Some(marks.clone()),
            (_, None) => {}
        }
        let all = all(known, present);
        let successes = all.iter().filter(|run| run.result == RunResult::Succeeded).map(|run| run.ended_at());
        let runs = newest(&all);
        let mut next = Self {
            last_success: successes.chain(known.last_success).max(),
            history,
            conditions: conditions(known, present, &all, &runs),
            runs,
            ..Self::default()
        };
        next.repository(known, &present.repository);
        (next, ended)
    }

    fn repository(&mut self, known: &Past, repository: &Known) {
        match repository {
            Known::Found(repository) => {
                let status = repository.get("status").unwrap_or(&Value::Null);
                self.snapshots = status.get("snapshotCount").and_then(Value::as_u64);
                self.size_bytes = text(status, "totalSize").and_then(human::bytes);
                self.integrity = status.get("integrity").and_then(Value::as_bool);
            }
            Known::Missing => {}
            Known::Unknown => {
                (self.snapshots, self.size_bytes, self.integrity) =
                    (known.snapshots, known.size_bytes, known.integrity);
            }
        }
    }

    pub(super) fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// The condition of that type, if it says that something is wrong.
    pub(super) fn complaint(&self) -> Option<&Condition> {
        self.failure().or_else(|| self.overdue())
    }

    pub(super) fn failure(&self) -> Option<&Condition> {
        self.condition(LAST_BACKUP_SUCCEEDED).filter(|condition| condition.status == "False")
    }

    pub(super) fn overdue(&self) -> Option<&Condition> {
        self.condition(OVERDUE).filter(|condition| condition.status == "True")
    }

    /// What a person should read first: why it failed, was missed, is not ready, was skipped or does not start.
    pub(super) fn why(&self) -> Option<&str> {
        let said = |text: &'_ str| !text.is_empty();
        if let Some(failure) = self.failure() {
            let run = self.runs.iter().find(|run| run.result == RunResult::Failed).map(|run| run.message.as_str());
            let texts = [failure.message.as_str(), run.unwrap_or_default(), failure.reason.as_str()];
            return texts.into_iter().find(|text| said(text));
        }
        let conditions = self.conditions.iter().map(|condition| condition.message.as_str());
        conditions.chain(self.runs.first().map(|run| run.message.as_str())).find(|text| said(text))
    }

    /// When the newest run was due.
    pub(super) fn last_run(&self) -> Option<Timestamp> {
        self.runs.iter().map(|run| run.at).max()
    }
}

/// By its end: one that was skipped meanwhile is older than the one that ran for so long.
fn order(run: &Run) -> (Timestamp, Timestamp, &str) {
    (run.ended_at(), run.at, &run.session)
}

/// A run is news if the branch has it as under way, or has none that ended later.
fn ended_since(known: &Past, runs: &[&Run]) -> Vec<Run> {
    let ended = || known.runs.iter().filter(|run| run.result.has_ended());
    let oldest = ended().map(order).min();
    let is_new = |run: &&&Run| {
        run.result.has_ended()
            && match known.runs.iter().find(|known| known.session == run.session) {
                Some(known) => known.result != run.result,
                None => oldest.is_none_or(|oldest| order(run) > oldest),
            }
    };
    let mut new: Vec<Run> = runs.iter().filter(is_new).map(|run| (*run).clone()).collect();
    new.sort_by(|one, other| order(one).cmp(&order(other)));
    new
}

/// Each session once, as it is said now. What was under way and is there no more has no end to wait for.
fn all<'a>(known: &'a Past, present: &Present<'a>) -> Vec<&'a Run> {
    let mut all: BTreeMap<&str, &Run> = BTreeMap::new();
    for run in known.runs.iter().filter(|run| run.result.has_ended() || !present.sessions_complete) {
        all.insert(&run.session, run);
    }
    for run in present.runs {
        all.insert(&run.session, run);
    }
    all.into_values().collect()
}

/// At most one that is under way, so that there is always one that has ended.
fn newest(all: &[&Run]) -> Vec<Run> {
    let open = all.iter().filter(|run| !run.result.has_ended());
    let runs_before_waits = |run: &&&Run| (run.result == RunResult::Running, run.at, run.session.clone());
    let open = open.max_by_key(runs_before_waits).copied();
    let mut ended: Vec<&Run> = all.iter().filter(|run| run.result.has_ended()).copied().collect();
    ended.sort_by(|one, other| order(other).cmp(&order(one)));
    open.into_iter().chain(ended).take(RUNS_MAX).cloned().collect()
}

fn conditions(known: &Past, present: &Present, all: &[&Run], shown: &[Run]) -> Vec<Condition> {
    let since = |condition| Memory::since(Some(&known.conditions), condition);
    let verdict = all.iter().filter(|run| run.result.is_verdict()).max_by(|one, other| order(one).cmp(&order(other)));
    let mut conditions: Vec<Condition> = match verdict {
        Some(run) => vec![since(last_backup(run, shown))],
        None => known.condition(LAST_BACKUP_SUCCEEDED).cloned().into_iter().collect(),
    };
    match &present.configuration {
        Known::Found(object) => conditions.extend(said(object, present.now).into_iter().map(since)),
        Known::Missing => {}
        Known::Unknown => {
            let others = known.conditions.iter().filter(|condition| condition.kind != LAST_BACKUP_SUCCEEDED);
            conditions.extend(others.cloned());
        }
    }
    conditions
}

fn last_backup(run: &Run, shown: &[Run]) -> Condition {
    let succeeded = run.result == RunResult::Succeeded;
    let is_shown = shown.iter().any(|shown| shown.session == run.session);
    Condition {
        kind: LAST_BACKUP_SUCCEEDED.to_owned(),
        status: if succeeded { "True" } else { "False" }.to_owned(),
        reason: if succeeded { "Succeeded".to_owned() } else { run.reason.clone() },
        // Said once: beside the run, as long as that is here.
        message: if is_shown { String::new() } else { run.message.clone() },
        since: whole_second(run.ended_at()),
    }
}

/// What the configuration itself complains of.
fn said(configuration: &Value, now: Timestamp) -> Vec<Condition> {
    let condition = |of: &Value, since: Option<Timestamp>| {
        let said = |name: &str| text(of, name).unwrap_or_default();
        let changed = || said("lastTransitionTime").parse().ok();
        Condition {
            kind: said("type").to_owned(),
            status: said("status").to_owned(),
            reason: redact::message(said("reason")),
            message: redact::message(said("message")),
            since: whole_second(since.or_else(changed).unwrap_or(now)),
        }
    };
    let overdue = runs::overdue(configuration).map(|overdue| condition(overdue, runs::missed_slot(overdue)));
    let all = configuration.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let mut unready = all.filter(|one| text(one, "type") == Some(READY) && text(one, "status") == Some("False"));
    let unready = unready.next().map(|unready| condition(unready, None));
    overdue.into_iter().chain(unready).collect()
}
