//! The daemon is killed while one write of a session is on its way: whoever comes next ends it as if nothing had been. One snapshot
//! for each session, no Job twice, nothing held.

use std::time::Instant;

use serde_json::Value;

use crate::documents::{Configuration, deployment, repository};
use crate::ground::SOON;
use crate::harness::http_thread::SeenRequest;
use crate::harness::proxy::{Action, Proxy, Which};
use crate::harness::wait::eventually;
use crate::scene::{JOBS, Scene};

/// A write that the engine sends for a run.
#[derive(Clone, Copy, Debug)]
enum Write {
    Job,
    /// Of the session or the restore.
    Status,
    /// Finalizers and annotations of the same.
    Mark,
    /// The finalizer of a Job whose end is written down.
    Release,
    RepositoryStatus,
}

impl Write {
    fn fits(self, seen: &SeenRequest, namespace: &str) -> bool {
        let (method, path) = (seen.method.as_str(), seen.path.as_str());
        let is_run = path.contains("/backupsessions/") || path.contains("/restoresessions/");
        path.contains(&format!("/namespaces/{namespace}/"))
            && match self {
                Write::Job => method == "POST" && path.ends_with("/jobs"),
                Write::Status => method == "PATCH" && is_run && path.ends_with("/status"),
                Write::Mark => method == "PATCH" && is_run && !path.ends_with("/status"),
                Write::Release => method == "PATCH" && path.contains("/jobs/"),
                Write::RepositoryStatus => method == "PATCH" && path.ends_with("/repositories/repo/status"),
            }
    }
}

/// Which write, whether its answer is lost or it never arrives; of a backup, then of a restore.
const OF_A_BACKUP: [(Write, usize, Action); 10] = [
    (Write::Mark, 1, Action::Hold),
    (Write::Mark, 1, Action::HoldAnswer),
    (Write::Job, 1, Action::Hold),
    (Write::Job, 1, Action::HoldAnswer),
    (Write::Job, 2, Action::HoldAnswer),
    (Write::Status, 2, Action::HoldAnswer),
    (Write::Status, 4, Action::Hold),
    (Write::Release, 1, Action::Hold),
    (Write::RepositoryStatus, 1, Action::HoldAnswer),
    (Write::Mark, 2, Action::Hold),
];
const OF_A_RESTORE: [(Write, usize, Action); 5] = [
    (Write::Mark, 1, Action::Hold),
    (Write::Job, 1, Action::Hold),
    (Write::Job, 1, Action::HoldAnswer),
    (Write::Status, 2, Action::HoldAnswer),
    (Write::Release, 1, Action::Hold),
];

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_a_killed_daemon_ends_its_sessions() {
    let Some(scene) = Scene::alone("killed").await else { return };
    let (proxy, kubeconfig) = Proxy::in_front_of_cluster(scene.ground.kubeconfig);
    let flags = ["--scheduler=internal"];
    let mut daemon = scene.ground.start(&kubeconfig, &flags).await;
    let configuration = Configuration { keep: 99, ..Configuration::new("web", "Deployment", "web") }.yaml();
    scene.apply(&[repository(), deployment("web"), configuration].join("---\n")).await;
    let data = scene.volume("web").await;
    eventually(SOON, "the volume", async || std::fs::write(data.join("data.txt"), "sample_data")).await;
    scene.backed_up("web").await;
    let restic = scene.restic("backups").await;
    let mut stored = 1;
    let backups = OF_A_BACKUP.iter().map(|point| (true, point));
    let points: Vec<_> = backups.chain(OF_A_RESTORE.iter().map(|point| (false, point))).collect();
    for (index, (is_backup, (write, nth, action))) in points.iter().enumerate() {
        let (begun, namespace, write) = (Instant::now(), scene.namespace.name.clone(), *write);
        let rule = proxy.rule(Which::Nth(*nth), *action, move |seen| write.fits(seen, &namespace));
        let name = if *is_backup { scene.trigger("web") } else { restore(&scene, index).await };
        rule.wait_for_held(SOON).await;
        daemon.process.kill9();
        rule.release();
        daemon = scene.ground.start(&kubeconfig, &flags).await;
        let over = if *is_backup { scene.ended(&name).await } else { scene.restored(&name).await };
        assert_eq!(over["status"]["phase"], "Succeeded", "{write:?} {nth} {action:?}: {:#}", over["status"]);
        stored += usize::from(*is_backup);
        assert_eq!(restic.stored().len(), stored, "{write:?} {nth} {action:?}: one snapshot for each session");
        restic.is_free();
        let jobs = jobs_of(&scene, &name).await;
        assert_eq!(jobs, if *is_backup { 2 } else { 1 }, "{write:?} {nth} {action:?}");
        if !is_backup {
            assert_eq!(std::fs::read_to_string(data.join("data.txt")).expect("it is back"), "sample_data");
        }
        let what = if *is_backup { "backup" } else { "restore" };
        println!(
            "| {:2} | {what}: {write:?} {nth}, {action:?} | same end in {} ms |",
            index + 1,
            begun.elapsed().as_millis()
        );
    }
    println!("killed at {} points", points.len());
    restic.is_sound();
    scene.finish().await;
    drop(daemon);
}

async fn restore(scene: &Scene, index: usize) -> String {
    std::fs::remove_file(scene.volume("web").await.join("data.txt")).expect("it was there");
    let name = format!("again-{index}");
    let document = format!(
        "apiVersion: stash.appscode.com/v1beta1
kind: RestoreSession
metadata: {{name: {name}}}
spec:
  repository: {{name: repo}}
  target:
    ref: {{apiVersion: apps/v1, kind: Deployment, name: web}}
    volumeMounts: [{{name: data, mountPath: /srv/web}}]
    rules: [{{snapshots: [latest]}}]
"
    );
    scene.apply(&document).await;
    name
}

async fn jobs_of(scene: &Scene, run: &str) -> usize {
    let jobs = scene.list(JOBS).await;
    jobs.iter().filter(|job: &&Value| job["metadata"]["labels"]["holdfast.dev/run"] == run).count()
}
