//! One `RestoreSession`: it runs once, to its end.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::conditions::{self, Verdict};
use super::deed::{Propagation, Write};
use super::job_state::{Ended, JobState};
use super::look::Questions;
use super::owner::Owner;
use super::parts;
use super::queue::Queue;
use super::restore_hosts::{self, Hosts};
use super::why::Why;
use super::world::{Found, Wanted, World, text};
use crate::api::RestoreSession;
use crate::api::field::Field;
use crate::api::restore_session::{HostRestoreStats, RestoreSessionStatus};
use crate::build::job::Run;
use crate::build::labels::Component;
use crate::build::names::{self, Part};
use crate::build::workload::Host;
use crate::model::facts::{Fact, FactKey, FactKind};
use crate::model::human;
use crate::model::invoker::{Driver, Named, Restore, Rule, Target};
use crate::model::keys;
use crate::model::names::hash_hex;

/// What is missing is looked for again after this.
const AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// Phases after which nothing changes any more.
pub(super) fn is_final(phase: &str) -> bool {
    matches!(phase, "Succeeded" | "Failed" | "Unknown" | "Invalid")
}

/// The target of a restore, if it can be read.
pub(super) fn target(fact: &Fact) -> Option<Target> {
    let typed: RestoreSession = serde_json::from_value(fact.value()).ok()?;
    Restore::parse(&typed).ok()?.member.target
}

pub(super) fn repository(_: &FactKey, fact: &Fact) -> Option<Named> {
    let typed: RestoreSession = serde_json::from_value(fact.value()).ok()?;
    Restore::parse(&typed).ok()?.repository
}

pub(super) fn step(
    world: &World<'_>,
    key: &FactKey,
    fact: &Fact,
    questions: &mut Questions<'_>,
    queue: &mut Queue,
    wanted: &mut Wanted,
) {
    if fact.is_held_by_stash() {
        return;
    }
    let object = fact.value();
    let Ok(typed) = serde_json::from_value::<RestoreSession>(object.clone()) else { return };
    let before = typed.status.get().cloned().unwrap_or_default();
    let mut run = Restoring { world, key, fact, object: &object, status: before.clone(), questions, queue, wanted };
    if fact.deleting {
        return run.leave();
    }
    if is_final(text(&before.phase)) {
        return run.finished();
    }
    match Restore::parse(&typed) {
        Err(error) => run.invalid(&error.to_string()),
        Ok(restore) => run.advance(&restore),
    }
    let status = run.status;
    if status != before {
        wanted.status(key, &fact.uid, &fact.resource_version, &serde_json::to_value(&status).unwrap_or_default());
    }
}

struct Restoring<'a, 'l, 's> {
    world: &'s World<'a>,
    key: &'s FactKey,
    fact: &'s Fact,
    object: &'s Value,
    status: RestoreSessionStatus,
    questions: &'s mut Questions<'l>,
    queue: &'s mut Queue,
    wanted: &'s mut Wanted,
}

impl Restoring<'_, '_, '_> {
    fn jobs(&self) -> Vec<(FactKey, bool)> {
        let jobs = self.world.facts.in_namespace(FactKind::Job, &self.key.namespace);
        let own = jobs.filter(|(_, job)| job.mentions(&self.fact.uid));
        own.map(|(key, job)| (key.clone(), job.deleting)).collect()
    }

    fn leave(&mut self) {
        let mut busy = false;
        for (job, deleting) in self.jobs() {
            let Some(fact) = self.world.facts.get(&job) else { continue };
            let runs = self
                .world
                .facts
                .in_namespace(FactKind::Pod, &job.namespace)
                .any(|(_, pod)| pod.mentions(&fact.uid) && !matches!(pod.phase.as_str(), "Succeeded" | "Failed"));
            busy |= runs || !deleting;
            if !deleting {
                let propagation = Propagation::Foreground;
                self.wanted.push(self.key, Write::Delete { key: job, uid: fact.uid.clone(), propagation });
            } else if !runs {
                parts::release(self.world, self.wanted, self.key, &job);
            }
        }
        if !busy {
            parts::unmark(self.wanted, self.key, self.key, self.object, &self.fact.resource_version, Vec::new());
        }
    }

    fn finished(&mut self) {
        for (job, _) in self.jobs() {
            parts::release(self.world, self.wanted, self.key, &job);
        }
        parts::unmark(self.wanted, self.key, self.key, self.object, &self.fact.resource_version, Vec::new());
    }

    fn set(&mut self, kind: &str, verdict: Verdict, reason: &str, message: &str) {
        let mut list = self.status.conditions.get().cloned().unwrap_or_default();
        conditions::set(&mut list, kind, verdict, reason, message, self.world.now);
        self.status.conditions = Field::Value(list);
    }

    fn close(&mut self, phase: &str) {
        let created = self.fact.created.unwrap_or(self.world.now);
        self.status.phase = Field::Value(phase.to_owned());
        let seconds = self.world.now.duration_since(created).as_secs();
        self.status.session_duration = Field::Value(human::go_duration(seconds));
    }

    fn invalid(&mut self, message: &str) {
        self.set("ValidationPassed", Verdict::False, "ResourceValidationFailed", message);
        self.close("Invalid");
    }

    /// What is missing may still come.
    fn pending(&mut self) {
        self.status.phase = Field::Value("Pending".to_owned());
        self.wanted.wake(self.world.now.saturating_add(AGAIN).unwrap_or(self.world.now));
    }

    fn advance(&mut self, restore: &Restore) {
        if restore.driver == Driver::VolumeSnapshotter {
            return self.invalid("spec.driver VolumeSnapshotter is no part of this version yet");
        }
        if restore.member.has_hooks {
            return self.invalid("spec.hooks are no part of this version yet");
        }
        let Some(found) = self.requirements(restore) else { return };
        let since = self.fact.created.unwrap_or(self.world.now);
        let hosts = match restore_hosts::hosts(self.world, restore, self.questions, since) {
            Hosts::Wait => return,
            Hosts::Pending(message) => {
                self.set("RestoreTargetFound", Verdict::False, "TargetNotAvailable", &message);
                return self.pending();
            }
            Hosts::Fault(fault) => {
                let message = format!("{}: {}", fault.reason, fault.message);
                self.set("RestoreExecutorEnsured", Verdict::False, "FailedToEnsureRestoreExecutor", &message);
                return self.close("Failed");
            }
            Hosts::Known(hosts) => hosts,
        };
        self.set("RestoreTargetFound", Verdict::True, "TargetAvailable", "Restore target found.");
        if let Some(other) = self.in_the_way(restore) {
            self.set("RestoreExecutorEnsured", Verdict::Unknown, "Waiting", &format!("It waits for {other}."));
            return self.pending();
        }
        if !self.has_begun() {
            return self.begin();
        }
        self.status.total_hosts = Field::Value(i32::try_from(hosts.len()).unwrap_or(i32::MAX));
        self.status.phase = Field::Value("Running".to_owned());
        self.run(restore, &found, &hosts);
    }

    /// Repository, Secret and the right to use them.
    fn requirements(&mut self, restore: &Restore) -> Option<Found> {
        let Some(name) = &restore.repository else {
            self.invalid("spec.repository.name is missing");
            return None;
        };
        let found = match self.world.repository(name, true) {
            Some(Ok(found)) => found,
            other => {
                let message = match other {
                    Some(Err(fault)) => fault.message,
                    _ => format!("Repository {}/{} does not exist.", name.namespace, name.name),
                };
                self.set("RepositoryFound", Verdict::False, "RepositoryNotAvailable", &message);
                self.pending();
                return None;
            }
        };
        let spoken = format!("Repository {}/{} exist.", name.namespace, name.name);
        self.set("RepositoryFound", Verdict::True, "RepositoryAvailable", &spoken);
        if let Err(message) = self.world.may_use(&found, name, &self.key.namespace) {
            self.invalid(&message);
            return None;
        }
        self.set("ValidationPassed", Verdict::True, "ResourceValidationPassed", "Successfully validated.");
        let since = self.world.now.saturating_sub(AGAIN).unwrap_or(self.world.now);
        let since = since.max(self.fact.created.unwrap_or(since));
        let since = if self.has_begun() { Timestamp::MIN } else { since };
        match self.world.secret(self.questions, &name.namespace, &found.place.secret, since)? {
            Ok(_) => {
                let message = format!("Backend Secret {}/{} exist.", name.namespace, found.place.secret);
                self.set("BackendSecretFound", Verdict::True, "BackendSecretAvailable", &message);
                Some(found)
            }
            Err(message) => {
                self.set("BackendSecretFound", Verdict::False, "BackendSecretNotAvailable", &message);
                self.pending();
                None
            }
        }
    }

    fn has_begun(&self) -> bool {
        self.fact.mentions(keys::FINALIZER)
    }

    fn begin(&mut self) {
        let kept = self.object.pointer("/metadata/finalizers").and_then(Value::as_array);
        let mut finalizers: Vec<String> =
            kept.into_iter().flatten().filter_map(|one| Some(one.as_str()?.to_owned())).collect();
        finalizers.push(keys::FINALIZER.to_owned());
        self.wanted.push(
            self.key,
            Write::Mark {
                key: self.key.clone(),
                resource_version: self.fact.resource_version.clone(),
                finalizers: Some(finalizers),
                annotations: Vec::new(),
            },
        );
    }

    /// Another restore or a backup of the same target that came first.
    fn in_the_way(&self, restore: &Restore) -> Option<String> {
        if self.has_begun() {
            return None;
        }
        let own = restore.member.target.as_ref()?;
        let facts = self.world.facts;
        let other = facts.of_kind(FactKind::RestoreSession).find(|(key, fact)| {
            *key != self.key
                && !is_final(&fact.phase)
                && (fact.mentions(keys::FINALIZER) || (fact.created, &key.name) < (self.fact.created, &self.key.name))
                && target(fact).as_ref() == Some(own)
        });
        let backup = || {
            facts.of_kind(FactKind::BackupSession).find(|(key, fact)| {
                !super::session::is_final(&fact.phase)
                    && fact.mentions(keys::FINALIZER)
                    && matches!(self.world.invoker(&key.namespace, &fact.belongs_to), Some(Ok(invoker)) if invoker.member.target.as_ref() == Some(own))
            })
        };
        other.or_else(backup).map(|(key, _)| key.spoken())
    }

    fn run(&mut self, restore: &Restore, found: &Found, hosts: &[Host]) {
        let alone = hosts.len() == 1;
        let nothing = Rule::default();
        for host in hosts {
            if self.stats().iter().any(|known| text(&known.hostname) == host.name && text(&known.phase) != "Running") {
                // Its end is written down, so its place is for others.
                let part = Part::Host { host: host.name.clone(), alone };
                let job = FactKey::new(FactKind::Job, &self.key.namespace, &names::restore_job(&self.key.name, &part));
                parts::release(self.world, self.wanted, self.key, &job);
                continue;
            }
            let Some(rule) = restore.rule_of(&host.name).or(restore.rules.is_empty().then_some(&nothing)) else {
                let message = "no rule names this host, and none is for all others".to_owned();
                self.end_host(&host.name, Some(&Why { reason: "NoRule".to_owned(), message }), 0);
                continue;
            };
            let part = Part::Host { host: host.name.clone(), alone };
            if let Some(ended) = self.part(restore, found, host, &part, rule) {
                let said = ended.outcome.hosts.iter().find(|known| known.host == host.name);
                let error = ended.trouble(said);
                let seconds = ended.seconds().unwrap_or(0);
                self.end_host(&host.name, error.as_ref(), seconds);
            }
        }
        let stats = self.stats();
        let done = |host: &Host| {
            stats.iter().any(|known| text(&known.hostname) == host.name && text(&known.phase) != "Running")
        };
        if hosts.iter().all(done) {
            let failed = stats.iter().any(|known| text(&known.phase) == "Failed");
            self.close(if failed { "Failed" } else { "Succeeded" });
        }
    }

    fn stats(&self) -> &[HostRestoreStats] {
        self.status.stats.get().map(Vec::as_slice).unwrap_or_default()
    }

    fn end_host(&mut self, host: &str, error: Option<&Why>, seconds: i64) {
        let phase = if error.is_some() { "Failed" } else { "Succeeded" };
        self.put(HostRestoreStats {
            hostname: Field::Value(host.to_owned()),
            phase: Field::Value(phase.to_owned()),
            duration: Field::Value(human::go_duration(seconds)),
            error: error.map_or(Field::Absent, |error| Field::Value(format!("{}: {}", error.reason, error.message))),
            ..HostRestoreStats::default()
        });
    }

    fn put(&mut self, new: HostRestoreStats) {
        let mut list = self.status.stats.get().cloned().unwrap_or_default();
        match list.iter_mut().find(|known| known.hostname == new.hostname) {
            Some(known) => *known = new,
            None => list.push(new),
        }
        self.status.stats = Field::Value(list);
    }

    fn part(&mut self, restore: &Restore, found: &Found, host: &Host, part: &Part, rule: &Rule) -> Option<Ended> {
        let job = FactKey::new(FactKind::Job, &self.key.namespace, &names::restore_job(&self.key.name, part));
        let timeout = restore
            .time_out
            .map_or(self.world.settings.start_timeout, |time_out| time_out.min(self.world.settings.start_timeout));
        let ensured = "SuccessfullyEnsuredRestoreExecutor";
        match parts::watch(self.world, self.questions, self.wanted, self.key, &job, timeout) {
            JobState::Ended(ended) => return Some(*ended),
            JobState::Starting { obstacle: Some(obstacle), .. } => {
                let message = format!("{}: {}", obstacle.reason, obstacle.message);
                self.set("RestoreExecutorEnsured", Verdict::Unknown, "FailedToEnsureRestoreExecutor", &message);
            }
            JobState::Starting { obstacle: None, .. } | JobState::Ending => {}
            JobState::Running { .. } => {
                self.set("RestoreExecutorEnsured", Verdict::True, ensured, "The Job runs.");
                self.put(HostRestoreStats {
                    hostname: Field::Value(host.name.clone()),
                    phase: Field::Value("Running".to_owned()),
                    ..HostRestoreStats::default()
                });
            }
            JobState::Absent => return self.start(restore, found, host, part, rule),
        }
        None
    }

    fn start(&mut self, restore: &Restore, found: &Found, host: &Host, part: &Part, rule: &Rule) -> Option<Ended> {
        if let Some(why) = self.world.refusal(self.key) {
            return Some(Ended::before_it_began(why));
        }
        let created = self.fact.created.unwrap_or(self.world.now);
        let owner = Owner::of(self.key, self.fact, Component::Restore, created);
        let repository = restore.repository.as_ref()?;
        let failed = |why| Some(Ended::before_it_began(why));
        let secret = match owner.secret(self.world, repository, found, self.questions, self.wanted) {
            Ok(Some(secret)) => secret,
            Ok(None) => return None,
            Err(complaint) => return failed(complaint),
        };
        let interim = restore.member.interim.as_ref().map(|template| owner.interim(template));
        let address = hash_hex(&found.address, 16);
        let gone_pods = parts::gone_pods(self.world, self.questions, &address);
        let run = Run {
            namespace: &self.key.namespace,
            name: &self.key.name,
            uid: &self.fact.uid,
            component: Component::Restore,
            invoker: ("RestoreSession", &self.key.name),
            member: &restore.member,
            repository,
            place: &found.place,
            address: &found.address,
            secret: &secret,
            retention: None,
            time_out: restore.time_out,
            image: &self.world.settings.image,
            cluster: self.world.cluster(),
            level: self.world.pod_security(&self.key.namespace),
            gone_pods: &gone_pods,
            account: None,
            interim_claim: interim.as_ref().and_then(|claim| claim["metadata"]["name"].as_str()),
        };
        let alone = matches!(part, Part::Host { alone: true, .. });
        match run.restore_job(self.world.facts, host, alone, rule) {
            Ok(manifest) => {
                if self.queue.admit(&address, false) {
                    for claim in restore_hosts::claims(restore, host).into_iter().chain(interim) {
                        self.wanted.push(self.key, Write::Create(claim));
                    }
                    self.wanted.push(self.key, Write::Create(manifest));
                }
                None
            }
            Err(fault) => failed(Why { reason: fault.reason.to_owned(), message: fault.message }),
        }
    }
}
