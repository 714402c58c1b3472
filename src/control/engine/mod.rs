//! The engine as a function: what is followed and what was looked at go in, requests and questions come out. Nothing is remembered
//! that the cluster does not say, but for how long what has failed is left alone.

pub mod conditions;
mod configuration;
pub mod deed;
mod job_state;
pub mod look;
mod owner;
mod parts;
mod queue;
mod repository;
mod restore;
mod restore_hosts;
mod selector;
mod session;
mod session_end;
mod session_hosts;
mod session_start;
mod why;
pub mod world;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

pub use configuration::cron_job_name;
pub use job_state::HOPELESS;
pub use queue::Limits;
pub use session::is_final;
pub use session_end::new_session;

use super::backoff::Failing;
use crate::model::applied::FailureClass;
use crate::model::facts::{FactKey, FactKind, Facts};
use crate::model::observed::Observed;
use deed::Deed;
use look::{Look, Looked, Questions, Seen};
use queue::Queue;
use world::{Settings, Wanted, World};

/// Everything is looked at again at least this often: a net below the watches.
const FULL_PASS: SignedDuration = SignedDuration::from_mins(10);

/// What a pass wants.
#[derive(Debug, Default)]
pub struct Pass {
    pub deeds: Vec<Deed>,
    pub looks: BTreeSet<Look>,
    /// When time alone changes something.
    pub wake_at: Option<Timestamp>,
    /// Jobs that wait for a place.
    pub waiting: usize,
}

#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    looked: Looked,
    /// Loops that have failed in a row, and until when they are left alone.
    failing: BTreeMap<FactKey, Failing>,
    /// Runs of which the API server will not have an object, and what it says of it.
    refusals: BTreeMap<FactKey, String>,
    /// Configurations and Repositories that something may have changed for.
    dirty: BTreeSet<FactKey>,
    /// When a configuration or a Repository wants to be looked at.
    wakes: BTreeMap<FactKey, Timestamp>,
    full_pass_at: Timestamp,
}

impl Engine {
    pub fn new(settings: Settings, now: Timestamp) -> Self {
        Self {
            settings,
            looked: Looked::default(),
            failing: BTreeMap::new(),
            refusals: BTreeMap::new(),
            dirty: BTreeSet::new(),
            wakes: BTreeMap::new(),
            full_pass_at: now,
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes in the answer to a question.
    pub fn seen(&mut self, look: Look, seen: Seen, now: Timestamp) {
        self.looked.note(look, seen, now);
    }

    /// An object has changed: so may everything that looks at it.
    pub fn changed(&mut self, facts: &Facts, key: &FactKey) {
        match key.kind {
            FactKind::BackupConfiguration => {
                self.dirty.insert(key.clone());
                self.repositories_of(facts, key);
            }
            FactKind::BackupSession => {
                let invoker = facts.get(key).map(|fact| fact.belongs_to.clone());
                match invoker {
                    Some(name) => {
                        self.dirty.insert(FactKey::new(FactKind::BackupConfiguration, &key.namespace, &name));
                    }
                    None => self.all_of(facts, &key.namespace),
                }
            }
            FactKind::Repository => {
                self.dirty.insert(key.clone());
                let users = facts.of_kind(FactKind::BackupConfiguration).filter(|(_, fact)| fact.mentions(&key.name));
                self.dirty.extend(users.map(|(key, _)| key.clone()));
            }
            FactKind::RestoreSession => self.repositories_of(facts, key),
            FactKind::CronJob | FactKind::ServiceAccount | FactKind::RoleBinding => {
                self.all_of(facts, &key.namespace);
            }
            FactKind::Function | FactKind::Task | FactKind::Job | FactKind::Pod => {}
        }
        // A change of the object is what a failed loop may have waited for.
        self.failing.remove(key);
    }

    /// Those that an invoker names, and those that name it.
    fn repositories_of(&mut self, facts: &Facts, invoker: &FactKey) {
        let own = facts.get(invoker);
        let related = facts
            .of_kind(FactKind::Repository)
            .filter(|(key, fact)| own.is_some_and(|own| own.mentions(&key.name)) || fact.mentions(&invoker.name));
        self.dirty.extend(related.map(|(key, _)| key.clone()));
    }

    fn all_of(&mut self, facts: &Facts, namespace: &str) {
        let configurations = facts.in_namespace(FactKind::BackupConfiguration, namespace);
        self.dirty.extend(configurations.map(|(key, _)| key.clone()));
    }

    /// Something that every configuration looks at has changed: targets, namespaces, or who leads.
    pub fn everything_changed(&mut self, now: Timestamp) {
        self.full_pass_at = now;
    }

    /// A request of a loop has failed.
    pub fn failed(&mut self, of: &FactKey, class: FailureClass, now: Timestamp) {
        let failing = Failing::again(self.failing.get(of), class, &of.spoken(), now);
        self.failing.insert(of.clone(), failing);
        self.dirty.insert(of.clone());
    }

    /// An object of a loop cannot be made as it is: a run ends with that, and everything else waits for a change.
    pub fn refused(&mut self, of: &FactKey, message: String, now: Timestamp) {
        if matches!(of.kind, FactKind::BackupSession | FactKind::RestoreSession) {
            self.refusals.insert(of.clone(), message);
        } else {
            self.failed(of, FailureClass::Invalid, now);
        }
    }

    pub fn succeeded(&mut self, of: &FactKey) {
        self.failing.remove(of);
    }

    /// What is to be done now.
    pub fn pass(&mut self, facts: &Facts, observed: &Observed, now: Timestamp) -> Pass {
        self.failing.values_mut().for_each(|failing| failing.bound(now));
        self.full_pass_at = self.full_pass_at.min(now.saturating_add(FULL_PASS).unwrap_or(now));
        if self.full_pass_at <= now {
            self.full_pass_at = now.saturating_add(FULL_PASS).unwrap_or(now);
            for kind in [FactKind::BackupConfiguration, FactKind::Repository] {
                self.dirty.extend(facts.of_kind(kind).map(|(key, _)| key.clone()));
            }
        }
        let due: Vec<FactKey> = self.wakes.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key.clone()).collect();
        self.dirty.extend(due);
        let looked = std::mem::take(&mut self.looked);
        let settings = self.settings.clone();
        let mut refusals = std::mem::take(&mut self.refusals);
        refusals.retain(|key, _| facts.get(key).is_some_and(is_open));
        let world = World { facts, observed, settings: &settings, refusals: &refusals, now };
        let mut questions = Questions::new(&looked, now);
        let mut wanted = Wanted::default();
        let mut queue = Queue::of(facts, settings.limits);
        self.runs(&world, &mut questions, &mut queue, &mut wanted);
        self.objects(&world, &mut questions, &mut wanted);
        let wakes = [wanted.wake_at, questions.again, Some(self.full_pass_at)];
        let wake_at = wakes.into_iter().flatten().chain(self.wakes.values().copied()).min();
        let looks = std::mem::take(&mut questions.wanted);
        self.looked = looked;
        self.refusals = refusals;
        for deed in &wanted.deeds {
            if let Some(copy) = deed.makes_secret() {
                self.looked.forget(&copy);
            }
        }
        Pass { deeds: wanted.deeds, looks, wake_at, waiting: queue.waiting }
    }

    /// Sessions of backups and restores that are not over, the oldest first: who came first has the first place.
    fn runs(&self, world: &World<'_>, questions: &mut Questions<'_>, queue: &mut Queue, wanted: &mut Wanted) {
        let sessions =
            world.facts.of_kind(FactKind::BackupSession).chain(world.facts.of_kind(FactKind::RestoreSession));
        let mut open: Vec<_> = sessions.filter(|(_, fact)| is_open(fact)).collect();
        open.sort_by(|(one, first), (other, second)| (first.created, one).cmp(&(second.created, other)));
        for (key, fact) in open {
            if self.waits(key, wanted, world.now) {
                continue;
            }
            match key.kind {
                FactKind::RestoreSession => restore::step(world, key, fact, questions, queue, wanted),
                FactKind::BackupSession => session::step(world, key, fact, questions, queue, wanted),
                FactKind::Repository
                | FactKind::BackupConfiguration
                | FactKind::Function
                | FactKind::Task
                | FactKind::Job
                | FactKind::CronJob
                | FactKind::Pod
                | FactKind::ServiceAccount
                | FactKind::RoleBinding => {}
            }
        }
    }

    fn objects(&mut self, world: &World<'_>, questions: &mut Questions<'_>, wanted: &mut Wanted) {
        for key in std::mem::take(&mut self.dirty) {
            self.wakes.remove(&key);
            let Some(fact) = world.facts.get(&key) else { continue };
            if self.waits(&key, wanted, world.now) {
                self.dirty.insert(key);
                continue;
            }
            let mut own = Wanted::default();
            let asked = questions.open;
            match key.kind {
                FactKind::BackupConfiguration => configuration::step(world, &key, fact, questions, &mut own),
                FactKind::Repository => repository::step(world, &key, &mut own),
                FactKind::BackupSession
                | FactKind::RestoreSession
                | FactKind::Function
                | FactKind::Task
                | FactKind::Job
                | FactKind::CronJob
                | FactKind::Pod
                | FactKind::ServiceAccount
                | FactKind::RoleBinding => {}
            }
            if let Some(at) = own.wake_at {
                self.wakes.insert(key.clone(), at);
            }
            if questions.open > asked {
                // It goes on when there is an answer.
                self.dirty.insert(key);
            }
            wanted.deeds.append(&mut own.deeds);
        }
    }

    fn waits(&self, key: &FactKey, wanted: &mut Wanted, now: Timestamp) -> bool {
        match self.failing.get(key) {
            Some(failing) if failing.until > now => {
                wanted.wake(failing.until);
                true
            }
            Some(_) | None => false,
        }
    }
}

/// Whether a session may still have something to do.
fn is_open(fact: &crate::model::facts::Fact) -> bool {
    let over = match fact.phase.as_str() {
        "Succeeded" | "Skipped" | "Failed" => true,
        phase => restore::is_final(phase),
    };
    let retries = fact.phase == "Failed" && fact.mentions("retryLeft") && !fact.mentions("\"retried\":true");
    !over || retries || fact.mentions(crate::model::keys::FINALIZER)
}
