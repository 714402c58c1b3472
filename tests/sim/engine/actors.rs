//! What is in a simulated cluster, and everybody who does something to it.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::control::engine::deed::Propagation;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cluster::{Cluster, Key, at, is_deleting, key, key_of};
use super::documents::{self, CENTRAL, NAMESPACES, PASSWORD, SECRET, Target, Where};
use super::store::Store;
use super::world::{Event, World};
use crate::rng::Rng;

/// A lock of somebody else.
pub(crate) const FOREIGN: &str = "foreign";

/// What was done is undone later.
#[derive(Clone, Debug)]
pub(crate) enum Undo {
    Create(Value),
    Unpause(Key),
    Password(String),
    Unlock(String),
    /// The node answers again.
    FindNode(usize),
    /// Its pods are deleted, which it does not hear.
    DrainNode(usize),
    /// It is gone for good, and with it what ran there; another takes its place.
    RemoveNode(usize),
}

/// A configuration and what it should do.
#[derive(Clone, Debug)]
pub(crate) struct Configured {
    pub key: Key,
    pub at: Where,
    pub target: Target,
    pub keep: i64,
    pub manifest: Value,
}

#[derive(Default)]
pub(crate) struct Setup {
    pub configured: Vec<Configured>,
    pub repositories: Vec<Where>,
    /// By people, whatever the engine makes of it.
    pub deleted: BTreeSet<Key>,
    restores: usize,
}

pub(crate) fn address(bucket: &str) -> String {
    format!("s3:http://minio:9000/{bucket}")
}

impl Setup {
    pub(crate) fn make(
        rng: &mut Rng,
        large: bool,
        cluster: &mut Cluster,
        stores: &mut BTreeMap<String, Store>,
        now: Timestamp,
    ) -> Self {
        let mut setup = Self::default();
        let buckets = rng.between(1, 2);
        for namespace in NAMESPACES.into_iter().chain([CENTRAL]) {
            let bucket = format!("bucket-{}", rng.below(buckets));
            cluster.create(&documents::repository(namespace, "repo", &bucket), now);
            cluster.create(&documents::secret(namespace, PASSWORD), now);
            setup.repositories.push((namespace.to_owned(), "repo".to_owned(), bucket));
        }
        if rng.chance(300) {
            let store = stores.entry(address("bucket-0")).or_default();
            store.password = Some(PASSWORD.to_owned());
            (0..3).for_each(|_| store.legacy("host-0", "/legacy"));
        }
        let count = if large { 50 } else { rng.between(1, 3) };
        for number in 0..count {
            setup.configure(rng, large, number, cluster, now);
        }
        setup
    }

    fn configure(&mut self, rng: &mut Rng, large: bool, number: usize, cluster: &mut Cluster, now: Timestamp) {
        let namespace = NAMESPACES[rng.below(2)];
        let place = if rng.chance(300) { CENTRAL } else { namespace };
        let Some(repository) = self.repositories.iter().find(|one| one.0 == place).cloned() else { return };
        let stateful = !large && rng.chance(250);
        let target = Target { namespace: namespace.to_owned(), name: format!("data-{number}"), stateful };
        if stateful {
            cluster.create(&documents::stateful_set(namespace, &target.name), now);
        } else {
            cluster.create(&documents::claim(namespace, &target.name), now);
        }
        let keep = i64::try_from(rng.between(1, 3)).unwrap_or(1);
        let schedule = if large { "*/30 * * * *" } else { ["*/4 * * * *", "*/6 * * * *", "*/7 * * * *"][rng.below(3)] };
        let mut spec = json!({"schedule": schedule, "target": target.spec(),
            "repository": {"name": repository.1, "namespace": repository.0},
            "retentionPolicy": {"name": "some", "keepLast": keep, "prune": true}});
        if rng.chance(300) {
            spec["timeOut"] = json!(["60s", "5m"][rng.below(2)]);
        }
        if rng.chance(300) {
            spec["retryConfig"] = json!({"maxRetry": rng.between(1, 2), "delay": "30s"});
        }
        if rng.chance(400) {
            spec["backupHistoryLimit"] = json!(rng.below(4));
        }
        if rng.chance(200) {
            spec["interimVolumeTemplate"] =
                json!({"metadata": {"name": "interim"}, "spec": {"accessModes": ["ReadWriteOnce"]}});
        }
        let manifest = json!({"apiVersion": "stash.appscode.com/v1beta1", "kind": "BackupConfiguration",
            "metadata": {"name": format!("c{number}"), "namespace": namespace}, "spec": spec});
        cluster.create(&manifest, now);
        let key = key_of(&manifest);
        self.configured.push(Configured { key, at: repository, target, keep, manifest });
    }
}

impl World {
    /// One thing that somebody does.
    pub(crate) fn act(&mut self) {
        match self.rng.below(21) {
            0 | 1 => self.delete_some("pod deleted", "Pod", None),
            2 => self.delete_some("Job deleted", "Job", Some(Propagation::Background)),
            3 => self.delete_some("Job deleted", "Job", Some(Propagation::Foreground)),
            4 => self.delete_some("session deleted", "BackupSession", None),
            5 => self.delete_some("session deleted", "BackupSession", Some(Propagation::Foreground)),
            6 => self.delete_some("CronJob deleted", "CronJob", None),
            7 => self.delete_some("ServiceAccount deleted", "ServiceAccount", None),
            8 => self.delete_some("RoleBinding deleted", "RoleBinding", None),
            9 => self.delete_and_bring_back("configuration deleted", "BackupConfiguration"),
            10 => self.delete_and_bring_back("Repository deleted", "Repository"),
            11 => self.delete_and_bring_back("Secret deleted", "Secret"),
            12 => self.pause(),
            13 => self.wrong_password(),
            14 => self.foreign_lock(),
            15 => self.lose_some_node(),
            16 | 17 => self.restore_some(),
            18 => self.delete_some("restore deleted", "RestoreSession", None),
            19 => self.set_clock(),
            _ => self.drift(),
        }
        self.settle();
    }

    fn some(&mut self, kind: &str) -> Option<Key> {
        // The newest are what something runs for.
        let mut all: Vec<(Timestamp, Key)> = self
            .cluster
            .of_kind(kind)
            .filter(|(_, object)| !is_deleting(object))
            .map(|(key, object)| {
                (super::cluster::time_at(object, "/metadata/creationTimestamp").unwrap_or(Timestamp::MIN), key.clone())
            })
            .collect();
        all.sort();
        let last = all.len().saturating_sub(3);
        let from = if self.rng.chance(800) { last } else { 0 };
        self.rng.pick(&all[from..]).map(|(_, key)| key.clone())
    }

    fn happened(&mut self, name: &'static str, about: &Key) {
        self.counts.fault(name);
        let about = about.clone();
        self.note(|| format!("fault: {name}: {} {}/{}", about.0, about.1, about.2));
    }

    fn delete_some(&mut self, name: &'static str, kind: &str, propagation: Option<Propagation>) {
        let Some(key) = self.some(kind) else { return };
        self.happened(name, &key);
        self.setup.deleted.insert(key.clone());
        let _ = self.cluster.delete(&key, None, propagation.unwrap_or(Propagation::Background), self.time);
    }

    fn later(&mut self, low: i64, high: i64, undo: Undo) {
        let low = usize::try_from(low).unwrap_or(0);
        let high = usize::try_from(high).unwrap_or(0);
        let seconds = i64::try_from(self.rng.between(low, high)).unwrap_or(1);
        self.at(self.time + SignedDuration::from_secs(seconds), Event::Undo(undo));
    }

    fn delete_and_bring_back(&mut self, name: &'static str, kind: &str) {
        let Some(key) = self.some(kind) else { return };
        let Some(live) = self.cluster.get(&key).cloned() else { return };
        if live.pointer("/metadata/ownerReferences").is_some() {
            return;
        }
        self.happened(name, &key);
        self.setup.deleted.insert(key.clone());
        let mut again = json!({"apiVersion": live["apiVersion"], "kind": live["kind"],
            "metadata": {"name": key.2, "namespace": key.1}});
        for part in ["spec", "data"] {
            if let Some(value) = live.get(part) {
                again[part] = value.clone();
            }
        }
        if kind == "Secret" {
            again["data"]["RESTIC_PASSWORD"] = json!(PASSWORD);
        }
        if kind == "BackupConfiguration" {
            again["spec"]["paused"] = json!(false);
        }
        self.delete_quietly(&key);
        self.later(5, 200, Undo::Create(again));
    }

    fn pause(&mut self) {
        let Some(key) = self.some("BackupConfiguration") else { return };
        self.happened("configuration paused", &key);
        self.cluster.edit(&key, |object| object["spec"]["paused"] = json!(true));
        self.later(20, 400, Undo::Unpause(key));
    }

    fn wrong_password(&mut self) {
        let index = self.rng.below(self.setup.repositories.len());
        let namespace = self.setup.repositories[index].0.clone();
        let secret = key("Secret", &namespace, SECRET);
        // Who makes the repository says what its password is.
        let made = |one: &Where| self.stores.get(&address(&one.2)).is_some_and(|store| store.password.is_some());
        if !self.setup.repositories.iter().all(made) {
            return;
        }
        self.happened("wrong password", &secret);
        self.cluster.edit(&secret, |object| object["data"]["RESTIC_PASSWORD"] = json!("wrong"));
        self.later(20, 300, Undo::Password(namespace));
    }

    fn foreign_lock(&mut self) {
        let made: Vec<String> =
            self.stores.iter().filter(|(_, store)| store.password.is_some()).map(|(at, _)| at.clone()).collect();
        let Some(address) = self.rng.pick(&made).cloned() else { return };
        let exclusive = self.rng.chance(500);
        self.happened("repository locked", &key("Store", "", &address));
        if let Some(store) = self.stores.get_mut(&address) {
            store.locks.insert(FOREIGN.to_owned(), exclusive);
        }
        self.later(20, 300, Undo::Unlock(address));
    }

    fn lose_some_node(&mut self) {
        if self.lost.iter().any(|lost| *lost) {
            return;
        }
        let node = self.rng.below(2);
        let off = self.rng.chance(500);
        self.happened("node lost", &key("Node", "", if off { "off" } else { "cut off" }));
        self.lose_node(node, off);
        self.later(300, 300, Undo::DrainNode(node));
        if self.rng.chance(500) {
            self.later(30, 900, Undo::FindNode(node));
        } else {
            self.later(900, 1500, Undo::RemoveNode(node));
        }
    }

    fn restore_some(&mut self) {
        let index = self.rng.below(self.setup.configured.len());
        let configured = self.setup.configured[index].clone();
        self.setup.restores += 1;
        let name = format!("restore-{}", self.setup.restores);
        let manifest = documents::restore(&configured.key.1, &name, &configured.at, &configured.target);
        self.happened("restore", &key_of(&manifest));
        self.cluster.create(&manifest, self.time);
    }

    fn set_clock(&mut self) {
        if self.rng.chance(500) {
            let minutes = i64::try_from(self.rng.between(1, 8)).unwrap_or(1);
            self.skew = SignedDuration::from_mins(minutes);
            self.happened("clock forward", &key("Clock", "", ""));
        } else {
            let seconds = i64::try_from(self.rng.between(1, 300)).unwrap_or(1);
            self.skew = -SignedDuration::from_secs(seconds);
            self.happened("clock back", &key("Clock", "", ""));
        }
        self.poke(1);
    }

    /// Somebody edits what is ours.
    fn drift(&mut self) {
        let Some(key) = self.some("CronJob") else { return };
        self.happened("drift", &key);
        self.cluster.edit(&key, |object| object["spec"]["schedule"] = json!("0 0 1 1 *"));
    }

    pub(crate) fn undo(&mut self, undo: Undo) {
        self.note(|| format!("undone: {}", named(&undo)));
        match undo {
            Undo::Create(manifest) => {
                if let (live, true) = self.cluster.create(&manifest, self.time)
                    && is_deleting(&live)
                {
                    self.soon(5000, 9000, Event::Undo(Undo::Create(manifest)));
                }
            }
            Undo::Unpause(key) => {
                self.cluster.edit(&key, |object| object["spec"]["paused"] = json!(false));
            }
            Undo::Password(namespace) => {
                let key = key("Secret", &namespace, SECRET);
                self.cluster.edit(&key, |object| object["data"]["RESTIC_PASSWORD"] = json!(PASSWORD));
            }
            Undo::Unlock(address) => {
                if let Some(store) = self.stores.get_mut(&address) {
                    store.locks.remove(FOREIGN);
                }
            }
            Undo::FindNode(node) => self.find_node(node),
            Undo::DrainNode(node) => self.drain_node(node),
            Undo::RemoveNode(node) => {
                self.lose_node(node, true);
                self.drain_node(node);
                self.find_node(node);
            }
        }
    }
}

fn named(undo: &Undo) -> String {
    match undo {
        Undo::Create(manifest) => format!("{} is made anew", at(manifest, "/metadata/name")),
        other => format!("{other:?}"),
    }
}
