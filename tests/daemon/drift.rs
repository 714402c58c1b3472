//! Objects that people edit by hand: set back twice, then refused; and everything that says so.

use std::time::Duration;

use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::daemon::Daemon;
use crate::harness::wait::eventually;
use crate::world::{CONFIGURATIONS, SOON, World};

const OBJECT: &str = "persistentvolumeclaim-data";
const PERSON: &str = "kubectl-edit";
const WANTED: &str = "30 3 * * *";
/// Longer than the quiet that a batch of changes waits for.
const QUIET: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_undone_twice_and_then_refused() {
    let Some(world) = World::new().await else { return };
    let daemon = world.daemon("drift").leading().await;
    world.claim("data", "volumes").await;
    world.protected(&["data"]).await;
    said(&world, "PersistentVolumeClaim", "TargetAnnotated", 2).await;

    for round in 1..=2 {
        edit(&world, &format!("{round} 1 * * *")).await;
        live(&world, WANTED, Some(&format!("{round} {PERSON}"))).await;
        // The same is said once an hour.
        said(&world, "BackupConfiguration", "Drift", 1).await;
        world
            .status("the drift and its reason on the branch", |files| {
                let file = files.get(&world.status_path("data")).ok_or("no file")?;
                let told = file.contains("reason: Drift")
                    && file.contains(PERSON)
                    && file.contains(["", "set back once", "set back 2 times"][round]);
                if told { Ok(()) } else { Err(file.clone()) }
            })
            .await;
    }
    edit(&world, "3 1 * * *").await;
    daemon.metric_is("holdfast_refusals{code=\"DriftContested\"}", |count| count == 1).await;
    said(&world, "PersistentVolumeClaim", "DriftContested", 1).await;
    world
        .status("the refusal and its reason on the branch", |files| {
            let (target, findings) = (&files[&world.status_path("data")], &files["findings.yaml"]);
            let refused = target.contains("state: Refused") && target.contains("reason: DriftContested");
            let named = findings.contains("code: DriftContested") && findings.contains(PERSON);
            if refused && named { Ok(()) } else { Err(format!("{target}{findings}")) }
        })
        .await;
    live(&world, "3 1 * * *", Some(&format!("2 {PERSON}"))).await;

    // Whoever changed it takes it back.
    edit(&world, WANTED).await;
    daemon.metric_is("holdfast_refusals{code=\"DriftContested\"}", |count| count == 0).await;
    world.protected(&["data"]).await;
    decisions(&daemon);
    endpoints(&daemon).await;
    println!(
        "| edited by hand | set back 2 times, refused the 3rd time; 4 Events, 5 log lines, reasons on the branch |"
    );
    drop(daemon);
    world.finish("drift").await;
}

/// One log line for each decision, and no more.
fn decisions(daemon: &Daemon) {
    for (words, count) in [
        (["action=\"create\"", "reason=\"TargetAnnotated\""], 2),
        (["action=\"update\"", "reason=\"Drift\""], 2),
        (["refused: ", "code=\"DriftContested\""], 1),
    ] {
        let lines = daemon.lines(&words);
        assert_eq!(lines.len(), count, "{words:?}: {lines:#?}");
    }
}

async fn endpoints(daemon: &Daemon) {
    for path in ["/healthz", "/readyz"] {
        assert_eq!(daemon.get(path).await.expect("it answers"), (200, "ok\n".to_owned()), "{path}");
    }
    let (_, metrics) = daemon.get("/metrics").await.expect("it answers");
    for (series, value) in [
        ("holdfast_targets", 1),
        ("holdfast_status_failures", 0),
        ("holdfast_source_failures", 0),
        ("holdfast_steps_total{action=\"create\",result=\"done\"}", 2),
        ("holdfast_steps_total{action=\"update\",result=\"done\"}", 2),
    ] {
        assert_eq!(daemon.metric(series).await, Some(value), "{series}: {metrics}");
    }
}

/// What `kubectl edit` does to the schedule.
async fn edit(world: &World, schedule: &str) {
    let params = PatchParams { field_manager: Some(PERSON.to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({"spec": {"schedule": schedule}}));
    world.api(CONFIGURATIONS).patch(OBJECT, &params, &patch).await.expect("edited");
}

/// Waits until the object has the schedule and the mark.
async fn live(world: &World, schedule: &str, mark: Option<&str>) {
    eventually(SOON, "the object", async || {
        let object = world.api(CONFIGURATIONS).get(OBJECT).await.map_err(|error| error.to_string())?;
        let found = object.metadata.annotations.unwrap_or_default().get("holdfast.dev/undone").cloned();
        // `<count>:<digits that stand for what was set back> <manager>`.
        let found = found.and_then(|mark| {
            let (count, manager) = mark.split_once(' ')?;
            Some(format!("{} {manager}", count.split_once(':')?.0))
        });
        let is = (object.data["spec"]["schedule"].as_str(), found.as_deref());
        if is == (Some(schedule), mark) { Ok(()) } else { Err(format!("{is:?}")) }
    })
    .await;
}

/// Waits until there are `count` Events about an object of the kind.
async fn said(world: &World, kind: &str, reason: &str, count: usize) {
    let events = Api::<Event>::namespaced(world.cluster.admin.clone(), &world.shop.name);
    eventually(QUIET, &format!("{count} Events {reason} about a {kind}"), async || {
        let events = events.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
        let about = events.iter().filter(|event| {
            let regarding = event.regarding.as_ref().and_then(|regarding| regarding.kind.as_deref());
            event.reason.as_deref() == Some(reason) && regarding == Some(kind)
        });
        let notes: Vec<_> = about.map(|event| event.note.clone().unwrap_or_default()).collect();
        if notes.len() == count { Ok(()) } else { Err(format!("{notes:?}")) }
    })
    .await;
}
