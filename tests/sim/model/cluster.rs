//! The API server: requests with preconditions, versions, finalizers, namespaces, and the history that watches bring.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast::model::observed::Watched;
use holdfast::schema::{self, IssueKind};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::merge;
use super::object::Object;

/// Collection, namespace (empty for a cluster-scoped kind) and name.
pub(crate) type Key = (Watched, String, String);

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Missing,
    Conflict(String),
    Invalid(String),
    Forbidden(String),
}

/// What a request left behind.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub created: bool,
    pub object: Arc<Value>,
}

/// One event of a watch; `None` when the object is gone.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub namespace: String,
    pub name: String,
    pub object: Option<Arc<Value>>,
}

#[derive(Default)]
pub(crate) struct Cluster {
    objects: BTreeMap<Key, (Object, Arc<Value>)>,
    history: BTreeMap<Watched, Vec<Change>>,
    version: u64,
}

impl Cluster {
    pub(crate) fn get(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key).map(|(object, _)| object)
    }

    pub(crate) fn objects(&self) -> impl Iterator<Item = (&Key, &Object)> {
        self.objects.iter().map(|(key, (object, _))| (key, object))
    }

    pub(crate) fn list(&self, watched: Watched) -> Vec<Arc<Value>> {
        self.objects
            .iter()
            .filter(|((kind, _, _), _)| *kind == watched)
            .map(|(_, (_, wire))| Arc::clone(wire))
            .collect()
    }

    pub(crate) fn history(&self, watched: Watched) -> &[Change] {
        self.history.get(&watched).map_or(&[], Vec::as_slice)
    }

    /// Server-side apply.
    pub(crate) fn apply(
        &mut self,
        key: &Key,
        intent: &Value,
        manager: &str,
        force: bool,
        now: Timestamp,
    ) -> Result<Written, Refused> {
        let intent = admitted(intent)?;
        let uid = intent["metadata"]["uid"].as_str();
        let Some(live) = self.get(key).cloned() else {
            if uid.is_some() {
                return Err(Refused::Conflict("the object that was meant does not exist".to_owned()));
            }
            self.may_create(key)?;
            let bare = self.bare(key, now);
            let object = merge::apply(&bare, &intent, manager, force)
                .map_err(|_| Refused::Invalid("nobody else is there".to_owned()))?;
            return Ok(Written { created: true, object: self.store(key, object, None) });
        };
        if uid.is_some_and(|uid| uid != live.uid()) {
            return Err(Refused::Conflict("another object has the name".to_owned()));
        }
        let next = merge::apply(&live, &intent, manager, force)
            .map_err(|merge::Conflict(paths)| Refused::Conflict(format!("{} fields belong to others", paths.len())))?;
        Ok(Written { created: false, object: self.store(key, next, Some(&live)) })
    }

    /// A plain create by somebody.
    pub(crate) fn create(
        &mut self,
        key: &Key,
        value: &Value,
        manager: &str,
        now: Timestamp,
    ) -> Result<Written, Refused> {
        if self.objects.contains_key(key) {
            return Err(Refused::Conflict("it exists".to_owned()));
        }
        self.may_create(key)?;
        let mut made = self.bare(key, now).value;
        let value = admitted(value)?;
        for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
            if let Some(given) = value["metadata"].get(field) {
                made["metadata"][field] = given.clone();
            }
        }
        if let Some(spec) = value.get("spec") {
            made["spec"] = spec.clone();
        }
        Ok(Written { created: true, object: self.store(key, merge::made(made, manager), None) })
    }

    /// A plain change by somebody.
    pub(crate) fn edit(
        &mut self,
        key: &Key,
        manager: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Arc<Value>, Refused> {
        let live = self.get(key).cloned().ok_or(Refused::Missing)?;
        let mut value = live.value.clone();
        change(&mut value);
        let next = merge::update(&live, value, manager);
        let wire = self.store(key, next, Some(&live));
        let released = self.get(key).is_some_and(|object| object.is_deleting() && finalizers(object) == 0);
        if released {
            self.drop(key);
        }
        Ok(wire)
    }

    /// A delete, of exactly this object where a UID or version is given.
    pub(crate) fn delete(
        &mut self,
        key: &Key,
        uid: Option<&str>,
        version: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let live = self.get(key).cloned().ok_or(Refused::Missing)?;
        if uid.is_some_and(|uid| uid != live.uid()) || version.is_some_and(|version| version != live.version()) {
            return Err(Refused::Conflict("it is not the object that was meant".to_owned()));
        }
        if key.0 == Watched::Namespace || finalizers(&live) > 0 {
            if !live.is_deleting() {
                let mut next = live.clone();
                next.value["metadata"]["deletionTimestamp"] = json!(now.to_string());
                self.store(key, next, Some(&live));
            }
            return Ok(());
        }
        self.drop(key);
        Ok(())
    }

    /// Takes away one object of a namespace that ends, or the namespace itself; true while there is more to do.
    pub(crate) fn finish_namespace(&mut self, name: &str) -> bool {
        let inside = self.objects.keys().find(|(_, namespace, _)| namespace == name).cloned();
        let ends = inside.is_none();
        self.drop(&inside.unwrap_or_else(|| (Watched::Namespace, String::new(), name.to_owned())));
        !ends
    }

    fn may_create(&self, key: &Key) -> Result<(), Refused> {
        if key.1.is_empty() {
            return Ok(());
        }
        match self.get(&(Watched::Namespace, String::new(), key.1.clone())) {
            None => Err(Refused::Missing),
            Some(namespace) if namespace.is_deleting() => {
                Err(Refused::Forbidden("the namespace is being deleted".to_owned()))
            }
            Some(_) => Ok(()),
        }
    }

    fn bare(&mut self, (watched, namespace, name): &Key, now: Timestamp) -> Object {
        self.version += 1;
        let time = Timestamp::from_second(now.as_second()).unwrap_or(now).to_string();
        let mut value = json!({"apiVersion": watched.api_version(), "kind": watched.kind(), "metadata": {
            "name": name, "uid": format!("uid-{}", self.version), "creationTimestamp": time, "generation": 1}});
        if !namespace.is_empty() {
            value["metadata"]["namespace"] = json!(namespace);
        }
        Object { value, managers: BTreeMap::new() }
    }

    /// Keeps the object with the next version, unless nothing changed.
    fn store(&mut self, key: &Key, mut object: Object, live: Option<&Object>) -> Arc<Value> {
        if live == Some(&object) {
            return self.objects.get(key).map(|(_, wire)| Arc::clone(wire)).unwrap_or_default();
        }
        self.version += 1;
        object.value["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if let Some(live) = live.filter(|live| live.value.get("spec") != object.value.get("spec")) {
            object.value["metadata"]["generation"] =
                json!(live.value["metadata"]["generation"].as_i64().unwrap_or(1) + 1);
        }
        let wire = Arc::new(object.wire());
        self.objects.insert(key.clone(), (object, Arc::clone(&wire)));
        self.tell(key, Some(Arc::clone(&wire)));
        wire
    }

    fn drop(&mut self, key: &Key) {
        if self.objects.remove(key).is_some() {
            self.version += 1;
            self.tell(key, None);
        }
    }

    fn tell(&mut self, (watched, namespace, name): &Key, object: Option<Arc<Value>>) {
        let change = Change { namespace: namespace.clone(), name: name.clone(), object };
        self.history.entry(*watched).or_default().push(change);
    }
}

/// The object as the server takes it in, if its schema allows it.
fn admitted(value: &Value) -> Result<Value, Refused> {
    let mut value = value.clone();
    let named = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let Some(crd) = schema::shipped(&named("apiVersion"), &named("kind")) else { return Ok(value) };
    // An intent without `spec` takes fields back and is judged by what is left; that is always what was there before.
    if value.get("spec").is_some()
        && let Some(issue) = crd.check(&value).into_iter().find(|issue| issue.kind != IssueKind::UnknownField)
    {
        return Err(Refused::Invalid(issue.message));
    }
    crd.prune(&mut value);
    crd.drop_nulls(&mut value);
    Ok(value)
}

fn finalizers(object: &Object) -> usize {
    object.value["metadata"]["finalizers"].as_array().map_or(0, Vec::len)
}
