//! Pods that cannot start, cannot live, or are taken away: the session says why, and the next one succeeds.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::documents::Configuration;
use crate::ground::SOON;
use crate::harness::wait::eventually;
use crate::scene::{CONFIGURATIONS, JOBS, PODS, RESOURCE_QUOTAS, Resource, Scene, hosts};
use crate::shop::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn a_container_at_its_limit_of_memory() {
    let Some(shop) = Shop::open("memory").await else { return };
    shop.set(json!({"runtimeSettings": {"container": {"resources": {"limits": {"memory": "24Mi"}, "requests": {"memory": "16Mi"}}}}}))
        .await;
    let session = shop.fails("web", "OutOfMemory").await;
    assert!(hosts(&session["status"])[0].2.contains("24Mi"), "{:#}", session["status"]);
    shop.set(json!({"runtimeSettings": null})).await;
    shop.recovers().await;
    shop.scene.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_no_node_takes() {
    let Some(shop) = Shop::open("unschedulable").await else { return };
    shop.set(json!({"runtimeSettings": {"pod": {"nodeSelector": {"disk": "none"}}}})).await;
    shop.fails("web", "Unschedulable").await;
    shop.set(json!({"runtimeSettings": null})).await;
    shop.recovers().await;
    shop.scene.finish().await;
}

/// Privileged and without escalation of privileges is no container: the API server says so, and no waiting helps.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_the_api_server_refuses() {
    let Some(shop) = Shop::open("refused").await else { return };
    shop.set(json!({"runtimeSettings": {"container": {"securityContext": {"privileged": true}}}})).await;
    let session = shop.fails("web", "Rejected").await;
    assert!(hosts(&session["status"])[0].2.contains("privileged"), "{:#}", session["status"]);
    shop.set(json!({"runtimeSettings": null})).await;
    shop.recovers().await;
    shop.scene.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_over_the_quota() {
    let Some(shop) = Shop::open("quota").await else { return };
    let quota = "{apiVersion: v1, kind: ResourceQuota, metadata: {name: pods}, spec: {hard: {pods: '1'}}}";
    shop.scene.apply(quota).await;
    shop.scene.once(RESOURCE_QUOTAS, "pods", "in force", |object| object["status"]["hard"]["pods"] == "1").await;
    shop.fails("web", "QuotaExceeded").await;
    shop.scene.delete(RESOURCE_QUOTAS, "pods").await;
    shop.recovers().await;
    shop.scene.finish().await;
}

/// As the user of the application, which is not root, all is allowed; what asks for more is refused by the API server.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_restricted() {
    let Some(scene) = Scene::new("restricted").await else { return };
    let label = format!(
        "{{apiVersion: v1, kind: Namespace, metadata: {{name: {}, labels: {{pod-security.kubernetes.io/enforce: restricted}}}}}}",
        scene.namespace.name
    );
    scene.apply(&label).await;
    let container = "localhost/busybox:1";
    let workload = format!(
        "apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: web}}
spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 0
      securityContext: {{runAsUser: 1000, runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}}
      containers:
      - name: main
        image: {container}
        command: [sh, -c, 'umask 077; echo own > /srv/web/own.txt; sleep 100000']
        securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
        volumeMounts: [{{name: data, mountPath: /srv/web}}]
      volumes: [{{name: data, persistentVolumeClaim: {{claimName: web}}}}]
"
    );
    let configuration = Configuration::new("web", "Deployment", "web").yaml();
    scene.apply(&[crate::documents::repository(), workload, configuration].join("---\n")).await;
    let data = scene.volume("web").await;
    eventually(SOON, "the data", async || std::fs::metadata(data.join("own.txt"))).await;
    scene.backed_up("web").await;
    let shop = Shop { scene, data };
    assert_eq!(shop.scene.restic("backups").await.done(&["dump", "latest", "/srv/web/own.txt"]), "own\n");
    shop.set(json!({"runtimeSettings": {"container": {"securityContext": {"allowPrivilegeEscalation": true}}}})).await;
    shop.fails("web", "PodSecurity").await;
    shop.set(json!({"runtimeSettings": null})).await;
    shop.recovers().await;
    shop.scene.finish().await;
}

/// Task and Function of a name that no other namespace has.
fn task(name: &str, image: &str, command: &str) -> String {
    format!(
        "apiVersion: stash.appscode.com/v1beta1
kind: Function
metadata: {{name: {name}}}
spec: {{image: '{image}', command: [sh, -c, '{command}']}}
---
apiVersion: stash.appscode.com/v1beta1
kind: Task
metadata: {{name: {name}}}
spec: {{steps: [{{name: {name}}}]}}
"
    )
}

fn with_task(name: &str, task: &str) -> String {
    let more = format!("  task: {{name: {task}}}\n");
    Configuration { more: &more, ..Configuration::new(name, "PersistentVolumeClaim", "web") }.yaml()
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_are_not_there() {
    let Some(shop) = Shop::open("image").await else { return };
    let namespace = &shop.scene.namespace.name;
    let (bad, none) = (format!("bad-{namespace}"), format!("none-{namespace}"));
    let documents = [
        task(&bad, "localhost/Not An Image", "true"),
        task(&none, "localhost/no-such-image:1", "true"),
        with_task("bad", &bad),
        with_task("none", &none),
    ];
    shop.scene.apply(&documents.join("---\n")).await;
    shop.fails("bad", "InvalidImageName").await;
    shop.scene.ready("none").await;
    let session = shop.scene.ended(&shop.scene.trigger("none")).await;
    let error = hosts(&session["status"]).remove(0).2;
    let known = ["ErrImagePull: ", "ImagePullBackOff: "];
    assert!(known.iter().any(|reason| error.starts_with(reason)), "{error}");
    assert!(error.contains("no-such-image"), "{error}");
    shop.recovers().await;
    shop.scene.finish().await;
}

/// A Job, or its pod, that somebody deletes while the agent holds its lock: it gives the lock back. Where it cannot, the next
/// session does, since the pod is proven to be gone.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_and_pods_that_are_deleted() {
    let Some(shop) = Shop::open("deleted").await else { return };
    for (what, end, reason) in
        [(JOBS, Signal::CONT, "JobDeleted"), (PODS, Signal::CONT, "Cancelled"), (PODS, Signal::KILL, "Error")]
    {
        let (session, agent) = held(&shop).await;
        let name = running(&shop.scene, what, &session).await;
        let deleted = kube::api::DeleteParams::foreground();
        shop.scene.api(what).delete(&name, &deleted).await.expect("it is there");
        shop.scene
            .within(SOON, what, &name, "being deleted", |object| object["metadata"]["deletionTimestamp"].is_string())
            .await;
        kill_process(agent, end).expect("it is there");
        let over = shop.scene.ended(&session).await;
        println!("{} {name}, {end:?}: {}", what.2, hosts(&over["status"])[0].2);
        if end == Signal::CONT {
            shop.failed("web", &session, reason).await;
            shop.scene.restic("backups").await.is_free();
        } else {
            assert_eq!(over["status"]["phase"], "Failed", "{:#}", over["status"]);
        }
        shop.recovers().await;
    }
    shop.scene.finish().await;
}

/// A session whose agent has locked the repository and stands still.
async fn held(shop: &Shop) -> (String, Pid) {
    // So much that it is not done at once.
    random(&shop.data.join("bulk"), 48 << 20);
    let locks = shop.scene.volume("backups").await.join("locks");
    shop.scene.ready("web").await;
    let session = shop.scene.trigger("web");
    let uid = shop.scene.once(crate::scene::SESSIONS, &session, "there", |_| true).await["metadata"]["uid"].clone();
    let uid = uid.as_str().expect("a uid").to_owned();
    let agent = eventually(SOON, "an agent with a lock", async || {
        let locked = std::fs::read_dir(&locks).is_ok_and(|mut all| all.next().is_some());
        let agent = agent_of(&uid).filter(|_| locked).ok_or("none")?;
        kill_process(agent, Signal::STOP).map_err(|_| "gone")?;
        Ok::<_, &str>(agent)
    })
    .await;
    (session, agent)
}

/// The process of an agent that backs up for a session: the machine is the node.
fn agent_of(session: &str) -> Option<Pid> {
    let processes = std::fs::read_dir("/proc").expect("listed").filter_map(Result::ok);
    processes.into_iter().find_map(|process| {
        let pid: i32 = process.file_name().to_str()?.parse().ok()?;
        let environment = std::fs::read(process.path().join("environ")).ok()?;
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let is_it = environment.contains(session) && environment.contains("\"backup\"");
        Pid::from_raw(pid).filter(|_| is_it)
    })
}

async fn running(scene: &Scene, what: Resource, session: &str) -> String {
    eventually(SOON, "it runs", async || {
        let all = scene.list(what).await;
        let own = all.iter().find(|object| {
            let labels = &object["metadata"]["labels"];
            let is_over = object["status"]["phase"] == "Succeeded" || object["status"]["succeeded"] == 1;
            labels["holdfast.dev/run"] == session && !is_over
        });
        own.and_then(|object| object["metadata"]["name"].as_str().map(str::to_owned)).ok_or("none")
    })
    .await
}

fn random(path: &Path, bytes: u64) {
    let mut from = std::io::Read::take(std::fs::File::open("/dev/urandom").expect("it is there"), bytes);
    std::io::copy(&mut from, &mut std::fs::File::create(path).expect("made")).expect("written");
}

/// A session that takes too long is ended, and tried again as often as the configuration says; of the old ones as many are kept.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_take_too_long_are_tried_again() {
    let Some(shop) = Shop::open("deadline").await else { return };
    let name = format!("slow-{}", shop.scene.namespace.name);
    let more = format!(
        "  task: {{name: {name}}}\n  timeOut: 5s\n  backupHistoryLimit: 1\n  retryConfig: {{maxRetry: 1, delay: 1s}}\n"
    );
    let configuration = Configuration { more: &more, ..Configuration::new("slow", "PersistentVolumeClaim", "web") };
    let documents = [task(&name, "localhost/busybox:1", "sleep 1000"), configuration.yaml()];
    shop.scene.apply(&documents.join("---\n")).await;
    let begun = std::time::Instant::now();
    let first = shop.fails("slow", "DeadlineExceeded").await;
    assert!(first["status"]["sessionDeadline"].is_string(), "{:#}", first["status"]);
    assert!(begun.elapsed() < Duration::from_secs(90), "{:?}", begun.elapsed());
    // The second try fails like the first, and there is no third; the first is let go.
    let first = first["metadata"]["name"].clone();
    let last = eventually(SOON, "one session that has failed", async || {
        let sessions = shop.scene.list(crate::scene::SESSIONS).await;
        let own: Vec<&Value> = sessions.iter().filter(|session| session["spec"]["invoker"]["name"] == "slow").collect();
        match own.as_slice() {
            [one] if one["metadata"]["name"] != first && one["status"]["phase"] == "Failed" => Ok((*one).clone()),
            all => Err(format!("{} sessions", all.len())),
        }
    })
    .await;
    assert_eq!(last["spec"]["retryLeft"], 0, "{:#}", last["spec"]);
    shop.scene.delete(CONFIGURATIONS, "slow").await;
    shop.recovers().await;
    shop.scene.finish().await;
}
