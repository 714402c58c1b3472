//! Policies in Git against a live cluster: what they forbid is not made, what they want covered is counted, and one that
//! cannot be read stops deletes.

use std::collections::BTreeMap;

use kube::api::PostParams;
use serde_json::json;

use crate::documents;
use crate::harness::wait::eventually;
use crate::world::{CLAIMS, CONFIGURATIONS, DEPLOYMENTS, SOON, World};

const POLICIES: &str = "policies/all.yaml";
const DENIALS: &str = "holdfast_policy_decisions{policy=\"floor\",action=\"Deny\"}";
const UNPROTECTED: &str = "holdfast_uncovered_targets{policy=\"all\",code=\"Unprotected\"}";

const FLOOR: &str = "apiVersion: holdfast.dev/v1alpha1
kind: BackupPolicy
metadata:
  name: floor
spec:
  match:
    kinds: [BackupConfiguration]
  validations:
  - expression: object.spec.retentionPolicy.keepLast >= 5
    messageExpression: >-
      'keepLast is ' + string(object.spec.retentionPolicy.keepLast) + ' for ' + target.metadata.name + ' in ' +
      namespaceObject.metadata.name + ', keep 5'
---
";
const COVERAGE: &str = "apiVersion: holdfast.dev/v1alpha1
kind: BackupPolicy
metadata:
  name: all
spec:
  coverage:
    kinds: [PersistentVolumeClaim, Deployment]
";

#[tokio::test(flavor = "multi_thread")]
async fn policies_judge_what_is_made_and_count_what_is_covered() {
    let Some(world) = World::new().await else { return };
    let push = |path: &str, text: &str| drop(world.git.repository().push_files("main", &[(path, text)], "change"));
    push(POLICIES, &format!("{FLOOR}{COVERAGE}"));
    push(
        "blueprints/work.yaml",
        &keeping(5, &documents::blueprint("work", "0 4 * * *").replace("pvc-backup", "workload-backup")),
    );
    let daemon = world.daemon("policies").leading().await;
    world.claim("data", "volumes").await;
    // Nobody asks for a backup of this claim itself: it is covered with the Deployment that mounts it.
    world.claim("uploads", "volumes").await;
    world.annotate("uploads", json!({"stash.appscode.com/backup-blueprint": null})).await;
    deployment(&world).await;

    findings(&world, "the denial and the gap", |text| {
        text.contains("code: DeniedByPolicy")
            && text.contains("policy: floor")
            && text.contains("at: policies/all.yaml:9:5")
            && text.contains(&format!("message: keepLast is 3 for data in {}, keep 5", world.shop.name))
            && text.contains("code: Unprotected")
            && text.contains(&format!("target: v1/PersistentVolumeClaim/{}/data", world.shop.name))
            && !text.contains("/uploads")
            && !text.contains("/web")
    })
    .await;
    daemon.metric_is(DENIALS, |count| count == 1).await;
    daemon.metric_is(UNPROTECTED, |count| count == 1).await;
    let denied = world.api(CONFIGURATIONS).get_opt("persistentvolumeclaim-data").await.expect("the server answers");
    assert!(denied.is_none(), "what a policy denies was made");

    push("blueprints/volumes.yaml", &keeping(7, &documents::blueprint("volumes", "30 3 * * *")));
    world.protected(&["data"]).await;
    findings(&world, "no finding", |text| !text.contains("DeniedByPolicy") && !text.contains("Unprotected")).await;
    daemon.metric_is(UNPROTECTED, |count| count == 0).await;
    assert_eq!(daemon.metric(DENIALS).await, None, "a policy that says nothing has no series");

    // While a policy cannot be read, what it forbids is not known: nothing is deleted.
    push(POLICIES, &format!("{}{COVERAGE}", FLOOR.replace(">= 5", ">= ")));
    findings(&world, "the held policy", |text| {
        text.contains("code: BadPolicy") && text.contains("policies/all.yaml:9:17")
    })
    .await;
    world.annotate("data", json!({"stash.appscode.com/backup-blueprint": null})).await;
    let passes = daemon.metric("holdfast_passes_total").await.expect("a daemon counts its passes");
    daemon.metric_is("holdfast_passes_total", |now| now > passes + 3).await;
    let kept = world.api(CONFIGURATIONS).get("persistentvolumeclaim-data").await.expect("it is still there");
    let marks = kept.metadata.annotations.unwrap_or_default();
    assert!(!marks.contains_key("holdfast.dev/missing-since"), "its end has begun: {marks:?}");

    push(POLICIES, &format!("{FLOOR}{COVERAGE}"));
    eventually(SOON, "the delete", async || {
        match world.api(CONFIGURATIONS).get_opt("persistentvolumeclaim-data").await {
            Ok(None) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    println!("| policies in Git | denied, counted, followed; no delete while one of them is broken |");
    drop(daemon);
    world.finish("policies").await;
}

fn keeping(count: u32, blueprint: &str) -> String {
    blueprint.replace("keepLast: 3", &format!("keepLast: {count}"))
}

/// Mounts the claim `uploads` and names that volume in its annotations.
async fn deployment(world: &World) {
    let labels = json!({"app": "web"});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "annotations": {
            "stash.appscode.com/backup-blueprint": "work",
            "stash.appscode.com/target-paths": "/srv",
            "stash.appscode.com/volume-mounts": "up:/srv",
        }},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "web", "image": "localhost/web"}],
                "volumes": [{"name": "up", "persistentVolumeClaim": {"claimName": "uploads"}}]},
        }},
    });
    let deployment = serde_json::from_value(deployment).expect("a Deployment");
    world.api(DEPLOYMENTS).create(&PostParams::default(), &deployment).await.expect("Deployment made");
    world.api(CLAIMS).get("uploads").await.expect("the claim is there");
}

async fn findings(world: &World, what: &str, wanted: impl Fn(&str) -> bool) {
    let said = |files: &BTreeMap<String, String>| {
        let text = files.get("findings.yaml").ok_or("no findings.yaml")?;
        if wanted(text) { Ok(()) } else { Err(text.clone()) }
    };
    world.status(what, said).await;
}
