//! One `BackupSession`, from its slot to its end: every pass looks at all facts and takes the next step that they allow.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::conditions::{self, Verdict};
use super::deed::{Propagation, Write};
use super::job_state::{Ended, JobState};
use super::look::Questions;
use super::owner::Owner;
use super::parts;
use super::queue::Queue;
use super::repository;
use super::session_end;
use super::session_hosts::{self, Hosts};
use super::session_start::{self, Start};
use super::why::Why;
use super::world::{Found, Wanted, World, text};
use crate::api::backup_session::{BackupSessionStatus, BackupTargetStatus, HostBackupStats};
use crate::api::field::Field;
use crate::api::{BackupSession, backup_session};
use crate::build::job::Run;
use crate::build::labels::Component;
use crate::build::names::{self, Part};
use crate::build::security::Identity;
use crate::model::facts::{Fact, FactKey, FactKind};
use crate::model::invoker::{Invoker, Named};
use crate::model::keys;
use crate::model::names::hash_hex;
use crate::model::step::{FinishWork, Work};

/// On a session: the names of its hosts, since a workload may be scaled while it is backed up.
pub(super) const HOSTS: &str = "holdfast.dev/hosts";

/// A session as it was read, and its status as it shall be.
pub(super) struct Session<'a> {
    pub key: FactKey,
    pub fact: &'a Fact,
    pub object: Value,
    pub spec: backup_session::BackupSessionSpec,
    pub status: BackupSessionStatus,
}

/// Phases after which nothing changes any more.
pub fn is_final(phase: &str) -> bool {
    matches!(phase, "Succeeded" | "Failed" | "Skipped")
}

pub(super) fn step(
    world: &World<'_>,
    key: &FactKey,
    fact: &Fact,
    questions: &mut Questions<'_>,
    queue: &mut Queue,
    wanted: &mut Wanted,
) {
    let invoker = world.facts.find(FactKind::BackupConfiguration, &key.namespace, &fact.belongs_to);
    if invoker.is_some_and(Fact::is_held_by_stash) {
        return;
    }
    let object = fact.value();
    let Ok(typed) = serde_json::from_value::<BackupSession>(object.clone()) else { return };
    let before = typed.status.get().cloned().unwrap_or_default();
    let mut session = Session {
        key: key.clone(),
        fact,
        object,
        spec: typed.spec.get().cloned().unwrap_or_default(),
        status: before.clone(),
    };
    if fact.deleting {
        return leave(world, &session, wanted);
    }
    if is_final(text(&before.phase)) {
        return finished(world, &session, questions, wanted);
    }
    session.advance(world, questions, queue, wanted);
    if session.status != before {
        let status = serde_json::to_value(&session.status).unwrap_or_default();
        wanted.status(key, &fact.uid, &fact.resource_version, &status);
    }
}

/// A session that is deleted takes its Jobs with it, and goes when nothing of them runs any more.
fn leave(world: &World<'_>, session: &Session<'_>, wanted: &mut Wanted) {
    let jobs: Vec<_> = session.jobs(world).collect();
    let mut busy = false;
    for (key, fact) in &jobs {
        if !fact.deleting {
            let propagation = Propagation::Foreground;
            wanted.push(&session.key, Write::Delete { key: (*key).clone(), uid: fact.uid.clone(), propagation });
        }
        let runs = world
            .facts
            .in_namespace(FactKind::Pod, &key.namespace)
            .any(|(_, pod)| pod.mentions(&fact.uid) && !matches!(pod.phase.as_str(), "Succeeded" | "Failed"));
        busy |= runs;
        if fact.deleting && !runs {
            parts::release(world, wanted, &session.key, key);
        }
    }
    if !busy && jobs.iter().all(|(_, fact)| fact.deleting) {
        parts::unmark(wanted, &session.key, &session.key, &session.object, &session.fact.resource_version, Vec::new());
    }
}

/// What was written down at the end holds nothing back any more.
fn finished(world: &World<'_>, session: &Session<'_>, questions: &mut Questions<'_>, wanted: &mut Wanted) {
    let jobs: Vec<FactKey> = session.jobs(world).map(|(key, _)| key.clone()).collect();
    let added = session_end::added_bytes(world, &jobs, questions);
    for job in &jobs {
        parts::release(world, wanted, &session.key, job);
    }
    let annotations = vec![(keys::ADDED_BYTES.to_owned(), added.to_string())];
    if session.fact.mentions(keys::FINALIZER) {
        // What follows is for the version that this makes.
        return parts::unmark(
            wanted,
            &session.key,
            &session.key,
            &session.object,
            &session.fact.resource_version,
            annotations,
        );
    }
    session_end::retry(world, session, wanted);
}

impl Session<'_> {
    pub(super) fn invoker_name(&self) -> &str {
        self.spec.invoker.get().map_or("", |invoker| text(&invoker.name))
    }

    pub(super) fn created(&self, world: &World<'_>) -> Timestamp {
        self.fact.created.unwrap_or(world.now)
    }

    fn jobs<'f>(&'f self, world: &World<'f>) -> impl Iterator<Item = (&'f FactKey, &'f Fact)> {
        world.facts.in_namespace(FactKind::Job, &self.key.namespace).filter(|(_, job)| job.mentions(&self.fact.uid))
    }

    pub(super) fn set(&mut self, kind: &str, verdict: Verdict, reason: &str, message: &str, now: Timestamp) {
        let mut list = self.status.conditions.get().cloned().unwrap_or_default();
        conditions::set(&mut list, kind, verdict, reason, message, now);
        self.status.conditions = Field::Value(list);
    }

    pub(super) fn is_set(&self, kind: &str) -> bool {
        self.status.conditions.get().is_some_and(|list| conditions::get(list, kind).is_some())
    }

    /// Changes what is said of the target; there is one.
    pub(super) fn target(&mut self, change: impl FnOnce(&mut BackupTargetStatus)) {
        let mut targets = self.status.targets.get().cloned().unwrap_or_default();
        let mut target = if targets.is_empty() { BackupTargetStatus::default() } else { targets.remove(0) };
        change(&mut target);
        targets.insert(0, target);
        self.status.targets = Field::Value(targets);
    }

    pub(super) fn stats(&self) -> &[HostBackupStats] {
        let target = self.status.targets.get().and_then(|targets| targets.first());
        target.and_then(|target| target.stats.get()).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn has_ended(&self, host: &str) -> bool {
        self.stats().iter().any(|known| text(&known.hostname) == host)
    }

    /// Names of the hosts, once they are known.
    pub(super) fn hosts(&self) -> Option<Vec<String>> {
        let annotation = self.object.pointer("/metadata/annotations").and_then(|all| all.get(HOSTS))?;
        Some(annotation.as_str()?.split(',').filter(|host| !host.is_empty()).map(str::to_owned).collect())
    }

    fn advance(&mut self, world: &World<'_>, questions: &mut Questions<'_>, queue: &mut Queue, wanted: &mut Wanted) {
        let start = session_start::decide(world, self, questions);
        let (invoker, found) = match start {
            Start::Wait => {
                if text(&self.status.phase).is_empty() {
                    self.status.phase = Field::Value("Pending".to_owned());
                }
                return;
            }
            Start::Skip(message) if self.hosts().is_none() => return session_end::skip(self, &message, world.now),
            Start::Skip(message) => {
                let complaint = Why { reason: "InvokerGone".to_owned(), message };
                return self.stop(world, &complaint, questions, wanted);
            }
            Start::Fail(complaint) => return self.stop(world, &complaint, questions, wanted),
            Start::Go(both) => *both,
        };
        let Some(names) = self.hosts() else {
            return self.begin(world, &invoker, questions, wanted);
        };
        let total = Field::Value(i32::try_from(names.len()).unwrap_or(i32::MAX));
        let reference = invoker.member.target.as_ref().map(session_end::target_ref);
        self.target(|target| {
            target.total_hosts = total;
            target.r#ref = reference.map_or(Field::Absent, Field::Value);
            target.phase = Field::Value("Running".to_owned());
        });
        self.status.phase = Field::Value("Running".to_owned());
        self.let_go(world, &names, wanted);
        let began = self.created(world);
        let mut stages =
            Stages { world, invoker: &invoker, found: &found, names: &names, began, questions, queue, wanted };
        stages.run(self);
    }

    /// A Job whose end was written down gives its place to others. Asked of the status as it was read, before it changes.
    fn let_go(&self, world: &World<'_>, hosts: &[String], wanted: &mut Wanted) {
        let alone = hosts.len() == 1;
        let ended = hosts.iter().filter(|host| self.has_ended(host));
        let ended = ended.map(|host| Part::Host { host: host.clone(), alone });
        let initialized = self.is_set("BackendRepositoryInitialized").then_some(Part::Initialize);
        for part in ended.chain(initialized) {
            let name = names::backup_job(&self.key.name, &part);
            parts::release(world, wanted, &self.key, &FactKey::new(FactKind::Job, &self.key.namespace, &name));
        }
    }

    /// It cannot go on: what of it runs is ended first.
    fn stop(&mut self, world: &World<'_>, why: &Why, questions: &mut Questions<'_>, wanted: &mut Wanted) {
        let jobs: Vec<FactKey> = self.jobs(world).map(|(key, _)| key.clone()).collect();
        let mut busy = false;
        for job in jobs {
            match super::job_state::of(world.facts, &job, questions, world.now) {
                JobState::Absent | JobState::Ended(_) => {}
                JobState::Ending => {
                    parts::insist(world, wanted, &self.key, &job);
                    busy = true;
                }
                JobState::Starting { .. } | JobState::Running { .. } => {
                    parts::end_job(world, wanted, &self.key, &job, why);
                    busy = true;
                }
            }
        }
        if !busy {
            session_end::fail_all(self, &self.hosts().unwrap_or_default(), why);
            session_end::fail_to_start(self, why, world.now);
        }
    }

    /// Writes down which hosts there are, before anything is made for them.
    fn begin(&mut self, world: &World<'_>, invoker: &Invoker, questions: &mut Questions<'_>, wanted: &mut Wanted) {
        match session_hosts::hosts(world, invoker, questions, self.created(world)) {
            Hosts::Wait => {}
            Hosts::Fault(fault) => {
                let complaint = Why { reason: fault.reason.to_owned(), message: fault.message };
                session_end::fail_to_start(self, &complaint, world.now);
            }
            Hosts::Known(hosts) => {
                let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
                let kept = self.object.pointer("/metadata/finalizers").and_then(Value::as_array).cloned();
                let mut finalizers: Vec<String> =
                    kept.into_iter().flatten().filter_map(|one| Some(one.as_str()?.to_owned())).collect();
                finalizers.push(keys::FINALIZER.to_owned());
                finalizers.dedup();
                wanted.push(
                    &self.key,
                    Write::Mark {
                        key: self.key.clone(),
                        resource_version: self.fact.resource_version.clone(),
                        finalizers: Some(finalizers),
                        annotations: vec![(HOSTS.to_owned(), names.join(","))],
                    },
                );
            }
        }
    }
}

/// The stages of a session that has begun, each of Jobs: the repository, the hosts, the end.
struct Stages<'a, 'l, 's> {
    world: &'s World<'a>,
    invoker: &'s Invoker,
    found: &'s Found,
    names: &'s [String],
    began: Timestamp,
    questions: &'s mut Questions<'l>,
    queue: &'s mut Queue,
    wanted: &'s mut Wanted,
}

impl Stages<'_, '_, '_> {
    fn run(&mut self, session: &mut Session<'_>) {
        let now = self.world.now;
        if !session.is_set("BackendRepositoryInitialized") && !self.initialize(session) {
            return;
        }
        let initialized = session
            .status
            .conditions
            .get()
            .is_some_and(|list| conditions::is_true(list, "BackendRepositoryInitialized"));
        if !initialized {
            return session_end::conclude(session, now);
        }
        if !self.back_up(session) {
            return;
        }
        if !session.is_set("RetentionPolicyApplied") && !self.finish(session) {
            return;
        }
        session_end::conclude(session, now);
    }

    fn key(session: &Session<'_>, part: &Part) -> FactKey {
        FactKey::new(FactKind::Job, &session.key.namespace, &names::backup_job(&session.key.name, part))
    }

    /// Whether it is settled that there is a repository.
    fn initialize(&mut self, session: &mut Session<'_>) -> bool {
        const KIND: &str = "BackendRepositoryInitialized";
        let now = self.world.now;
        let status = self.found.repository.status.get();
        let known =
            status.is_some_and(|status| status.integrity.get().is_some() || status.last_backup_time.get().is_some());
        if known {
            session.set(KIND, Verdict::True, "BackendRepositoryFound", "The repository exists.", now);
            return true;
        }
        let Some(ended) = self.part(session, &Part::Initialize, &|run, stages| {
            run.repository_job(&Part::Initialize, Work::Initialize, stages.identity()?)
        }) else {
            return false;
        };
        match ended.trouble_of_all() {
            None => session.set(KIND, Verdict::True, "BackendRepositoryFound", "The repository exists.", now),
            Some(complaint) => {
                let message = format!("{}: {}", complaint.reason, complaint.message);
                session.set(KIND, Verdict::False, "FailedToInitializeBackendRepository", &message, now);
                session_end::fail_all(session, self.names, &complaint);
            }
        }
        true
    }

    /// Whether every host has ended.
    fn back_up(&mut self, session: &mut Session<'_>) -> bool {
        let alone = self.names.len() == 1;
        let open: Vec<String> = self.names.iter().filter(|host| !session.has_ended(host)).cloned().collect();
        if open.is_empty() {
            return true;
        }
        let late = self.deadline(session);
        for host in open {
            let part = Part::Host { host: host.clone(), alone };
            if let Some(complaint) = &late {
                self.cut_short(session, &host, &part, complaint);
                continue;
            }
            let ended = self.part(session, &part, &|run, stages| stages.host_job(run, &host, alone));
            if let Some(ended) = ended {
                session_end::settle_host(session, &host, &ended);
            }
        }
        self.names.iter().all(|host| session.has_ended(host))
    }

    /// As whom the target is backed up. Of one that is gone by now nobody knows.
    fn identity(&mut self) -> Result<Identity, crate::build::Fault> {
        match session_hosts::hosts(self.world, self.invoker, self.questions, self.began) {
            Hosts::Wait => Err(crate::build::Fault::new(WAIT, "")),
            Hosts::Fault(_) => Ok(Identity::default()),
            Hosts::Known(hosts) => Ok(hosts.into_iter().next().map(|host| host.identity).unwrap_or_default()),
        }
    }

    fn host_job(&mut self, run: &Run<'_>, host: &str, alone: bool) -> Result<Value, crate::build::Fault> {
        let since = self.world.now.saturating_sub(SignedDuration::from_mins(1)).unwrap_or(self.world.now);
        match session_hosts::hosts(self.world, self.invoker, self.questions, since) {
            Hosts::Wait => Err(crate::build::Fault::new(WAIT, "")),
            Hosts::Fault(fault) => Err(fault),
            Hosts::Known(hosts) => match hosts.iter().find(|known| known.name == host) {
                Some(found) => run.backup_job(self.world.facts, found, alone),
                None => Err(crate::build::Fault::new("HostGone", format!("{host} is there no more"))),
            },
        }
    }

    /// From the first Job on: what was waited for before is not the session's time.
    fn deadline(&mut self, session: &mut Session<'_>) -> Option<Why> {
        let time_out = self.invoker.time_out?;
        let began = session.jobs(self.world).filter_map(|(_, job)| {
            let job = job.value();
            job.pointer("/status/startTime").and_then(Value::as_str).and_then(|time| time.parse::<Timestamp>().ok())
        });
        let end = began.min()?.saturating_add(time_out).ok()?;
        session.status.session_deadline = Field::Value(conditions::time(end));
        if self.world.now < end {
            self.wanted.wake(end);
            return None;
        }
        let message = format!("it took longer than {} s", time_out.as_secs());
        session.set("DeadlineExceeded", Verdict::True, "FailedToCompleteWithinDeadline", &message, self.world.now);
        Some(Why { reason: "DeadlineExceeded".to_owned(), message })
    }

    fn cut_short(&mut self, session: &mut Session<'_>, host: &str, part: &Part, why: &Why) {
        let job = Self::key(session, part);
        match super::job_state::of(self.world.facts, &job, self.questions, self.world.now) {
            JobState::Absent => session_end::fail_host(session, host, why),
            JobState::Ended(ended) => {
                session_end::settle_host(session, host, &ended);
            }
            JobState::Ending => parts::insist(self.world, self.wanted, &session.key, &job),
            JobState::Starting { .. } | JobState::Running { .. } => {
                parts::end_job(self.world, self.wanted, &session.key, &job, why);
            }
        }
    }

    /// Whether retention, check and sizes have been tried.
    fn finish(&mut self, session: &mut Session<'_>) -> bool {
        let unsettled = session_end::unsettled(self.world, session, self.questions);
        let stored = session.stats().iter().any(|host| host.snapshots.get().is_some_and(|list| !list.is_empty()));
        let address = hash_hex(&self.found.address, 16);
        let gone = parts::gone_pods(self.world, self.questions, &address);
        let has_begun = self.world.facts.get(&Self::key(session, &Part::Finish)).is_some();
        if !has_begun && !stored && unsettled.is_empty() && gone.is_empty() {
            session_end::nothing_stored(session, self.world.now);
            return true;
        }
        let work = Work::Finish(FinishWork {
            retention: self.invoker.retention.clone(),
            untagged_are_ours: self.has_one_invoker(),
            unsettled,
            paths: self.invoker.member.paths_or_default(),
            incomplete_succeeds: false,
        });
        let Some(ended) = self.part(session, &Part::Finish, &|run, stages| {
            run.repository_job(&Part::Finish, work.clone(), stages.identity()?)
        }) else {
            return false;
        };
        session_end::settle_repository(session, &ended, self.world.now);
        if let Some(repository) = &self.invoker.repository {
            let made = session.created(self.world);
            repository::record(self.world, repository, &session.key, made, &ended, session.stats(), self.wanted);
        }
        true
    }

    /// By address: several Repositories may lie at the same. One that cannot be read may be this one.
    fn has_one_invoker(&self) -> bool {
        let others = self
            .world
            .facts
            .of_kind(FactKind::BackupConfiguration)
            .filter(|(key, _)| key.namespace != self.invoker.name.namespace || key.name != self.invoker.name.name);
        let uses = |repository: &Named| match self.world.repository(repository, true) {
            Some(Ok(found)) => found.address == self.found.address,
            Some(Err(_)) | None => true,
        };
        !others.into_iter().any(|(key, _)| match self.world.invoker(&key.namespace, &key.name) {
            Some(Ok(other)) => other.repository.as_ref().is_some_and(uses),
            Some(Err(_)) => true,
            None => false,
        })
    }

    /// How a part ended; before that it is started and watched.
    fn part(
        &mut self,
        session: &mut Session<'_>,
        part: &Part,
        build: &dyn Fn(&Run<'_>, &mut Self) -> Result<Value, crate::build::Fault>,
    ) -> Option<Ended> {
        let job = Self::key(session, part);
        let start_timeout = self
            .invoker
            .time_out
            .map_or(self.world.settings.start_timeout, |time_out| time_out.min(self.world.settings.start_timeout));
        match parts::watch(self.world, self.questions, self.wanted, &session.key, &job, start_timeout) {
            JobState::Ended(ended) => return Some(*ended),
            JobState::Starting { obstacle: Some(obstacle), .. } => {
                let message = format!("{}: {}", obstacle.reason, obstacle.message);
                session_end::executor(session, Verdict::Unknown, &message, self.world.now);
            }
            JobState::Starting { obstacle: None, .. } | JobState::Ending => {}
            JobState::Running { .. } => {
                session_end::executor(session, Verdict::True, "The Job runs.", self.world.now);
            }
            JobState::Absent => return self.start(session, part, build),
        }
        None
    }

    fn start(
        &mut self,
        session: &mut Session<'_>,
        part: &Part,
        build: &dyn Fn(&Run<'_>, &mut Self) -> Result<Value, crate::build::Fault>,
    ) -> Option<Ended> {
        if let Some(why) = self.world.refusal(&session.key) {
            return Some(Ended::before_it_began(why));
        }
        let owner = Owner::of(&session.key, session.fact, Component::Backup, session.created(self.world));
        let repository = self.invoker.repository.as_ref()?;
        let secret = match owner.secret(self.world, repository, self.found, self.questions, self.wanted) {
            Ok(Some(secret)) => secret,
            Ok(None) => return None,
            Err(complaint) => return Some(Ended::before_it_began(complaint)),
        };
        let is_host = matches!(part, Part::Host { .. });
        let template = self.invoker.member.interim.as_ref().filter(|_| is_host);
        let interim = template.map(|template| owner.interim(template));
        let (invoker, found) = (self.invoker, self.found);
        let address = hash_hex(&found.address, 16);
        let gone_pods = parts::gone_pods(self.world, self.questions, &address);
        let (name, namespace) = (session.key.name.clone(), session.key.namespace.clone());
        let run = Run {
            namespace: &namespace,
            name: &name,
            uid: &session.fact.uid,
            component: Component::Backup,
            invoker: ("BackupConfiguration", &invoker.name.name),
            member: &invoker.member,
            repository,
            place: &found.place,
            address: &found.address,
            secret: &secret,
            retention: Some(&invoker.retention),
            time_out: invoker.time_out,
            image: &self.world.settings.image,
            cluster: self.world.cluster(),
            level: self.world.pod_security(&namespace),
            gone_pods: &gone_pods,
            account: None,
            interim_claim: interim.as_ref().and_then(|claim| claim["metadata"]["name"].as_str()),
        };
        let manifest = match build(&run, self) {
            Ok(manifest) => manifest,
            Err(fault) if fault.reason == WAIT => return None,
            Err(fault) => {
                return Some(Ended::before_it_began(Why { reason: fault.reason.to_owned(), message: fault.message }));
            }
        };
        if self.queue.admit(&address, !is_host) {
            if let Some(claim) = interim {
                self.wanted.push(&session.key, Write::Create(claim));
            }
            self.wanted.push(&session.key, Write::Create(manifest));
        } else if is_host {
            let message = "It waits for its turn at the repository.";
            session_end::executor(session, Verdict::Unknown, message, self.world.now);
        }
        None
    }
}

/// Reason of a fault that is none: something has to be looked at first.
const WAIT: &str = "Wait";
