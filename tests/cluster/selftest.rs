//! The cluster side of the harness does what the tests rely on, against the real API server.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, ObjectMeta, PostParams, WatchEvent, WatchParams},
};

use crate::harness::{
    audit::AuditLog,
    cluster::{Cluster, client},
    lab,
    proxy::{Action, Proxy, Which},
    wait::eventually,
};

const SOON: Duration = Duration::from_secs(20);

const READER: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [''], resources: [configmaps], verbs: [get, list, watch, create]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader}]
";

const WIDGETS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.selftest.holdfast.example}
spec:
  group: selftest.holdfast.example
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: selftest.holdfast.example/v1
kind: Widget
metadata: {name: one}
spec: {size: 3}
";

fn config_map(name: &str) -> ConfigMap {
    ConfigMap { metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }, ..ConfigMap::default() }
}

#[tokio::test]
async fn service_account_is_seen_in_the_audit_log() {
    let Some(cluster) = Cluster::get().await else { return };
    let namespace = cluster.namespace("audit").await;
    cluster.apply_yaml(READER, &namespace.name).await;
    let kubeconfig = cluster.service_account_kubeconfig(&namespace.name, "reader").await;
    let reader = client(&kubeconfig).await;

    let log = cluster.audit_log();
    let mark = log.as_ref().map(AuditLog::mark);
    let maps = Api::<ConfigMap>::namespaced(reader.clone(), &namespace.name);
    // The authorizer learns of a new binding a moment after it was made.
    eventually(SOON, "allowed to list", async || maps.list(&ListParams::default()).await).await;
    let denied = Api::<Namespace>::all(reader).list(&ListParams::default()).await;
    assert!(matches!(denied, Err(kube::Error::Api(status)) if status.code == 403));

    let Some((log, mark)) = log.zip(mark) else { return };
    let user = format!("system:serviceaccount:{}:reader", namespace.name);
    let entries = log.since(mark, Some(&user)).await;
    let last_two: Vec<_> = entries.iter().rev().take(2).collect();
    let [denied, allowed] = last_two[..] else { panic!("two requests: {entries:?}") };
    assert_eq!((&allowed.verb[..], &allowed.resource[..], allowed.code), ("list", "configmaps", 200));
    assert_eq!((&allowed.namespace, &allowed.group[..]), (&namespace.name, ""));
    assert_eq!((&denied.verb[..], &denied.resource[..], denied.code), ("list", "namespaces", 403));
    assert!(allowed.time <= denied.time);
    assert!(log.since(log.mark(), Some(&user)).await.is_empty());
}

#[tokio::test]
async fn definitions_are_usable_once_applied() {
    let Some(cluster) = Cluster::get().await else { return };
    let namespace = cluster.namespace("widgets").await;
    let applied = cluster.apply_yaml(WIDGETS, &namespace.name).await;
    assert_eq!(applied[1].namespace(), Some(namespace.name.clone()));
    assert_eq!(applied[1].data["spec"]["size"], 3);
    assert_eq!(cluster.apply_yaml(WIDGETS, &namespace.name).await.len(), 2, "applying twice is no conflict");
}

#[tokio::test]
async fn namespaces_are_distinct_and_go_away() {
    let Some(cluster) = Cluster::get().await else { return };
    if lab::is_kept() {
        return;
    }
    let (one, two) = (cluster.namespace("same").await, cluster.namespace("same").await);
    assert_ne!(one.name, two.name);
    let name = one.name.clone();
    drop(one);
    let namespaces = Api::<Namespace>::all(cluster.admin.clone());
    eventually(SOON, "deletion begun", async || match namespaces.get_opt(&name).await {
        Ok(None) => Ok(()),
        Ok(Some(namespace)) if namespace.metadata.deletion_timestamp.is_some() => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

#[tokio::test]
async fn proxy_streams_watches_and_fails_single_requests() {
    let Some(cluster) = Cluster::get().await else { return };
    let namespace = cluster.namespace("proxy").await;
    cluster.apply_yaml(READER, &namespace.name).await;
    let kubeconfig = cluster.service_account_kubeconfig(&namespace.name, "reader").await;
    let (proxy, proxied) = Proxy::in_front_of_cluster(&kubeconfig);
    let maps = Api::<ConfigMap>::namespaced(client(&proxied).await, &namespace.name);
    eventually(SOON, "allowed to list", async || maps.list(&ListParams::default()).await).await;
    let create = async |name: &str| maps.create(&PostParams::default(), &config_map(name)).await;
    let is_create = |request: &crate::harness::http_thread::SeenRequest| request.method == "POST";

    let events = maps.watch(&WatchParams::default(), "0").await.expect("watch begun");
    pin_mut!(events);
    create("one").await.expect("made");
    let seen = async |event: Option<Result<WatchEvent<ConfigMap>, kube::Error>>, wanted: &str| matches!(event, Some(Ok(WatchEvent::Added(map))) if map.name_any() == wanted);
    let wait_for = async { while !seen(events.next().await, "one").await {} };
    tokio::time::timeout(SOON, wait_for).await.expect("events come while the watch runs");

    proxy.rule(Which::Nth(1), Action::CutAfterForward, is_create);
    create("two").await.expect_err("the answer is lost");
    assert!(maps.get_opt("two").await.expect("answered").is_some(), "the server did its work");

    proxy.rule(Which::Nth(1), Action::Refuse(429), is_create);
    let refused = create("three").await;
    assert!(matches!(refused, Err(kube::Error::Api(status)) if status.code == 429));
    assert!(maps.get_opt("three").await.expect("answered").is_none());

    let hold = proxy.rule(Which::Nth(1), Action::Hold, is_create);
    let created = tokio::join!(create("four"), async {
        hold.wait_for_held(SOON).await;
        assert!(maps.get_opt("four").await.expect("answered").is_none());
        hold.release();
    });
    created.0.expect("made once released");

    proxy.cut_connections();
    let rest = async { while let Ok(Some(_)) = events.try_next().await {} };
    tokio::time::timeout(SOON, rest).await.expect("a cut watch ends");
}

#[tokio::test]
async fn proxy_shows_the_administrators_certificate() {
    let Some(cluster) = Cluster::get().await else { return };
    let own = tempfile::tempdir().expect("a temporary folder");
    let copy = own.path().join("admin.kubeconfig");
    std::fs::copy(cluster.kubeconfig(), &copy).expect("copied");
    let (_proxy, proxied) = Proxy::in_front_of_cluster(&copy);
    let namespaces = Api::<Namespace>::all(client(&proxied).await);
    namespaces.get("kube-system").await.expect("the administrator may read it");
}
