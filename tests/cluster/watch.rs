//! The watches follow the cluster through everything that happens to an API server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use holdfast::cluster::api::Handles;
use holdfast::cluster::watch::{FAILING_MAX, Watches};
use holdfast::install::crds::crds;
use holdfast::model::object::{TargetKey, TargetKind};
use holdfast::model::observed::Observed;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::cluster::client;
use crate::harness::proxy::{Action, Proxy, Which};
use crate::harness::wait::eventually;
use crate::harness::{lab, skipped};
use crate::support::{self, SOON};

/// Longest pause between two tries, the library's 30 s with its jitter, and then a listing.
const RECOVERED: Duration = Duration::from_secs(75);

fn claim(name: &str) -> PersistentVolumeClaim {
    let annotations = json!({"stash.appscode.com/backup-blueprint": "daily"});
    let resources = json!({"requests": {"storage": "1Mi"}});
    let spec = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": resources});
    serde_json::from_value(json!({"metadata": {"name": name, "annotations": annotations}, "spec": spec})).unwrap()
}

fn key(namespace: &str, name: &str) -> TargetKey {
    TargetKey { namespace: namespace.to_owned(), kind: TargetKind::PersistentVolumeClaim, name: name.to_owned() }
}

async fn until(watches: &Watches, limit: Duration, what: &str, reached: impl Fn(&Observed) -> bool) {
    let mut changes = watches.changes();
    let wait = async {
        while !reached(&*watches.observed().await) {
            changes.changed().await.unwrap();
        }
    };
    assert!(tokio::time::timeout(limit, wait).await.is_ok(), "{what}: not within {limit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_arrive_and_outages_lose_nothing() {
    let Some(cluster) = support::cluster().await else { return };
    let namespace = cluster.namespace("watch").await;
    let kubeconfig = support::account(&cluster, &namespace).await;
    let (proxy, proxied) = Proxy::in_front_of_cluster(&kubeconfig);
    let handles = support::handles(&proxied, &namespace.name).await;
    let mut tasks = JoinSet::new();
    let watches = Watches::start(&handles, FAILING_MAX, &mut tasks);
    tokio::time::timeout(SOON, watches.listed()).await.unwrap();
    let claims = Api::<PersistentVolumeClaim>::namespaced(cluster.admin.clone(), &namespace.name);
    let (one, two) = (key(&namespace.name, "one"), key(&namespace.name, "two"));

    claims.create(&PostParams::default(), &claim("one")).await.unwrap();
    until(&watches, SOON, "one is seen", |observed| observed.targets.contains_key(&one)).await;
    let edit = json!({"metadata": {"annotations": {"stash.appscode.com/schedule": "@daily", "unrelated": "x"}}});
    claims.patch("one", &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
    until(&watches, SOON, "the edit is seen", |observed| {
        observed.targets[&one]
            .annotations
            .get("stash.appscode.com/schedule")
            .is_some_and(|schedule| schedule == "@daily")
    })
    .await;
    assert!(!watches.observed().await.targets[&one].annotations.contains_key("unrelated"));

    // The server is away while one goes and another comes.
    let away = proxy.rule(Which::Every, Action::Refuse(503), |_| true);
    proxy.cut_connections();
    claims.delete("one", &DeleteParams::default()).await.unwrap();
    claims.create(&PostParams::default(), &claim("two")).await.unwrap();
    away.wait_for_applied(20, SOON).await;
    assert!(watches.observed().await.targets.contains_key(&one), "what was known stays");
    assert_eq!(watches.observed().await.incomplete(), Vec::<String>::new());
    away.release();
    until(&watches, RECOVERED, "the missed changes are seen", |observed| {
        !observed.targets.contains_key(&one) && observed.targets.contains_key(&two)
    })
    .await;

    // A kind that is refused is no longer complete, and is again once it is served.
    let refused = proxy.rule(Which::Every, Action::Refuse(403), |request| request.path.ends_with("/tasks"));
    proxy.cut_connections();
    until(&watches, RECOVERED, "the gap is named", |observed| {
        observed.incomplete() == ["stash.appscode.com/v1beta1/Task"]
    })
    .await;
    refused.release();
    until(&watches, RECOVERED, "the gap is closed", |observed| observed.incomplete().is_empty()).await;
    assert!(tasks.try_join_next().is_none(), "no watch has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_kind_that_fails_stops_no_other_and_deletes_nothing() {
    const PATIENCE: Duration = Duration::from_secs(4);
    let Some(cluster) = support::cluster().await else { return };
    let namespace = cluster.namespace("failing").await;
    let kubeconfig = support::account(&cluster, &namespace).await;
    let (proxy, proxied) = Proxy::in_front_of_cluster(&kubeconfig);
    let handles = support::handles(&proxied, &namespace.name).await;
    // One fails, as by a webhook that is broken; one never gets an answer.
    let claims_fail =
        || proxy.rule(Which::Every, Action::Refuse(500), |request| request.path.ends_with("/persistentvolumeclaims"));
    let fails = claims_fail();
    let hangs = proxy.rule(Which::Every, Action::Hold, |request| request.path.ends_with("/tasks"));
    let mut tasks = JoinSet::new();
    let watches = Watches::start(&handles, PATIENCE, &mut tasks);
    tokio::time::timeout(SOON, watches.listed()).await.expect("a kind that fails for long is an answer");
    let both = ["v1/PersistentVolumeClaim", "stash.appscode.com/v1beta1/Task"];
    assert_eq!(watches.observed().await.incomplete(), both);
    for rule in [&fails, &hangs] {
        assert!(rule.applied() > 0);
        rule.release();
    }
    until(&watches, RECOVERED, "both are listed", |observed| observed.incomplete().is_empty()).await;

    // Everything is cut, and one kind stays away while an object of it goes and another comes.
    let claims = Api::<PersistentVolumeClaim>::namespaced(cluster.admin.clone(), &namespace.name);
    let (one, two) = (key(&namespace.name, "one"), key(&namespace.name, "two"));
    claims.create(&PostParams::default(), &claim("one")).await.unwrap();
    until(&watches, SOON, "one is seen", |observed| observed.targets.contains_key(&one)).await;
    let lists = || proxy.requests().iter().filter(|request| !request.query.contains("watch=")).count();
    let before = lists();
    let fails = claims_fail();
    proxy.cut_connections();
    claims.delete("one", &DeleteParams::default()).await.unwrap();
    claims.create(&PostParams::default(), &claim("two")).await.unwrap();
    until(&watches, SOON, "the gap is named", |observed| observed.incomplete() == both[..1]).await;
    assert!(watches.observed().await.targets.contains_key(&one), "what was known stays");
    fails.release();
    until(&watches, RECOVERED, "the missed changes are seen", |observed| {
        !observed.targets.contains_key(&one) && observed.targets.contains_key(&two) && observed.incomplete().is_empty()
    })
    .await;
    let listed = lists() - before;
    let refused = fails.applied();
    assert!(listed <= refused + 1, "{listed} lists, {refused} refused: the others resume");
    assert!(tasks.try_join_next().is_none(), "no watch has ended");
}

/// A control plane of this test alone: it is killed on the way.
struct OwnPlane {
    number: String,
    state: PathBuf,
}

impl OwnPlane {
    fn start() -> Self {
        let number = format!("w{}", std::process::id() % 1_000_000);
        let state = Self::script(&number, &["bash", "-c", ". ./env.sh; own_lab; echo $C"]);
        let plane = Self { number, state: PathBuf::from(state.lines().last().unwrap_or_default()) };
        Self::script(&plane.number, &["./up.sh", "control-plane"]);
        plane
    }

    fn script(number: &str, command: &[&str]) -> String {
        let mut script = Command::new(command[0]);
        script
            .args(&command[1..])
            .env("N", number)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab"));
        let output = script.stdin(Stdio::null()).output().expect("bash can be started");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn kubeconfig(&self) -> PathBuf {
        self.state.join("admin.conf")
    }

    /// Ends the API server as a crash does, forgets all history, and starts it again just as it was.
    #[expect(clippy::zombie_processes, reason = "`down.sh` ends it, as it ends everything of this control plane")]
    async fn crash(&self, revision: i64) {
        let file = self.state.join("pid/kube-apiserver");
        let pid = std::fs::read_to_string(&file).unwrap().trim().to_owned();
        let command: Vec<String> = std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .unwrap()
            .split_terminator('\0')
            .map(str::to_owned)
            .collect();
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
        assert!(Command::new("sh").args(["-c", "kill -KILL \"$1\"", "sh", &pid]).status().unwrap().success());
        eventually(SOON, "the API server is gone", async || {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if line.is_empty() { Ok(()) } else { Err("it runs") }
        })
        .await;
        Self::compact(&command, revision);
        let log = std::fs::File::options().append(true).open(self.state.join("log/kube-apiserver.log")).unwrap();
        let mut again = Command::new("setsid");
        // The program looks at the name that it is called by.
        again.args(["-w", "bash", "-c", "p=$1; shift; exec -a kube-apiserver \"$p\" \"$@\"", "sh"]).arg(program);
        again.args(&command[1..]).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = again.spawn().expect("setsid can be started");
        std::fs::write(file, child.id().to_string()).unwrap();
    }

    /// Drops etcd's history, so that no watch can resume where it was.
    fn compact(apiserver: &[String], revision: i64) {
        let etcd = apiserver.iter().find_map(|flag| flag.strip_prefix("--etcd-servers=")).unwrap();
        let body = json!({"revision": revision.to_string(), "physical": true}).to_string();
        let url = format!("{etcd}/v3/kv/compaction");
        let done = Command::new("curl").args(["-fsS", "-d", &body, &url]).output().expect("curl can be started");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for OwnPlane {
    fn drop(&mut self) {
        Self::script(&self.number, &["./down.sh"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_come_and_go_and_the_server_crashes() {
    // Also says why nothing runs here, if nothing can.
    let Some(lab) = lab::lab() else { return };
    if lab.audit_log.is_none() {
        return skipped("the crash of an API server", "the cluster is not the test's own");
    }
    let plane = OwnPlane::start();
    let admin = client(&plane.kubeconfig()).await;
    let handles = Handles::connect(Some(&plane.kubeconfig()), None, Some("default")).await.unwrap();
    let mut tasks = JoinSet::new();
    let watches = Watches::start(&handles, FAILING_MAX, &mut tasks);
    tokio::time::timeout(SOON, watches.listed()).await.expect("a kind that is not served is an answer");
    assert_eq!(watches.observed().await.incomplete().len(), 7, "{:?}", watches.observed().await.incomplete());

    define(&admin).await;
    until(&watches, RECOVERED, "all is served", |observed| observed.incomplete().is_empty()).await;
    let definitions = Api::<CustomResourceDefinition>::all(admin.clone());
    definitions.delete("backupbatches.stash.appscode.com", &DeleteParams::default()).await.unwrap();
    until(&watches, RECOVERED, "one is gone", |observed| {
        observed.incomplete() == ["stash.appscode.com/v1beta1/BackupBatch"]
    })
    .await;
    define(&admin).await;
    until(&watches, RECOVERED, "it is back", |observed| observed.incomplete().is_empty()).await;

    let claims = Api::<PersistentVolumeClaim>::namespaced(admin.clone(), "default");
    let (before, after) = (key("default", "before"), key("default", "after"));
    claims.create(&PostParams::default(), &claim("before")).await.unwrap();
    until(&watches, SOON, "it is seen", |observed| observed.targets.contains_key(&before)).await;

    // With the history up to the last write gone, watches cannot resume and list again.
    claims.delete("before", &DeleteParams::background()).await.unwrap();
    let finalizers = json!({"metadata": {"finalizers": null}});
    let _gone_or_not = claims.patch("before", &PatchParams::default(), &Patch::Merge(&finalizers)).await;
    let last = Api::<Namespace>::all(admin.clone());
    let labelled = json!({"metadata": {"labels": {"last": "write"}}});
    let last = last.patch("default", &PatchParams::default(), &Patch::Merge(&labelled)).await.unwrap();
    plane.crash(last.metadata.resource_version.unwrap().parse().unwrap()).await;
    eventually(SOON * 2, "the API server is back", async || {
        claims.create(&PostParams::default(), &claim("after")).await.map_err(|error| error.to_string())
    })
    .await;
    until(&watches, RECOVERED, "all is as it is", |observed| {
        !observed.targets.contains_key(&before)
            && observed.targets.contains_key(&after)
            && observed.incomplete().is_empty()
    })
    .await;
    assert!(tasks.try_join_next().is_none(), "no watch has ended");
}

/// Applies all definitions.
async fn define(admin: &Client) {
    let definitions = Api::<CustomResourceDefinition>::all(admin.clone());
    let mut objects: BTreeMap<&str, CustomResourceDefinition> = BTreeMap::new();
    for (name, yaml) in crds() {
        objects.insert(name, serde_yaml::from_str(yaml).unwrap());
    }
    for definition in objects.values() {
        let name = definition.metadata.name.clone().unwrap();
        let params = PatchParams::apply("holdfast-test").force();
        eventually(SOON, &name, async || {
            let applied = definitions
                .patch(&name, &params, &Patch::Apply(definition))
                .await
                .map_err(|error| error.to_string())?;
            if applied.metadata.deletion_timestamp.is_none() { Ok(()) } else { Err("still being deleted".to_owned()) }
        })
        .await;
    }
}
