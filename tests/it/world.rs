//! A source and a cluster in memory: what the server does to an object that a plan writes, as far as planning can see it.

use std::collections::BTreeMap;
use std::path::Path;

use holdfast::model::delete_log::RecentDelete;
use holdfast::model::desired::Desired;
use holdfast::model::keys::FIELD_MANAGER;
use holdfast::model::observed::Observed;
use holdfast::model::plan::{Action, Plan, Step};
use holdfast::model::tree::{InputPaths, NoticeKind, Tree, TreeBuilder, TreeError};
use holdfast::plan::{Settings, plan};
use holdfast::yaml;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Files by path, as a tree that was read to its end.
pub(crate) fn tree<P: AsRef<str>, C: AsRef<[u8]>>(files: &[(P, C)]) -> Tree {
    let mut builder = TreeBuilder::new(InputPaths::default());
    for (path, content) in files {
        let (folders, name) = path.as_ref().rsplit_once('/').unwrap_or(("", path.as_ref()));
        let mut parent = String::new();
        let mut open = true;
        for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
            match builder.folder(&parent, folder.as_bytes()).unwrap() {
                Some(path) => parent = path,
                None => open = false,
            }
        }
        if let Some(slot) = open.then(|| builder.file(&parent, name.as_bytes()).unwrap()).flatten() {
            let content = content.as_ref();
            builder.fill::<TreeError>(slot, content.len() as u64, || Ok(content.to_vec())).unwrap();
        }
    }
    builder.finish(None).unwrap()
}

pub(crate) fn desired<P: AsRef<str>, C: AsRef<[u8]>>(files: &[(P, C)]) -> Desired {
    Desired::parse(&tree(files)).unwrap()
}

/// A folder on disk as a tree; links are noticed as they are in Git.
pub(crate) fn tree_of_folder(root: &Path) -> Tree {
    let mut builder = TreeBuilder::new(InputPaths::default());
    if root.exists() {
        walk(&mut builder, root, "");
    }
    builder.finish(None).unwrap()
}

fn walk(builder: &mut TreeBuilder, folder: &Path, parent: &str) {
    let ignore = folder.join(".holdfastignore");
    if ignore.exists() {
        builder.exclude(parent, Some(&std::fs::read(ignore).unwrap())).unwrap();
    }
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_str().unwrap().as_bytes();
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            builder.link(parent, name, NoticeKind::Symlink).unwrap();
        } else if kind.is_dir() {
            if let Some(path) = builder.folder(parent, name).unwrap() {
                walk(builder, &entry.path(), &path);
            }
        } else if let Some(slot) = builder.file(parent, name).unwrap() {
            let content = std::fs::read(entry.path()).unwrap();
            builder.fill::<TreeError>(slot, content.len() as u64, || Ok(content)).unwrap();
        }
    }
}

/// A cluster as its dump, and what was deleted from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cluster {
    pub documents: Vec<Value>,
    pub deletes: Vec<RecentDelete>,
    writes: u32,
}

impl Cluster {
    pub(crate) fn parse(text: &str) -> Self {
        let documents = yaml::parse(text.as_bytes(), &yaml::Limits::default()).unwrap();
        Self::of(documents.into_iter().map(|document| document.value).collect())
    }

    pub(crate) fn of(documents: Vec<Value>) -> Self {
        Self { documents, ..Self::default() }
    }

    pub(crate) fn observed(&self) -> Observed {
        Observed { recent_deletes: self.deletes.clone(), ..Observed::of_dump(&self.documents) }
    }

    pub(crate) fn plan(&self, desired: &Desired, settings: &Settings, now: Timestamp) -> Plan {
        plan(desired, &self.observed(), settings, now)
    }

    pub(crate) fn apply(&mut self, plan: &Plan) {
        for step in &plan.steps {
            self.take(step, plan.now);
        }
    }

    /// What the server makes of one step, by server-side apply with force.
    pub(crate) fn take(&mut self, step: &Step, now: Timestamp) {
        self.writes += 1;
        let version = format!("{}", 1000 + self.writes);
        match &step.action {
            Action::Create { manifest } => {
                assert!(self.find(step).is_none(), "{} is created, but it exists", step.object);
                let mut object = manifest.clone();
                object["metadata"]["uid"] = format!("uid-of-write-{}", self.writes).into();
                object["metadata"]["resourceVersion"] = version.into();
                object["metadata"]["generation"] = 1.into();
                object["metadata"]["managedFields"] = json!([entry(manifest)]);
                self.documents.push(object);
            }
            Action::Update { manifest, uid, .. } => {
                let object = self.find(step).unwrap_or_else(|| panic!("{} is updated, but it is gone", step.object));
                assert_eq!(object["metadata"]["uid"].as_str().unwrap_or_default(), uid, "{}", step.object);
                applied(object, manifest);
                object["metadata"]["resourceVersion"] = version.into();
            }
            Action::Delete { uid, .. } => {
                let object = self.find(step).unwrap_or_else(|| panic!("{} is deleted, but it is gone", step.object));
                assert_eq!(object["metadata"]["uid"].as_str().unwrap_or_default(), uid, "{}", step.object);
                *object = Value::Null;
                self.deletes.push(RecentDelete { time: now, uid: Some(uid.clone()) });
            }
        }
    }

    fn find(&mut self, step: &Step) -> Option<&mut Value> {
        let key = &step.object;
        let wanted = |object: &Value| {
            object["apiVersion"] == key.kind.api_version()
                && object["kind"] == key.kind.as_str()
                && object["metadata"]["name"] == key.name.as_str()
                && object["metadata"]["namespace"].as_str().unwrap_or_default() == key.namespace
        };
        for document in &mut self.documents {
            if document["items"].is_array() {
                if let Some(found) = document["items"].as_array_mut()?.iter_mut().find(|object| wanted(object)) {
                    return Some(found);
                }
            } else if wanted(document) {
                return Some(document);
            }
        }
        None
    }

    /// The objects of kinds that we write, without what the server adds, by `kind/namespace/name`.
    pub(crate) fn state(&self) -> BTreeMap<String, Value> {
        let mut state = BTreeMap::new();
        for document in &self.documents {
            let items = document["items"].as_array().cloned().unwrap_or_else(|| vec![document.clone()]);
            for mut object in
                items.into_iter().filter(|object| object["apiVersion"].as_str().is_some_and(|v| v.starts_with("stash")))
            {
                let kind = object["kind"].as_str().unwrap_or_default().to_owned();
                let metadata = object["metadata"].as_object_mut().unwrap();
                metadata.retain(|key, _| matches!(key.as_str(), "name" | "namespace" | "labels" | "annotations"));
                let name = |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
                let key = format!("{kind}/{}/{}", name("namespace"), name("name"));
                state.insert(key, object);
            }
        }
        state
    }
}

/// Merges a manifest into an object and moves the ownership of its fields to us.
fn applied(object: &mut Value, manifest: &Value) {
    let fields = fields_of(manifest);
    let managers = object["metadata"]["managedFields"].take();
    let mut before: Option<Value> = None;
    let mut others = Vec::new();
    for mut manager in managers.as_array().cloned().unwrap_or_default() {
        if manager["manager"] == FIELD_MANAGER && manager["subresource"].as_str().unwrap_or_default().is_empty() {
            before = Some(manager["fieldsV1"].clone());
        } else {
            yielded(&mut manager["fieldsV1"], &fields, object, manifest);
            others.push(manager);
        }
    }
    // A dump without managed fields does not say who set what: ours was the whole of it.
    let was_ours = object["metadata"]["labels"]["app.kubernetes.io/managed-by"] == FIELD_MANAGER;
    let before = before.unwrap_or_else(|| if was_ours { fields_of(object) } else { json!({}) });
    dropped(object, &before, &fields, &others);
    merged(object, manifest);
    others.insert(0, entry(manifest));
    object["metadata"]["managedFields"] = Value::Array(others);
}

/// Removes what we owned, own no more, and nobody else owns.
fn dropped(object: &mut Value, before: &Value, after: &Value, others: &[Value]) {
    let (Some(before), Some(fields)) = (before.as_object(), object.as_object_mut()) else { return };
    for (key, inner) in before {
        let Some(name) = key.strip_prefix("f:") else { continue };
        let others: Vec<Value> =
            others.iter().map(|other| other.get("fieldsV1").unwrap_or(other)[key].clone()).collect();
        let held = others.iter().any(|other| !other.is_null());
        match after.get(key) {
            Some(after) => {
                if let Some(value) = fields.get_mut(name) {
                    dropped(value, inner, after, &others);
                }
            }
            None if !held => drop(fields.remove(name)),
            None => {
                if let Some(value) = fields.get_mut(name) {
                    dropped(value, inner, &json!({}), &others);
                }
            }
        }
    }
}

/// With force, another manager loses the fields whose values change.
fn yielded(other: &mut Value, ours: &Value, live: &Value, manifest: &Value) {
    let (Some(fields), Some(ours)) = (other.as_object_mut(), ours.as_object()) else { return };
    fields.retain(|key, inner| {
        let (Some(name), Some(own)) = (key.strip_prefix("f:"), ours.get(key)) else { return true };
        let (live, manifest) = (&live[name], &manifest[name]);
        if manifest.is_object() && live.is_object() && !manifest.as_object().is_some_and(Map::is_empty) {
            yielded(inner, own, live, manifest);
            return inner.as_object().is_some_and(|inner| !inner.is_empty());
        }
        live == manifest
    });
}

fn merged(object: &mut Value, manifest: &Value) {
    match (object, manifest) {
        (Value::Object(object), Value::Object(manifest)) => {
            for (key, value) in manifest {
                merged(object.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (object, manifest) => *object = manifest.clone(),
    }
}

fn entry(manifest: &Value) -> Value {
    json!({"manager": FIELD_MANAGER, "operation": "Apply", "apiVersion": manifest["apiVersion"], "fieldsType": "FieldsV1",
        "fieldsV1": fields_of(manifest)})
}

/// The fields that an apply of a manifest owns; a list is one field.
fn fields_of(manifest: &Value) -> Value {
    let mut fields = json!({"f:spec": fields(&manifest["spec"])});
    for map in ["annotations", "labels"] {
        if manifest["metadata"][map].as_object().is_some_and(|map| !map.is_empty()) {
            fields["f:metadata"][format!("f:{map}")] = self::fields(&manifest["metadata"][map]);
        }
    }
    fields
}

fn fields(value: &Value) -> Value {
    let Some(map) = value.as_object() else { return json!({}) };
    map.iter().map(|(key, value)| (format!("f:{key}"), fields(value))).collect::<Map<String, Value>>().into()
}
