//! What the measurements on a cluster share: the shipped installation, a daemon under its rights, and a bare client to compare with.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use holdfast::model::plan::{Action, Step};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::audit::{AuditEntry, AuditLog, AuditMark};
use crate::harness::cluster::{Cluster, TestNamespace};
use crate::harness::daemon::DaemonProcess;
use crate::harness::wait::eventually;
use crate::support;

/// For whatever takes time in proportion to the number of targets.
pub(crate) const LATER: Duration = Duration::from_mins(10);
/// Requests of ours under way at once while targets are made.
const MAKERS: usize = 16;
pub(crate) const STATUS_BRANCH: &str = "holdfast/bench";

/// A cluster with the definitions and one installation.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) audit: AuditLog,
    home: TestNamespace,
    kubeconfig: PathBuf,
}

impl Stage {
    /// None, and one loud line, where no cluster or none with an audit log is to be had.
    pub(crate) async fn new() -> Option<Self> {
        let cluster = support::cluster().await?;
        let Some(audit) = cluster.audit_log() else {
            crate::harness::skipped("measurements on a cluster", "this one has no audit log");
            return None;
        };
        let home = cluster.namespace("bench").await;
        let kubeconfig = support::account(&cluster, &home).await;
        Some(Self { cluster, audit, home, kubeconfig })
    }

    /// The released program, as a pod would run it.
    pub(crate) fn daemon(&self, git_url: &str, more: &[&str]) -> Daemon {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = free.local_addr().expect("a bound socket has an address").to_string();
        drop(free);
        let kubeconfig = self.kubeconfig.to_str().expect("a UTF-8 path");
        let mut args =
            vec!["daemon", "--kubeconfig", kubeconfig, "--namespace", &self.home.name, "--cluster-name", "bench"];
        args.extend(["--git-url", git_url, "--git-insecure", "--listen", &address, "--cache-dir", "cache"]);
        args.extend(more);
        let process = DaemonProcess::spawn(Path::new(env!("CARGO_BIN_EXE_holdfast")), &args, &[]);
        Daemon { process, address }
    }

    /// Everything that daemons have asked the API server for since `mark`.
    pub(crate) async fn requests(&self, mark: AuditMark) -> Vec<AuditEntry> {
        let user = format!("system:serviceaccount:{}:holdfast", self.home.name);
        self.audit.since(mark, Some(&user)).await
    }

    /// Creates objects of any kind, many at a time.
    pub(crate) async fn create(&self, objects: Vec<Value>) {
        futures::stream::iter(objects)
            .for_each_concurrent(MAKERS, async |object| {
                let object: DynamicObject = serde_json::from_value(object).expect("an object");
                let kind = GroupVersionKind::try_from(object.types.as_ref().expect("a kind")).expect("a kind");
                let namespace = object.metadata.namespace.clone().expect("a namespace");
                let resource = ApiResource::from_gvk(&kind);
                let api = Api::<DynamicObject>::namespaced_with(self.cluster.admin.clone(), &namespace, &resource);
                api.create(&PostParams::default(), &object).await.unwrap_or_else(|error| panic!("{object:?}: {error}"));
            })
            .await;
    }

    /// What a bare client needs for the same requests, so many at once: a GET that says 404, then an apply.
    pub(crate) async fn apply_bare(&self, steps: &[Step], at_once: usize) -> f64 {
        let start = std::time::Instant::now();
        // The futures are made here: a closure over borrowed steps is not general enough to be sent.
        let all: Vec<_> = steps.iter().map(|step| self.apply_one(step)).collect();
        futures::stream::iter(all).buffer_unordered(at_once).try_collect::<()>().await.expect("applied");
        start.elapsed().as_secs_f64()
    }

    async fn apply_one(&self, step: &Step) -> kube::Result<()> {
        let Action::Create { manifest } = &step.action else { panic!("{} is not created", step.object) };
        let api = support::api(&self.cluster, &step.object);
        assert!(api.get_metadata_opt(&step.object.name).await?.is_none(), "{} is there", step.object);
        api.patch(&step.object.name, &PatchParams::apply("bench"), &Patch::Apply(manifest)).await.map(drop)
    }
}

/// A running daemon and its page of metrics.
pub(crate) struct Daemon {
    pub(crate) process: DaemonProcess,
    address: String,
}

impl Daemon {
    pub(crate) async fn ready(&mut self) {
        let url = format!("http://{}/readyz", self.address);
        self.process.wait_for_ready(&url, LATER).await;
    }

    /// Waits until the series has at least this value.
    pub(crate) async fn reaches(&mut self, series: &str, value: f64) {
        eventually(LATER, &format!("{series} at {value}"), async || {
            if let Some(status) = self.process.exited() {
                panic!("the daemon ended ({status})");
            }
            let now = self.metric(series).await.map_err(|error| error.to_string())?;
            if now >= value { Ok(()) } else { Err(format!("it is {now}")) }
        })
        .await;
    }

    /// The value of a series, with its labels as it is printed; 0 while there is none.
    pub(crate) async fn metric(&self, series: &str) -> std::io::Result<f64> {
        let mut stream = TcpStream::connect(&self.address).await?;
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).await?;
        let mut page = String::new();
        stream.read_to_string(&mut page).await?;
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        Ok(value.map_or(0.0, |value| value.trim().parse().expect("a number")))
    }

    pub(crate) async fn stop(mut self) {
        self.process.terminate(Duration::from_mins(1)).await;
    }
}
