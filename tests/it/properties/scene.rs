//! Scenes for the properties: a source by its decisions, targets that ask, and objects that somebody else made.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::model::desired::Desired;
use holdfast::model::plan::Plan;
use holdfast::plan::Settings;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{Cluster, desired};

pub(super) const NAMESPACES: [&str; 2] = ["shop", "infra"];
pub(super) const KINDS: [(&str, &str); 4] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("v1", "PersistentVolumeClaim"),
    ("appcatalog.appscode.com/v1alpha1", "AppBinding"),
];

/// A source by its decisions, so that a later one can differ in one of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    /// By name: keep-daily, prefix style, schedule minute, wrong field.
    pub blueprints: BTreeMap<&'static str, (u8, u8, u8, bool)>,
    pub configuration: Option<u8>,
    pub broken_file: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Target {
    pub kind: usize,
    pub namespace: usize,
    pub name: &'static str,
    /// The annotation's text.
    pub asks: &'static str,
    pub paths: bool,
    pub minute: Option<u8>,
}

/// An object of somebody else, under a name that a plan may want.
#[derive(Clone, Debug)]
pub(super) struct Foreign {
    pub namespace: usize,
    pub name: &'static str,
    pub claims: Claims,
}

/// What it says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Claims {
    Nothing,
    /// To keep its data where a plan would keep it.
    ThePlace,
    /// Every mark of ours, as anybody can copy it; only the server's account of who wrote what tells.
    ToBeOurs,
}

#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub source: Source,
    pub targets: Vec<Target>,
    pub foreign: Vec<Foreign>,
}

impl Source {
    pub(super) fn files(&self) -> Vec<(String, String)> {
        let mut files: Vec<(String, String)> =
            self.blueprints.iter().map(|(name, dials)| (format!("{name}.yaml"), blueprint(name, *dials))).collect();
        if let Some(keep) = self.configuration {
            files.push(("hand.yaml".to_owned(), configuration(keep)));
        }
        if self.broken_file {
            files.push(("broken.yaml".to_owned(), "stash.appscode.com/: [".to_owned()));
        }
        files
    }

    pub(super) fn desired(&self) -> Desired {
        desired(&self.files())
    }
}

fn blueprint(name: &str, (keep, style, minute, wrong): (u8, u8, u8, bool)) -> String {
    let prefix = match style {
        0 => format!("{name}/${{TARGET_NAMESPACE}}/${{TARGET_KIND}}/${{TARGET_NAME}}"),
        1 => format!("moved/{name}/${{TARGET_NAMESPACE}}/${{TARGET_KIND}}/${{TARGET_NAME}}"),
        2 => format!("{name}/${{TARGET_NAME}}"),
        _ => format!("{name}/${{TARGET_APP_RESOURCE:=r}}"),
    };
    let keep_field = if wrong { "keepDaily: many".to_owned() } else { format!("keepDaily: {}", u32::from(keep) + 1) };
    format!(
        "apiVersion: stash.appscode.com/v1beta1\nkind: BackupBlueprint\nmetadata: {{name: {name}}}\nspec:\n  backend:\n    gcs: {{bucket: b, prefix: '{prefix}'}}\n    storageSecretName: s\n  schedule: {minute} * * * *\n  retentionPolicy: {{name: p, {keep_field}, prune: true}}\n"
    )
}

fn configuration(keep: u8) -> String {
    format!(
        "apiVersion: stash.appscode.com/v1alpha1\nkind: Repository\nmetadata: {{name: hand, namespace: shop}}\nspec:\n  backend: {{rest: {{url: 'https://h/hand'}}, storageSecretName: s}}\n---\napiVersion: stash.appscode.com/v1beta1\nkind: BackupConfiguration\nmetadata: {{name: hand, namespace: shop}}\nspec:\n  repository: {{name: hand}}\n  schedule: 1 1 * * *\n  retentionPolicy: {{name: p, keepLast: {}, prune: true}}\n  target:\n    ref: {{apiVersion: apps/v1, kind: StatefulSet, name: b}}\n    paths: [/d]\n    volumeMounts: [{{name: d, mountPath: /d}}]\n",
        u32::from(keep) + 1
    )
}

impl Target {
    fn manifest(&self) -> Value {
        let (api_version, kind) = KINDS[self.kind];
        let mut annotations = json!({});
        if !self.asks.is_empty() {
            annotations["stash.appscode.com/backup-blueprint"] = self.asks.into();
        }
        if self.paths {
            annotations["stash.appscode.com/target-paths"] = "/d".into();
            annotations["stash.appscode.com/volume-mounts"] = "d:/d".into();
        }
        if let Some(minute) = self.minute {
            annotations["stash.appscode.com/schedule"] = format!("{minute} * * * *").into();
        }
        json!({"apiVersion": api_version, "kind": kind, "spec": {"type": "g/r", "version": "1"},
            "metadata": {"name": self.name, "namespace": NAMESPACES[self.namespace], "annotations": annotations}})
    }
}

impl Foreign {
    fn manifests(&self) -> Vec<Value> {
        let metadata = |name: &str| {
            json!({"name": name, "namespace": NAMESPACES[self.namespace], "uid": format!("uid-of-{}-{name}", self.namespace),
                "managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}}]})
        };
        let mut repository = json!({"apiVersion": "stash.appscode.com/v1alpha1", "kind": "Repository",
            "metadata": metadata(self.name), "spec": {"backend": {"gcs": {"bucket": "other", "prefix": self.name}}}});
        match self.claims {
            Claims::Nothing => vec![repository],
            Claims::ThePlace => {
                let place = self.name.replace('-', "/").replace("app/", "appbinding/");
                repository["spec"]["backend"]["gcs"] =
                    json!({"bucket": "b", "prefix": format!("daily/{}/{place}", NAMESPACES[self.namespace])});
                vec![repository]
            }
            Claims::ToBeOurs => {
                let labels = json!({"app.kubernetes.io/managed-by": "holdfast"});
                let annotations = json!({"holdfast.dev/source": "git:daily.yaml", "holdfast.dev/blueprint": "daily",
                    "holdfast.dev/target": format!("apps/Deployment/{}/gone", NAMESPACES[self.namespace]),
                    "holdfast.dev/missing-since": "2026-11-20T00:00:00Z"});
                repository["metadata"]["labels"] = labels.clone();
                repository["metadata"]["annotations"] = annotations.clone();
                let mut configuration = json!({"apiVersion": "stash.appscode.com/v1beta1", "kind": "BackupConfiguration",
                    "metadata": metadata(self.name), "spec": {"schedule": "1 1 * * *"}});
                configuration["metadata"]["labels"] = labels;
                configuration["metadata"]["annotations"] = annotations;
                vec![repository, configuration]
            }
        }
    }
}

impl Scene {
    pub(super) fn cluster(&self) -> Cluster {
        let mut cluster = Cluster::default();
        self.put(&mut cluster);
        cluster
    }

    /// Replaces what is not ours to write in a cluster.
    pub(super) fn put(&self, cluster: &mut Cluster) {
        cluster
            .documents
            .retain(|object| object["apiVersion"].as_str().is_some_and(|version| version.starts_with("stash")));
        for name in NAMESPACES {
            cluster.documents.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        }
        let mut seen = BTreeSet::new();
        for target in self.targets.iter().filter(|target| seen.insert((target.kind, target.namespace, target.name))) {
            cluster.documents.push(target.manifest());
        }
        for object in self.foreign.iter().flat_map(Foreign::manifests) {
            let place = |object: &Value| {
                let metadata = &object["metadata"];
                (object["kind"].clone(), metadata["namespace"].clone(), metadata["name"].clone())
            };
            if !cluster.documents.iter().any(|known| place(known) == place(&object)) {
                cluster.documents.push(object);
            }
        }
    }
}

fn source() -> impl Strategy<Value = Source> {
    let dials = || {
        prop::option::weighted(
            0.8,
            (
                6..9u8,
                prop_oneof![6 => Just(0u8), 1 => Just(1), 2 => Just(2), 1 => Just(3)],
                0..3u8,
                prop::bool::weighted(0.08),
            ),
        )
    };
    (dials(), dials(), prop::option::weighted(0.3, 4..7u8), prop::bool::weighted(0.1)).prop_map(
        |(daily, weekly, configuration, broken_file)| {
            let blueprints = [("daily", daily), ("weekly", weekly)]
                .into_iter()
                .filter_map(|(name, dials)| Some((name, dials?)))
                .collect();
            Source { blueprints, configuration, broken_file }
        },
    )
}

fn target() -> impl Strategy<Value = Target> {
    let asks = prop_oneof![
        6 => Just("daily"), 2 => Just("weekly"), 2 => Just("daily,weekly"), 1 => Just("weekly, daily"),
        2 => Just(""), 1 => Just("daily,,"), 1 => Just("nothing")
    ];
    let long = "abcdefghij-abcdefghij-abcdefghij-abcdefghij-abcdefghij-abcdefghij";
    // `a-weekly` under one blueprint has the name of `a` under its second.
    let name = prop_oneof![4 => Just("a"), 3 => Just("b"), 3 => Just("a-weekly"), 1 => Just("a.b-c"), 1 => Just(long)];
    let kind = prop_oneof![5 => Just(0usize), 1 => Just(1), 1 => Just(2), 2 => Just(3)];
    let namespace = prop_oneof![3 => Just(0usize), 1 => Just(1)];
    (kind, namespace, name, asks, prop::bool::weighted(0.9), prop::option::weighted(0.2, 0..60u8))
        .prop_map(|(kind, namespace, name, asks, paths, minute)| Target { kind, namespace, name, asks, paths, minute })
}

fn foreign() -> impl Strategy<Value = Foreign> {
    let name = prop_oneof![2 => Just("deployment-a"), 1 => Just("app-b"), 1 => Just("x")];
    let namespace = prop_oneof![3 => Just(0usize), 1 => Just(1)];
    let claims = prop_oneof![Just(Claims::Nothing), Just(Claims::ThePlace), Just(Claims::ToBeOurs)];
    (namespace, name, claims).prop_map(|(namespace, name, claims)| Foreign { namespace, name, claims })
}

pub(super) fn scene() -> impl Strategy<Value = Scene> {
    (source(), prop::collection::vec(target(), 0..8), prop::collection::vec(foreign(), 0..3))
        .prop_map(|(source, targets, foreign)| Scene { source, targets, foreign })
}

pub(super) fn now() -> Timestamp {
    "2026-11-21T02:00:00Z".parse().unwrap()
}

pub(super) fn later(minutes: i64) -> Timestamp {
    now() + SignedDuration::from_mins(minutes)
}

pub(super) fn plan(scene: &Scene, cluster: &Cluster, now: Timestamp) -> Plan {
    cluster.plan(&scene.source.desired(), &Settings::default(), now)
}

/// Plans and applies until nothing is left to do at that moment.
pub(super) fn settle(scene: &Scene, cluster: &mut Cluster, now: Timestamp) {
    for _ in 0..4 {
        let plan = plan(scene, cluster, now);
        cluster.apply(&plan);
        if plan.steps.is_empty() {
            return;
        }
    }
    panic!("no end after four passes");
}

/// A cluster that lived through a scene, with the next one in place.
pub(super) fn lived(first: &Scene, second: &Scene) -> Cluster {
    let mut cluster = first.cluster();
    cluster.apply(&plan(first, &cluster, now()));
    second.put(&mut cluster);
    cluster
}

/// The same after a second pass, ten minutes of waiting, and a little more: what lost its cause is due to go.
pub(super) fn waited(first: &Scene, second: &Scene) -> Cluster {
    let mut cluster = lived(first, second);
    cluster.apply(&plan(second, &cluster, later(1)));
    cluster
}
