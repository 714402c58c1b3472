//! Claims: backed up and restored by Tasks, and made anew by a restore.

use crate::documents::{Configuration, deployment, repository};
use crate::ground::SOON;
use crate::harness::wait::eventually;
use crate::scene::{CLAIMS, PODS, Scene, hosts, succeeded};

/// VP1: a claim that pods use, by `pvc-backup` and `pvc-restore`.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_is_backed_up_and_restored_by_tasks() {
    let Some(scene) = Scene::new("claim").await else { return };
    let configuration = Configuration::new("files", "PersistentVolumeClaim", "web").yaml();
    scene.apply(&[repository(), deployment("web"), configuration].join("---\n")).await;
    let folder = scene.volume("web").await;
    eventually(SOON, "the volume", async || std::fs::write(folder.join("hello.txt"), "hello from pod 1.")).await;
    let session = scene.backed_up("files").await;
    assert_eq!(hosts(&session["status"]), succeeded(&["host-0"]));
    let restic = scene.restic("backups").await;
    assert_eq!(restic.stored(), [("host-0".to_owned(), "/stash-data".to_owned())]);
    restic.is_sound();

    std::fs::remove_file(folder.join("hello.txt")).expect("it was there");
    scene
        .apply(
            "apiVersion: stash.appscode.com/v1beta1
kind: RestoreSession
metadata: {name: files}
spec:
  repository: {name: repo}
  task: {name: pvc-restore}
  target:
    ref: {apiVersion: v1, kind: PersistentVolumeClaim, name: web}
    rules: [{snapshots: [latest]}]
",
        )
        .await;
    let restored = scene.restored("files").await;
    assert_eq!(restored["status"]["phase"], "Succeeded", "{:#}", restored["status"]);
    assert_eq!(std::fs::read_to_string(folder.join("hello.txt")).expect("it is back"), "hello from pod 1.");
    let pods = scene.list(PODS).await;
    let pod = pods.iter().find(|pod| pod["metadata"]["labels"]["app"] == "web").expect("it runs");
    assert_eq!(pod["spec"]["containers"].as_array().map(Vec::len), Some(1), "no sidecar");
    scene.finish().await;
}

/// Two claims for each replica.
fn two_templates() -> String {
    let claim = |name: &str| {
        format!(
            "  - metadata: {{name: {name}}}\n    spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}\n"
        )
    };
    format!(
        "apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db}}
spec:
  replicas: 2
  serviceName: db
  podManagementPolicy: Parallel
  volumeClaimTemplates:
{}{}  selector: {{matchLabels: {{app: db}}}}
  template:
    metadata: {{labels: {{app: db}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: main
        image: localhost/busybox:1
        command: [sleep, '100000']
        volumeMounts: [{{name: data, mountPath: /srv/data}}, {{name: wal, mountPath: /srv/wal}}]
",
        claim("data"),
        claim("wal")
    )
}

const TWO_TEMPLATES: &str = "apiVersion: stash.appscode.com/v1beta1
kind: BackupConfiguration
metadata: {name: db}
spec:
  repository: {name: repo}
  schedule: '0 0 1 1 *'
  retentionPolicy: {name: all, keepLast: 9, prune: false}
  target:
    ref: {apiVersion: apps/v1, kind: StatefulSet, name: db}
    paths: [/srv/data, /srv/wal]
    volumeMounts: [{name: data, mountPath: /srv/data}, {name: wal, mountPath: /srv/wal}]
";

/// Two templates for each of two replicas: four claims, each with its own data.
#[tokio::test(flavor = "multi_thread")]
async fn claims_of_all_templates_are_made_and_filled() {
    let Some(scene) = Scene::new("templates").await else { return };
    scene.apply(&[repository(), two_templates(), TWO_TEMPLATES.to_owned()].join("---\n")).await;
    for name in ["data-db-0", "data-db-1", "wal-db-0", "wal-db-1"] {
        let folder = scene.volume(name).await;
        eventually(SOON, name, async || std::fs::write(folder.join("own.txt"), name)).await;
    }
    let session = scene.backed_up("db").await;
    assert_eq!(hosts(&session["status"]), succeeded(&["host-0", "host-1"]));
    assert_eq!(scene.restic("backups").await.stored().len(), 4);

    scene
        .apply(
            "apiVersion: stash.appscode.com/v1beta1
kind: RestoreSession
metadata: {name: copy}
spec:
  repository: {name: repo}
  target:
    replicas: 2
    volumeMounts: [{name: data-copy, mountPath: /srv/data}, {name: wal-copy, mountPath: /srv/wal}]
    rules: [{paths: [/srv/data, /srv/wal]}]
    volumeClaimTemplates:
    - metadata: {name: 'data-copy-${POD_ORDINAL}'}
      spec: {accessModes: [ReadWriteOnce], storageClassName: local-path, resources: {requests: {storage: 1Gi}}}
    - metadata: {name: 'wal-copy-${POD_ORDINAL}'}
      spec: {accessModes: [ReadWriteOnce], storageClassName: local-path, resources: {requests: {storage: 1Gi}}}
",
        )
        .await;
    let restored = scene.restored("copy").await;
    assert_eq!(restored["status"]["phase"], "Succeeded", "{:#}", restored["status"]);
    assert_eq!(hosts(&restored["status"]), succeeded(&["host-0", "host-1"]));
    for (copy, of) in [
        ("data-copy-0", "data-db-0"),
        ("data-copy-1", "data-db-1"),
        ("wal-copy-0", "wal-db-0"),
        ("wal-copy-1", "wal-db-1"),
    ] {
        let text = std::fs::read_to_string(scene.volume(copy).await.join("own.txt")).expect("it was restored");
        assert_eq!(text, of, "{copy}");
    }
    let claims = scene.list(CLAIMS).await.len();
    assert_eq!(claims, 9, "four of the workload, four of the restore, one of the repository");
    scene.finish().await;
}
