//! 1,000 targets on a real API server: from empty to applied under the shipped rights, then at rest.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast::model::plan::Step;
use holdfast::plan::{Settings, plan};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::Api;
use kube::api::ListParams;

use crate::harness::audit::AuditEntry;
use crate::harness::bare_repository::BareRepository;
use crate::harness::cluster::TestNamespace;
use crate::harness::git_server::{Access, GitServer, Transport};
use crate::harness::wait::eventually;
use crate::plan::{desired, now, observe};
use crate::process::{cpu_seconds, memory};
use crate::stage::{Daemon, LATER, STATUS_BRANCH, Stage};
use crate::table::{Row, mebibytes, seconds, to_f64};
use crate::world;

const TARGETS: usize = 1000;
const NAMESPACES: usize = 10;
/// Two looks at the source, and a dozen renewals of the Lease.
const REST: Duration = Duration::from_mins(1);
const FORCED_PASSES: u32 = 10;
/// For the comparison with a bare client.
const COMPARED_TARGETS: usize = 200;
/// As the daemon has them under way at once.
const AT_ONCE: usize = 8;
const DONE: &str = r#"holdfast_steps_total{action="create",result="done"}"#;
const WRITES: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

pub(crate) async fn measure() -> Vec<Row> {
    let Some(stage) = Stage::new().await else { return Vec::new() };
    let server = GitServer::start(Transport::Http, &Access::Open);
    let documents = world::blueprints(30);
    let documents: Vec<(&str, &str)> = documents.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    server.repository().push_files("main", &documents, "blueprints");
    let namespaces = namespaces(&stage, NAMESPACES).await;
    make_targets(&stage, &namespaces).await;

    let (daemon, mut rows, applied) = from_empty(&stage, &server).await;
    rows.extend(at_rest(&stage, server.repository(), &daemon).await);
    daemon.stop().await;
    rows.extend(forced(&stage, &server).await);
    // Last, and without a daemon: it would judge what the bare client makes.
    let spare = namespaces_and_steps(&stage).await;
    let objects = to_f64(2 * TARGETS);
    for (at_once, words) in
        [(AT_ONCE, "a bare client with the same requests, 8 at once"), (1, "a bare client, one at a time")]
    {
        let (_namespaces, steps) = &spare[usize::from(at_once == 1)];
        let bare = stage.apply_bare(steps, at_once).await / to_f64(steps.len());
        let each = applied / objects;
        let row = Row::new(format!("– time for each object, against {words}"), seconds(each));
        rows.push(row.ratio(each, bare, &format!("{} each", seconds(bare))));
    }
    rows
}

/// Starts a daemon and waits until all is applied and the status branch says so; gives the seconds until the last write too.
async fn from_empty(stage: &Stage, server: &GitServer) -> (Daemon, Vec<Row>, f64) {
    let mark = stage.audit.mark();
    let start = Timestamp::now();
    let mut daemon = stage.daemon(&server.url(), &[]);
    daemon.reaches(DONE, to_f64(2 * TARGETS)).await;
    eventually(LATER, "the status branch names every target", async || {
        let files = server.repository().paths(STATUS_BRANCH).iter().filter(|path| world::is_status_file(path)).count();
        if files == TARGETS { Ok(()) } else { Err(format!("{files} files")) }
    })
    .await;
    let told = memory(daemon.process.pid());
    let requests = stage.requests(mark).await;
    let (ours, beside): (Vec<_>, Vec<_>) = requests.iter().partition(|entry| is_object(entry));
    let first = ours.iter().map(|entry| entry.time).min().expect("requests");
    let last = ours.iter().map(|entry| entry.time).max().expect("requests");
    let (total, applied) = (last.duration_since(start).as_secs_f64(), last.duration_since(first).as_secs_f64());
    let each = to_f64(ours.len()) / to_f64(TARGETS);
    let writes = to_f64(ours.iter().filter(|entry| is_write(entry)).count()) / to_f64(TARGETS);
    let what = format!(
        "{TARGETS} targets from empty to applied: requests for each (today 2 objects: Repository, BackupConfiguration)"
    );
    let rows = vec![
        Row::new(what, format!("{each:.2} ({})", verbs(&ours, TARGETS)))
            .aim("at most 8, with the objects of later stages", each <= 8.0),
        Row::new("– writes among them", format!("{writes:.2}")).aim("at most 5, likewise", writes <= 5.0),
        Row::new("– requests beside, in all", format!("{} ({})", beside.len(), verbs(&beside, 1))),
        Row::new("– from the start of the process to the last write", seconds(total)),
        Row::new(
            "– memory of the daemon then, and at its peak",
            format!("{}, {}", mebibytes(told.now_bytes), mebibytes(told.peak_bytes)),
        ),
    ];
    (daemon, rows, applied)
}

/// What the daemon does and takes when nothing happens, with its default intervals.
async fn at_rest(stage: &Stage, repository: &BareRepository, daemon: &Daemon) -> Vec<Row> {
    let pid = daemon.process.pid();
    let (mark, commit, cpu) = (stage.audit.mark(), repository.commit_at(STATUS_BRANCH), cpu_seconds(pid));
    // The window that is measured; nothing is waited for.
    tokio::time::sleep(REST).await;
    let share = (cpu_seconds(pid) - cpu) / REST.as_secs_f64() * 100.0;
    let now = memory(pid).now_bytes;
    let what = format!("at rest with {TARGETS} targets, {} s", REST.as_secs());
    let quiet = quiet(&stage.requests(mark).await, commit == repository.commit_at(STATUS_BRANCH));
    vec![
        Row::new(format!("{what}: writes, LISTs, commits"), quiet.0).aim("none, beside the Lease", quiet.1),
        Row::new("– share of one core", format!("{share:.2} %")).aim("under 1 %", share < 1.0),
        Row::new("– memory", mebibytes(now)).aim("under 40 MiB", now < 40 << 20),
    ]
}

/// A daemon that finds all in place and is made to plan again and again.
async fn forced(stage: &Stage, server: &GitServer) -> Vec<Row> {
    let mut daemon = stage.daemon(&server.url(), &["--full-pass", "1s", "--git-interval", "1s"]);
    daemon.reaches("holdfast_passes_total", 2.0).await;
    let (pid, repository) = (daemon.process.pid(), server.repository());
    let (mark, commit, cpu) = (stage.audit.mark(), repository.commit_at(STATUS_BRANCH), cpu_seconds(pid));
    let passes = daemon.metric("holdfast_passes_total").await.expect("metrics");
    daemon.reaches("holdfast_passes_total", passes + f64::from(FORCED_PASSES)).await;
    let each = (cpu_seconds(pid) - cpu) / (daemon.metric("holdfast_passes_total").await.expect("metrics") - passes);
    let told = memory(pid);
    let quiet = quiet(&stage.requests(mark).await, commit == repository.commit_at(STATUS_BRANCH));
    daemon.stop().await;
    vec![
        Row::new(format!("a restart, then {FORCED_PASSES} forced passes: writes, LISTs, commits"), quiet.0)
            .aim("none, beside the Lease", quiet.1),
        Row::new("– time on a core for one pass and one look at source and status branch", seconds(each)),
        Row::new("– memory, and its peak", format!("{}, {}", mebibytes(told.now_bytes), mebibytes(told.peak_bytes)))
            .aim("under 40 MiB", told.now_bytes < 40 << 20),
    ]
}

/// What should not have happened, and whether nothing did.
fn quiet(requests: &[AuditEntry], same_commit: bool) -> (String, bool) {
    let requests: Vec<_> = requests.iter().filter(|entry| entry.resource != "leases").collect();
    let writes = requests.iter().filter(|entry| is_write(entry)).count();
    let lists = requests.iter().filter(|entry| entry.verb == "list").count();
    let commits = if same_commit { "0" } else { "some" };
    (format!("{writes}, {lists}, {commits}"), writes == 0 && lists == 0 && same_commit)
}

fn is_write(entry: &AuditEntry) -> bool {
    WRITES.contains(&entry.verb.as_str())
}

/// Whether a request is about one object that plans are about.
fn is_object(entry: &AuditEntry) -> bool {
    ["repositories", "backupconfigurations"].contains(&entry.resource.as_str()) && !entry.name.is_empty()
}

/// `get 2.00, patch 2.00`: how often each verb was used, for one of `among`.
fn verbs(entries: &[&AuditEntry], among: usize) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in entries {
        *counts.entry(&entry.verb).or_default() += 1;
    }
    let digits = if among == 1 { 0 } else { 2 };
    let words = counts.iter().map(|(verb, count)| format!("{verb} {:.digits$}", to_f64(*count) / to_f64(among)));
    words.collect::<Vec<_>>().join(", ")
}

async fn namespaces(stage: &Stage, count: usize) -> Vec<TestNamespace> {
    let mut namespaces = Vec::new();
    for _ in 0..count {
        namespaces.push(stage.cluster.namespace("bench").await);
    }
    namespaces
}

/// Makes the targets and waits until their controllers are done with them.
async fn make_targets(stage: &Stage, namespaces: &[TestNamespace]) {
    let targets = (0..TARGETS).map(|number| world::target(&namespaces[number % NAMESPACES].name, number));
    let targets: Vec<_> = targets.collect();
    let deployments = targets.iter().filter(|target| target["kind"] == "Deployment").count();
    stage.create(targets).await;
    let sets = Api::<ReplicaSet>::all(stage.cluster.admin.clone());
    eventually(LATER, "every Deployment has its ReplicaSet", async || {
        let made = sets.list_metadata(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
        let here = |namespace: Option<&String>| namespaces.iter().any(|one| Some(&one.name) == namespace);
        let made = made.iter().filter(|set| here(set.metadata.namespace.as_ref())).count();
        if made >= deployments { Ok(()) } else { Err(format!("{made} of {deployments}")) }
    })
    .await;
}

/// Twice a namespace that no daemon has seen, and the steps of targets that would be in it.
async fn namespaces_and_steps(stage: &Stage) -> Vec<(TestNamespace, Vec<Step>)> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    world::write_tree(folder.path(), 30);
    let mut spare = Vec::new();
    for namespace in namespaces(stage, 2).await {
        let targets = (0..COMPARED_TARGETS).map(|number| world::target(&namespace.name, number));
        let objects: Vec<_> = targets.chain([world::namespace(&namespace.name)]).collect();
        let planned = plan(&desired(folder.path()), &observe(&objects), &Settings::default(), now());
        spare.push((namespace, planned.steps));
    }
    spare
}
