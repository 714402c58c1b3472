//! Backups and restores of a Deployment, a StatefulSet and a DaemonSet, all into one repository.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::documents::{Configuration, NEVER, deployment, pod, repository};
use crate::ground::SOON;
use crate::harness::wait::eventually;
use crate::scene::{
    CONFIGURATIONS, CRON_JOBS, JOBS, PODS, REPOSITORIES, SESSIONS, Scene, condition, hosts, merge_spec, succeeded,
};

fn stateful_set(name: &str, more: &str) -> String {
    let pod = pod(name, "volumes: []");
    format!(
        "apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: {name}}}
spec:
  replicas: 2
  serviceName: {name}
  podManagementPolicy: Parallel
  volumeClaimTemplates:
  - metadata: {{name: data}}
    spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
{more}{pod}"
    )
}

fn daemon_set(name: &str, folder: &Path) -> String {
    let volume =
        format!("volumes: [{{name: data, hostPath: {{path: {}, type: DirectoryOrCreate}}}}]", folder.display());
    format!("apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {{name: {name}}}\nspec:\n{}", pod(name, &volume))
}

fn restore(name: &str, kind: &str, target: &str, rules: &str) -> String {
    format!(
        "apiVersion: stash.appscode.com/v1beta1
kind: RestoreSession
metadata: {{name: {name}}}
spec:
  repository: {{name: repo}}
  target:
    ref: {{apiVersion: apps/v1, kind: {kind}, name: {target}}}
    volumeMounts: [{{name: data, mountPath: /srv/{target}}}]
    rules: {rules}
"
    )
}

async fn write(folder: &Path, name: &str, text: &str) {
    eventually(SOON, &format!("{}", folder.display()), async || std::fs::write(folder.join(name), text)).await;
}

fn read(folder: &Path, name: &str) -> Option<String> {
    std::fs::read_to_string(folder.join(name)).ok()
}

/// READY, CRON and CONDS of the acceptance scenarios.
async fn is_ready(scene: &Scene, name: &str) {
    let configuration = scene.ready(name).await;
    let status = &configuration["status"];
    for (kind, reason) in [
        ("RepositoryFound", "RepositoryAvailable"),
        ("BackendSecretFound", "BackendSecretAvailable"),
        ("BackupTargetFound", "TargetAvailable"),
        ("CronJobCreated", "CronJobCreationSucceeded"),
    ] {
        assert_eq!(condition(status, kind), ("True".to_owned(), reason.to_owned()), "{status:#}");
    }
    let cron_job = scene.once(CRON_JOBS, &format!("stash-trigger-{name}"), "there", |_| true).await;
    let spec = &cron_job["spec"];
    assert_eq!((&spec["schedule"], &spec["suspend"]), (&json!(NEVER), &json!(false)));
    let owner = &cron_job["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["kind"], &owner["name"]), (&json!("BackupConfiguration"), &json!(name)));
}

/// SESSION of the acceptance scenarios.
fn is_whole(session: &Value, invoker: &str, names: &[&str]) {
    let name = session["metadata"]["name"].as_str().expect("a name");
    let seconds = name.strip_prefix(&format!("{invoker}-")).unwrap_or_default();
    assert!(seconds.len() == 10 && seconds.bytes().all(|byte| byte.is_ascii_digit()), "{name}");
    let expected = json!({"apiGroup": "stash.appscode.com", "kind": "BackupConfiguration", "name": invoker});
    assert_eq!(session["spec"]["invoker"], expected);
    let labels = &session["metadata"]["labels"];
    assert_eq!(labels["stash.appscode.com/invoker-name"], invoker);
    assert_eq!(labels["stash.appscode.com/invoker-type"], "BackupConfiguration");
    let status = &session["status"];
    assert!(status["sessionDuration"].is_string(), "{status:#}");
    assert_eq!(hosts(status), succeeded(names));
    assert_eq!(status["targets"][0]["totalHosts"], names.len());
    assert_eq!(status["targets"][0]["phase"], "Succeeded");
    for kind in ["BackendRepositoryInitialized", "RetentionPolicyApplied", "RepositoryIntegrityVerified"] {
        assert_eq!(condition(status, kind).0, "True", "{kind}: {status:#}");
    }
}

/// REPO-OK of the acceptance scenarios.
async fn repository_holds(scene: &Scene, count: usize) -> Value {
    let repository =
        scene.once(REPOSITORIES, "repo", "counted", |object| object["status"]["snapshotCount"] == count).await;
    let status = &repository["status"];
    assert_eq!(status["integrity"], true);
    for field in ["totalSize", "lastBackupTime", "firstBackupTime"] {
        assert!(status[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {status:#}");
    }
    repository
}

struct Estate {
    web: PathBuf,
    db: [PathBuf; 2],
    logs: PathBuf,
}

impl Estate {
    fn all(&self) -> [(&PathBuf, &'static str); 4] {
        [(&self.web, "web"), (&self.db[0], "db-0"), (&self.db[1], "db-1"), (&self.logs, "logs")]
    }

    async fn set(scene: &Scene) -> Self {
        let logs = scene.lab_folder("hosts").join(&scene.namespace.name);
        let configurations: Vec<String> = [("Deployment", "web"), ("StatefulSet", "db"), ("DaemonSet", "logs")]
            .iter()
            .map(|(kind, name)| Configuration { keep: 2, ..Configuration::new(name, kind, name) }.yaml())
            .collect();
        let documents = [
            repository(),
            deployment("web"),
            stateful_set("db", ""),
            daemon_set("logs", &logs),
            configurations.join("---\n"),
        ];
        scene.apply(&documents.join("---\n")).await;
        let db = [scene.volume("data-db-0").await, scene.volume("data-db-1").await];
        let estate = Self { web: scene.volume("web").await, db, logs };
        for (folder, text) in estate.all() {
            write(folder, "data.txt", text).await;
        }
        estate
    }
}

/// WD1, WS1 and WX1 in the job model: no workload is touched, one snapshot for each host and path.
#[tokio::test(flavor = "multi_thread")]
async fn workloads_are_backed_up_by_jobs_and_their_data_comes_back() {
    let Some(scene) = Scene::new("workloads").await else { return };
    let estate = Estate::set(&scene).await;
    let node = eventually(SOON, "four pods that run", async || {
        let pods = scene.list(PODS).await;
        let run = pods.iter().filter(|pod| is_own(pod) && pod["status"]["phase"] == "Running");
        let nodes: Vec<_> = run.filter_map(|pod| pod["spec"]["nodeName"].as_str().map(str::to_owned)).collect();
        if nodes.len() == 4 { Ok(nodes[0].clone()) } else { Err(format!("{nodes:?}")) }
    })
    .await;
    let pods = running(&scene).await;
    for name in ["web", "db", "logs"] {
        is_ready(&scene, name).await;
    }
    let hosts_of = [("web", vec!["host-0"]), ("db", vec!["host-0", "host-1"]), ("logs", vec![node.as_str()])];
    // Three first uses of one repository in the same moment.
    let names: Vec<String> = hosts_of.iter().map(|(name, _)| scene.trigger(name)).collect();
    for ((name, hosts), session) in hosts_of.iter().zip(&names) {
        let session = scene.ended(session).await;
        assert_eq!(session["status"]["phase"], "Succeeded", "{:#}", session["status"]);
        is_whole(&session, name, hosts);
    }
    assert_eq!(running(&scene).await, pods, "a workload was touched");
    let repository = repository_holds(&scene, 4).await;
    let users = repository["status"]["references"].as_array().expect("a list");
    let users: Vec<_> = users.iter().filter_map(|user| user["name"].as_str()).collect();
    assert_eq!(users, ["db", "logs", "web"]);

    let restic = scene.restic("backups").await;
    let stored: Vec<String> = restic.stored().into_iter().map(|(host, path)| format!("{host} {path}")).collect();
    let mut expected = vec!["host-0 /srv/web".to_owned(), "host-0 /srv/db".to_owned(), "host-1 /srv/db".to_owned()];
    expected.push(format!("{node} /srv/logs"));
    expected.sort();
    assert_eq!(stored, expected);
    let uid =
        scene.once(SESSIONS, &names[0], "there", |_| true).await["metadata"]["uid"].as_str().expect("a uid").to_owned();
    let tagged = restic.snapshots().into_iter().filter(|snapshot| {
        snapshot["tags"].as_array().into_iter().flatten().any(|tag| *tag == format!("holdfast-session={uid}"))
    });
    assert_eq!(tagged.count(), 1, "one snapshot says that it is of {}", names[0]);
    restic.is_sound();

    retention_keeps_the_last_two(&scene).await;
    destroyed_data_comes_back(&scene, &estate, &node).await;
    scene.restic("backups").await.is_sound();
    scene.finish().await;
}

/// Of a workload of the test, not of a run.
fn is_own(pod: &Value) -> bool {
    pod["metadata"]["labels"]["app"].is_string()
}

/// Names and versions of what the pods of the workloads are: none was made anew.
async fn running(scene: &Scene) -> Vec<(String, String, usize)> {
    let pods = scene.list(PODS).await;
    let own = pods.iter().filter(|pod| is_own(pod));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let containers = |pod: &Value| pod["spec"]["containers"].as_array().map_or(0, Vec::len);
    let mut pods: Vec<_> =
        own.map(|pod| (text(&pod["metadata"]["name"]), text(&pod["metadata"]["uid"]), containers(pod))).collect();
    pods.sort();
    pods
}

async fn retention_keeps_the_last_two(scene: &Scene) {
    for _ in 0..2 {
        scene.backed_up("web").await;
    }
    // Of `web` two of three are left; what others stored as host-0 is none of its business.
    let repository = repository_holds(scene, 5).await;
    assert_eq!(repository["status"]["snapshotsRemovedOnLastCleanup"], 1);
}

async fn destroyed_data_comes_back(scene: &Scene, estate: &Estate, node: &str) {
    for (folder, _) in estate.all() {
        std::fs::remove_file(folder.join("data.txt")).expect("it was there");
    }
    // Two targets have a host-0: the path says whose data it is.
    let of_node = format!("[{{sourceHost: {node}, paths: [/srv/logs], include: ['*.txt']}}]");
    let restores =
        [restore("db", "StatefulSet", "db", "[{paths: [/srv/db]}]"), restore("logs", "DaemonSet", "logs", &of_node)];
    scene.apply(&restores.join("---\n")).await;
    for (name, hosts_of) in [("db", vec!["host-0", "host-1"]), ("logs", vec![node])] {
        let ended = scene.restored(name).await;
        assert_eq!(ended["status"]["phase"], "Succeeded", "{:#}", ended["status"]);
        assert_eq!(hosts(&ended["status"]), succeeded(&hosts_of));
        assert!(ended["status"]["sessionDuration"].is_string());
    }
    // Nobody guesses which of the two is meant.
    scene.apply(&restore("web", "Deployment", "web", "[{snapshots: [latest]}]")).await;
    let refused = scene.restored("web").await;
    assert_eq!(refused["status"]["phase"], "Failed", "{:#}", refused["status"]);
    let error = &hosts(&refused["status"])[0].2;
    assert!(error.starts_with("AmbiguousSnapshot: "), "{error}");
    let snapshots = scene.restic("backups").await.snapshots();
    let newest = snapshots.iter().rfind(|snapshot| snapshot["paths"][0] == "/srv/web").expect("it was stored");
    let id = newest["short_id"].as_str().expect("an id");
    scene.apply(&restore("web-again", "Deployment", "web", &format!("[{{snapshots: ['{id}']}}]"))).await;
    let ended = scene.restored("web-again").await;
    assert_eq!(ended["status"]["phase"], "Succeeded", "{:#}", ended["status"]);
    for (folder, text) in estate.all() {
        assert_eq!(read(folder, "data.txt").as_deref(), Some(text), "{}", folder.display());
    }
}

/// UP1: the CronJob is kept and suspended, a session that is made by hand is skipped, and resuming brings all back.
#[tokio::test(flavor = "multi_thread")]
async fn a_paused_configuration_skips() {
    let Some(scene) = Scene::new("paused").await else { return };
    let configuration = Configuration::new("web", "Deployment", "web").yaml();
    scene.apply(&[repository(), deployment("web"), configuration].join("---\n")).await;
    is_ready(&scene, "web").await;
    scene.merge(CONFIGURATIONS, "web", merge_spec(&json!({"paused": true}))).await;
    scene.once(CRON_JOBS, "stash-trigger-web", "suspended", |object| object["spec"]["suspend"] == true).await;
    assert_eq!(scene.ready("web").await["status"]["phase"], "Ready");

    let session = "apiVersion: stash.appscode.com/v1beta1
kind: BackupSession
metadata: {name: instant-backupsession}
spec: {invoker: {apiGroup: stash.appscode.com, kind: BackupConfiguration, name: web}}
";
    scene.apply(session).await;
    let session = scene.ended("instant-backupsession").await;
    assert_eq!(session["status"]["phase"], "Skipped");
    let skipped = condition(&session["status"], "BackupSkipped");
    assert_eq!(skipped, ("True".to_owned(), "SkippedTakingNewBackup".to_owned()));
    assert_eq!(scene.list(JOBS).await.len(), 0);

    scene.merge(CONFIGURATIONS, "web", merge_spec(&json!({"paused": false}))).await;
    scene.once(CRON_JOBS, "stash-trigger-web", "going on", |object| object["spec"]["suspend"] == false).await;
    scene.backed_up("web").await;
    scene.finish().await;
}

/// A slot of a CronJob: its pod makes the session of that minute, under the rights of the trigger.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_of_a_cron_job_has_its_session() {
    let Some(scene) = Scene::new("slot").await else { return };
    let configuration =
        Configuration { schedule: "* * * * *", ..Configuration::new("web", "Deployment", "web") }.yaml();
    scene.apply(&[repository(), deployment("web"), configuration].join("---\n")).await;
    scene.ready("web").await;
    let name = eventually(SOON, "a session", async || {
        let sessions = scene.list(SESSIONS).await;
        sessions.first().and_then(|session| session["metadata"]["name"].as_str().map(str::to_owned)).ok_or("none")
    })
    .await;
    scene.merge(CONFIGURATIONS, "web", merge_spec(&json!({"schedule": NEVER}))).await;
    let session = scene.ended(&name).await;
    assert_eq!(session["status"]["phase"], "Succeeded", "{:#}", session["status"]);
    is_whole(&session, "web", &["host-0"]);
    let seconds: u64 = name.rsplit_once('-').and_then(|(_, seconds)| seconds.parse().ok()).expect("seconds");
    assert_eq!(seconds % 60, 0, "{name} is of a slot");
    let trigger: Vec<_> = scene
        .list(JOBS)
        .await
        .into_iter()
        .filter(|job| job["metadata"]["ownerReferences"][0]["kind"] == "CronJob" && job["status"]["succeeded"] == 1)
        .collect();
    assert!(!trigger.is_empty(), "the Job of the CronJob has succeeded");
    scene.finish().await;
}
