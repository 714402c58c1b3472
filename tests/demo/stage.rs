//! What the demonstration runs on: a control plane, a Git server over HTTP, and the daemon as a process under the shipped RBAC.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::DeleteParams;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, ResourceExt as _};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::cluster::Cluster;
use crate::harness::daemon::DaemonProcess;
use crate::harness::git_server::{Access, GitServer, Transport};
use crate::harness::wait::eventually;
use crate::narrator;

pub(crate) const HOLDFAST: &str = env!("CARGO_BIN_EXE_holdfast");
/// The branch that Holdfast writes.
pub(crate) const STATUS: &str = "holdfast/demo";
pub(crate) const SOON: Duration = Duration::from_mins(1);
const NAMESPACE: &str = "holdfast-demo";
/// Namespaces of the targets, and the daemon's.
const NAMESPACES: [&str; 4] = ["shop", "crm", "infra", NAMESPACE];
const TARGETS: &str = include_str!("targets.yaml");
const CREDENTIALS: [(&str, &str); 2] = [("username", "holdfast"), ("password", "correct-horse")];

pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) git: GitServer,
    credentials: TempDir,
    /// Of the daemon's ServiceAccount.
    kubeconfig: PathBuf,
    daemon: Option<DaemonProcess>,
    address: String,
}

impl Stage {
    /// Starts everything but the daemon. `None` where a cluster cannot run; why was said.
    pub(crate) async fn set() -> Option<Self> {
        let cluster = Cluster::get().await?;
        narrator::say("A control plane runs: etcd, kube-apiserver, kube-controller-manager.");
        let namespaces = Api::<Namespace>::all(cluster.admin.clone());
        for name in NAMESPACES {
            let there = namespaces.get_opt(name).await.expect("the API server answers");
            assert!(there.is_none(), "namespace {name} is there already, and the demo would change what is in it");
        }
        let [(_, user), (_, password)] = CREDENTIALS;
        let access = Access::Basic { user: user.to_owned(), password: password.to_owned() };
        let git = GitServer::start(Transport::Http, &access);
        let credentials = tempfile::tempdir().expect("a temporary folder");
        for (name, value) in CREDENTIALS {
            std::fs::write(credentials.path().join(name), value).expect("file written");
        }
        narrator::say(&format!("A Git server runs: {} (with a user and a password).", git.url()));

        cluster.apply_yaml(&holdfast(&["crds"]), "default").await;
        let manifests = holdfast(&[
            "manifests",
            "--cluster-name=demo",
            "--git-secret=git",
            &format!("--install-namespace={NAMESPACE}"),
            &format!("--git-url={}", git.url()),
        ]);
        // No node runs here: the process below stands for the pod, under the same account.
        let rights = manifests.split("---\n").filter(|document| !document.contains("kind: Deployment"));
        cluster.apply_yaml(&rights.collect::<Vec<_>>().join("---\n"), NAMESPACE).await;
        let kubeconfig = cluster.service_account_kubeconfig(NAMESPACE, "holdfast").await;
        narrator::say(
            "Installed: `holdfast crds` and `holdfast manifests`; all that follows has the rights of their ServiceAccount.",
        );
        let address = free_address();
        Some(Self { cluster, git, credentials, kubeconfig, daemon: None, address })
    }

    pub(crate) async fn make_targets(&self) -> usize {
        self.cluster.apply_yaml(TARGETS, "default").await.len()
    }

    /// Runs `holdfast ARGS` with the daemon's account and its access to Git.
    pub(crate) fn holdfast(&self, args: &[&str]) -> String {
        let kubeconfig = format!("--kubeconfig={}", self.kubeconfig.display());
        let all: Vec<&str> = args.iter().copied().chain([kubeconfig.as_str()]).collect();
        holdfast(&all)
    }

    pub(crate) fn source_flags(&self) -> [String; 3] {
        [
            format!("--git-url={}", self.git.url()),
            "--git-insecure".to_owned(),
            format!("--git-credentials={}", self.credentials.path().display()),
        ]
    }

    pub(crate) async fn start_daemon(&mut self) {
        let mut args: Vec<String> =
            ["daemon", "--cluster-name=demo", "--delete-delay=5s", "--git-interval=1s"].map(str::to_owned).to_vec();
        args.extend(self.source_flags());
        args.push(format!("--namespace={NAMESPACE}"));
        args.push(format!("--listen={}", self.address));
        args.push(format!("--kubeconfig={}", self.kubeconfig.display()));
        let cache = self.credentials.path().with_extension("cache");
        args.push(format!("--cache-dir={}", cache.display()));
        let mut daemon = DaemonProcess::spawn(Path::new(HOLDFAST), &args, &[]);
        daemon.wait_for_ready(&format!("http://{}/readyz", self.address), SOON).await;
        self.daemon = Some(daemon);
    }

    /// What the daemon has written to its log.
    pub(crate) fn daemon_log(&self) -> String {
        self.daemon.as_ref().map(|daemon| daemon.stderr() + &daemon.stdout()).unwrap_or_default()
    }

    /// Ends the daemon as Kubernetes ends a pod; whether it said that all is well.
    pub(crate) async fn end_daemon(&mut self) -> bool {
        let Some(mut daemon) = self.daemon.take() else { return false };
        daemon.terminate(SOON).await.success()
    }

    pub(crate) fn api(&self, api_version: &str, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        match namespace {
            Some(namespace) => Api::namespaced_with(self.cluster.admin.clone(), namespace, &resource),
            None => Api::all_with(self.cluster.admin.clone(), &resource),
        }
    }

    /// All objects of a kind, by `namespace/name`.
    pub(crate) async fn all(&self, api_version: &str, kind: &str) -> BTreeMap<String, Value> {
        let listed = self.api(api_version, kind, None).list(&kube::api::ListParams::default()).await.expect("listed");
        let named = |object: DynamicObject| {
            let key = format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
            (key, serde_json::to_value(object).expect("an object is JSON"))
        };
        listed.items.into_iter().map(named).collect()
    }

    pub(crate) async fn configurations(&self) -> BTreeMap<String, Value> {
        self.all("stash.appscode.com/v1beta1", "BackupConfiguration").await
    }

    pub(crate) async fn repositories(&self) -> BTreeMap<String, Value> {
        self.all("stash.appscode.com/v1alpha1", "Repository").await
    }

    /// Waits until a file of the status branch has `text` in it, and gives the file.
    pub(crate) async fn status_has(&self, file: &str, text: &str) -> String {
        eventually(SOON, &format!("`{text}` in {file} of {STATUS}"), async || {
            let content = self.git.repository().files(STATUS).remove(file).unwrap_or_default();
            if content.contains(text) { Ok(content) } else { Err(content) }
        })
        .await
    }

    /// Ends and removes everything, whatever happened.
    pub(crate) async fn clear(mut self) {
        drop(self.daemon.take());
        let background = DeleteParams::background();
        let client = &self.cluster.admin;
        let bindings = Api::<ClusterRoleBinding>::all(client.clone());
        let _ = bindings.delete(&format!("holdfast-{NAMESPACE}"), &background).await;
        let roles = Api::<ClusterRole>::all(client.clone());
        let _ = roles.delete(&format!("holdfast-{NAMESPACE}"), &background).await;
        let namespaces = Api::<Namespace>::all(client.clone());
        for name in NAMESPACES {
            let _ = namespaces.delete(name, &background).await;
        }
        for name in NAMESPACES {
            eventually(SOON, &format!("namespace {name} gone"), async || match namespaces.get_opt(name).await {
                Ok(None) => Ok(()),
                Ok(Some(_)) => Err("it is there".to_owned()),
                Err(error) => Err(error.to_string()),
            })
            .await;
        }
        let _ = std::fs::remove_dir_all(self.credentials.path().with_extension("cache"));
        let _ = std::fs::remove_file(&self.kubeconfig);
    }
}

/// Runs `holdfast ARGS` and gives what it prints, on success or not.
pub(crate) fn holdfast(args: &[&str]) -> String {
    let output = Command::new(HOLDFAST).args(args).output().expect("holdfast can be started");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{text}{errors}")
}

/// An address of loopback that nobody listens on.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("a bound socket has an address").to_string()
}
