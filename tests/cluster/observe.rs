//! One look at the cluster gives the same as the watches, whole and without secrets.

use holdfast::cluster::observe::{dump, observe};
use holdfast::model::object::{Kind, TargetKey, TargetKind};
use holdfast::model::observed::{Observed, Watched};
use serde_json::{Value, json};

use crate::harness::proxy::{Action, Proxy, Which};
use crate::support::{self, configuration};

const OBJECTS: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations:
    stash.appscode.com/backup-blueprint: daily
    kubectl.kubernetes.io/last-applied-configuration: '{"env": "PASSWORD-IN-ANNOTATION"}'
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: web, env: [{name: PASSWORD, value: PASSWORD-IN-SPEC}]}]
---
apiVersion: v1
kind: Secret
metadata: {name: storage}
stringData: {password: PASSWORD-IN-SECRET}
---
apiVersion: stash.appscode.com/v1beta1
kind: BackupConfiguration
metadata: {name: web}
spec: {schedule: "@daily", repository: {name: web}, retentionPolicy: {name: keep, keepLast: 3, prune: true}}
"#;

#[tokio::test]
async fn a_dump_says_what_a_look_sees_and_no_more() {
    let Some(cluster) = support::cluster().await else { return };
    let namespace = cluster.namespace("observe").await;
    cluster.apply_yaml(OBJECTS, &namespace.name).await;
    let handles = support::handles(cluster.kubeconfig(), &namespace.name).await;
    let observed = observe(&handles).await.unwrap();
    assert_eq!(observed.incomplete(), Vec::<String>::new());
    assert!(observed.cluster_uid.is_some());
    let web = TargetKey { namespace: namespace.name.clone(), kind: TargetKind::Deployment, name: "web".to_owned() };
    assert_eq!(observed.targets[&web].annotations["stash.appscode.com/backup-blueprint"], "daily");
    let live = &observed.objects[&configuration(&namespace.name, "web")];
    assert_eq!(live.spec()["schedule"], "@daily");

    for managed_fields in [true, false] {
        let lists = dump(&handles, managed_fields).await.unwrap();
        assert_eq!(lists.len(), Watched::all().count());
        let mut read = Observed::default();
        for list in &lists {
            let head = [&list["apiVersion"], &list["kind"], &list["metadata"]];
            assert_eq!(head, [&json!("v1"), &json!("List"), &json!({})]);
            for item in list["items"].as_array().unwrap() {
                read.upsert(item);
            }
        }
        assert_eq!(read.targets[&web], observed.targets[&web]);
        let dumped = &read.objects[&configuration(&namespace.name, "web")];
        assert_eq!(dumped.spec(), live.spec());
        assert_eq!(dumped.owned.is_some(), managed_fields);
        let text = Value::Array(lists).to_string();
        assert!(!text.contains("PASSWORD") && !text.contains(r#""kind":"Secret""#), "{text}");
    }
}

#[tokio::test]
async fn long_collections_come_in_pages_and_gaps_are_named() {
    let Some(cluster) = support::cluster().await else { return };
    let namespace = cluster.namespace("pages").await;
    let claims: Vec<String> = (0..501)
        .map(|index| {
            format!(
                "{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: c{index}}}, spec: {{accessModes: [ReadWriteOnce], \
                 storageClassName: none, resources: {{requests: {{storage: 1Mi}}}}}}}}\n"
            )
        })
        .collect();
    cluster.apply_yaml(&claims.join("---\n"), &namespace.name).await;
    let copy = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.kubeconfig", namespace.name));
    std::fs::copy(cluster.kubeconfig(), &copy).unwrap();
    let (proxy, proxied) = Proxy::in_front_of_cluster(&copy);
    let handles = support::handles(&proxied, &namespace.name).await;
    proxy.rule(Which::Every, Action::Refuse(404), |request| request.path.ends_with("/functions"));
    proxy.rule(Which::Every, Action::Refuse(403), |request| request.path.ends_with("/tasks"));
    // The place where a listing goes on is gone once: it starts again.
    let gone = proxy.rule(Which::Nth(1), Action::Refuse(410), |request| request.query.contains("continue="));

    let observed = observe(&handles).await.unwrap();
    assert_eq!(observed.targets.keys().filter(|key| key.namespace == namespace.name).count(), 501);
    assert_eq!(gone.applied(), 1);
    assert_eq!(observed.incomplete(), ["stash.appscode.com/v1beta1/Function", "stash.appscode.com/v1beta1/Task"]);
    assert!(proxy.requests().iter().all(|request| request.query.contains("limit=500")));
    let lists = dump(&handles, false).await.unwrap();
    let gaps = lists.iter().filter(|list| !list["metadata"]["continue"].is_null()).count();
    assert_eq!(gaps, 2);
    assert!(!observed.complete.contains(&Watched::Managed(Kind::Task)));

    proxy.rule(Which::Every, Action::Refuse(500), |request| request.path.ends_with("/tasks"));
    proxy.rule(Which::Every, Action::Refuse(500), |request| request.path.ends_with("/deployments"));
    let failure = observe(&handles).await.unwrap_err();
    assert!(failure.to_string().contains("list deployments"), "{failure}");
}
