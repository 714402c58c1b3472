//! What a session needs and is not there: said with its reason, and made good when it is back.

use serde_json::json;

use crate::documents::{Configuration, NEVER, claim, deployment, repository, secret};
use crate::ground::SOON;
use crate::harness::wait::eventually;
use crate::restic::PASSWORD;
use crate::scene::{
    ACCOUNTS, BINDINGS, CONFIGURATIONS, CRON_JOBS, REPOSITORIES, SECRETS, SESSIONS, Scene, condition, is_let_go,
};
use crate::shop::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn secrets_and_repositories() {
    let Some(shop) = Shop::open("missing").await else { return };
    let scene = &shop.scene;
    scene.apply(&secret("storage", "another")).await;
    shop.fails("web", "WrongPassword").await;

    scene.delete(SECRETS, "storage").await;
    let session = scene.ended(&scene.trigger("web")).await;
    assert_eq!(session["status"]["phase"], "Failed", "{:#}", session["status"]);
    let why = session["status"]["targets"][0]["conditions"][0]["message"].as_str().unwrap_or_default().to_owned();
    assert!(why.starts_with("BackendSecretNotAvailable: "), "{why}");
    scene.apply(&secret("storage", PASSWORD)).await;
    shop.recovers().await;

    // The Repository is no part of what a session may do without.
    let session = scene.trigger("web");
    scene.delete(REPOSITORIES, "repo").await;
    let over = scene.ended(&session).await;
    println!("Repository deleted: {}", over["status"]["phase"]);
    let gone = scene.once(CONFIGURATIONS, "web", "NotReady", |object| object["status"]["phase"] == "NotReady").await;
    let expected = ("False".to_owned(), "RepositoryNotAvailable".to_owned());
    assert_eq!(condition(&gone["status"], "RepositoryFound"), expected);
    scene.apply(&repository()).await;
    shop.recovers().await;
    shop.scene.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_triggers_a_slot_comes_back() {
    let Some(scene) = Scene::new("children").await else { return };
    let configuration = Configuration::new("web", "Deployment", "web").yaml();
    scene.apply(&[repository(), deployment("web"), configuration].join("---\n")).await;
    scene.ready("web").await;
    for (resource, name) in
        [(CRON_JOBS, "stash-trigger-web"), (ACCOUNTS, "holdfast-trigger"), (BINDINGS, "holdfast-trigger")]
    {
        let before = scene.once(resource, name, "there", |_| true).await["metadata"]["uid"].clone();
        scene.delete(resource, name).await;
        scene.once(resource, name, "there again", |object| object["metadata"]["uid"] != before).await;
    }
    // Somebody's change of what we own is undone.
    scene.merge(CRON_JOBS, "stash-trigger-web", json!({"spec": {"schedule": "* * * * *"}})).await;
    scene.once(CRON_JOBS, "stash-trigger-web", "as it was", |object| object["spec"]["schedule"] == NEVER).await;
    scene.finish().await;
}

/// MS1: Repository and Secret in a namespace of their own. The copy of the Secret goes with its session; who is not allowed is
/// refused.
#[tokio::test(flavor = "multi_thread")]
async fn repositories_of_another_namespace() {
    let Some(scene) = Scene::new("managed").await else { return };
    let storage = scene.ground.cluster.namespace("storage").await;
    let elsewhere = format!(
        "{}---
apiVersion: stash.appscode.com/v1alpha1
kind: Repository
metadata: {{name: repo}}
spec:
  usagePolicy: {{allowedNamespaces: {{from: Selector, selector: {{matchLabels: {{kubernetes.io/metadata.name: {}}}}}}}}}
  backend:
    storageSecretName: storage
    local: {{mountPath: /safe/data, persistentVolumeClaim: {{claimName: backups}}}}
",
        secret("storage", PASSWORD),
        scene.namespace.name
    );
    scene.ground.cluster.apply_yaml(&elsewhere, &storage.name).await;
    let more = format!("  repository: {{name: repo, namespace: {}}}\n", storage.name);
    let configuration = Configuration { more: &more, ..Configuration::new("web", "Deployment", "web") }.yaml();
    // The claim of the backend is that of the namespace of the pods, as with Stash.
    scene.apply(&[claim("backups"), deployment("web"), configuration].join("---\n")).await;
    let data = scene.volume("web").await;
    eventually(SOON, "the volume", async || std::fs::write(data.join("data.txt"), "sample_data")).await;
    let session = scene.backed_up("web").await;
    let copy = format!("{}-storage", session["metadata"]["name"].as_str().expect("a name"));
    let copied = scene.once(SECRETS, &copy, "copied", |_| true).await;
    let keys: Vec<_> = copied["data"].as_object().expect("data").keys().cloned().collect();
    assert_eq!(keys, ["RESTIC_PASSWORD"]);
    scene.delete(SESSIONS, session["metadata"]["name"].as_str().expect("a name")).await;
    eventually(SOON, "the copy is gone", async || {
        let left = scene.api(SECRETS).get_opt(&copy).await.map_err(|error| error.to_string())?;
        if left.is_none() { Ok(()) } else { Err("it is there".to_owned()) }
    })
    .await;

    let api = scene.api_in(REPOSITORIES, &storage.name);
    let patch = kube::api::Patch::Merge(
        json!({"spec": {"usagePolicy": {"allowedNamespaces": {"from": "Same", "selector": null}}}}),
    );
    api.patch("repo", &kube::api::PatchParams::default(), &patch).await.expect("patched");
    let refused = scene.once(CONFIGURATIONS, "web", "Invalid", |object| object["status"]["phase"] == "Invalid").await;
    let expected = ("False".to_owned(), "ResourceValidationFailed".to_owned());
    assert_eq!(condition(&refused["status"], "ValidationPassed"), expected);
    let session = scene.ended(&scene.trigger("web")).await;
    assert_eq!(session["status"]["phase"], "Skipped", "{:#}", session["status"]);
    assert!(is_let_go(&session));
    scene.finish().await;
}
