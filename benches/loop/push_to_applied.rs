//! From a push to the applied object, where the source is a local repository and file notification says that it moved.

use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use holdfast::model::desired::Desired;
use holdfast::model::object::{Kind, ObjectKey};
use holdfast::model::plan::Step;
use holdfast::plan::{Settings, plan};
use kube::Api;
use kube::api::DynamicObject;

use crate::harness::bare_repository::{BareRepository, Hook};
use crate::plan::{now, observe};
use crate::stage::Stage;
use crate::support;
use crate::table::{Row, seconds};
use crate::world;

const ROUNDS: usize = 7;
/// Notification that takes longer has failed: the next look would only come with `--git-interval`.
const ROUND: Duration = Duration::from_secs(20);

pub(crate) async fn measure() -> Vec<Row> {
    let Some(stage) = Stage::new().await else { return Vec::new() };
    let repository = BareRepository::create();
    repository.push_files("main", &[("README.md", "documents\n")], "begin");
    repository.set_hook(Hook::PostReceive, "date +%s%N > moved");
    let own = stage.cluster.namespace("bench").await;
    let namespace = own.name.as_str();
    let path = repository.path();
    let mut daemon = stage.daemon(path.to_str().expect("a UTF-8 path"), &["--git-interval", "10m"]);
    daemon.ready().await;
    daemon.reaches("holdfast_passes_total", 1.0).await;

    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let name = format!("pushed-{round}");
        repository.push_files("main", &[(&format!("{name}.yaml"), &documents(namespace, &name))], &name);
        let key = ObjectKey::new(Kind::BackupConfiguration, namespace, &name);
        let seen = there(&support::api(&stage.cluster, &key), &name).await;
        let moved = fs::read_to_string(path.join("moved")).expect("the hook ran");
        let moved = Duration::from_nanos(moved.trim().parse().expect("nanoseconds"));
        times.push(seen.saturating_sub(moved).as_secs_f64());
    }
    daemon.stop().await;
    times.sort_by(f64::total_cmp);
    let median = times[ROUNDS / 2];
    let bare = stage.apply_bare(&steps(namespace), 1).await;
    let what = format!("from a push to 2 applied objects, by file notification (median of {ROUNDS})");
    let row = Row::new(what, format!("{} ({} to {})", seconds(median), seconds(times[0]), seconds(times[ROUNDS - 1])));
    vec![row.ratio(median, bare, "a bare client with the same requests")]
}

/// When the object was first seen, since 1970: asked for without a pause.
async fn there(api: &Api<DynamicObject>, name: &str) -> Duration {
    let end = Instant::now() + ROUND;
    while api.get_metadata_opt(name).await.expect("the API server answers").is_none() {
        assert!(Instant::now() < end, "{name} was not applied within {ROUND:?}");
    }
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970")
}

/// A Repository and a BackupConfiguration, as a team writes them.
fn documents(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: stash.appscode.com/v1alpha1\nkind: Repository\nmetadata:\n  name: {name}\n  namespace: \
         {namespace}\nspec:\n  backend:\n    s3:\n      endpoint: s3.example.com\n      bucket: backups\n      prefix: \
         {namespace}/{name}\n    storageSecretName: backup-storage\n---\napiVersion: \
         stash.appscode.com/v1beta1\nkind: BackupConfiguration\nmetadata:\n  name: {name}\n  namespace: \
         {namespace}\nspec:\n  repository:\n    name: {name}\n  schedule: 0 5 * * 1\n  target:\n    ref:\n      \
         apiVersion: v1\n      kind: PersistentVolumeClaim\n      name: {name}\n  retentionPolicy:\n    name: \
         a-quarter\n    keepWeekly: 13\n    prune: true\n"
    )
}

/// The same objects under another name, for the bare client.
fn steps(namespace: &str) -> Vec<Step> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("tree")).expect("folder made");
    fs::write(folder.path().join("tree/bare.yaml"), documents(namespace, "bare")).expect("file written");
    let desired: Desired = crate::plan::parse(folder.path());
    let planned = plan(&desired, &observe(&[world::namespace(namespace)]), &Settings::default(), now());
    assert_eq!(planned.steps.len(), 2, "{:?} {:?}", planned.refusals, desired.held);
    planned.steps
}
