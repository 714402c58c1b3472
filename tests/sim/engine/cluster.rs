//! The API server as far as the engine can tell: versions, UIDs, generations, finalizers, owners and ways to delete.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast::control::engine::deed::Propagation;
use holdfast::model::facts::FactKind;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Kind, namespace and name.
pub(crate) type Key = (String, String, String);

/// Holds an object until what belongs to it is gone.
const FOREGROUND: &str = "foregroundDeletion";
/// Stands for the time that a kubelet needs to stop a pod.
pub(crate) const KUBELET: &str = "sim/kubelet";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Missing,
    Conflict,
}

/// What became of an object.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub key: Key,
    pub before: Option<Arc<Value>>,
    /// None: it is gone.
    pub after: Option<Arc<Value>>,
}

#[derive(Default)]
pub(crate) struct Cluster {
    objects: BTreeMap<Key, Arc<Value>>,
    history: BTreeMap<FactKind, Vec<Change>>,
    /// What the controllers and the oracle have not seen yet.
    pub fresh: Vec<Change>,
    version: u64,
    uids: u64,
}

pub(crate) fn key(kind: &str, namespace: &str, name: &str) -> Key {
    (kind.to_owned(), namespace.to_owned(), name.to_owned())
}

pub(crate) fn key_of(object: &Value) -> Key {
    key(at(object, "/kind"), at(object, "/metadata/namespace"), at(object, "/metadata/name"))
}

/// The text at a place, empty without.
pub(crate) fn at<'v>(object: &'v Value, pointer: &str) -> &'v str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn time_at(object: &Value, pointer: &str) -> Option<Timestamp> {
    at(object, pointer).parse().ok()
}

pub(crate) fn finalizers(object: &Value) -> Vec<String> {
    let list = object.pointer("/metadata/finalizers").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

pub(crate) fn has_finalizer(object: &Value, name: &str) -> bool {
    finalizers(object).iter().any(|one| one == name)
}

pub(crate) fn is_deleting(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

pub(crate) fn annotation<'v>(object: &'v Value, name: &str) -> Option<&'v str> {
    object.pointer("/metadata/annotations")?.get(name)?.as_str()
}

pub(crate) fn is_owned_by(object: &Value, uid: &str) -> bool {
    owners(object).any(|owner| at(owner, "/uid") == uid)
}

fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    object.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten()
}

/// Kubernetes' times have whole seconds.
pub(crate) fn stamp(now: Timestamp) -> String {
    Timestamp::from_second(now.as_second()).expect("a time").to_string()
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

impl Cluster {
    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        let first = key(kind, "", "");
        let kind = kind.to_owned();
        self.objects.range(first..).take_while(move |(key, _)| key.0 == kind)
    }

    pub(crate) fn objects(&self) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        self.objects.iter()
    }

    pub(crate) fn history(&self, kind: FactKind) -> &[Change] {
        self.history.get(&kind).map_or(&[], Vec::as_slice)
    }

    fn put(&mut self, key: Key, object: Option<Value>) -> Option<Arc<Value>> {
        let before = self.objects.get(&key).cloned();
        let after = object.map(|mut object| {
            self.version += 1;
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            Arc::new(object)
        });
        match &after {
            Some(object) => self.objects.insert(key.clone(), Arc::clone(object)),
            None => self.objects.remove(&key),
        };
        let change = Change { key, before, after: after.clone() };
        if let Some(kind) = FactKind::ALL.into_iter().find(|kind| kind.as_str() == change.key.0) {
            self.history.entry(kind).or_default().push(change.clone());
        }
        self.fresh.push(change);
        after
    }

    /// A create; the second part says whether it was there already.
    pub(crate) fn create(&mut self, manifest: &Value, now: Timestamp) -> (Arc<Value>, bool) {
        let key = key_of(manifest);
        if let Some(live) = self.objects.get(&key) {
            return (Arc::clone(live), true);
        }
        let mut object = manifest.clone();
        self.uids += 1;
        object["metadata"]["uid"] = json!(format!("00000000-0000-4000-8000-{:012}", self.uids));
        object["metadata"]["creationTimestamp"] = json!(stamp(now));
        object["metadata"]["generation"] = json!(1);
        (self.put(key, Some(object)).expect("it was just put there"), false)
    }

    /// Makes an object, or puts what is wanted into the live one.
    pub(crate) fn apply(&mut self, manifest: &Value, now: Timestamp) -> Arc<Value> {
        let key = key_of(manifest);
        match self.objects.get(&key) {
            Some(_) => self.edit(&key, |object| merge(object, manifest)).expect("it is there"),
            None => self.create(manifest, now).0,
        }
    }

    /// Any change; an object that is being deleted and has no finalizer left goes.
    pub(crate) fn edit(&mut self, key: &Key, change: impl FnOnce(&mut Value)) -> Option<Arc<Value>> {
        let before = Arc::clone(self.objects.get(key)?);
        let mut object = (*before).clone();
        change(&mut object);
        if object == *before {
            return Some(before);
        }
        if object.get("spec") != before.get("spec") {
            let generation = before["metadata"]["generation"].as_i64().unwrap_or(0);
            object["metadata"]["generation"] = json!(generation + 1);
        }
        if is_deleting(&object) && finalizers(&object).is_empty() {
            self.put(key.clone(), None);
            return None;
        }
        self.put(key.clone(), Some(object))
    }

    /// An edit of exactly the version that was read.
    pub(crate) fn edit_version(
        &mut self,
        key: &Key,
        uid: Option<&str>,
        version: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Option<Arc<Value>>, Refused> {
        let live = self.objects.get(key).ok_or(Refused::Missing)?;
        let is_other = uid.is_some_and(|uid| uid != at(live, "/metadata/uid"));
        if is_other || at(live, "/metadata/resourceVersion") != version {
            return Err(Refused::Conflict);
        }
        Ok(self.edit(key, change))
    }

    pub(crate) fn delete(
        &mut self,
        key: &Key,
        uid: Option<&str>,
        propagation: Propagation,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let live = Arc::clone(self.objects.get(key).ok_or(Refused::Missing)?);
        if uid.is_some_and(|uid| uid != at(&live, "/metadata/uid")) {
            return Err(Refused::Conflict);
        }
        let mut held = finalizers(&live);
        let mut keep_by = |name: &str| {
            if !held.iter().any(|one| one == name) {
                held.push(name.to_owned());
            }
        };
        if propagation == Propagation::Foreground {
            keep_by(FOREGROUND);
        }
        let is_finished = matches!(at(&live, "/status/phase"), "Succeeded" | "Failed");
        if key.0 == "Pod" && !at(&live, "/spec/nodeName").is_empty() && !is_finished && !is_deleting(&live) {
            keep_by(KUBELET);
        }
        if held.is_empty() {
            self.put(key.clone(), None);
            return Ok(());
        }
        self.edit(key, |object| {
            object["metadata"]["finalizers"] = json!(held);
            if !is_deleting(object) {
                object["metadata"]["deletionTimestamp"] = json!(stamp(now));
            }
        });
        Ok(())
    }

    pub(crate) fn drop_finalizer(&mut self, key: &Key, name: &str) {
        self.edit(key, |object| {
            if has_finalizer(object, name) {
                let left: Vec<String> = finalizers(object).into_iter().filter(|one| one != name).collect();
                object["metadata"]["finalizers"] = json!(left);
            }
        });
    }

    fn owner_is_there(&self, namespace: &str, owner: &Value) -> Option<&Arc<Value>> {
        let key = key(at(owner, "/kind"), namespace, at(owner, "/name"));
        self.objects.get(&key).filter(|live| at(live, "/metadata/uid") == at(owner, "/uid"))
    }

    /// One round of the garbage collector; true if there may be more.
    pub(crate) fn collect(&mut self, now: Timestamp) -> bool {
        let orphans: Vec<Key> = self
            .objects
            .iter()
            .filter(|(_, object)| !is_deleting(object) && owners(object).next().is_some())
            .filter(|(key, object)| {
                owners(object).all(|owner| {
                    self.owner_is_there(&key.1, owner)
                        .is_none_or(|live| is_deleting(live) && has_finalizer(live, FOREGROUND))
                })
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in &orphans {
            let _ = self.delete(key, None, Propagation::Background, now);
        }
        let waiting: Vec<(Key, String)> = self
            .objects
            .iter()
            .filter(|(_, object)| is_deleting(object) && has_finalizer(object, FOREGROUND))
            .map(|(key, object)| (key.clone(), at(object, "/metadata/uid").to_owned()))
            .collect();
        let mut freed = false;
        for (key, uid) in waiting {
            let blocks = |object: &Value| {
                owners(object).any(|owner| at(owner, "/uid") == uid && owner["blockOwnerDeletion"] == json!(true))
            };
            if !self.objects.values().any(|object| blocks(object)) {
                self.drop_finalizer(&key, FOREGROUND);
                freed = true;
            }
        }
        freed || !orphans.is_empty()
    }
}
