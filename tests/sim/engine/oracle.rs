//! What must be true all the time.

use std::collections::BTreeSet;

use holdfast::control::engine::is_final;
use holdfast::model::{failure, keys};
use serde_json::Value;

use super::cluster::{Change, Key, annotation, at, has_finalizer, is_deleting, key};
use super::controllers::is_live;
use super::store::{Snapshot, Told};
use super::world::World;

const HOSTS: &str = "holdfast.dev/hosts";

#[derive(Default)]
pub(crate) struct Oracle {
    pub failures: Vec<String>,
    /// UIDs of objects whose write the daemon cannot know of yet.
    pub unseen: BTreeSet<String>,
    sessions: BTreeSet<Key>,
    restored: BTreeSet<(String, String)>,
}

impl Oracle {
    pub(crate) fn broken(&mut self, what: String) {
        self.failures.push(what);
    }
}

fn is_restore_over(object: &Value) -> bool {
    matches!(at(object, "/status/phase"), "Succeeded" | "Failed" | "Unknown" | "Invalid")
}

/// A session that has begun and not ended.
fn runs(session: &Value) -> bool {
    annotation(session, HOSTS).is_some() && !is_final(at(session, "/status/phase"))
}

fn restores(restore: &Value) -> bool {
    has_finalizer(restore, keys::FINALIZER) && !is_restore_over(restore)
}

impl World {
    pub(crate) fn judge(&mut self, change: &Change) {
        match change.key.0.as_str() {
            "Job" => self.judge_job(change),
            "BackupSession" => self.judge_session(change),
            "RestoreSession" => self.judge_restore(change),
            _ => {}
        }
    }

    fn judge_job(&mut self, change: &Change) {
        let (None, Some(made)) = (&change.before, &change.after) else { return };
        let (mut all, mut shared, mut alone) = (0, 0, 0);
        let address = annotation(made, keys::ADDRESS);
        for (_, job) in self.cluster.of_kind("Job") {
            let uid = at(job, "/metadata/uid");
            if self.oracle.unseen.contains(uid) || !is_live(job, &self.pods_of(uid)) {
                continue;
            }
            all += 1;
            if annotation(job, keys::ADDRESS) == address {
                if annotation(job, keys::EXCLUSIVE).is_some() {
                    alone += 1;
                } else {
                    shared += 1;
                }
            }
        }
        let limits = self.settings.limits;
        if all > limits.all || shared > limits.per_repository {
            let name = &change.key.2;
            self.oracle.broken(format!("{name} is one too many: {all} in all, {shared} at its address, of {limits:?}"));
        }
        if alone > 1 || alone == 1 && shared > 0 {
            self.oracle.broken(format!("{} is made beside others: {alone} alone, {shared} not", change.key.2));
        }
    }

    fn judge_session(&mut self, change: &Change) {
        let Some(after) = &change.after else { return };
        let Some(before) = &change.before else {
            let is_first = self.oracle.sessions.insert(change.key.clone());
            if !is_first && !self.setup.deleted.iter().any(|key| *key == change.key || key.0 == "BackupConfiguration") {
                self.oracle.broken(format!("{} has two sessions", change.key.2));
            }
            return;
        };
        self.judge_phase(
            change,
            before,
            after,
            is_final(at(before, "/status/phase")),
            is_final(at(after, "/status/phase")),
        );
        if !runs(before) && runs(after) {
            let name = at(after, "/spec/invoker/name");
            let others = self.cluster.of_kind("BackupSession").filter(|(key, other)| {
                **key != change.key && key.1 == change.key.1 && at(other, "/spec/invoker/name") == name && runs(other)
            });
            let others: Vec<String> = self.seen(others);
            if !others.is_empty() {
                self.oracle.broken(format!("{} runs beside {others:?}", change.key.2));
            }
            let target = self.target_of(&change.key.1, name);
            let restoring = self.cluster.of_kind("RestoreSession").filter(|(key, other)| {
                key.1 == change.key.1 && restores(other) && target == Some(at(other, "/spec/target/ref/name"))
            });
            let restoring = self.seen(restoring);
            if !restoring.is_empty() {
                self.oracle.broken(format!("{} runs beside {restoring:?}", change.key.2));
            }
        }
    }

    fn target_of(&self, namespace: &str, configuration: &str) -> Option<&str> {
        let live = self.cluster.get(&key("BackupConfiguration", namespace, configuration))?;
        Some(at(live, "/spec/target/ref/name"))
    }

    fn seen<'a>(&self, found: impl Iterator<Item = (&'a Key, &'a std::sync::Arc<Value>)>) -> Vec<String> {
        let known = found.filter(|(_, object)| !self.oracle.unseen.contains(at(object, "/metadata/uid")));
        known.map(|(key, _)| key.2.clone()).collect()
    }

    fn judge_phase(&mut self, change: &Change, before: &Value, after: &Value, was: bool, is: bool) {
        let (old, new) = (at(before, "/status/phase"), at(after, "/status/phase"));
        if was && old != new {
            self.oracle.broken(format!("{} was {old} and becomes {new}", change.key.2));
        }
        if was || !is {
            return;
        }
        self.counts.one("ended", ended(&change.key.0, new));
        let jobs: Vec<&str> = self
            .cluster
            .of_kind("Job")
            .filter(|(_, job)| super::cluster::is_owned_by(job, at(after, "/metadata/uid")))
            .map(|(_, job)| at(job, "/metadata/uid"))
            .collect();
        let alive = self.processes.values().find(|process| {
            let cut_off = process.node.is_some_and(|node| self.lost[node]);
            process.is_alive() && !cut_off && jobs.contains(&process.job_uid.as_str())
        });
        if let Some(process) = alive {
            self.oracle.broken(format!("{} is {new} while {} runs", change.key.2, process.pod.2));
        }
        let (reason, _) = failure::of_session(after);
        if new == "Failed" && change.key.0 == "BackupSession" && reason == "Failed" {
            self.oracle.broken(format!("{} failed without a reason: {}", change.key.2, after["status"]));
        }
        if new == "Skipped" && !after["status"].to_string().contains("SkippedTakingNewBackup") {
            self.oracle.broken(format!("{} is skipped without a reason", change.key.2));
        }
    }

    fn judge_restore(&mut self, change: &Change) {
        let (Some(before), Some(after)) = (&change.before, &change.after) else { return };
        self.judge_phase(change, before, after, is_restore_over(before), is_restore_over(after));
        if restores(before) || !restores(after) || is_deleting(after) {
            return;
        }
        let target = at(after, "/spec/target/ref/name");
        let others = self.cluster.of_kind("RestoreSession").filter(|(key, other)| {
            **key != change.key
                && key.1 == change.key.1
                && restores(other)
                && at(other, "/spec/target/ref/name") == target
        });
        let others = self.seen(others);
        let backups = self.cluster.of_kind("BackupSession").filter(|(key, session)| {
            let name = at(session, "/spec/invoker/name");
            key.1 == change.key.1 && runs(session) && self.target_of(&key.1, name) == Some(target)
        });
        let backups = self.seen(backups);
        if !others.is_empty() || !backups.is_empty() {
            self.oracle.broken(format!("{} begins beside {others:?} and {backups:?}", change.key.2));
        }
    }

    /// A step has done its work on a repository.
    pub(crate) fn stored(&mut self, pod: &str, told: &Told, before: &[Snapshot], after: &[Snapshot]) {
        if told.work == "restore" {
            let host = at(&told.details, "/host").to_owned();
            if !self.oracle.restored.insert((told.session.clone(), host)) {
                self.oracle.broken(format!("{pod} restores what was restored"));
            }
        }
        if told.work == "finish" {
            let keep = told.details.pointer("/retention/last").and_then(Value::as_i64);
            let of = |target: &super::documents::Target| {
                let kind = if target.stateful { "StatefulSet" } else { "PersistentVolumeClaim" };
                format!("{}/{kind}/{}", target.namespace, target.name)
            };
            let wanted = self.setup.configured.iter().find(|one| of(&one.target) == told.target);
            if wanted.is_none_or(|wanted| Some(wanted.keep) != keep) {
                self.oracle.broken(format!("{} is kept by {keep:?} and not as its configuration says", told.target));
            }
        }
        let users =
            self.setup.configured.iter().filter(|one| super::actors::address(&one.at.2) == told.address).count();
        let changed =
            self.setup.deleted.iter().any(|key| matches!(key.0.as_str(), "BackupConfiguration" | "Repository"));
        let gone = before.iter().filter(|known| !after.iter().any(|other| other.number == known.number));
        for known in gone {
            self.counts.one("kept", if known.target.is_empty() { "untagged removed" } else { "removed" });
            let may = known.target == told.target || known.target.is_empty() && (users == 1 || changed);
            if !may {
                let whose = if known.target.is_empty() { "nobody" } else { &known.target };
                self.oracle.failures.push(format!("retention of {} removes a snapshot of {whose}", told.target));
            }
        }
    }
}

fn ended(kind: &str, phase: &str) -> &'static str {
    match (kind, phase) {
        ("BackupSession", "Succeeded") => "session Succeeded",
        ("BackupSession", "Failed") => "session Failed",
        ("BackupSession", _) => "session Skipped",
        (_, "Succeeded") => "restore Succeeded",
        (_, "Failed") => "restore Failed",
        (_, _) => "restore Invalid",
    }
}
