//! One namespace with what a test puts there, and what is asked about it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

use crate::ground::{Daemon, Ground, SOON};
use crate::harness::cluster::TestNamespace;
use crate::harness::wait::eventually;
use crate::restic::Restic;

/// Group, version, kind and plural name.
pub(crate) type Resource = (&'static str, &'static str, &'static str, &'static str);
pub(crate) const REPOSITORIES: Resource = ("stash.appscode.com", "v1alpha1", "Repository", "repositories");
pub(crate) const CONFIGURATIONS: Resource =
    ("stash.appscode.com", "v1beta1", "BackupConfiguration", "backupconfigurations");
pub(crate) const SESSIONS: Resource = ("stash.appscode.com", "v1beta1", "BackupSession", "backupsessions");
pub(crate) const RESTORES: Resource = ("stash.appscode.com", "v1beta1", "RestoreSession", "restoresessions");
pub(crate) const JOBS: Resource = ("batch", "v1", "Job", "jobs");
pub(crate) const CRON_JOBS: Resource = ("batch", "v1", "CronJob", "cronjobs");
pub(crate) const PODS: Resource = ("", "v1", "Pod", "pods");
pub(crate) const CLAIMS: Resource = ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims");
pub(crate) const SECRETS: Resource = ("", "v1", "Secret", "secrets");
pub(crate) const RESOURCE_QUOTAS: Resource = ("", "v1", "ResourceQuota", "resourcequotas");
pub(crate) const ACCOUNTS: Resource = ("", "v1", "ServiceAccount", "serviceaccounts");
pub(crate) const BINDINGS: Resource = ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings");

const FINALIZER: &str = "holdfast.dev/engine";

/// Its parts end in this order: who has the node next finds no daemon.
pub(crate) struct Scene {
    pub(crate) namespace: TestNamespace,
    /// None where the test starts its own.
    daemon: Option<Arc<Daemon>>,
    pub(crate) ground: Ground,
}

impl Scene {
    /// Beside others, with the daemon that all share; none, and one loud line, where no node can run.
    pub(crate) async fn new(name: &str) -> Option<Self> {
        let ground = Ground::shared().await?;
        let daemon = ground.daemon().await;
        let namespace = ground.cluster.namespace(name).await;
        Some(Self { ground, namespace, daemon: Some(daemon) })
    }

    /// Alone on the node, and without a daemon.
    pub(crate) async fn alone(name: &str) -> Option<Self> {
        let ground = Ground::alone().await?;
        let namespace = ground.cluster.namespace(name).await;
        Some(Self { ground, namespace, daemon: None })
    }

    pub(crate) fn api(&self, resource: Resource) -> Api<DynamicObject> {
        self.api_in(resource, &self.namespace.name)
    }

    pub(crate) fn api_in(&self, (group, version, kind, plural): Resource, namespace: &str) -> Api<DynamicObject> {
        let described = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        Api::namespaced_with(self.ground.cluster.admin.clone(), namespace, &described)
    }

    pub(crate) async fn apply(&self, yaml: &str) {
        self.ground.cluster.apply_yaml(yaml, &self.namespace.name).await;
    }

    pub(crate) async fn delete(&self, resource: Resource, name: &str) {
        self.api(resource).delete(name, &DeleteParams::background()).await.expect("it is there");
    }

    pub(crate) async fn merge(&self, resource: Resource, name: &str, patch: Value) {
        self.api(resource).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("patched");
    }

    pub(crate) async fn list(&self, resource: Resource) -> Vec<Value> {
        let items = self.api(resource).list(&ListParams::default()).await.expect("a list").items;
        items.into_iter().map(|item| serde_json::to_value(item).expect("JSON")).collect()
    }

    /// An object, once `wanted` holds of it.
    pub(crate) async fn once(
        &self,
        resource: Resource,
        name: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        self.within(SOON, resource, name, what, wanted).await
    }

    pub(crate) async fn within(
        &self,
        limit: Duration,
        resource: Resource,
        name: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let api = self.api(resource);
        eventually(limit, &format!("{} {name}: {what}", resource.2), async || {
            let object = api.get(name).await.map_err(|error| error.to_string())?;
            let value = serde_json::to_value(object).expect("JSON");
            if wanted(&value) { Ok(value) } else { Err(format!("{:#}", value["status"])) }
        })
        .await
    }

    /// A configuration whose slots will have sessions.
    pub(crate) async fn ready(&self, configuration: &str) -> Value {
        self.once(CONFIGURATIONS, configuration, "Ready", |object| {
            object["status"]["phase"] == "Ready"
                && object["status"]["observedGeneration"] == object["metadata"]["generation"]
        })
        .await
    }

    /// Starts a session as a person does, and gives its name.
    pub(crate) fn trigger(&self, configuration: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        command.args(["trigger", configuration, "--namespace", &self.namespace.name, "--kubeconfig"]);
        let output = command.arg(self.ground.cluster.kubeconfig()).output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let name = said.split_once('/').and_then(|(_, rest)| rest.split_whitespace().next());
        name.unwrap_or_else(|| panic!("no name in {said}")).to_owned()
    }

    /// A session that is over, and holds nothing any more.
    pub(crate) async fn ended(&self, session: &str) -> Value {
        self.once(SESSIONS, session, "over", |object| {
            matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed" | "Skipped")) && is_let_go(object)
        })
        .await
    }

    /// A session that has succeeded.
    pub(crate) async fn backed_up(&self, configuration: &str) -> Value {
        self.ready(configuration).await;
        let session = self.ended(&self.trigger(configuration)).await;
        assert_eq!(session["status"]["phase"], "Succeeded", "{:#}", session["status"]);
        session
    }

    /// A restore that is over.
    pub(crate) async fn restored(&self, name: &str) -> Value {
        self.once(RESTORES, name, "over", |object| {
            matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed" | "Invalid")) && is_let_go(object)
        })
        .await
    }

    /// The folder of a claim on the node.
    pub(crate) async fn volume(&self, claim: &str) -> PathBuf {
        let object = self.once(CLAIMS, claim, "Bound", |object| object["status"]["phase"] == "Bound").await;
        let volume = object["spec"]["volumeName"].as_str().expect("a bound claim has a volume").to_owned();
        self.lab_folder("volumes").join(format!("{volume}_{}_{claim}", self.namespace.name))
    }

    /// A folder of the lab on the machine, which is the node too.
    pub(crate) fn lab_folder(&self, name: &str) -> PathBuf {
        self.ground.lab.kubeconfig.parent().expect("a file is in a folder").join(name)
    }

    pub(crate) async fn restic(&self, claim: &str) -> Restic {
        Restic::new(&self.volume(claim).await)
    }

    /// Nothing of any run holds anything; and when the runs are deleted, nothing that they made is left.
    pub(crate) async fn finish(self) {
        for resource in [SESSIONS, RESTORES, JOBS] {
            let held: Vec<_> = self.list(resource).await.into_iter().filter(|object| !is_let_go(object)).collect();
            assert!(held.is_empty(), "{held:#?}");
        }
        for resource in [CONFIGURATIONS, SESSIONS, RESTORES] {
            let all = self.api(resource);
            all.delete_collection(&DeleteParams::background(), &ListParams::default()).await.expect("deleted");
        }
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=holdfast,holdfast.dev/run");
        for resource in [SESSIONS, RESTORES, CRON_JOBS, JOBS, PODS, CLAIMS, SECRETS] {
            let api = self.api(resource);
            eventually(SOON, &format!("no {} of a run", resource.3), async || {
                let left = api.list(&ours).await.map_err(|error| error.to_string())?.items;
                let names: Vec<_> = left.iter().filter_map(|object| object.metadata.name.as_deref()).collect();
                if names.is_empty() { Ok(()) } else { Err(format!("{names:?}")) }
            })
            .await;
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let (true, Some(daemon)) = (std::thread::panicking(), &self.daemon) {
            let log = daemon.process.stderr();
            let own = log.lines().filter(|line| line.contains(&self.namespace.name) || line.contains(" ERROR "));
            let own: Vec<_> = own.collect();
            eprintln!("--- what the daemon says of {}:\n{}", self.namespace.name, own.join("\n"));
        }
    }
}

pub(crate) fn is_let_go(object: &Value) -> bool {
    !object["metadata"]["finalizers"].as_array().into_iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

/// Verdict and reason of a condition.
pub(crate) fn condition(status: &Value, kind: &str) -> (String, String) {
    let found = status["conditions"].as_array().into_iter().flatten().find(|condition| condition["type"] == kind);
    let text = |key: &str| found.and_then(|found| found[key].as_str()).unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}

/// Host, phase and error of each host of a session or a restore, sorted.
pub(crate) fn hosts(status: &Value) -> Vec<(String, String, String)> {
    let listed = status.pointer("/targets/0/stats").unwrap_or(&status["stats"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let listed = listed.as_array().into_iter().flatten();
    let mut hosts: Vec<_> =
        listed.map(|host| (text(&host["hostname"]), text(&host["phase"]), text(&host["error"]))).collect();
    hosts.sort();
    hosts
}

/// As [`hosts`] has it, where nothing went wrong.
pub(crate) fn succeeded(names: &[&str]) -> Vec<(String, String, String)> {
    names.iter().map(|&name| (name.to_owned(), "Succeeded".to_owned(), String::new())).collect()
}

pub(crate) fn merge_spec(spec: &Value) -> Value {
    json!({"spec": spec})
}
