//! One simulated cluster by seed: a time of trouble, then quiet, then what must be true.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::build::rights::TRIGGER;
use holdfast::control::engine::Limits;
use holdfast::control::engine::look::Look;
use holdfast::control::engine::world::{Model, Scheduler, Settings};
use holdfast::model::facts::FactKind;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::actors::{Setup, Undo};
use super::cluster::{Change, Cluster, Key, at, is_deleting, key, key_of};
use super::daemon::Daemon;
use super::kubelet::Process;
use super::oracle::Oracle;
use super::quiet;
use super::store::Store;
use crate::counts::Counts;
use crate::env::Trace;
use crate::rng::Rng;

/// A world that has not become quiet after this never will.
const QUIET_MAX: SignedDuration = SignedDuration::from_mins(70);
const EVENTS_MAX: usize = 60_000;

#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// For one life of the daemon.
    Pass(u32),
    Deed(u32),
    Watch(u32, FactKind),
    Look(u32, Look),
    Restart,
    Sync(Key),
    Kubelet(String),
    Stop(String),
    Collect,
    Cron,
    Trigger {
        invoker: Key,
        slot: Timestamp,
        tries: u32,
    },
    Actor,
    Undo(Undo),
}

/// What became of a seed.
pub(crate) struct Ended {
    pub failures: Vec<String>,
    pub counts: Counts,
    pub trace: Trace,
}

pub(crate) struct World {
    /// Time that no clock shows and nobody can set.
    pub time: Timestamp,
    /// What the clock of the daemon shows beside that.
    pub skew: SignedDuration,
    pub rng: Rng,
    pub cluster: Cluster,
    /// By address.
    pub stores: BTreeMap<String, Store>,
    /// By UID of the pod.
    pub processes: BTreeMap<String, Process>,
    pub lost: [bool; 2],
    /// Of Jobs and pods, by UID.
    pub events: BTreeMap<String, Vec<Value>>,
    pub refused_until: BTreeMap<String, Timestamp>,
    pub pods: usize,
    /// Jobs fail before their pods have ended, as before Kubernetes 1.31.
    pub old_jobs: bool,
    pub settings: Settings,
    pub setup: Setup,
    pub daemon: Daemon,
    pub oracle: Oracle,
    pub counts: Counts,
    /// How often something goes wrong, in per cent of what is usual; zero once it is quiet.
    pub faults: usize,
    pub trace: Trace,
    agenda: BTreeMap<(Timestamp, u64), Event>,
    sequence: u64,
    collecting: bool,
    syncing: BTreeSet<Key>,
}

/// Lives through the world of a seed.
pub(crate) fn run(seed: u64, traced: bool) -> Ended {
    let mut world = World::new(seed, traced);
    let minutes = i64::try_from(world.rng.between(6, 16)).unwrap_or(6);
    let end = world.time + SignedDuration::from_mins(minutes);
    world.until(|world| world.time >= end);
    world.faults = 0;
    world.skew = SignedDuration::ZERO;
    world.note(|| "it is quiet from here on".to_owned());
    if !world.daemon.alive {
        world.restart();
    }
    world.poke(1);
    let calm = world.time;
    let limit = calm + QUIET_MAX;
    world.until(|world| world.time >= limit || quiet::is_quiet(world, calm));
    if world.oracle.failures.is_empty() {
        quiet::check(&mut world, calm);
    }
    Ended { failures: world.oracle.failures, counts: world.counts, trace: world.trace }
}

impl World {
    fn new(seed: u64, traced: bool) -> Self {
        let mut rng = Rng::new(seed ^ 0x656e_6769_6e65);
        let large = seed % 200 == 7;
        let time: Timestamp = "2026-11-21T00:02:30Z".parse().expect("a time");
        let limits = Limits { all: rng.between(1, 5), per_repository: rng.between(1, 3) };
        let scheduler = if rng.chance(500) { Scheduler::CronJob } else { Scheduler::Internal };
        let settings = Settings {
            image: "holdfast".to_owned(),
            trigger_role: TRIGGER.to_owned(),
            zone: "Etc/UTC".to_owned(),
            scheduler,
            model: Model::Job,
            start_timeout: SignedDuration::from_secs(120),
            limits,
            projection: true,
        };
        let faults = [40, 100, 100, 200][rng.below(4)];
        let mut cluster = Cluster::default();
        let mut stores = BTreeMap::new();
        let setup = Setup::make(&mut rng, large, &mut cluster, &mut stores, time);
        let daemon = Daemon::new(0, &cluster, &settings, time);
        let old_jobs = rng.chance(300);
        let mut world = Self {
            time,
            skew: SignedDuration::ZERO,
            rng,
            cluster,
            stores,
            processes: BTreeMap::new(),
            lost: [false; 2],
            events: BTreeMap::new(),
            refused_until: BTreeMap::new(),
            pods: 0,
            old_jobs,
            settings,
            setup,
            daemon,
            oracle: Oracle::default(),
            counts: Counts::default(),
            faults,
            trace: Trace { lines: traced.then(Vec::new), hash: 0 },
            agenda: BTreeMap::new(),
            sequence: 0,
            collecting: false,
            syncing: BTreeSet::new(),
        };
        world.soon(1, 10, Event::Cron);
        world.soon(1000, 60_000, Event::Actor);
        world.poke(1);
        world
    }

    pub(crate) fn clock(&self) -> Timestamp {
        self.time + self.skew
    }

    pub(crate) fn at(&mut self, time: Timestamp, event: Event) {
        self.sequence += 1;
        self.agenda.insert((time.max(self.time), self.sequence), event);
    }

    /// Between so many milliseconds from now.
    pub(crate) fn soon(&mut self, low: usize, high: usize, event: Event) {
        let millis = i64::try_from(self.rng.between(low, high)).expect("a short wait");
        self.at(self.time + SignedDuration::from_millis(millis), event);
    }

    /// Whether a fault of this sort happens now; counted by name.
    pub(crate) fn fault(&mut self, name: &'static str, of_thousand: usize) -> bool {
        let happens = self.faults > 0 && self.rng.chance(of_thousand * self.faults / 100);
        if happens {
            self.counts.fault(name);
            self.note(|| format!("fault: {name}"));
        }
        happens
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        let line = format!("{} {}", self.time, line());
        self.trace.add(line);
    }

    fn until(&mut self, enough: impl Fn(&World) -> bool) {
        for _ in 0..EVENTS_MAX {
            if !self.oracle.failures.is_empty() || enough(self) {
                return;
            }
            let Some(((time, _), event)) = self.agenda.pop_first() else { return };
            self.time = time;
            self.one(event);
            self.settle();
        }
        self.oracle.broken("the world does not end".to_owned());
    }

    fn one(&mut self, event: Event) {
        match event {
            Event::Pass(life) => self.pass(life),
            Event::Deed(life) => self.deed(life),
            Event::Watch(life, kind) => self.watch(life, kind),
            Event::Look(life, look) => self.look(life, look),
            Event::Restart => self.restart(),
            Event::Sync(job) => {
                self.syncing.remove(&job);
                self.sync_job(&job);
            }
            Event::Kubelet(uid) => self.kubelet(&uid),
            Event::Stop(uid) => self.stop(&uid),
            Event::Collect => {
                self.collecting = false;
                if self.cluster.collect(self.time) {
                    self.collect_soon();
                }
            }
            Event::Cron => {
                self.unlock_by_hand();
                self.cron_jobs();
            }
            Event::Trigger { invoker, slot, tries } => self.trigger(invoker, slot, tries),
            Event::Actor => {
                if self.faults > 0 {
                    self.act();
                    self.soon(1000, 120_000, Event::Actor);
                }
            }
            Event::Undo(undo) => self.undo(undo),
        }
    }

    fn collect_soon(&mut self) {
        if !self.collecting {
            self.collecting = true;
            self.soon(50, 2000, Event::Collect);
        }
    }

    /// Lets everybody know of what has changed.
    pub(crate) fn settle(&mut self) {
        while !self.cluster.fresh.is_empty() {
            for change in std::mem::take(&mut self.cluster.fresh) {
                self.spread(&change);
                self.judge(&change);
            }
        }
    }

    fn spread(&mut self, change: &Change) {
        self.note(|| told(change));
        if let Some(kind) = FactKind::ALL.into_iter().find(|kind| kind.as_str() == change.key.0) {
            self.watch_soon(kind);
        }
        let object = change.after.as_ref().or(change.before.as_ref());
        match (change.key.0.as_str(), object) {
            ("Job", _) => self.sync_soon(change.key.clone()),
            ("Pod", Some(pod)) => {
                let job = at(pod, "/metadata/ownerReferences/0/name");
                self.sync_soon(key("Job", &change.key.1, job));
                let was = change.before.as_ref().is_some_and(|before| is_deleting(before));
                if !was && change.after.as_ref().is_some_and(|after| is_deleting(after)) {
                    let uid = at(pod, "/metadata/uid").to_owned();
                    self.soon(100, 3000, Event::Stop(uid));
                }
            }
            _ => {}
        }
        if change.after.as_ref().is_none_or(|after| is_deleting(after)) {
            self.collect_soon();
        }
    }

    fn sync_soon(&mut self, job: Key) {
        if self.syncing.insert(job.clone()) {
            self.soon(20, 300, Event::Sync(job));
        }
    }

    pub(crate) fn restart(&mut self) {
        let life = self.daemon.life + 1;
        self.daemon = Daemon::new(life, &self.cluster, &self.settings, self.clock());
        self.oracle.unseen.clear();
        self.note(|| format!("the daemon starts its life {life}"));
        self.poke(1);
    }
}

fn told(change: &Change) -> String {
    let (kind, namespace, name) = &change.key;
    match &change.after {
        None => format!("{kind} {namespace}/{name} is gone"),
        Some(object) => {
            debug_assert_eq!(key_of(object), change.key);
            let phase = at(object, "/status/phase");
            let deleting = if is_deleting(object) { " deleting" } else { "" };
            let finalizers = super::cluster::finalizers(object).join(",");
            format!("{kind} {namespace}/{name} {phase}{deleting} [{finalizers}]")
        }
    }
}
