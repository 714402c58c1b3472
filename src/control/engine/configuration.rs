//! One `BackupConfiguration`: whether all that it needs is there, its trigger, its slots, and how many of its sessions are kept.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::conditions::{self, Verdict};
use super::deed::{Propagation, Write};
use super::look::Questions;
use super::owner::not_copied;
use super::session::is_final;
use super::session_end::{MISSED_AFTER, new_session};
use super::world::{Scheduler, Wanted, World, text};
use crate::api::BackupConfiguration;
use crate::api::backup_configuration::BackupConfigurationStatus;
use crate::api::condition::Condition;
use crate::api::field::Field;
use crate::build::{cron_job, names, rights, task, workload};
use crate::cron::Schedule;
use crate::model::facts::{Fact, FactKey, FactKind};
use crate::model::failure;
use crate::model::invoker::{Driver, Invoker, Target};
use crate::model::keys;
use crate::model::object::{TargetKey, TargetKind};

/// What is missing is looked for again after this.
const AGAIN: SignedDuration = SignedDuration::from_secs(15);

pub(super) fn step(world: &World<'_>, key: &FactKey, fact: &Fact, questions: &mut Questions<'_>, wanted: &mut Wanted) {
    if fact.deleting || fact.is_held_by_stash() {
        return;
    }
    let object = fact.value();
    let Ok(typed) = serde_json::from_value::<BackupConfiguration>(object.clone()) else { return };
    let before = typed.status.get().cloned().unwrap_or_default();
    let mut list = before.conditions.get().cloned().unwrap_or_default();
    let mut configuration = Configuration { world, key, fact, object: &object, list: &mut list, wanted };
    let phase = match Invoker::parse(&typed) {
        Err(error) => configuration.invalid(&error.to_string()),
        Ok(invoker) => match configuration.check(&invoker, questions) {
            Some(phase) => {
                configuration.results(&invoker);
                if phase == "Ready" {
                    configuration.slots(&invoker);
                }
                configuration.history(&invoker);
                phase
            }
            None => return,
        },
    };
    summary(&mut list, phase, world.now);
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64);
    let status = BackupConfigurationStatus {
        observed_generation: generation.map_or(Field::Absent, Field::Value),
        conditions: Field::Value(list),
        phase: Field::Value(phase.to_owned()),
        ..BackupConfigurationStatus::default()
    };
    if phase != "Ready" {
        wanted.wake(world.now.saturating_add(AGAIN).unwrap_or(world.now));
    }
    if (&status.observed_generation, &status.conditions, &status.phase)
        != (&before.observed_generation, &before.conditions, &before.phase)
    {
        wanted.status(key, &fact.uid, &fact.resource_version, &serde_json::to_value(&status).unwrap_or_default());
    }
}

/// The conditions by which other tools tell whether something is done.
fn summary(list: &mut Vec<Condition>, phase: &str, now: Timestamp) {
    let why = list.iter().find(|condition| text(&condition.status) != "True" && is_check(condition)).cloned();
    let (reason, message) = match &why {
        Some(condition) => (text(&condition.reason).to_owned(), text(&condition.message).to_owned()),
        None => (phase.to_owned(), String::new()),
    };
    let ready = phase == "Ready";
    conditions::set(list, "Ready", ready.into(), if ready { "Ready" } else { &reason }, &message, now);
    if phase == "Invalid" {
        conditions::set(list, "Stalled", Verdict::True, &reason, &message, now);
    } else {
        conditions::remove(list, "Stalled");
    }
    if phase == "NotReady" {
        conditions::set(list, "Reconciling", Verdict::True, &reason, &message, now);
    } else {
        conditions::remove(list, "Reconciling");
    }
}

fn is_check(condition: &Condition) -> bool {
    matches!(
        text(&condition.r#type),
        "RepositoryFound" | "BackendSecretFound" | "ValidationPassed" | "BackupTargetFound" | "CronJobCreated"
    )
}

struct Configuration<'a, 'w> {
    world: &'w World<'a>,
    key: &'w FactKey,
    fact: &'w Fact,
    object: &'w Value,
    list: &'w mut Vec<Condition>,
    wanted: &'w mut Wanted,
}

impl Configuration<'_, '_> {
    fn set(&mut self, kind: &str, verdict: Verdict, reason: &str, message: &str) {
        conditions::set(self.list, kind, verdict, reason, message, self.world.now);
    }

    fn invalid(&mut self, message: &str) -> &'static str {
        self.set("ValidationPassed", Verdict::False, "ResourceValidationFailed", message);
        "Invalid"
    }

    /// The phase, or nothing while something has to be looked at first.
    fn check(&mut self, invoker: &Invoker, questions: &mut Questions<'_>) -> Option<&'static str> {
        if invoker.driver == Driver::Restic && !self.repository(invoker, questions)? {
            return Some("NotReady");
        }
        if let Err(message) = self.sound(invoker) {
            return Some(self.invalid(&message));
        }
        self.set("ValidationPassed", Verdict::True, "ResourceValidationPassed", "Successfully validated.");
        if !self.target(invoker.member.target.as_ref()) {
            return Some("NotReady");
        }
        Some(if self.trigger(invoker) { "Ready" } else { "NotReady" })
    }

    fn repository(&mut self, invoker: &Invoker, questions: &mut Questions<'_>) -> Option<bool> {
        let Some(name) = &invoker.repository else { return Some(false) };
        let spoken = format!("{}/{}", name.namespace, name.name);
        let found = match self.world.repository(name, true) {
            None => {
                let message = format!("Repository {spoken} does not exist.");
                self.set("RepositoryFound", Verdict::False, "RepositoryNotAvailable", &message);
                return Some(false);
            }
            Some(Err(fault)) => {
                self.set("RepositoryFound", Verdict::False, "RepositoryNotAvailable", &fault.message);
                return Some(false);
            }
            Some(Ok(found)) => found,
        };
        self.set("RepositoryFound", Verdict::True, "RepositoryAvailable", &format!("Repository {spoken} exist."));
        let known = conditions::is_true(self.list, "BackendSecretFound");
        // One that was there is asked for again by each session; one that was not, all the time.
        let since = if known { Timestamp::MIN } else { self.world.now.saturating_sub(AGAIN).unwrap_or(self.world.now) };
        let secret = &found.place.secret;
        if let Err(message) = self.world.secret(questions, &name.namespace, secret, since)? {
            self.set("BackendSecretFound", Verdict::False, "BackendSecretNotAvailable", &message);
            return Some(false);
        }
        let message = format!("Backend Secret {}/{secret} exist.", name.namespace);
        self.set("BackendSecretFound", Verdict::True, "BackendSecretAvailable", &message);
        Some(true)
    }

    /// What would make every session fail.
    fn sound(&self, invoker: &Invoker) -> Result<(), String> {
        if let Some(name) = &invoker.repository
            && let Some(Ok(found)) = self.world.repository(name, true)
        {
            self.world.may_use(&found, name, &self.key.namespace)?;
            if name.namespace != self.key.namespace && !self.world.settings.projection {
                return Err(not_copied(name));
            }
        }
        if let Some(name) = &invoker.member.task
            && !task::exists(self.world.facts, name)
        {
            return Err(format!("Task {name} does not exist: create it, or name another one"));
        }
        if let Some(refusal) = invoker.member.task.as_ref().and_then(|name| task::refusal(self.world.facts, name)) {
            return Err(refusal);
        }
        let elsewhere = |target: &&Target| {
            target.namespace != self.key.namespace && (workload::is_workload(target) || workload::is_claim(target))
        };
        if let Some(target) = invoker.member.target.as_ref().filter(elsewhere) {
            return Err(format!(
                "{} lies in another namespace, where no pod of this one can mount its volumes",
                target.spoken()
            ));
        }
        if invoker.schedule.is_none() {
            return Err("spec.schedule is missing".to_owned());
        }
        Ok(())
    }

    fn target(&mut self, target: Option<&Target>) -> bool {
        let Some(target) = target else { return true };
        let key = TargetKind::of(&target.api_version, &target.kind).map(|kind| TargetKey {
            namespace: target.namespace.clone(),
            kind,
            name: target.name.clone(),
        });
        let spoken = target.spoken();
        match key.map(|key| self.world.observed.targets.contains_key(&key)) {
            Some(true) => {
                self.set(
                    "BackupTargetFound",
                    Verdict::True,
                    "TargetAvailable",
                    &format!("Backup target {spoken} found."),
                );
                true
            }
            Some(false) => {
                let message = format!("Backup target {spoken} does not exist.");
                self.set("BackupTargetFound", Verdict::False, "TargetNotAvailable", &message);
                false
            }
            None => {
                let message = format!("{spoken} is of a kind that is not looked at; its Task finds out.");
                self.set("BackupTargetFound", Verdict::Unknown, "UnableToCheckTargetAvailability", &message);
                true
            }
        }
    }

    /// Whether slots will have sessions.
    fn trigger(&mut self, invoker: &Invoker) -> bool {
        let Some(schedule) = &invoker.schedule else { return false };
        let zone = &self.world.settings.zone;
        let wanted = cron_job::cron_job(invoker, schedule, zone, &self.world.settings.image);
        let name = wanted["metadata"]["name"].as_str().unwrap_or_default();
        let live = self.world.facts.find(FactKind::CronJob, &self.key.namespace, name);
        match self.world.settings.scheduler {
            Scheduler::Internal => {
                if let Some(live) = live.filter(|live| !live.deleting) {
                    let key = FactKey::new(FactKind::CronJob, &self.key.namespace, name);
                    let propagation = Propagation::Background;
                    self.wanted.push(self.key, Write::Delete { key, uid: live.uid.clone(), propagation });
                }
                self.set(
                    "CronJobCreated",
                    Verdict::True,
                    "CronJobCreationSucceeded",
                    "The daemon itself triggers the slots.",
                );
                true
            }
            Scheduler::CronJob => {
                for object in rights::trigger(&self.key.namespace, &self.world.settings.trigger_role) {
                    self.keep(object);
                }
                let is_there = live.is_some_and(|live| holds(&live.value(), &wanted));
                if !is_there {
                    self.wanted.push(self.key, Write::Apply(wanted.clone()));
                }
                let reason = "CronJobCreationSucceeded";
                if live.is_some() {
                    self.set(
                        "CronJobCreated",
                        Verdict::True,
                        reason,
                        "Successfully created backup triggering CronJob.",
                    );
                } else if !conditions::is_true(self.list, "CronJobCreated") {
                    let message = "The CronJob is being created.";
                    self.set("CronJobCreated", Verdict::False, "CronJobCreationFailed", message);
                }
                live.is_some()
            }
        }
    }

    /// An object that the whole namespace shares.
    fn keep(&mut self, object: Value) {
        let Some(key) = FactKey::of(&object) else { return };
        let is_there = self.world.facts.get(&key).is_some_and(|live| holds(&live.value(), &object));
        if !is_there {
            self.wanted.push(self.key, Write::Apply(object));
        }
    }

    /// What the newest session says of the last backup.
    fn results(&mut self, invoker: &Invoker) {
        let newest =
            self.sessions().into_iter().find(|(_, fact)| matches!(fact.phase.as_str(), "Succeeded" | "Failed"));
        if let Some((key, fact)) = newest {
            let (verdict, reason, message) = if fact.phase == "Succeeded" {
                (Verdict::True, "Succeeded".to_owned(), format!("BackupSession {} succeeded.", key.name))
            } else {
                let (reason, message) = failure::of_session(&fact.value());
                (Verdict::False, reason, message)
            };
            self.set("LastBackupSucceeded", verdict, &reason, &message);
        }
        self.overdue(invoker);
    }

    fn overdue(&mut self, invoker: &Invoker) {
        const KIND: &str = "BackupOverdue";
        let Some(schedule) = invoker.schedule.as_ref().filter(|_| !invoker.paused && invoker.history_limit > 0) else {
            // Without a session that is kept nothing tells of a slot.
            return conditions::remove(self.list, KIND);
        };
        let now = self.world.now;
        let late = now.saturating_sub(MISSED_AFTER).unwrap_or(now);
        let Some(due) = self.slot_at_or_before(schedule, late) else { return };
        if let Some(next) = self.slot_after(schedule, late) {
            self.wanted.wake(next.saturating_add(MISSED_AFTER).unwrap_or(next));
        }
        let first = self.since();
        let newest = self.sessions().into_iter().map(|(key, fact)| super::session_start::slot(key, fact, now)).max();
        if due <= first || newest.is_some_and(|newest| newest >= due) {
            return self.set(KIND, Verdict::False, "OnTime", "");
        }
        let message = format!("slot {} missed: no session", conditions::time(due));
        self.set(KIND, Verdict::True, "SlotMissed", &message);
    }

    /// Slots of the daemon itself: each has one session at most, and of those that went by only the newest is made up for.
    fn slots(&mut self, invoker: &Invoker) {
        let Some(schedule) = &invoker.schedule else { return };
        if self.world.settings.scheduler != Scheduler::Internal || invoker.paused {
            return;
        }
        let now = self.world.now;
        if let Some(next) = self.slot_after(schedule, now) {
            self.wanted.wake(next);
        }
        let annotation = self.object.pointer("/metadata/annotations").and_then(|all| all.get(keys::LAST_SLOT));
        let handled: Option<Timestamp> = annotation.and_then(Value::as_str).and_then(|time| time.parse().ok());
        let from = handled.unwrap_or_else(|| self.since());
        let Some(due) = self.slot_at_or_before(schedule, now).filter(|due| *due > from) else { return };
        let retries = invoker.retry.map_or(0, |retry| i32::try_from(retry.max).unwrap_or(i32::MAX));
        self.wanted.push(self.key, Write::Create(new_session(invoker, due, retries)));
        self.wanted.push(
            self.key,
            Write::Mark {
                key: self.key.clone(),
                resource_version: self.fact.resource_version.clone(),
                finalizers: None,
                annotations: vec![(keys::LAST_SLOT.to_owned(), conditions::time(due))],
            },
        );
    }

    /// When it became what it is: no slot before that is missed.
    fn since(&self) -> Timestamp {
        let ready = conditions::get(self.list, "Ready").filter(|condition| text(&condition.status) == "True");
        let ready = ready.and_then(|condition| text(&condition.last_transition_time).parse().ok());
        ready.or(self.fact.created).unwrap_or(self.world.now)
    }

    fn slot_at_or_before(&self, schedule: &Schedule, at: Timestamp) -> Option<Timestamp> {
        schedule.previous_at_or_before(at, &self.world.settings.zone, &self.fact.uid)
    }

    fn slot_after(&self, schedule: &Schedule, at: Timestamp) -> Option<Timestamp> {
        schedule.next_after(at, &self.world.settings.zone, &self.fact.uid)
    }

    /// Its sessions, the newest first.
    fn sessions(&self) -> Vec<(&FactKey, &Fact)> {
        let mut sessions: Vec<_> =
            self.world.facts.belonging(FactKind::BackupSession, &self.key.namespace, &self.key.name).collect();
        sessions
            .sort_by(|(one, first), (other, second)| (second.created, &other.name).cmp(&(first.created, &one.name)));
        sessions
    }

    /// The last one that says how a backup went is kept as long as anything is.
    fn history(&mut self, invoker: &Invoker) {
        let limit = usize::try_from(invoker.history_limit).unwrap_or(usize::MAX);
        let done: Vec<_> = self
            .sessions()
            .into_iter()
            .filter(|(_, fact)| is_final(&fact.phase) && !fact.deleting && !fact.mentions(keys::FINALIZER))
            .filter(|(_, fact)| !waits_for_retry(fact))
            .map(|(key, fact)| (key.clone(), fact.uid.clone(), fact.phase.clone()))
            .collect();
        let last = done.iter().position(|(.., phase)| phase != "Skipped").filter(|_| limit > 0);
        for (index, (key, uid, _)) in done.into_iter().enumerate().skip(limit) {
            if Some(index) != last {
                self.wanted.push(self.key, Write::Delete { key, uid, propagation: Propagation::Background });
            }
        }
    }
}

fn waits_for_retry(fact: &Fact) -> bool {
    if fact.phase != "Failed" || !fact.mentions("retryLeft") {
        return false;
    }
    let value = fact.value();
    let left = value.pointer("/spec/retryLeft").and_then(Value::as_i64).unwrap_or(0);
    left > 0 && value.pointer("/status/retried").and_then(Value::as_bool) != Some(true)
}

/// Whether an object has all that we want of it, whatever else the API server or others put there.
fn holds(live: &Value, want: &Value) -> bool {
    match want {
        Value::Object(fields) => fields.iter().all(|(key, field)| {
            matches!(key.as_str(), "apiVersion" | "kind")
                || live.get(key).is_some_and(|live| holds(live, field))
                || *field == json!({})
        }),
        Value::Array(items) => live.as_array().is_some_and(|live| {
            live.len() == items.len() && live.iter().zip(items).all(|(live, item)| holds(live, item))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => live == want,
    }
}

/// Name of the `CronJob` of an invoker.
pub fn cron_job_name(invoker: &Invoker) -> String {
    let elsewhere = invoker.member.target.as_ref().is_some_and(|target| target.namespace != invoker.name.namespace);
    names::cron_job(&invoker.name, elsewhere)
}
