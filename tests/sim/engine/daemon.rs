//! The shell around the engine: watches that lag, requests that fail or whose answers are lost, and crashes between any two.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use holdfast::control::engine::Engine;
use holdfast::control::engine::deed::{Deed, Write};
use holdfast::control::engine::look::{Look, Seen};
use holdfast::control::engine::world::Settings;
use holdfast::model::applied::FailureClass;
use holdfast::model::facts::{FactKey, FactKind, Facts};
use holdfast::model::observed::Observed;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cluster::{Cluster, Key, Refused, at, key};
use super::documents::{CENTRAL, NAMESPACES, namespace};
use super::world::{Event, World};

/// Passes within a second of which there is no end.
const PASSES_MAX: u32 = 400;

pub(crate) struct Daemon {
    pub life: u32,
    pub alive: bool,
    pub engine: Engine,
    pub facts: Facts,
    pub observed: Observed,
    positions: BTreeMap<FactKind, usize>,
    watching: BTreeSet<FactKind>,
    lanes: BTreeMap<FactKey, VecDeque<Deed>>,
    asked: BTreeSet<Look>,
    pass_at: Option<Timestamp>,
    second: (i64, u32),
}

pub(crate) fn key_for(fact: &FactKey) -> Key {
    key(fact.kind.as_str(), &fact.namespace, &fact.name)
}

impl Daemon {
    pub(crate) fn new(life: u32, cluster: &Cluster, settings: &Settings, now: Timestamp) -> Self {
        let mut facts = Facts::default();
        let mut positions = BTreeMap::new();
        for kind in FactKind::ALL {
            for (_, object) in cluster.of_kind(kind.as_str()) {
                facts.upsert(object);
            }
            facts.set_complete(kind, true);
            positions.insert(kind, cluster.history(kind).len());
        }
        let mut observed = Observed::default();
        for name in NAMESPACES.into_iter().chain([CENTRAL, "kube-system"]) {
            observed.upsert(&namespace(name));
        }
        for kind in ["PersistentVolumeClaim", "StatefulSet"] {
            for (_, object) in cluster.of_kind(kind) {
                observed.upsert(object);
            }
        }
        Self {
            life,
            alive: true,
            engine: Engine::new(settings.clone(), now),
            facts,
            observed,
            positions,
            watching: BTreeSet::new(),
            lanes: BTreeMap::new(),
            asked: BTreeSet::new(),
            pass_at: None,
            second: (0, 0),
        }
    }

    /// Nothing is under way, nor about to be.
    pub(crate) fn is_idle(&self, cluster: &Cluster, time: Timestamp) -> bool {
        if self.pass_at.is_some_and(|at| at <= time + SignedDuration::from_secs(1)) {
            return false;
        }
        let is_up_to_date = self.positions.iter().all(|(kind, position)| cluster.history(*kind).len() == *position);
        self.alive && self.lanes.is_empty() && self.asked.is_empty() && is_up_to_date
    }
}

impl World {
    fn lives(&self, life: u32) -> bool {
        self.daemon.alive && self.daemon.life == life
    }

    /// A pass after so many milliseconds at the latest.
    pub(crate) fn poke(&mut self, millis: i64) {
        let at = self.time + SignedDuration::from_millis(millis);
        self.pass_at(at);
    }

    fn pass_at(&mut self, at: Timestamp) {
        let at = at.max(self.time);
        if self.daemon.alive && self.daemon.pass_at.is_none_or(|known| at < known) {
            self.daemon.pass_at = Some(at);
            self.at(at, Event::Pass(self.daemon.life));
        }
    }

    pub(crate) fn pass(&mut self, life: u32) {
        if !self.lives(life) || self.daemon.pass_at != Some(self.time) {
            return;
        }
        self.daemon.pass_at = None;
        if !self.daemon.lanes.is_empty() {
            return;
        }
        let now = self.clock();
        self.count_pass();
        let daemon = &mut self.daemon;
        let pass = daemon.engine.pass(&daemon.facts, &daemon.observed, now);
        for deed in pass.deeds {
            daemon.lanes.entry(deed.of.clone()).or_default().push_back(deed);
        }
        let looks: Vec<Look> = pass.looks.into_iter().filter(|look| daemon.asked.insert(look.clone())).collect();
        let has_deeds = !daemon.lanes.is_empty();
        for look in looks {
            self.soon(2, 150, Event::Look(life, look));
        }
        if has_deeds {
            self.soon(1, 60, Event::Deed(life));
        }
        if let Some(at) = pass.wake_at {
            let at = at.saturating_sub(self.skew).unwrap_or(self.time);
            self.pass_at(at.max(self.time + SignedDuration::from_millis(1)));
        }
    }

    fn count_pass(&mut self) {
        self.counts.effect("pass");
        let second = self.time.as_second();
        let (known, count) = self.daemon.second;
        self.daemon.second = if known == second { (known, count + 1) } else { (second, 1) };
        if self.daemon.second.1 > PASSES_MAX {
            self.oracle.broken(format!("{PASSES_MAX} passes within a second"));
        }
    }

    pub(crate) fn watch_soon(&mut self, kind: FactKind) {
        if !self.daemon.alive || !self.daemon.watching.insert(kind) {
            return;
        }
        let life = self.daemon.life;
        if self.fault("watch late", 25) {
            self.soon(2000, 30_000, Event::Watch(life, kind));
        } else {
            self.soon(2, 200, Event::Watch(life, kind));
        }
    }

    pub(crate) fn watch(&mut self, life: u32, kind: FactKind) {
        if !self.lives(life) {
            return;
        }
        let daemon = &mut self.daemon;
        daemon.watching.remove(&kind);
        let position = daemon.positions.get(&kind).copied().unwrap_or(0);
        let changes = self.cluster.history(kind)[position..].to_vec();
        daemon.positions.insert(kind, position + changes.len());
        for change in changes {
            let fact = FactKey::new(kind, &change.key.1, &change.key.2);
            let news = match (&change.after, &change.before) {
                (Some(object), _) => {
                    self.oracle.unseen.remove(at(object, "/metadata/uid"));
                    daemon.facts.upsert(object)
                }
                (None, Some(object)) => {
                    // Of an object that was made anew meanwhile the answer has told.
                    let is_same = daemon.facts.get(&fact).is_some_and(|known| known.uid == at(object, "/metadata/uid"));
                    is_same && daemon.facts.remove(&fact)
                }
                (None, None) => false,
            };
            if news {
                daemon.engine.changed(&daemon.facts, &fact);
            }
        }
        self.poke(5);
    }

    pub(crate) fn look(&mut self, life: u32, look: Look) {
        if !self.lives(life) {
            return;
        }
        self.daemon.asked.remove(&look);
        self.counts.effect("look");
        let seen = if self.fault("look failed", 20) {
            Seen::Unknown("the server is busy".to_owned())
        } else {
            self.see(&look)
        };
        let now = self.clock();
        self.note(|| format!("looks: {look:?}"));
        self.daemon.engine.seen(look, seen, now);
        self.poke(1);
    }

    pub(crate) fn see(&self, look: &Look) -> Seen {
        let list = |kind: &str, namespace: &str| {
            let all = self.cluster.of_kind(kind).filter(|(key, _)| key.1 == namespace);
            Seen::Found(Value::Array(all.map(|(_, object)| (**object).clone()).collect()))
        };
        match look {
            Look::Secret { namespace, name } => match self.cluster.get(&key("Secret", namespace, name)) {
                Some(live) => {
                    let names = live["data"].as_object().into_iter().flatten().map(|(name, _)| json!(name));
                    Seen::Found(names.collect())
                }
                None => Seen::Missing,
            },
            Look::Workload { kind, namespace, name } => match self.cluster.get(&key(kind, namespace, name)) {
                Some(live) => Seen::Found((**live).clone()),
                None => Seen::Missing,
            },
            Look::Pods { .. } => Seen::Found(json!([])),
            Look::Claims { namespace } => list("PersistentVolumeClaim", namespace),
            Look::Events { uid, .. } => Seen::Found(self.events.get(uid).cloned().unwrap_or_default().into()),
        }
    }

    fn crash(&mut self) {
        self.daemon.alive = false;
        self.note(|| "the daemon crashes".to_owned());
        self.soon(500, 60_000, Event::Restart);
    }

    /// One deed of a lane that chance picks.
    pub(crate) fn deed(&mut self, life: u32) {
        if !self.lives(life) {
            return;
        }
        let lanes: Vec<FactKey> = self.daemon.lanes.keys().cloned().collect();
        let Some(lane) = self.rng.pick(&lanes).cloned() else { return };
        let Some(deed) = self.daemon.lanes.get_mut(&lane).and_then(VecDeque::pop_front) else { return };
        if self.fault("crash before a deed", 4) {
            return self.crash();
        }
        self.note(|| spoken(&deed));
        self.counts.effect(name_of(&deed.write));
        let result = self.request(&deed.write);
        if self.fault("crash after a deed", 4) {
            return self.crash();
        }
        let now = self.clock();
        let daemon = &mut self.daemon;
        let over = match result {
            Ok(answer) => {
                if let Some(object) = answer
                    && daemon.facts.upsert(&object)
                    && let Some(fact) = FactKey::of(&object)
                {
                    daemon.engine.changed(&daemon.facts, &fact);
                }
                let over = daemon.lanes.get(&lane).is_none_or(VecDeque::is_empty);
                if over {
                    daemon.engine.succeeded(&lane);
                }
                over
            }
            Err(class) => {
                daemon.engine.failed(&lane, class, now);
                true
            }
        };
        if over {
            daemon.lanes.remove(&lane);
        }
        if self.daemon.lanes.is_empty() {
            self.poke(2);
        } else {
            self.soon(1, 60, Event::Deed(life));
        }
    }

    fn request(&mut self, write: &Write) -> Result<Option<Arc<Value>>, FailureClass> {
        if self.fault("request lost", 12) || self.fault("server error", 12) {
            return Err(FailureClass::Transient);
        }
        if let Some(key) = versioned(write)
            && self.fault("conflict", 25)
        {
            let number = self.rng.below(1_000_000);
            self.cluster.edit(&key, |object| {
                object["metadata"]["annotations"]["example.com/touched"] = json!(number.to_string());
            });
        }
        let result = self.carry_out(write);
        if let Ok(answer) = &result
            && self.fault("answer lost", 12)
        {
            if let Some(object) = answer {
                self.oracle.unseen.insert(at(object, "/metadata/uid").to_owned());
            }
            return Err(FailureClass::Transient);
        }
        result.map_err(|refused| match refused {
            Refused::Missing | Refused::Conflict => FailureClass::Conflict,
        })
    }

    fn carry_out(&mut self, write: &Write) -> Result<Option<Arc<Value>>, Refused> {
        let now = self.time;
        match write {
            Write::Create(manifest) => Ok(Some(self.cluster.create(manifest, now).0)),
            Write::Apply(manifest) => Ok(Some(self.cluster.apply(manifest, now))),
            Write::Status(document) => {
                let uid = at(document, "/metadata/uid").to_owned();
                let version = at(document, "/metadata/resourceVersion").to_owned();
                let key = super::cluster::key_of(document);
                let status = document["status"].clone();
                self.cluster.edit_version(&key, Some(&uid), &version, |object| object["status"] = status)
            }
            Write::Mark { key, resource_version, finalizers, annotations } => {
                self.cluster.edit_version(&key_for(key), None, resource_version, |object| {
                    if let Some(finalizers) = finalizers {
                        object["metadata"]["finalizers"] = json!(finalizers);
                    }
                    for (name, value) in annotations {
                        object["metadata"]["annotations"][name] = json!(value);
                    }
                })
            }
            Write::Project { manifest, from, keys } => {
                let source = self.cluster.get(&key("Secret", &from.0, &from.1)).cloned().ok_or(Refused::Missing)?;
                let mut copy = manifest.clone();
                for name in *keys {
                    if let Some(value) = source["data"].get(*name) {
                        copy["data"][name] = value.clone();
                    }
                }
                Ok(Some(self.cluster.create(&copy, now).0))
            }
            Write::Delete { key, uid, propagation } => {
                let key = key_for(key);
                match self.cluster.delete(&key, Some(uid), *propagation, now) {
                    Ok(()) | Err(Refused::Missing) => Ok(self.cluster.get(&key).cloned()),
                    Err(Refused::Conflict) => Err(Refused::Conflict),
                }
            }
        }
    }
}

/// What a write needs an exact version of.
fn versioned(write: &Write) -> Option<Key> {
    match write {
        Write::Status(document) => Some(super::cluster::key_of(document)),
        Write::Mark { key, .. } => Some(key_for(key)),
        Write::Create(_) | Write::Apply(_) | Write::Project { .. } | Write::Delete { .. } => None,
    }
}

fn name_of(write: &Write) -> &'static str {
    match write {
        Write::Create(_) => "create",
        Write::Apply(_) => "apply",
        Write::Status(_) => "status",
        Write::Mark { .. } => "mark",
        Write::Project { .. } => "project",
        Write::Delete { .. } => "delete",
    }
}

fn spoken(deed: &Deed) -> String {
    let about = match &deed.write {
        Write::Create(object) | Write::Apply(object) | Write::Project { manifest: object, .. } => {
            let (kind, namespace, name) = super::cluster::key_of(object);
            format!("{kind} {namespace}/{name}")
        }
        Write::Status(object) => {
            let (kind, namespace, name) = super::cluster::key_of(object);
            format!("{kind} {namespace}/{name} {}", object["status"])
        }
        Write::Mark { key, finalizers, annotations, .. } => format!("{} {finalizers:?} {annotations:?}", key.spoken()),
        Write::Delete { key, propagation, .. } => format!("{} {propagation:?}", key.spoken()),
    };
    format!("daemon, for {}: {} {about}", deed.of.spoken(), name_of(&deed.write))
}
