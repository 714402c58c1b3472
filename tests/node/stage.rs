//! A node, two versions of the image on it, and a Git server that pods reach by a name of the cluster.

use std::process::Child;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, ResourceExt as _};

use crate::harness::bare_repository::BareRepository;
use crate::harness::cluster::Cluster;
use crate::harness::git_server::{Access, GitServer, Transport};
use crate::harness::lab;
use crate::harness::ssh_server::{KnownHost, SshServer};
use crate::harness::tls::NAME_FOR_PODS;
use crate::harness::wait::eventually;
use crate::shell::Shell;
use crate::{image, readme};

/// A namespace may take its time to go.
pub(crate) const SOON: Duration = Duration::from_mins(1);
/// As the page says.
pub(crate) const NAMESPACE: &str = "holdfast";
pub(crate) const ELSEWHERE: &str = "backup";
pub(crate) const STATUS: &str = "holdfast/prod-eu1";
pub(crate) const IMAGE: &str = "localhost/holdfast:this";
pub(crate) const NEXT_IMAGE: &str = "localhost/holdfast:next";
/// The address at which pods reach what `tests/lab/expose.sh` lets in.
const NODE: &str = "10.243.0.1";
const PASSWORD: &str = "correct-horse";
const BLUEPRINT: &str = include_str!("../../examples/quick-start/git/platform/backup/workloads.yaml");

pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) git: GitServer,
    pub(crate) shell: Shell,
    /// Leads to the same repository.
    ssh: SshServer,
    exposed: [Child; 2],
}

impl Stage {
    /// None, and one loud line, where no node can run.
    pub(crate) async fn set() -> Option<Self> {
        let lab = lab::node()?;
        let cluster = Cluster::of(lab).await;
        let mut shell = Shell::new(Some(cluster.kubeconfig()))?;
        clear(&cluster, &shell).await;

        let access = Access::Basic { user: "holdfast".to_owned(), password: PASSWORD.to_owned() };
        let git = GitServer::start(Transport::Https, &access);
        git.repository().push_files("main", &[("backup/workloads.yaml", BLUEPRINT)], "blueprint");
        let ssh = SshServer::start()?;
        let exposed = [git.port(), ssh.port()].map(|port| lab.spawn("./expose.sh", &[&port.to_string()]));

        // No ca.crt in the Secret: what the image trusts is what counts.
        shell.set("EXTRA_CA", &git.authority_file().expect("it serves HTTPS"));
        for (reference, file) in [(IMAGE, "this.tar"), (NEXT_IMAGE, "next.tar")] {
            let archive = shell.file(file);
            image::build(&shell, &archive, reference);
            lab.run("./load.sh", &[&archive.display().to_string()]);
        }
        let stage = Self { cluster, git, shell, ssh, exposed };
        stage.cluster.apply_yaml(&forge(stage.git.port()), "forge").await;
        stage.cluster.apply_yaml("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}", "").await;
        Some(stage)
    }

    /// Runs the commands of a block below a heading of the page, here.
    #[track_caller]
    pub(crate) fn follow(&self, heading: &str, nth: usize) -> String {
        self.shell.run(&here(heading, nth))
    }

    /// The same in another namespace, which `holdfast manifests` has to bring to its standard, and over SSH.
    #[track_caller]
    pub(crate) fn follow_elsewhere(&self, heading: &str, nth: usize) {
        let known_hosts = self.shell.file("known_hosts");
        let known = self.ssh.known_host(KnownHost::Right).replace("127.0.0.1", NODE);
        std::fs::write(&known_hosts, known).expect("file written");
        let path = |repository: &BareRepository| repository.path().display().to_string();
        let url = self
            .ssh
            .url()
            .replace("127.0.0.1", NODE)
            .replace(&path(self.ssh.repository()), &path(self.git.repository()));
        let mut commands = readme::blocks(heading, "sh").swap_remove(nth);
        for (page, elsewhere) in [
            (readme::GIT_URL, url.as_str()),
            ("kubectl label", "true"),
            ("create namespace holdfast", &format!("create namespace {ELSEWHERE}")),
            ("-n holdfast", &format!("-n {ELSEWHERE}")),
            ("holdfast manifests", &format!("holdfast manifests --install-namespace {ELSEWHERE}")),
            ("identity=deploy-key", &format!("identity={}", self.ssh.client_key().display())),
            ("known_hosts=known_hosts", &format!("known_hosts={}", known_hosts.display())),
        ] {
            commands = commands.replace(page, elsewhere);
        }
        self.shell.run(&placed(commands));
    }

    /// Makes a Deployment that asks for a backup.
    pub(crate) async fn deploy(&self, name: &str) {
        let yaml = format!(
            "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  annotations:
    stash.appscode.com/backup-blueprint: daily
    stash.appscode.com/target-paths: /srv
    stash.appscode.com/volume-mounts: data:/srv
spec:
  replicas: 0
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers:
      - {{name: main, image: 'localhost/busybox:1', volumeMounts: [{{name: data, mountPath: /srv}}]}}
      volumes: [{{name: data, emptyDir: {{}}}}]
"
        );
        self.cluster.apply_yaml(&yaml, "shop").await;
    }

    /// Waits until a Deployment is backed up and the status branch says so.
    pub(crate) async fn protected(&self, name: &str) {
        let path = format!("targets/shop/deployment.{name}.yaml");
        eventually(SOON, &format!("{path} of {STATUS}"), async || {
            let text = self.git.repository().files(STATUS).remove(&path).unwrap_or_default();
            if text.contains("state: Waiting") && text.contains("nextRun: ") { Ok(()) } else { Err(text) }
        })
        .await;
    }

    /// Kind, name, UID and version of everything that the daemon has made.
    pub(crate) async fn made(&self) -> Vec<[String; 4]> {
        let mut made = Vec::new();
        for (version, kind, plural) in
            [("v1alpha1", "Repository", "repositories"), ("v1beta1", "BackupConfiguration", "backupconfigurations")]
        {
            let gvk = GroupVersionKind::gvk("stash.appscode.com", version, kind);
            let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
            let api = Api::<DynamicObject>::namespaced_with(self.cluster.admin.clone(), "shop", &resource);
            for object in api.list(&ListParams::default()).await.expect("a list").items {
                let (uid, version) =
                    (object.uid().expect("it has one"), object.resource_version().expect("it has one"));
                made.push([kind.to_owned(), object.name_any(), uid, version]);
            }
        }
        made
    }

    /// The pod of the daemon: there is one, it is ready, and it never began anew.
    pub(crate) async fn pod(&self, namespace: &str) -> Pod {
        let pods = Api::<Pod>::namespaced(self.cluster.admin.clone(), namespace);
        let ours = ListParams::default().labels("app.kubernetes.io/name=holdfast");
        // The pod of before may still be ending.
        let pod = eventually(SOON, "one pod", async || {
            let mut pods = pods.list(&ours).await.map_err(|error| error.to_string())?.items;
            if pods.len() == 1 { Ok(pods.remove(0)) } else { Err(format!("{} pods", pods.len())) }
        })
        .await;
        let status = pod.status.clone().and_then(|status| status.container_statuses).unwrap_or_default();
        let counted: Vec<_> = status.iter().map(|container| (container.ready, container.restart_count)).collect();
        assert_eq!(counted, [(true, 0)], "ready, restarts");
        pod
    }

    pub(crate) async fn deployment_is_gone(&self) -> bool {
        let deployments = Api::<Deployment>::namespaced(self.cluster.admin.clone(), NAMESPACE);
        deployments.get_opt("holdfast").await.expect("the API server answers").is_none()
    }

    pub(crate) fn definitions(&self) -> Api<CustomResourceDefinition> {
        Api::all(self.cluster.admin.clone())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for exposed in &mut self.exposed {
            let _ = exposed.kill();
            let _ = exposed.wait();
        }
    }
}

/// A command of the page with the places of this test.
fn here(heading: &str, nth: usize) -> String {
    placed(readme::blocks(heading, "sh").swap_remove(nth))
}

fn placed(commands: String) -> String {
    let url = format!("https://{NAME_FOR_PODS}/repository.git");
    let places =
        [(readme::IMAGE, IMAGE), (readme::NEXT_IMAGE, NEXT_IMAGE), (readme::GIT_URL, &url), (readme::TOKEN, PASSWORD)];
    places.iter().fold(commands, |commands, (page, here)| commands.replace(page, here))
}

/// The Git server as a Service of the cluster.
fn forge(port: u16) -> String {
    format!(
        "apiVersion: v1
kind: Namespace
metadata: {{name: forge}}
---
apiVersion: v1
kind: Service
metadata: {{name: git, namespace: forge}}
spec:
  ports: [{{port: 443, targetPort: {port}}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: git, namespace: forge, labels: {{kubernetes.io/service-name: git}}}}
addressType: IPv4
ports: [{{port: {port}}}]
endpoints: [{{addresses: [{NODE}]}}]
"
    )
}

/// Removes what an earlier run on the same node left.
async fn clear(cluster: &Cluster, shell: &Shell) {
    let background = DeleteParams::background();
    let definitions = Api::<CustomResourceDefinition>::all(cluster.admin.clone());
    for (name, _) in holdfast::install::crds::crds() {
        let _ = definitions.delete(name, &background).await;
    }
    let namespaces = Api::<Namespace>::all(cluster.admin.clone());
    let ours = [NAMESPACE, ELSEWHERE, "shop", "forge"];
    for name in ours {
        let _ = namespaces.delete(name, &background).await;
    }
    for name in ours {
        eventually(SOON, &format!("namespace {name} gone"), async || {
            let there = namespaces.get_opt(name).await.map_err(|error| error.to_string())?;
            if there.is_none() { Ok(()) } else { Err("it is there".to_owned()) }
        })
        .await;
    }
    for kind in ["clusterrole", "clusterrolebinding"] {
        shell.run(&format!("kubectl delete {kind} --ignore-not-found holdfast-{NAMESPACE} holdfast-{ELSEWHERE}"));
    }
}
