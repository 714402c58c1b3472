//! The auto-backup guides of Stash as acceptance tests: what their pages show must come out of our planner.
//!
//! Numbers are those of the acceptance list: `<guide><step>.<expectation>`.

use std::path::Path;

use holdfast::model::desired::Desired;
use holdfast::plan::Settings;
use holdfast::yaml;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::world::{Cluster, desired};

/// What needs a running engine, so that nothing of the guides is silently missing.
const NOT_BEFORE_STAGE_D: [(&str, &str); 19] = [
    ("AW1.6", "the sidecar in the Deployment"),
    ("AW1.7", "the trigger CronJob"),
    ("AW1.8", "the BackupSession at the next slot"),
    ("AW1.9", "status of the Repository after a backup"),
    ("AW1.10", "the restic repository at the prefix"),
    ("AW2.5", "the BackupSession of the StatefulSet"),
    ("AW2.6", "six snapshots of three replicas"),
    ("AW2.7", "restic hosts by ordinal"),
    ("AW3.3", "the BackupSession of the DaemonSet"),
    ("AW3.4", "one snapshot per node"),
    ("AE1.4", "conditions of app-es-demo"),
    ("AE1.5", "the BackupSession of app-es-demo"),
    ("AE2.3b", "conditions of app-es-demo-2"),
    ("AE3.4", "sessions in all three namespaces"),
    ("AR1.3", "conditions of app-sample-redis-1"),
    ("AR1.4", "the BackupSession of app-sample-redis-1"),
    ("READY.phase", "phase and printed columns of every BackupConfiguration"),
    ("REPO-NEW.columns", "empty status columns of every new Repository"),
    ("REPO-OK", "integrity, size and counts after a session"),
];

fn corpus(folder: &str, file: &str) -> Vec<Value> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus").join(folder).join(format!("{file}.yaml"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    yaml::parse(&bytes, &yaml::Limits::default()).unwrap().into_iter().map(|document| document.value).collect()
}

/// A guide: its blueprint is in Git, its other documents are applied to the cluster one after the other.
struct Guide {
    prefix: &'static str,
    desired: Desired,
    cluster: Cluster,
}

impl Guide {
    fn new(prefix: &'static str, namespaces: &[&str]) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/data/corpus/examples/{prefix}ex__backupblueprint.yaml"));
        let blueprint = std::fs::read(path).unwrap();
        let namespaces =
            namespaces.iter().map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        Self { prefix, desired: desired(&[("blueprint.yaml", blueprint)]), cluster: Cluster::of(namespaces.collect()) }
    }

    fn reconcile(&mut self) {
        let plan = self.cluster.plan(&self.desired, &Settings::default(), now());
        assert!(plan.refusals.is_empty() && plan.held.is_empty(), "{:?} {:?}", plan.refusals, plan.held);
        self.cluster.apply(&plan);
        assert_eq!(self.cluster.plan(&self.desired, &Settings::default(), now()).steps, []);
    }

    fn apply(&mut self, file: &str) {
        self.cluster.documents.extend(corpus("examples", &format!("{}ex__{file}", self.prefix)));
        self.reconcile();
    }

    /// What `KubeDB` makes of its database, with the annotations that it copies.
    fn apply_kubedb(&mut self, file: &str, app_type: &str) {
        for database in corpus("examples", &format!("{}ex__{file}", self.prefix)) {
            self.cluster.documents.push(json!({
                "apiVersion": "appcatalog.appscode.com/v1alpha1", "kind": "AppBinding",
                "metadata": {"name": database["metadata"]["name"], "namespace": database["metadata"]["namespace"],
                    "annotations": database["metadata"]["annotations"]},
                "spec": {"type": app_type, "version": database["spec"]["version"], "clientConfig": {}},
            }));
        }
        self.reconcile();
    }

    fn generated(&self) -> usize {
        self.cluster.state().len()
    }

    fn get(&self, number: &str, kind: &str, key: &str) -> Value {
        let state = self.cluster.state();
        state.get(&format!("{kind}/{key}")).unwrap_or_else(|| panic!("{number}: no {kind} {key}")).clone()
    }

    /// REPO-NEW: prefix and storage secret.
    fn repository(&self, number: &str, key: &str, prefix: &str) {
        let repository = self.get(number, "Repository", key);
        assert_eq!(repository["spec"]["backend"]["gcs"]["prefix"], prefix, "{number}");
        assert_eq!(repository["spec"]["backend"]["storageSecretName"], "gcs-secret", "{number}");
    }

    /// READY: task and schedule.
    fn configuration(&self, number: &str, key: &str, task: &str, schedule: &str) {
        let configuration = self.get(number, "BackupConfiguration", key);
        assert_eq!(configuration["spec"]["task"]["name"].as_str().unwrap_or_default(), task, "{number}");
        assert_eq!(configuration["spec"]["schedule"], schedule, "{number}");
        assert!(configuration["spec"]["paused"].is_null(), "{number}");
    }

    /// The spec that a page shows. Go prints empty structs and the server fills in defaults: neither is a difference.
    fn shown(&self, number: &str, kind: &str, key: &str, output: &str) {
        for shown in corpus("shown-outputs", &format!("{}{output}", self.prefix)) {
            assert_eq!(shown["kind"], kind, "{number}");
            let mut shown = full(&shown["spec"]);
            shown.as_object_mut().unwrap().remove("driver");
            assert_eq!(full(&self.get(number, kind, key)["spec"]), shown, "{number}");
        }
    }
}

fn now() -> Timestamp {
    "2026-11-21T02:00:00Z".parse().unwrap()
}

/// Without fields that hold nothing.
fn full(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, field)| (key.clone(), full(field)));
            Value::Object(
                fields.filter(|(_, field)| !field.as_object().is_some_and(serde_json::Map::is_empty)).collect(),
            )
        }
        Value::Array(items) => items.iter().map(full).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[test]
fn workloads() {
    let mut guide = Guide::new("guides__auto-backup__workload__", &["demo"]);
    let blueprint = guide.desired.blueprints.get("workload-backup-blueprint").expect("AW1.1");
    assert_eq!(blueprint.spec["schedule"], "*/5 * * * *", "AW1.1");
    assert_eq!(
        blueprint.spec["retentionPolicy"],
        json!({"name": "keep-last-5", "keepLast": 5, "prune": true}),
        "AW1.1"
    );
    assert_eq!(
        blueprint.spec["backend"]["gcs"]["prefix"], "stash-backup/${TARGET_NAMESPACE}/${TARGET_KIND}/${TARGET_NAME}",
        "AW1.1"
    );
    assert!(blueprint.spec["task"].is_null(), "AW1.1");
    guide.reconcile();
    assert_eq!(guide.generated(), 0, "AW1.2");

    for file in ["deployment__d1", "deployment__d2", "deployment__d3"] {
        guide.apply(file);
    }
    let key = "demo/deployment-stash-demo";
    guide.repository("AW1.3", key, "stash-backup/demo/deployment/stash-demo");
    guide.shown("AW1.3", "Repository", key, "e01");
    guide.configuration("AW1.4", key, "", "*/15 * * * *");
    guide.shown("AW1.5", "BackupConfiguration", key, "e02");
    let before = guide.cluster.state();

    for file in ["statefulset__d1", "statefulset__d2"] {
        guide.apply(file);
    }
    let key = "demo/statefulset-sts-demo";
    guide.repository("AW2.1", key, "stash-backup/demo/statefulset/sts-demo");
    guide.shown("AW2.1", "Repository", key, "e03");
    guide.configuration("AW2.2", key, "", "*/5 * * * *");
    guide.shown("AW2.3", "BackupConfiguration", key, "e04");
    let after = guide.cluster.state();
    assert!(before.iter().all(|(key, object)| after.get(key) == Some(object)), "AW2.4");

    for file in ["daemonset__d1", "daemonset__d2"] {
        guide.apply(file);
    }
    let key = "demo/daemonset-dmn-demo";
    guide.repository("AW3.1", key, "stash-backup/demo/daemonset/dmn-demo");
    guide.shown("AW3.1", "Repository", key, "e05");
    guide.configuration("AW3.2", key, "", "*/5 * * * *");
    guide.shown("AW3.2", "BackupConfiguration", key, "e06");

    // Without its blueprint a configuration is only marked; no plan takes a Repository away.
    guide.desired = desired::<&str, &str>(&[]);
    let plan = guide.cluster.plan(&guide.desired, &Settings::default(), now());
    assert!(plan.steps.iter().all(|step| step.action.as_str() == "update"), "AW3.5");
    guide.cluster.apply(&plan);
    let late = now() + Settings::default().delete_delay;
    guide.cluster.apply(&guide.cluster.plan(&guide.desired, &Settings::default(), late));
    assert_eq!(guide.cluster.state().keys().filter(|key| key.starts_with("Repository/")).count(), 3, "AW3.5");
}

#[test]
fn elasticsearch() {
    let mut guide = Guide::new("addons__elasticsearch__auto-backup__", &["demo", "demo-2", "demo-3"]);
    let blueprint = guide.desired.blueprints.get("elasticsearch-backup-template").expect("AE.1");
    assert_eq!(blueprint.spec["task"]["name"], "elasticsearch-backup-7.3.2", "AE.1");
    assert_eq!(
        blueprint.spec["interimVolumeTemplate"]["metadata"]["name"], "${TARGET_APP_RESOURCE}-${TARGET_NAME}",
        "AE.1"
    );
    assert_eq!(
        blueprint.spec["backend"]["gcs"]["prefix"],
        "stash-backup/${TARGET_NAMESPACE}/${TARGET_APP_RESOURCE}/${TARGET_NAME}",
        "AE.1"
    );
    let app_type = "kubedb.com/elasticsearch";
    let task = "elasticsearch-backup-7.3.2";

    guide.apply_kubedb("es-demo", app_type);
    guide.repository("AE1.1", "demo/app-es-demo", "stash-backup/demo/elasticsearch/es-demo");
    guide.shown("AE1.1", "Repository", "demo/app-es-demo", "e01");
    guide.configuration("AE1.2", "demo/app-es-demo", task, "*/5 * * * *");
    guide.shown("AE1.3", "BackupConfiguration", "demo/app-es-demo", "e02");

    guide.apply_kubedb("es-demo-2", app_type);
    guide.repository("AE2.1", "demo-2/app-es-demo-2", "stash-backup/demo-2/elasticsearch/es-demo-2");
    guide.shown("AE2.1", "Repository", "demo-2/app-es-demo-2", "e03");
    guide.configuration("AE2.2", "demo-2/app-es-demo-2", task, "*/3 * * * *");
    let configuration = guide.get("AE2.3", "BackupConfiguration", "demo-2/app-es-demo-2");
    assert_eq!(configuration["spec"]["interimVolumeTemplate"]["metadata"]["name"], "elasticsearch-es-demo-2", "AE2.3");
    guide.shown("AE2.3", "BackupConfiguration", "demo-2/app-es-demo-2", "e04");

    guide.apply_kubedb("es-demo-3", app_type);
    guide.repository("AE3.1", "demo-3/app-es-demo-3", "stash-backup/demo-3/elasticsearch/es-demo-3");
    guide.shown("AE3.1", "Repository", "demo-3/app-es-demo-3", "e05");
    guide.configuration("AE3.2", "demo-3/app-es-demo-3", task, "*/5 * * * *");
    let configuration = guide.get("AE3.3", "BackupConfiguration", "demo-3/app-es-demo-3");
    assert_eq!(
        configuration["spec"]["task"]["params"],
        json!([{"name": "args", "value": "--ignoreType=settings,template"}]),
        "AE3.3"
    );
    guide.shown("AE3.3", "BackupConfiguration", "demo-3/app-es-demo-3", "e06");
}

#[test]
fn redis() {
    let mut guide = Guide::new("addons__redis__auto-backup__", &["demo-1", "demo-2", "demo-3"]);
    let blueprint = guide.desired.blueprints.get("redis-backup-template").expect("AR.1");
    let task = "redis-backup-6.2.5";
    assert_eq!(blueprint.spec["task"]["name"], task, "AR.1");
    assert_eq!(
        blueprint.spec["backend"]["gcs"]["prefix"],
        "redis-backup/${TARGET_NAMESPACE}/${TARGET_APP_RESOURCE}/${TARGET_NAME}",
        "AR.1"
    );

    guide.apply("sample-redis-1");
    guide.repository("AR1.1", "demo-1/app-sample-redis-1", "redis-backup/demo-1/redis/sample-redis-1");
    guide.shown("AR1.1", "Repository", "demo-1/app-sample-redis-1", "e01");
    guide.configuration("AR1.2", "demo-1/app-sample-redis-1", task, "*/5 * * * *");
    guide.shown("AR1.2", "BackupConfiguration", "demo-1/app-sample-redis-1", "e02");

    guide.apply("sample-redis-2");
    guide.repository("AR2.1", "demo-2/app-sample-redis-2", "redis-backup/demo-2/redis/sample-redis-2");
    guide.configuration("AR2.1", "demo-2/app-sample-redis-2", task, "*/3 * * * *");
    guide.shown("AR2.1", "Repository", "demo-2/app-sample-redis-2", "e03");
    guide.shown("AR2.1", "BackupConfiguration", "demo-2/app-sample-redis-2", "e04");

    guide.apply("sample-redis-3");
    guide.repository("AR3.1", "demo-3/app-sample-redis-3", "redis-backup/demo-3/redis/sample-redis-3");
    guide.configuration("AR3.1", "demo-3/app-sample-redis-3", task, "*/5 * * * *");
    let configuration = guide.get("AR3.1", "BackupConfiguration", "demo-3/app-sample-redis-3");
    assert_eq!(configuration["spec"]["task"]["params"], json!([{"name": "args", "value": "-db 0"}]), "AR3.1");
    guide.shown("AR3.1", "Repository", "demo-3/app-sample-redis-3", "e05");
    guide.shown("AR3.1", "BackupConfiguration", "demo-3/app-sample-redis-3", "e06");
}

/// CW.5: a folder with all inputs of one guide gives the same plan, whatever the names and so the order of its files.
#[test]
fn the_order_of_files_is_no_matter() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus/examples");
    let mut guides: std::collections::BTreeMap<String, Vec<Vec<u8>>> = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if let Some((guide, _)) = name.split_once("__ex__") {
            guides.entry(guide.to_owned()).or_default().push(std::fs::read(&path).unwrap());
        }
    }
    assert!(guides.len() > 10, "{} guides", guides.len());
    for (guide, files) in &guides {
        let steps = |files: &mut dyn Iterator<Item = &Vec<u8>>| {
            let files: Vec<(String, &Vec<u8>)> =
                files.enumerate().map(|(index, file)| (format!("{index:03}.yaml"), file)).collect();
            let plan = Cluster::default().plan(&desired(&files), &Settings::default(), now());
            plan.steps.into_iter().map(|step| step.object.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(steps(&mut files.iter()), steps(&mut files.iter().rev()), "CW.5 {guide}");
    }
}

#[test]
fn the_table_names_each_missing_expectation_once() {
    let numbers: std::collections::BTreeSet<&str> = NOT_BEFORE_STAGE_D.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers.len(), NOT_BEFORE_STAGE_D.len());
    let source = include_str!("scenarios.rs");
    for (number, what) in NOT_BEFORE_STAGE_D {
        assert!(
            !what.is_empty() && source.matches(&format!("\"{number}\"")).count() == 1,
            "{number} is tested and in the table"
        );
    }
}
