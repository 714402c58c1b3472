//! What the tests of this binary share: an installed cluster, identities under the shipped RBAC, and hand-made plans.

use std::path::{Path, PathBuf};
use std::time::Duration;

use holdfast::cluster::api::Handles;
use holdfast::cluster::lease::Leader;
use holdfast::install::crds::crds;
use holdfast::install::manifests::{Settings, manifests, to_yaml};
use holdfast::model::finding::ReasonCode;
use holdfast::model::keys;
use holdfast::model::object::{Kind, ObjectKey};
use holdfast::model::plan::{Action, Group, Plan, Reason, Step};
use holdfast::model::tree::{InputPaths, TreeBuilder};
use jiff::Timestamp;
use kube::Api;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use crate::harness::cluster::{Cluster, TestNamespace};
use crate::harness::wait::eventually;

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The shared cluster with all definitions.
pub(crate) async fn cluster() -> Option<Cluster> {
    static DEFINED: OnceCell<()> = OnceCell::const_new();
    let cluster = Cluster::get().await?;
    DEFINED
        .get_or_init(async || {
            for (_, yaml) in crds() {
                cluster.apply_yaml(yaml, "default").await;
            }
        })
        .await;
    Some(cluster)
}

pub(crate) fn settings(namespace: &str) -> Settings {
    Settings {
        namespace: namespace.to_owned(),
        git_credentials: Some("git".to_owned()),
        ..Settings::new("test", "https://git.example.com/acme/platform")
    }
}

/// Installs the daemon's objects and gives the kubeconfig of its account, once its rights hold.
pub(crate) async fn account(cluster: &Cluster, namespace: &TestNamespace) -> PathBuf {
    let yaml = to_yaml(&manifests(&settings(&namespace.name)));
    cluster.apply_yaml(&yaml, &namespace.name).await;
    let kubeconfig = cluster.service_account_kubeconfig(&namespace.name, "holdfast").await;
    let handles = handles(&kubeconfig, &namespace.name).await;
    eventually(SOON, "the rights hold", async || {
        let observed = holdfast::cluster::observe::observe(&handles).await.map_err(|failure| failure.to_string())?;
        if observed.incomplete().is_empty() { Ok(()) } else { Err(observed.incomplete().join(", ")) }
    })
    .await;
    kubeconfig
}

pub(crate) async fn handles(kubeconfig: &Path, namespace: &str) -> Handles {
    Handles::connect(Some(kubeconfig), None, Some(namespace)).await.unwrap()
}

/// A process that leads; its tasks end when the set is dropped.
pub(crate) async fn leader(handles: &Handles) -> (Leader, JoinSet<anyhow::Result<()>>) {
    let mut tasks = JoinSet::new();
    let leader = Leader::start(handles, "test", Timestamp::now, &mut tasks);
    leads(&leader).await;
    (leader, tasks)
}

pub(crate) async fn leads(leader: &Leader) {
    let mut role = leader.subscribe();
    tokio::time::timeout(SOON * 2, role.wait_for(|role| *role))
        .await
        .expect("leads in time")
        .expect("the election runs");
}

/// The API of a kind that we write, as the administrator.
pub(crate) fn api(cluster: &Cluster, key: &ObjectKey) -> Api<DynamicObject> {
    let (group, version) = key.kind.api_version().split_once('/').unwrap();
    let plural = match key.kind {
        Kind::Repository => "repositories",
        Kind::Function => "functions",
        Kind::Task => "tasks",
        Kind::BackupConfiguration => "backupconfigurations",
        Kind::BackupBatch => "backupbatches",
    };
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, key.kind.as_str()), plural);
    if key.kind.namespaced() {
        Api::namespaced_with(cluster.admin.clone(), &key.namespace, &resource)
    } else {
        Api::all_with(cluster.admin.clone(), &resource)
    }
}

pub(crate) fn repository(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey::new(Kind::Repository, namespace, name)
}

pub(crate) fn configuration(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey::new(Kind::BackupConfiguration, namespace, name)
}

/// What a plan would send for the object; `value` is some field of it.
pub(crate) fn manifest(key: &ObjectKey, value: &str) -> Value {
    let spec = match key.kind {
        Kind::Repository => {
            json!({"backend": {"local": {"mountPath": format!("/{value}"), "hostPath": {"path": "/srv"}}}})
        }
        Kind::BackupConfiguration => json!({"schedule": value, "repository": {"name": "r"},
            "retentionPolicy": {"name": "keep", "keepLast": 3, "prune": true}}),
        Kind::Function => json!({"image": value}),
        Kind::Task => json!({"steps": [{"name": value}]}),
        Kind::BackupBatch => json!({"schedule": value, "repository": {"name": "r"}, "members": [],
            "retentionPolicy": {"name": "keep", "keepLast": 3, "prune": true}}),
    };
    let mut metadata = json!({"name": key.name,
        "labels": {keys::MANAGED_BY: keys::MANAGED_BY_US}, "annotations": {keys::SOURCE: "git:test.yaml"}});
    if key.kind.namespaced() {
        metadata["namespace"] = json!(key.namespace);
    }
    json!({"apiVersion": key.kind.api_version(), "kind": key.kind.as_str(), "metadata": metadata, "spec": spec})
}

pub(crate) fn create(key: &ObjectKey, value: &str) -> Step {
    step(key, key, Action::Create { manifest: manifest(key, value) })
}

pub(crate) fn update(live: &DynamicObject, key: &ObjectKey, value: &str) -> Step {
    let uid = live.metadata.uid.clone().unwrap();
    step(key, key, Action::Update { manifest: manifest(key, value), before: Value::Null, uid })
}

pub(crate) fn delete(live: &DynamicObject, key: &ObjectKey) -> Step {
    let (uid, resource_version) = (live.metadata.uid.clone().unwrap(), live.metadata.resource_version.clone().unwrap());
    step(key, key, Action::Delete { uid, resource_version })
}

/// A step whose group is that of `first`.
pub(crate) fn step(first: &ObjectKey, key: &ObjectKey, action: Action) -> Step {
    let reason = Reason {
        code: ReasonCode::InGit,
        at: None,
        blueprint: None,
        target: None,
        annotation: None,
        message: "a test asks for it".to_owned(),
    };
    Step { object: key.clone(), group: Group::Document(first.clone()), reason, action }
}

pub(crate) fn plan(steps: Vec<Step>) -> Plan {
    Plan {
        now: Timestamp::now(),
        revision: None,
        inputs: TreeBuilder::new(InputPaths::parse::<&str>(&[]).unwrap()).finish(None).unwrap().inputs,
        incomplete: Vec::new(),
        steps,
        refusals: Vec::new(),
        held: Vec::new(),
        warnings: Vec::new(),
        uncovered: Vec::new(),
        coverage: std::collections::BTreeMap::new(),
        protections: Vec::new(),
        acknowledged: Vec::new(),
        wake_at: None,
    }
}
