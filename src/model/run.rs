//! What became of one session, as people want to read it: parsed from whatever its status says.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::facts::{Fact, FactKey};
use super::failure;
use super::json::text;
use super::{keys, redact};
use crate::cron;

/// Snapshots of one run that are named, as in all our lists.
const SNAPSHOTS_MAX: usize = 1000;
/// A session is made after its slot; clocks differ by less than this.
const SLOT_AHEAD_MAX: SignedDuration = SignedDuration::from_hours(1);
/// A slot is made up for within its period, and no period is longer.
const SLOT_BEHIND_MAX: SignedDuration = SignedDuration::from_hours(366 * 24);

/// How a run ended, or how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RunResult {
    Failed,
    Skipped,
    Succeeded,
    Running,
    Waiting,
}

impl RunResult {
    fn of_phase(phase: &str) -> Self {
        match phase {
            "Succeeded" => RunResult::Succeeded,
            "Failed" => RunResult::Failed,
            "Skipped" => RunResult::Skipped,
            "Running" => RunResult::Running,
            _ => RunResult::Waiting,
        }
    }

    pub fn has_ended(self) -> bool {
        match self {
            RunResult::Failed | RunResult::Skipped | RunResult::Succeeded => true,
            RunResult::Running | RunResult::Waiting => false,
        }
    }

    /// Whether it says how a backup went.
    pub fn is_verdict(self) -> bool {
        match self {
            RunResult::Failed | RunResult::Succeeded => true,
            RunResult::Skipped | RunResult::Running | RunResult::Waiting => false,
        }
    }
}

/// A snapshot that a run stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSnapshot {
    pub host: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    pub id: String,
}

/// One run of an invoker. Serialized as the status branch has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    pub session: String,
    /// Its slot, or when it was made by hand.
    pub at: Timestamp,
    pub result: RunResult,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub snapshots: Vec<RunSnapshot>,
    /// Snapshots that are not named.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Run {
    /// Name of the `BackupConfiguration` that a session is of, and what became of it. None for a session of another kind of
    /// invoker, and for one that does not say when it was.
    pub fn of_session(key: &FactKey, fact: &Fact) -> Option<(String, Self)> {
        let session = fact.value();
        let invoker = session.pointer("/spec/invoker")?;
        if text(invoker, "kind").is_some_and(|kind| kind != "BackupConfiguration") {
            return None;
        }
        let invoker = text(invoker, "name").filter(|name| !name.is_empty())?.to_owned();
        let result = RunResult::of_phase(&fact.phase);
        let (reason, message) = why(&session, result);
        let mut snapshots = snapshots(&session);
        let omitted = snapshots.len().saturating_sub(SNAPSHOTS_MAX);
        snapshots.truncate(SNAPSHOTS_MAX);
        let run = Run {
            session: key.name.clone(),
            at: at(&key.name, fact.created)?,
            result,
            reason: redact::message(&reason),
            message: redact::message(&message),
            seconds: seconds(&session).filter(|_| result.has_ended()),
            added_bytes: added(&session, result),
            snapshots,
            omitted,
        };
        Some((invoker, run))
    }

    /// When it ended, as far as it is known.
    pub fn ended_at(&self) -> Timestamp {
        let seconds = i64::try_from(self.seconds.unwrap_or(0)).unwrap_or(i64::MAX);
        self.at.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(self.at)
    }
}

/// The slot of a session that is named after one.
pub fn slot(session: &str) -> Option<Timestamp> {
    let (_, seconds) = session.rsplit_once('-')?;
    let plain = (9..=11).contains(&seconds.len()) && seconds.bytes().all(|byte| byte.is_ascii_digit());
    Timestamp::from_second(seconds.parse().ok().filter(|_| plain)?).ok()
}

/// A name is anybody's choice: one that is far from the moment of its making says nothing of a slot.
fn at(session: &str, created: Option<Timestamp>) -> Option<Timestamp> {
    let Some(created) = created else { return slot(session) };
    let near = |slot: &Timestamp| {
        let behind = created.duration_since(*slot);
        behind <= SLOT_BEHIND_MAX && behind >= -SLOT_AHEAD_MAX
    };
    Some(slot(session).filter(near).unwrap_or(created))
}

fn why(session: &Value, result: RunResult) -> (String, String) {
    let owned = |(reason, message): (&str, &str)| (reason.to_owned(), message.to_owned());
    match result {
        RunResult::Failed => failure::of_session(session),
        RunResult::Skipped => {
            let skipped = conditions(session).find(|condition| text(condition, "type") == Some("BackupSkipped"));
            let (reason, message) = skipped.map(said).unwrap_or_default();
            owned(failure::split(message).unwrap_or((reason, message)))
        }
        RunResult::Running | RunResult::Waiting => {
            // What keeps its pods from starting.
            let stuck = targets(session).flat_map(conditions).find(|condition| {
                text(condition, "type") == Some("BackupExecutorEnsured") && text(condition, "status") != Some("True")
            });
            let (reason, message) = stuck.map(said).unwrap_or_default();
            owned(failure::split(message).unwrap_or((reason, message)))
        }
        RunResult::Succeeded => Default::default(),
    }
}

fn said(condition: &Value) -> (&str, &str) {
    (text(condition, "reason").unwrap_or_default(), text(condition, "message").unwrap_or_default())
}

/// Of a session or of one of its targets.
fn conditions(of: &Value) -> impl Iterator<Item = &Value> {
    let conditions = of.pointer("/status/conditions").or_else(|| of.get("conditions"));
    conditions.and_then(Value::as_array).into_iter().flatten()
}

fn targets(session: &Value) -> impl Iterator<Item = &Value> {
    session.pointer("/status/targets").and_then(Value::as_array).into_iter().flatten()
}

fn seconds(session: &Value) -> Option<u64> {
    let duration = session.pointer("/status/sessionDuration").and_then(Value::as_str)?;
    u64::try_from(cron::duration_seconds(duration).ok()?).ok()
}

/// Nothing is no news of a run that failed.
fn added(session: &Value, result: RunResult) -> Option<u64> {
    let annotations = session.pointer("/metadata/annotations").filter(|_| result.is_verdict())?;
    let bytes = text(annotations, keys::ADDED_BYTES)?.parse().ok()?;
    (bytes > 0 || result == RunResult::Succeeded).then_some(bytes)
}

fn snapshots(session: &Value) -> Vec<RunSnapshot> {
    let hosts = targets(session).flat_map(|target| items(target, "stats"));
    let of_host = |host| {
        let name = text(host, "hostname").unwrap_or_default();
        items(host, "snapshots").filter_map(move |snapshot| {
            Some(RunSnapshot {
                host: name.to_owned(),
                path: text(snapshot, "path").unwrap_or_default().to_owned(),
                id: text(snapshot, "name").filter(|id| !id.is_empty())?.to_owned(),
            })
        })
    };
    hosts.flat_map(of_host).collect()
}

fn items<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::facts::{FactKind, Facts};

    fn run(name: &str, created: &str, status: &Value) -> Option<Run> {
        let mut facts = Facts::default();
        facts.upsert(&json!({
            "apiVersion": "stash.appscode.com/v1beta1", "kind": "BackupSession",
            "metadata": {"namespace": "shop", "name": name, "creationTimestamp": created,
                "annotations": {"holdfast.dev/added-bytes": "13002451"}},
            "spec": {"invoker": {"kind": "BackupConfiguration", "name": "web"}},
            "status": status,
        }));
        let (key, fact) = facts.of_kind(FactKind::BackupSession).next()?;
        let (invoker, run) = Run::of_session(key, fact)?;
        assert_eq!(invoker, "web");
        Some(run)
    }

    #[test]
    fn a_run_that_succeeded_names_its_snapshots() {
        let status = json!({"phase": "Succeeded", "sessionDuration": "1m5s", "targets": [{"stats": [
            {"hostname": "host-0", "phase": "Succeeded", "snapshots": [
                {"name": "4bc21d6f", "path": "/srv", "totalSize": "1.1 GiB", "uploaded": "12.400 MiB"}, {"path": "/x"}]}]}]});
        let run = run("web-1795226400", "2026-11-21T02:00:07Z", &status).unwrap();
        assert_eq!((run.at.to_string().as_str(), run.seconds), ("2026-11-21T02:00:00Z", Some(65)));
        assert_eq!((run.result, run.added_bytes), (RunResult::Succeeded, Some(13_002_451)));
        let host = |path: &str, id: &str| RunSnapshot { host: "host-0".into(), path: path.into(), id: id.into() };
        assert_eq!(run.snapshots, [host("/srv", "4bc21d6f")]);
        assert_eq!(run.ended_at().to_string(), "2026-11-21T02:01:05Z");
    }

    #[test]
    fn a_run_says_why_it_failed_was_skipped_or_does_not_start() {
        let failed = json!({"phase": "Failed", "targets": [{"stats": [{"hostname": "host-0", "phase": "Failed",
            "error": "OutOfMemory: killed at its limit, see https://u:p@example.com/x"}]}]});
        let failed = run("web-1795226400", "2026-11-21T02:00:07Z", &failed).unwrap();
        assert_eq!(failed.reason, "OutOfMemory");
        assert_eq!(failed.message, "host-0: killed at its limit, see https://***@example.com/x");
        let skipped = |message: &str| {
            let conditions = json!([{"type": "BackupSkipped", "status": "True", "reason": "SkippedTakingNewBackup", "message": message}]);
            let run =
                run("w-1795226400", "2026-11-21T02:00:07Z", &json!({"phase": "Skipped", "conditions": conditions}));
            run.map(|run| (run.reason, run.message)).unwrap()
        };
        assert_eq!(skipped("RestoreHold: by x"), ("RestoreHold".to_owned(), "by x".to_owned()));
        assert_eq!(skipped("BackupSession a is still running").0, "SkippedTakingNewBackup");
        let stuck = json!({"phase": "Running", "sessionDuration": "1s", "targets": [{"conditions": [
            {"type": "BackupExecutorEnsured", "status": "Unknown", "message": "Unschedulable: no node"}]}]});
        let stuck = run("web-1795226400", "2026-11-21T02:00:07Z", &stuck).unwrap();
        assert_eq!((stuck.reason.as_str(), stuck.message.as_str(), stuck.seconds), ("Unschedulable", "no node", None));
    }

    #[test]
    fn a_name_says_the_slot_only_near_the_moment_of_its_making() {
        let at = |name: &str| run(name, "2026-11-21T02:10:00Z", &json!({})).unwrap().at.to_string();
        assert_eq!(at("web-1795226400"), "2026-11-21T02:00:00Z");
        for name in ["web-99999999999", "web-123456789", "by-hand", "web-1795999999"] {
            assert_eq!(at(name), "2026-11-21T02:10:00Z", "{name}");
        }
        assert_eq!(slot("instant-backupsession"), None);
    }
}
