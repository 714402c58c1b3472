//! What all tests stand on: a node with the image, and one daemon for those that run side by side. Who kills the daemon or stops
//! the node has both for itself.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use holdfast::install::crds::crds;
use holdfast::install::manifests::{Settings, manifests, to_yaml};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::{Mutex, OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::harness::cluster::{Cluster, client};
use crate::harness::daemon::{DaemonProcess, get};
use crate::harness::git_server::{Access, GitServer, Transport};
use crate::harness::lab::{self, Lab};
use crate::harness::wait::eventually;
use crate::image::{self, IMAGE};

/// Longer than anything takes on a loaded machine.
pub(crate) const SOON: Duration = Duration::from_mins(2);
const NAMESPACE: &str = "holdfast";
/// A pod that has not begun by then is given up.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(45);

static SIDE_BY_SIDE: RwLock<()> = RwLock::const_new(());

/// The node, and who else is on it.
pub(crate) struct Ground {
    pub(crate) lab: &'static Lab,
    pub(crate) cluster: Cluster,
    /// Of the daemon's account.
    pub(crate) kubeconfig: &'static Path,
    _turn: Turn,
}

enum Turn {
    Shared { _guard: RwLockReadGuard<'static, ()> },
    Alone { _guard: RwLockWriteGuard<'static, ()> },
}

impl Ground {
    /// With others; none, and one loud line, where no node can run.
    pub(crate) async fn shared() -> Option<Self> {
        let lab = lab::node()?;
        Some(Self::of(lab, Turn::Shared { _guard: SIDE_BY_SIDE.read().await }).await)
    }

    /// Alone, and without a daemon.
    pub(crate) async fn alone() -> Option<Self> {
        let lab = lab::node()?;
        Some(Self::of(lab, Turn::Alone { _guard: SIDE_BY_SIDE.write().await }).await)
    }

    async fn of(lab: &'static Lab, turn: Turn) -> Self {
        static ACCOUNT: OnceCell<PathBuf> = OnceCell::const_new();
        let cluster = Cluster::of(lab).await;
        let kubeconfig = ACCOUNT
            .get_or_init(async || {
                image::load(lab);
                for (_, yaml) in crds() {
                    cluster.apply_yaml(yaml, "default").await;
                }
                account(&cluster).await
            })
            .await;
        Self { lab, cluster, kubeconfig, _turn: turn }
    }

    /// The daemon that all share; it ends with the last of them.
    pub(crate) async fn daemon(&self) -> Arc<Daemon> {
        static RUNNING: Mutex<Weak<Daemon>> = Mutex::const_new(Weak::new());
        let mut running = RUNNING.lock().await;
        if let Some(daemon) = running.upgrade() {
            return daemon;
        }
        let daemon = Arc::new(self.start(self.kubeconfig, &["--scheduler=cronjob"]).await);
        *running = Arc::downgrade(&daemon);
        daemon
    }

    /// A daemon, once it leads. No other runs, so the Lease of one that was killed is given back, as a person may.
    pub(crate) async fn start(&self, kubeconfig: &Path, more: &[&str]) -> Daemon {
        let leases = Api::<Lease>::namespaced(self.cluster.admin.clone(), NAMESPACE);
        let patch = Patch::Merge(json!({"spec": {"holderIdentity": null}}));
        match leases.patch("holdfast", &PatchParams::default(), &patch).await {
            Ok(_) | Err(kube::Error::Api(_)) => {}
            Err(error) => panic!("{error}"),
        }
        let mut daemon = Daemon::spawn(kubeconfig, more);
        daemon.leads().await;
        daemon
    }
}

pub(crate) struct Daemon {
    pub(crate) process: DaemonProcess,
    _git: GitServer,
    address: String,
}

impl Daemon {
    fn spawn(kubeconfig: &Path, more: &[&str]) -> Self {
        let git = GitServer::start(Transport::Http, &Access::Open);
        git.repository().push_files("main", &[("README.md", "no document\n")], "nothing");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address").to_string();
        drop(listener);
        let mut arguments = vec![
            "daemon".to_owned(),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--namespace={NAMESPACE}"),
            "--cluster-name=test".to_owned(),
            format!("--git-url={}", git.url()),
            "--git-insecure".to_owned(),
            "--cache-dir=cache".to_owned(),
            format!("--listen={address}"),
            "--log=info,holdfast=debug".to_owned(),
            "--engine=builtin".to_owned(),
            "--workload-model=job".to_owned(),
            "--secret-projection".to_owned(),
            format!("--agent-image={IMAGE}"),
            format!("--start-timeout={}s", START_TIMEOUT.as_secs()),
        ];
        arguments.extend(more.iter().map(|&flag| flag.to_owned()));
        let process =
            DaemonProcess::spawn(Path::new(env!("CARGO_BIN_EXE_holdfast")), &arguments, &[("POD_NAME", "daemon")]);
        Self { process, _git: git, address }
    }

    async fn leads(&mut self) {
        self.process.wait_for_ready(&format!("http://{}/readyz", self.address), SOON).await;
        eventually(SOON, "the daemon leads", async || match get(&format!("http://{}/metrics", self.address)).await {
            Ok((200, text)) if text.lines().any(|line| line == "holdfast_leader 1") => Ok(()),
            other => Err(format!("{}", other.is_ok())),
        })
        .await;
    }
}

/// Installs the daemon's objects as `holdfast manifests` prints them, and gives the kubeconfig of its account once its rights hold.
async fn account(cluster: &Cluster) -> PathBuf {
    let settings = Settings::new("test", "https://git.example.com/acme/platform");
    let mut objects = manifests(&settings);
    // The process of the test stands in for the pod.
    objects.retain(|object| object["kind"] != "Deployment");
    cluster.apply_yaml(&to_yaml(&objects), NAMESPACE).await;
    let kubeconfig = cluster.service_account_kubeconfig(NAMESPACE, "holdfast").await;
    let account = client(&kubeconfig).await;
    let attributes = ResourceAttributes {
        verb: Some("create".to_owned()),
        group: Some("batch".to_owned()),
        resource: Some("jobs".to_owned()),
        ..ResourceAttributes::default()
    };
    let spec =
        SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..SelfSubjectAccessReviewSpec::default() };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    eventually(SOON, "the rights hold", async || {
        let answer = Api::all(account.clone()).create(&PostParams::default(), &review).await;
        let allowed = answer.map_err(|error| error.to_string())?.status.is_some_and(|status| status.allowed);
        if allowed { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    kubeconfig
}
