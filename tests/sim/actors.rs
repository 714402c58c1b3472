//! Everybody but the daemons: owners of targets, people who push, other tools that write.

use holdfast::model::keys;
use holdfast::model::object::{Kind, TargetKind};
use holdfast::model::observed::Watched;
use serde_json::{Value, json};

use crate::documents::{Blueprint, Folder};
use crate::env::{Env, Event};
use crate::model::cluster::Key;
use crate::model::object::Object;

const KINDS: [TargetKind; 4] =
    [TargetKind::Deployment, TargetKind::StatefulSet, TargetKind::PersistentVolumeClaim, TargetKind::AppBinding];
const OTHERS: [&str; 2] = ["kubectl-edit", "argocd"];

/// The size of a world, and what people have in it.
pub(crate) struct Actors {
    pub namespaces: usize,
    pub targets: usize,
    pub blueprints: usize,
    pub folder: Folder,
}

impl Actors {
    /// Namespaces, targets and a first commit.
    pub(crate) fn settle(env: &mut Env, large: bool) -> Self {
        let mut actors = Self {
            namespaces: env.rng.between(2, if large { 5 } else { 3 }),
            targets: if large { env.rng.between(25, 60) } else { env.rng.between(10, 14) },
            blueprints: env.rng.between(1, 5),
            folder: Folder::default(),
        };
        let clock = env.clock();
        let names = (0..actors.namespaces).map(|number| format!("n{number}")).chain(["kube-system".to_owned()]);
        for name in names {
            let value = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {}});
            let _ = env.cluster.create(&(Watched::Namespace, String::new(), name), &value, "admin", clock);
        }
        for number in 0..actors.blueprints {
            let blueprint = Self::blueprint(env);
            actors.folder.blueprints.insert(number, blueprint);
        }
        actors.push(env);
        for _ in 0..actors.targets {
            actors.create_target(env);
        }
        actors
    }

    /// One act by somebody.
    pub(crate) fn act(&mut self, env: &mut Env, refused: &[String]) {
        match env.rng.below(100) {
            0..=13 => self.annotate(env),
            14..=21 => Self::unannotate(env),
            22..=28 => Self::edit_annotation(env),
            29..=34 => self.create_target(env),
            35..=39 => Self::delete_target(env),
            40 => self.delete_namespace(env),
            41..=42 => self.create_namespace(env),
            43..=51 => Self::drift(env),
            52..=54 => Self::pause(env),
            55..=60 => self.foreign_object(env),
            61..=65 => Self::swap(env),
            66..=68 => Self::hand_over(env),
            69..=71 => Self::delete_generated(env),
            72..=73 => Self::hold_by_finalizer(env),
            74..=80 => self.push_blueprint(env),
            81..=83 => self.remove_blueprint(env),
            84..=86 => self.break_blueprint(env),
            87..=90 => self.push_document(env),
            91..=92 => self.remove_document(env),
            93..=97 => self.acknowledge(env, refused),
            _ => self.cluster_blueprint(env),
        }
    }

    fn blueprint(env: &mut Env) -> Blueprint {
        Blueprint {
            bucket: env.rng.below(2),
            schedule: env.rng.below(60),
            keep: env.rng.between(2, 9),
            shared_prefix: env.rng.chance(50),
            broken: false,
        }
    }

    fn push(&mut self, env: &mut Env) {
        self.folder.commits += 1;
        env.remote.push_source(self.folder.files());
    }

    fn target(&self, env: &mut Env) -> Key {
        let kind = KINDS[env.rng.below(KINDS.len())];
        let namespace = format!("n{}", env.rng.below(self.namespaces));
        let name = format!("t{}", env.rng.below(self.targets / 2 + 1));
        (Watched::Target(kind), namespace, name)
    }

    fn known_target(env: &mut Env) -> Option<Key> {
        let keys: Vec<Key> = env
            .cluster
            .objects()
            .map(|(key, _)| key)
            .filter(|key| matches!(key.0, Watched::Target(_)))
            .cloned()
            .collect();
        env.rng.pick(&keys).cloned()
    }

    fn generated(env: &mut Env, kind: Option<Kind>) -> Option<Key> {
        let is_one = |watched: Watched| match watched {
            Watched::Managed(found) => kind.is_none_or(|kind| kind == found),
            Watched::Namespace | Watched::Blueprint | Watched::Target(_) => false,
        };
        let keys: Vec<Key> = env.cluster.objects().map(|(key, _)| key).filter(|key| is_one(key.0)).cloned().collect();
        env.rng.pick(&keys).cloned()
    }

    fn create_target(&mut self, env: &mut Env) {
        let key = self.target(env);
        let annotations = if env.rng.chance(800) { self.asks(env) } else { json!({}) };
        let mut value =
            json!({"apiVersion": key.0.api_version(), "kind": key.0.kind(), "metadata": {"annotations": annotations}});
        if key.0 == Watched::Target(TargetKind::AppBinding) {
            value["spec"] = json!({"type": "postgres", "version": "16", "clientConfig": {"url": "tcp://db:5432"}});
        }
        let clock = env.clock();
        if env.cluster.create(&key, &value, "owner", clock).is_ok() {
            env.counts.act("create target");
        }
    }

    fn asks(&self, env: &mut Env) -> Value {
        let mut list = format!("b{}", env.rng.below(self.blueprints));
        if env.rng.chance(250) {
            list = format!("{list},b{}", env.rng.below(self.blueprints + 1));
        }
        if env.rng.chance(30) {
            list.push_str(",,");
        }
        let mut asks = json!({keys::BACKUP_BLUEPRINT: list});
        if env.rng.chance(930) {
            asks[keys::TARGET_PATHS] = json!("/data,/etc/app");
            asks[keys::VOLUME_MOUNTS] = json!("data:/data,conf:/etc/app");
        }
        if env.rng.chance(200) {
            asks[keys::SCHEDULE] = json!(if env.rng.chance(900) { "*/15 * * * *" } else { "now and then" });
        }
        asks
    }

    fn change(env: &mut Env, key: &Key, manager: &str, change: impl FnOnce(&mut Value)) -> bool {
        env.cluster.edit(key, manager, change).is_ok()
    }

    fn annotate(&self, env: &mut Env) {
        let Some(key) = Self::known_target(env) else { return };
        let asks = self.asks(env);
        if Self::change(env, &key, "owner", |value| value["metadata"]["annotations"] = asks) {
            env.counts.act("annotate");
        }
    }

    fn unannotate(env: &mut Env) {
        // Now and then everybody in a namespace at once, which is more than a plan may delete by itself.
        let Some(one) = Self::known_target(env) else { return };
        let all = env.rng.chance(60);
        let keys: Vec<Key> = env
            .cluster
            .objects()
            .map(|(key, _)| key.clone())
            .filter(|key| *key == one || (all && matches!(key.0, Watched::Target(_)) && key.1 == one.1))
            .collect();
        for key in keys {
            Self::change(env, &key, "owner", |value| value["metadata"]["annotations"] = json!({}));
        }
        env.counts.act("unannotate");
    }

    fn edit_annotation(env: &mut Env) {
        let Some(key) = Self::known_target(env) else { return };
        let schedule = format!("{} 3 * * *", env.rng.below(60));
        if Self::change(env, &key, "owner", |value| value["metadata"]["annotations"][keys::SCHEDULE] = json!(schedule))
        {
            env.counts.act("edit annotation");
        }
    }

    fn delete_target(env: &mut Env) {
        let Some(key) = Self::known_target(env) else { return };
        let clock = env.clock();
        if env.cluster.delete(&key, None, None, clock).is_ok() {
            env.counts.act("delete target");
        }
    }

    fn delete_namespace(&self, env: &mut Env) {
        let name = format!("n{}", env.rng.below(self.namespaces));
        let clock = env.clock();
        if env.cluster.delete(&(Watched::Namespace, String::new(), name.clone()), None, None, clock).is_ok() {
            env.counts.act("delete namespace");
            env.after(500, Event::NamespaceEnds(name));
        }
    }

    fn create_namespace(&self, env: &mut Env) {
        let name = format!("n{}", env.rng.below(self.namespaces));
        let value = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {}});
        let clock = env.clock();
        // What is there already counts as well: most namespaces are, most of the time.
        let _ = env.cluster.create(&(Watched::Namespace, String::new(), name), &value, "admin", clock);
        env.counts.act("create namespace");
    }

    fn drift(env: &mut Env) {
        let Some(key) = Self::generated(env, None) else { return };
        let manager = OTHERS[env.rng.below(OTHERS.len())];
        let (way, number) = (env.rng.below(4), env.rng.below(60));
        let changed = Self::change(env, &key, manager, |value| match (way, key.0) {
            (0, Watched::Managed(Kind::BackupConfiguration)) => {
                value["spec"]["schedule"] = json!(format!("{number} 5 * * *"));
            }
            (1, Watched::Managed(Kind::BackupConfiguration)) => value["spec"]["timeOut"] = json!("30m"),
            (0, Watched::Managed(Kind::Function)) => {
                value["spec"]["image"] = json!(format!("example.com/other:{number}"));
            }
            (2, _) => value["metadata"]["annotations"]["example.com/note"] = json!(number.to_string()),
            _ => {
                if let Some(labels) = value["metadata"]["labels"].as_object_mut() {
                    labels.remove(keys::BLUEPRINT);
                }
            }
        });
        if changed {
            env.counts.act("drift");
        }
    }

    fn pause(env: &mut Env) {
        let Some(key) = Self::generated(env, Some(Kind::BackupConfiguration)) else { return };
        let paused = env.rng.chance(600);
        if Self::change(env, &key, "kubectl-edit", |value| value["spec"]["paused"] = json!(paused)) {
            env.counts.act("pause backup");
        }
    }

    /// Somebody takes a name that Holdfast would use.
    fn foreign_object(&self, env: &mut Env) {
        let (_, namespace, name) = self.target(env);
        let kind = if env.rng.chance(500) { Kind::Repository } else { Kind::BackupConfiguration };
        let key = (Watched::Managed(kind), namespace, format!("deployment-{name}"));
        if Self::foreign(env, &key) {
            env.counts.act("foreign object");
        }
    }

    fn foreign(env: &mut Env, key: &Key) -> bool {
        let spec = match key.0 {
            Watched::Managed(Kind::Repository) => {
                json!({"backend": {"local": {"mountPath": "/theirs", "hostPath": {"path": "/srv"}}}})
            }
            Watched::Managed(Kind::BackupConfiguration) => {
                json!({"schedule": "9 9 * * *", "repository": {"name": "theirs"},
                "retentionPolicy": {"name": "theirs", "keepLast": 3, "prune": true}})
            }
            _ => json!({"image": "example.com/theirs:1"}),
        };
        let value = json!({"apiVersion": key.0.api_version(), "kind": key.0.kind(),
            "metadata": {"labels": {"made-by": "somebody"}, "annotations": {}}, "spec": spec});
        let clock = env.clock();
        env.cluster.create(key, &value, "somebody", clock).is_ok()
    }

    /// Somebody deletes what we made and puts something of their own in its place at once.
    fn swap(env: &mut Env) {
        let Some(key) = Self::generated(env, None) else { return };
        // A change that Holdfast will want to undo first, so that its plan may still mean the old object.
        Self::change(env, &key, "argocd", |value| {
            if let Some(labels) = value["metadata"]["labels"].as_object_mut() {
                labels.remove(keys::BLUEPRINT);
            }
        });
        let wait = env.rng.between(100, 800);
        env.after(wait, Event::Swap(key));
    }

    /// The other half of a swap, while Holdfast is at it.
    pub(crate) fn finish_swap(env: &mut Env, key: &Key) {
        let clock = env.clock();
        if env.cluster.delete(key, None, None, clock).is_ok() && Self::foreign(env, key) {
            env.counts.act("swap");
        }
    }

    fn hand_over(env: &mut Env) {
        let theirs = |object: &Object| object.value["metadata"]["labels"].get("made-by").is_some();
        let keys: Vec<Key> =
            env.cluster.objects().filter(|(_, object)| theirs(object)).map(|(key, _)| key.clone()).collect();
        let Some(key) = env.rng.pick(&keys).cloned() else { return };
        if Self::change(env, &key, "owner", |value| value["metadata"]["annotations"][keys::ADOPT] = json!("true")) {
            let uid = env.cluster.get(&key).map(|object| object.uid().to_owned()).unwrap_or_default();
            env.oracle.handed_over(&uid);
            env.counts.act("hand over");
        }
    }

    fn delete_generated(env: &mut Env) {
        let Some(key) = Self::generated(env, None) else { return };
        let clock = env.clock();
        if env.cluster.delete(&key, None, None, clock).is_ok() {
            env.counts.act("delete generated");
        }
    }

    fn hold_by_finalizer(env: &mut Env) {
        let Some(key) = Self::generated(env, Some(Kind::BackupConfiguration)) else { return };
        let held = env.cluster.get(&key).is_some_and(|object| object.value["metadata"].get("finalizers").is_some());
        let changed = Self::change(env, &key, "engine", |value| {
            if held {
                if let Some(metadata) = value["metadata"].as_object_mut() {
                    metadata.remove("finalizers");
                }
            } else {
                value["metadata"]["finalizers"] = json!(["example.com/hold"]);
            }
        });
        if changed {
            env.counts.act("hold by finalizer");
        }
    }

    fn push_blueprint(&mut self, env: &mut Env) {
        let number = env.rng.below(self.blueprints);
        let mut blueprint = Self::blueprint(env);
        if let Some(known) = self.folder.blueprints.get(&number).filter(|_| env.rng.chance(700)) {
            blueprint = Blueprint { schedule: blueprint.schedule, broken: false, ..known.clone() };
        }
        self.folder.blueprints.insert(number, blueprint);
        self.push(env);
        env.counts.act("push blueprint");
    }

    fn remove_blueprint(&mut self, env: &mut Env) {
        let number = env.rng.below(self.blueprints);
        self.folder.blueprints.remove(&number);
        self.push(env);
        env.counts.act("remove blueprint");
    }

    fn break_blueprint(&mut self, env: &mut Env) {
        let number = env.rng.below(self.blueprints);
        if let Some(blueprint) = self.folder.blueprints.get_mut(&number) {
            blueprint.broken = true;
            self.push(env);
            env.counts.act("break blueprint");
        }
    }

    fn push_document(&mut self, env: &mut Env) {
        let (number, version) = (env.rng.below(4), env.rng.below(9));
        self.folder.functions.insert(number, version);
        self.push(env);
        env.counts.act("push document");
    }

    fn remove_document(&mut self, env: &mut Env) {
        let Some(number) = self.folder.functions.keys().next().copied() else { return };
        self.folder.functions.remove(&number);
        self.push(env);
        env.counts.act("remove document");
    }

    fn acknowledge(&mut self, env: &mut Env, refused: &[String]) {
        let Some(digest) = env.rng.pick(refused).cloned() else { return };
        if self.folder.acknowledged.insert(digest) {
            self.push(env);
            env.counts.act("acknowledge");
        }
    }

    fn cluster_blueprint(&self, env: &mut Env) {
        let key = (Watched::Blueprint, String::new(), format!("b{}", env.rng.below(self.blueprints + 1)));
        let clock = env.clock();
        if env.cluster.get(&key).is_some() {
            let _ = env.cluster.delete(&key, None, None, clock);
        } else {
            let value = json!({"apiVersion": key.0.api_version(), "kind": key.0.kind(), "metadata": {}, "spec": {
                "backend": {"s3": {"endpoint": "s3.example.com", "bucket": "cluster",
                    "prefix": "/c/${TARGET_NAMESPACE}/${TARGET_KIND}/${TARGET_NAME}"}, "storageSecretName": "secret"},
                "schedule": "7 7 * * *", "retentionPolicy": {"name": "keep", "keepLast": 5, "prune": true}}});
            let _ = env.cluster.create(&key, &value, "owner", clock);
        }
        env.counts.act("cluster blueprint");
    }
}
