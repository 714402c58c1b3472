//! The model cluster of the simulation against the real API server: random plans, carried out by both, leave the same
//! objects behind, with the same owners of every field. That is what separates the model from a mock.

#[path = "../sim/model/mod.rs"]
mod model;
#[allow(dead_code, reason = "the simulation uses the rest")]
#[path = "../sim/rng.rs"]
mod rng;

use std::collections::BTreeMap;

use holdfast::cluster::api::Handles;
use holdfast::cluster::apply::apply;
use holdfast::cluster::lease::Leader;
use holdfast::cluster::state;
use holdfast::model::applied::{FailureClass, StepResult};
use holdfast::model::keys::FIELD_MANAGER;
use holdfast::model::object::{Kind, ObjectKey};
use holdfast::model::observed::Watched;
use holdfast::model::plan::{Action, Step};
use jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use serde_json::{Map, Value, json};

use crate::support::{self, api, configuration, plan, repository, step};
use model::cluster::{Cluster as Model, Key, Refused};
use model::fields::{self, FieldSet};
use model::object::{Object, Operation};
use rng::Rng;

/// Worlds, and steps in each: enough for every pair of acts on one object to follow each other many times.
const SEEDS: u64 = 8;
const STEPS: usize = 40;

/// One object in both servers.
struct Pair<'a> {
    cluster: &'a crate::harness::cluster::Cluster,
    handles: &'a Handles,
    leader: &'a Leader,
    model: Model,
}

/// What happens to an object.
#[derive(Debug)]
enum Act {
    Create(Value),
    Update {
        manifest: Value,
        stale: bool,
    },
    Delete {
        stale: bool,
    },
    /// Somebody else makes it.
    Foreign(Value),
    /// Somebody else merges this into it.
    Edit(&'static str, Value),
    Remove,
}

fn model_key(key: &ObjectKey) -> Key {
    (Watched::Managed(key.kind), key.namespace.clone(), key.name.clone())
}

fn spec(rng: &mut Rng, kind: Kind) -> Value {
    if kind == Kind::Repository {
        let mut spec = json!({"backend": {"s3": {"endpoint": "s3.example.com", "bucket": "b", "prefix": format!("/{}", rng.below(3))},
            "storageSecretName": "s"}});
        if rng.chance(400) {
            spec["usagePolicy"] = json!({"allowedNamespaces": {"from": if rng.chance(500) { "All" } else { "Same" }}});
        }
        if rng.chance(300) {
            spec["wipeOut"] = json!(false);
        }
        return spec;
    }
    let mut spec = json!({"repository": {"name": "r"}, "schedule": format!("{} 2 * * *", rng.below(3)),
        "retentionPolicy": {"name": "keep", "keepLast": rng.between(1, 3), "prune": true}});
    if rng.chance(600) {
        let paths: Vec<String> = (0..rng.between(1, 3)).map(|number| format!("/p{number}")).collect();
        spec["target"] = json!({"ref": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "paths": paths,
            "volumeMounts": [{"name": "data", "mountPath": "/data"}]});
    }
    if rng.chance(400) {
        spec["task"] = json!({"name": "t", "params": [{"name": "a", "value": rng.below(3).to_string()}]});
    }
    if rng.chance(300) {
        spec["runtimeSettings"] = json!({"container": {"env": [{"name": "A", "value": rng.below(2).to_string()}, {"name": "B", "value": "1"}],
            "resources": {"limits": {"memory": "1Gi"}}}});
    }
    if rng.chance(300) {
        spec["retryConfig"] = json!({"maxRetry": 3, "delay": "1m"});
    }
    spec
}

fn manifest(rng: &mut Rng, key: &ObjectKey) -> Value {
    let mut manifest = support::manifest(key, "0 2 * * *");
    manifest["spec"] = spec(rng, key.kind);
    for number in 0..3 {
        if rng.chance(400) {
            manifest["metadata"]["annotations"][format!("holdfast.dev/a{number}")] = json!(rng.below(2).to_string());
        }
    }
    manifest
}

fn edit(rng: &mut Rng, kind: Kind) -> Value {
    let metadata = json!({"annotations": {format!("holdfast.dev/a{}", rng.below(3)): rng.below(3).to_string()}});
    match (rng.below(4), kind) {
        (0, _) => json!({"metadata": metadata}),
        (1, Kind::Repository) => json!({"spec": {"backend": {"s3": {"prefix": "/edited"}}}}),
        (2, Kind::Repository) => json!({"spec": {"wipeOut": true}}),
        (1, _) => json!({"spec": {"schedule": "9 9 * * *", "paused": true}}),
        (2, _) => json!({"spec": {"retryConfig": {"maxRetry": 5}, "timeOut": "1h"}}),
        _ => {
            json!({"metadata": {"labels": {"team": rng.below(2).to_string()}, "annotations": {"holdfast.dev/a0": null}}})
        }
    }
}

fn act(rng: &mut Rng, key: &ObjectKey) -> Act {
    match rng.below(20) {
        0..=5 => Act::Create(manifest(rng, key)),
        6..=11 => Act::Update { manifest: manifest(rng, key), stale: rng.chance(150) },
        12..=13 => Act::Delete { stale: rng.chance(300) },
        14 => {
            let mut manifest = manifest(rng, key);
            manifest["metadata"]["labels"] = json!({"made-by": "somebody"});
            Act::Foreign(manifest)
        }
        15..=18 => Act::Edit(if rng.chance(500) { "somebody" } else { "else" }, edit(rng, key.kind)),
        _ => Act::Remove,
    }
}

impl Pair<'_> {
    async fn live(&self, key: &ObjectKey) -> Option<DynamicObject> {
        api(self.cluster, key).get_opt(&key.name).await.unwrap()
    }

    /// Does it to both, and gives what each said.
    async fn act(&mut self, key: &ObjectKey, act: &Act) -> (String, String) {
        let now = Timestamp::now();
        let model_key = model_key(key);
        let live = self.live(key).await;
        let (real_uid, real_version) = live.as_ref().map_or(("none".to_owned(), "0".to_owned()), |live| {
            (live.metadata.uid.clone().unwrap(), live.metadata.resource_version.clone().unwrap())
        });
        let here = self.model.get(&model_key).cloned();
        let (uid, version) =
            here.map_or(("none".to_owned(), "0".to_owned()), |one| (one.uid().to_owned(), one.version().to_owned()));
        let stale_uid = |uid: &str, stale: bool| {
            if stale { "5b7f6e0a-0000-4000-8000-000000000000".to_owned() } else { uid.to_owned() }
        };
        match act {
            Act::Create(manifest) => {
                let real = self.step(step(key, key, Action::Create { manifest: manifest.clone() })).await;
                let exists = self.model.get(&model_key).is_some();
                let made = if exists {
                    Err(Refused::Conflict(String::new()))
                } else {
                    self.model.apply(&model_key, manifest, FIELD_MANAGER, false, now).map(|_| ())
                };
                (real, said(&made))
            }
            Act::Update { manifest, stale } => {
                let action = Action::Update {
                    manifest: manifest.clone(),
                    before: Value::Null,
                    uid: stale_uid(&real_uid, *stale),
                };
                let real = self.step(step(key, key, action)).await;
                let mut intent = manifest.clone();
                intent["metadata"]["uid"] = json!(stale_uid(&uid, *stale));
                (real, said(&self.model.apply(&model_key, &intent, FIELD_MANAGER, true, now).map(|_| ())))
            }
            Act::Delete { stale } => {
                let version_of = |version: &str| if *stale { "1".to_owned() } else { version.to_owned() };
                let action = Action::Delete { uid: real_uid.clone(), resource_version: version_of(&real_version) };
                if !may_delete(key.kind) {
                    return ("done".to_owned(), "done".to_owned());
                }
                let real = self.step(step(key, key, action)).await;
                let result = self.model.delete(&model_key, Some(&uid), Some(&version_of(&version)), now);
                (real, said(&if result == Err(Refused::Missing) { Ok(()) } else { result }))
            }
            Act::Foreign(manifest) => {
                let params = PostParams { field_manager: Some("somebody".to_owned()), ..PostParams::default() };
                let object = serde_json::from_value(manifest.clone()).unwrap();
                let real = api(self.cluster, key).create(&params, &object).await;
                (done(real.is_ok()), said(&self.model.create(&model_key, manifest, "somebody", now).map(|_| ())))
            }
            Act::Edit(manager, patch) => {
                let params = PatchParams { field_manager: Some((*manager).to_owned()), ..PatchParams::default() };
                let real = api(self.cluster, key).patch(&key.name, &params, &Patch::Merge(patch)).await;
                (
                    done(real.is_ok()),
                    said(&self.model.edit(&model_key, manager, |value| merge(value, patch)).map(|_| ())),
                )
            }
            Act::Remove => {
                let real = api(self.cluster, key).delete(&key.name, &DeleteParams::default()).await;
                (done(real.is_ok()), said(&self.model.delete(&model_key, None, None, now)))
            }
        }
    }

    async fn step(&self, step: Step) -> String {
        let mut log = state::read(self.handles).await.unwrap();
        let applied = apply(self.handles, self.leader, &mut log, &plan(vec![step]), &BTreeMap::new()).await;
        match &applied.results()[0].1 {
            StepResult::Done | StepResult::Unchanged => "done".to_owned(),
            StepResult::Failed { class: FailureClass::Conflict, .. } => "conflict".to_owned(),
            StepResult::Failed { message, .. } => format!("refused: {message}"),
            StepResult::Unknown { message } => format!("unknown: {message}"),
            StepResult::Skipped { because } => format!("skipped: {because}"),
        }
    }

    /// Value and owners, as far as they do not name a moment or a server.
    async fn compare(&self, key: &ObjectKey, after: &str) {
        let real = self.live(key).await.map(|live| shape(&serde_json::to_value(live).unwrap()));
        let here = self.model.get(&model_key(key)).map(Object::wire).map(|wire| shape(&wire));
        assert_eq!(real, here, "{key} after {after}: left the API server, right the model");
    }
}

/// Kinds that plans may delete.
fn may_delete(kind: Kind) -> bool {
    kind != Kind::Repository
}

fn done(ok: bool) -> String {
    if ok { "done".to_owned() } else { "refused".to_owned() }
}

fn said(result: &Result<(), Refused>) -> String {
    match result {
        Ok(()) => "done".to_owned(),
        Err(Refused::Conflict(_)) => "conflict".to_owned(),
        Err(Refused::Missing | Refused::Invalid(_) | Refused::Forbidden(_)) => "refused".to_owned(),
    }
}

/// RFC 7396.
fn merge(value: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    for (name, patch) in fields {
        if patch.is_null() {
            value.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut value[name.as_str()], patch);
        }
    }
}

type Shape = (Value, Value, Value, Option<i64>, BTreeMap<(String, Operation), FieldSet>);

fn shape(object: &Value) -> Shape {
    let metadata = &object["metadata"];
    let entries = metadata["managedFields"].as_array().cloned().unwrap_or_default();
    // Containers that a manager owns as such say nothing about a value, and the model does not keep them.
    let is_value = |path: &fields::Path| fields::get(object, path).and_then(Value::as_object).is_none_or(Map::is_empty);
    let owners = entries.iter().filter(|entry| entry.get("subresource").is_none()).map(|entry| {
        let operation = if entry["operation"] == "Apply" { Operation::Apply } else { Operation::Update };
        let set: FieldSet = fields::read(&entry["fieldsV1"]).into_iter().filter(is_value).collect();
        ((entry["manager"].as_str().unwrap_or_default().to_owned(), operation), set)
    });
    let owners = owners.filter(|(_, set)| !set.is_empty());
    let map = |name: &str| metadata.get(name).filter(|map| *map != &json!({})).cloned().unwrap_or_default();
    (object["spec"].clone(), map("labels"), map("annotations"), metadata["generation"].as_i64(), owners.collect())
}

#[tokio::test]
async fn the_model_does_what_the_api_server_does() {
    let Some(cluster) = support::cluster().await else { return };
    let namespace = cluster.namespace("differential").await;
    let kubeconfig = support::account(&cluster, &namespace).await;
    let handles = support::handles(&kubeconfig, &namespace.name).await;
    let (leader, _tasks) = support::leader(&handles).await;
    let mut pair = Pair { cluster: &cluster, handles: &handles, leader: &leader, model: Model::default() };
    let home = (Watched::Namespace, String::new(), namespace.name.clone());
    pair.model
        .create(&home, &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {}}), "admin", Timestamp::now())
        .unwrap();
    for seed in 0..SEEDS {
        let mut rng = Rng::new(seed);
        let keys =
            [repository(&namespace.name, &format!("s{seed}")), configuration(&namespace.name, &format!("s{seed}"))];
        let mut taken = 0;
        for number in 0..STEPS {
            let key = &keys[rng.below(keys.len())];
            let act = act(&mut rng, key);
            let (real, here) = pair.act(key, &act).await;
            // A plain client's refusal has no class here; which of the two refusals it was shows in the object.
            let same = real == here || (real.starts_with("refused") && here != "done");
            assert!(same, "seed {seed}, step {number}, {act:?}: the API server says {real:?}, the model {here:?}");
            taken += usize::from(real == "done");
            pair.compare(key, &format!("seed {seed}, step {number}, {act:?}")).await;
        }
        assert!(taken > STEPS / 3, "seed {seed}: only {taken} steps did anything");
    }
}
