//! The commands of `deploy/README.md` on a real node: install, upgrade, uninstall by Helm, then plain manifests.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::ResourceExt as _;
use serde_json::json;

use crate::harness::wait::eventually;
use crate::leadership::Leadership;
use crate::stage::{ELSEWHERE, IMAGE, NAMESPACE, NEXT_IMAGE, SOON, STATUS, Stage};

/// How long a candidate waits for a holder that says nothing.
const LEASE: Duration = Duration::from_secs(15);
/// A definition that somebody else keeps, newer than ours.
const KEPT: &str = "functions.stash.appscode.com";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_installed_works_and_outlives_upgrade_and_removal() {
    let Some(stage) = Stage::set().await else { return };
    stage.follow("Namespace and credentials", 0);
    stage.follow("Namespace and credentials", 1);
    newer_definition(&stage, "newer than the one that is shipped").await;
    let kept = definitions(&stage).await;

    println!("helm install");
    stage.follow("By Helm", 0);
    assert_eq!(definitions(&stage).await[KEPT], kept[KEPT], "Helm changed a definition that was there");
    assert_eq!(definitions(&stage).await.len(), holdfast::install::crds::crds().len());
    works(&stage, NAMESPACE, IMAGE, "web").await;

    println!("helm upgrade");
    upgrade(&stage).await;

    println!("helm uninstall");
    let (before, defined, commits) = (stage.made().await, definitions(&stage).await, history(&stage));
    stage.follow("By Helm", 2);
    assert!(stage.deployment_is_gone().await);
    assert_eq!(stage.made().await, before);
    assert_eq!(definitions(&stage).await, defined);
    assert_eq!(history(&stage), commits);

    println!("plain manifests");
    let refused = stage.shell.output("holdfast crds | kubectl apply --server-side -f -");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("conflict with \"other-tool\""), "{said}");
    shipped_definition(&stage).await;
    stage.follow_elsewhere("Namespace and credentials", 0);
    stage.follow_elsewhere("Namespace and credentials", 2);
    stage.follow_elsewhere("Plain manifests", 0);
    let enforced = r"{.metadata.labels.pod-security\.kubernetes\.io/enforce}";
    let enforced = stage.shell.run(&format!("kubectl get namespace {ELSEWHERE} -o jsonpath='{enforced}'"));
    assert_eq!(enforced, "restricted");
    works(&stage, ELSEWHERE, IMAGE, "worker").await;
    unchanged(&before, &stage.made().await);
    goes_on(&commits, &history(&stage));
    stage.follow("Definitions", 0);
}

/// The daemon of this image is ready, and a new Deployment gets its backup and its place on the status branch.
async fn works(stage: &Stage, namespace: &str, image: &str, target: &str) {
    let pod = stage.pod(namespace).await;
    let name = pod.name_any();
    assert_eq!(pod.spec.expect("a pod has a spec").containers[0].image.as_deref(), Some(image));
    for (path, wanted) in [("readyz", "ok"), ("metrics", "holdfast_")] {
        let url = format!("/api/v1/namespaces/{namespace}/pods/{name}:8080/proxy/{path}");
        let answer = stage.shell.run(&format!("kubectl get --raw {url}"));
        assert!(answer.contains(wanted), "{path}: {answer}");
    }
    stage.deploy(target).await;
    stage.protected(target).await;
    let wanted = format!("deployment-{target}");
    let made = stage.made().await;
    let kinds: Vec<&str> =
        made.iter().filter(|[_, name, ..]| *name == wanted).map(|[kind, ..]| kind.as_str()).collect();
    assert_eq!(kinds, ["Repository", "BackupConfiguration"], "{made:?}");
}

/// The same program in another image, while the Lease is watched.
async fn upgrade(stage: &Stage) {
    let (before, commits) = (stage.made().await, history(stage));
    let old = stage.pod(NAMESPACE).await.name_any();
    let leadership = Leadership::watch(&stage.cluster.admin, NAMESPACE);
    stage.follow("By Helm", 1);
    works(stage, NAMESPACE, NEXT_IMAGE, "api").await;
    let new = stage.pod(NAMESPACE).await.name_any();
    eventually(SOON, "the new pod leads", async || {
        let (_, holders) = leadership.so_far();
        if holders.last().is_some_and(|holder| holder.starts_with(&new)) { Ok(()) } else { Err(format!("{holders:?}")) }
    })
    .await;
    let (silence, holders) = leadership.so_far();
    assert!(holders.len() == 2 && holders[0].starts_with(&old), "{old}, {new}: {holders:?}");
    assert!(silence < LEASE, "nobody renewed the Lease for {silence:?}");
    println!("longest time between two renewals of the Lease: {silence:?}");
    unchanged(&before, &stage.made().await);
    goes_on(&commits, &history(stage));
}

/// Every object of before is there with its UID and its version: nothing was written.
fn unchanged(before: &[[String; 4]], now: &[[String; 4]]) {
    assert!(before.len() >= 2, "{before:?}");
    for object in before {
        assert!(now.contains(object), "{object:?} is not in {now:?}");
    }
}

/// The commits of before are those at the bottom, and there are few more: a target and what became of it.
fn goes_on(before: &[String], now: &[String]) {
    assert!(!before.is_empty() && now.ends_with(before), "{before:?}\n{now:?}");
    let more = now.len() - before.len();
    assert!((1..=2).contains(&more), "{more} commits for one target");
}

fn history(stage: &Stage) -> Vec<String> {
    stage.git.repository().log(STATUS).into_iter().map(|commit| commit.id).collect()
}

/// Name to UID and generation.
async fn definitions(stage: &Stage) -> BTreeMap<String, (Option<String>, Option<i64>)> {
    let all = stage.definitions().list(&kube::api::ListParams::default()).await.expect("a list").items;
    let ours = all.into_iter().filter(|definition| definition.name_any().ends_with(".appscode.com"));
    ours.map(|definition| (definition.name_any(), (definition.uid(), definition.metadata.generation))).collect()
}

/// Another tool brings a definition with another text.
async fn newer_definition(stage: &Stage, text: &str) {
    apply_definition(stage, |definition| {
        let versions = definition["spec"]["versions"].as_array_mut().expect("a definition has versions");
        versions[0]["schema"]["openAPIV3Schema"]["description"] = json!(text);
    })
    .await;
}

/// The other tool goes back to the shipped one.
async fn shipped_definition(stage: &Stage) {
    apply_definition(stage, |_| {}).await;
}

async fn apply_definition(stage: &Stage, change: impl FnOnce(&mut serde_json::Value)) {
    let shipped = holdfast::install::crds::crds();
    let (_, yaml) = shipped.iter().find(|(name, _)| *name == KEPT).expect("it is shipped");
    let mut definition: serde_json::Value = serde_yaml::from_str(yaml).expect("YAML");
    change(&mut definition);
    let file = stage.shell.file("definition.json");
    std::fs::write(&file, definition.to_string()).expect("file written");
    let options = "--server-side --force-conflicts --field-manager=other-tool";
    stage.shell.run(&format!("kubectl apply {options} -f {}", file.display()));
    eventually(SOON, "the definition is established", async || {
        let found = stage.definitions().get(KEPT).await.map_err(|error| error.to_string())?;
        if kube::runtime::wait::Condition::matches_object(
            &kube::runtime::conditions::is_crd_established(),
            Some(&found),
        ) {
            Ok(())
        } else {
            Err("not yet".to_owned())
        }
    })
    .await;
}
