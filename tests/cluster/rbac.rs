//! Under the shipped rights everything works, nothing else is allowed, and an idle process is silent.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::cluster::apply::apply;
use holdfast::cluster::events::{About, Events, Severity};
use holdfast::cluster::observe::observe;
use holdfast::cluster::state;
use holdfast::cluster::watch::{FAILING_MAX, Watches};
use holdfast::install::catalogue;
use holdfast::install::manifests::manifests;
use holdfast::install::verbs::{Verb, rights};
use holdfast::model::applied::StepResult;
use holdfast::model::object::{Kind, ObjectKey};
use jiff::Timestamp;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::Event;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, Client, discovery};

use crate::harness::audit::{AuditEntry, AuditLog};
use crate::harness::cluster::{Cluster, client};
use crate::harness::wait::eventually;
use crate::runs;
use crate::support::{self, SOON, api, configuration, create, delete, plan, repository, update};

#[tokio::test]
async fn every_manifest_is_accepted_strictly() {
    let Some(cluster) = support::cluster().await else { return };
    let namespace = cluster.namespace("manifests").await;
    for object in manifests(&support::settings(&namespace.name)) {
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let types = object.types.clone().unwrap();
        let kind = kube::core::GroupVersionKind::try_from(&types).unwrap();
        let (resource, capabilities) = discovery::pinned_kind(&cluster.admin, &kind).await.unwrap();
        let all = Api::<DynamicObject>::all_with(cluster.admin.clone(), &resource);
        let own = || Api::namespaced_with(cluster.admin.clone(), &namespace.name, &resource);
        let api = if capabilities.scope == discovery::Scope::Namespaced { own() } else { all };
        let params = PatchParams::apply("holdfast-test").force().validation_strict();
        let name = object.metadata.name.clone().unwrap();
        api.patch(&name, &params, &Patch::Apply(&object))
            .await
            .unwrap_or_else(|error| panic!("{} {name}: {error}", types.kind));
    }
    // What the namespace enforces holds for the pod that the Deployment makes.
    let events = Api::<Event>::namespaced(cluster.admin.clone(), &namespace.name);
    let pods = Api::<k8s_openapi::api::core::v1::Pod>::namespaced(cluster.admin.clone(), &namespace.name);
    eventually(SOON, "a pod is made", async || {
        let refused: Vec<_> = events.list(&ListParams::default()).await.unwrap().items;
        let refused = refused.iter().find(|event| event.reason.as_deref() == Some("FailedCreate"));
        assert!(refused.is_none(), "{refused:?}");
        let made = pods.list(&ListParams::default()).await.unwrap().items.len();
        if made == 1 { Ok(()) } else { Err("no pod") }
    })
    .await;
}

/// Only tried: nothing of it stays.
#[tokio::test]
async fn the_catalogue_is_accepted_strictly() {
    let Some(cluster) = support::cluster().await else { return };
    let mut params = PatchParams::apply("holdfast-test").validation_strict();
    params.dry_run = true;
    let mut accepted = 0;
    for object in catalogue::objects("example.org/holdfast:1") {
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let types = object.types.clone().unwrap();
        let kind = kube::core::GroupVersionKind::try_from(&types).unwrap();
        let resource = kube::core::ApiResource::from_gvk(&kind);
        let name = object.metadata.name.clone().unwrap();
        let api = Api::<DynamicObject>::all_with(cluster.admin.clone(), &resource);
        let answer = api.patch(&name, &params, &Patch::Apply(&object)).await;
        let answer = answer.unwrap_or_else(|error| panic!("{} {name}: {error}", types.kind));
        assert_eq!(answer.data["spec"], object.data["spec"], "{} {name}", types.kind);
        accepted += 1;
    }
    assert!(accepted > 200, "{accepted}");
}

/// Verb, group and resource.
type Use = (String, String, String);

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_used_and_suffice_and_idling_is_silent() {
    let Some(cluster) = support::cluster().await else { return };
    let namespace = cluster.namespace("rights").await;
    let kubeconfig = support::account(&cluster, &namespace).await;
    let handles = support::handles(&kubeconfig, &namespace.name).await;
    let log = cluster.audit_log();
    let start = log.as_ref().map(AuditLog::mark);

    let (leader, mut tasks) = support::leader(&handles).await;
    let watches = Watches::start(&handles, FAILING_MAX, &mut tasks);
    tokio::time::timeout(SOON, watches.listed()).await.unwrap();
    assert_eq!(watches.observed().await.incomplete(), Vec::<String>::new());
    work(&cluster, &handles, &leader, &namespace.name).await;
    runs::every_request(&cluster, &handles, &leader, &watches, &namespace.name).await;
    observe(&handles).await.unwrap();

    let Some((log, start)) = log.zip(start) else { return };
    let user = format!("system:serviceaccount:{}:holdfast", namespace.name);
    let mut entries = Vec::new();
    eventually(SOON, "all rights are used, and no others", async || {
        entries = log.since(start, Some(&user)).await;
        let differ: Vec<Use> = used(&entries).symmetric_difference(&granted()).cloned().collect();
        if differ.is_empty() { Ok(()) } else { Err(format!("{differ:?}")) }
    })
    .await;
    let refused: Vec<_> = entries.iter().filter(|entry| entry.code == 403).collect();
    assert!(refused.is_empty(), "{refused:?}");

    // Idle for four renewals of the Lease, which are 20 s.
    let mark = log.mark();
    let since = eventually(SOON * 2, "four renewals", async || {
        let since = log.since(mark, Some(&user)).await;
        let renewals = since.iter().filter(|entry| entry.resource == "leases" && entry.verb == "update").count();
        if renewals >= 4 { Ok(since) } else { Err(format!("{renewals}")) }
    })
    .await;
    let loud: Vec<_> = since.iter().filter(|entry| entry.resource != "leases" && entry.verb != "watch").collect();
    assert!(loud.is_empty(), "{loud:?}");
}

/// Does everything that a leading daemon does.
async fn work(
    cluster: &Cluster,
    handles: &holdfast::cluster::api::Handles,
    leader: &holdfast::cluster::lease::Leader,
    namespace: &str,
) {
    let keys = [
        repository(namespace, "all"),
        ObjectKey::new(Kind::Function, "", &format!("all-{namespace}")),
        ObjectKey::new(Kind::Task, "", &format!("all-{namespace}")),
        configuration(namespace, "all"),
        ObjectKey::new(Kind::BackupBatch, namespace, "all"),
    ];
    let mut log = state::read(handles).await.unwrap();
    let mut run = async |steps| {
        let applied = apply(handles, leader, &mut log, &plan(steps), &BTreeMap::new()).await;
        for (key, result) in applied.results() {
            assert!(matches!(result, StepResult::Done), "{key}: {result:?}");
        }
    };
    run(keys.iter().map(|key| create(key, "@daily")).collect()).await;
    let live = async |key: &ObjectKey| api(cluster, key).get(&key.name).await.unwrap();
    let mut updates = Vec::new();
    for key in &keys {
        updates.push(update(&live(key).await, key, "@hourly"));
    }
    run(updates).await;
    let mut deletes = Vec::new();
    for key in &keys[1..] {
        deletes.push(delete(&live(key).await, key));
    }
    run(deletes).await;
    let uid = live(&keys[0]).await.metadata.uid.unwrap();
    events(cluster, handles, leader.identity(), &keys[0], &uid).await;
}

async fn events(
    cluster: &Cluster,
    handles: &holdfast::cluster::api::Handles,
    identity: &str,
    key: &ObjectKey,
    uid: &str,
) {
    let about = About {
        api_version: key.kind.api_version().to_owned(),
        kind: key.kind.as_str().to_owned(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        uid: uid.to_owned(),
    };
    let mut events = Events::new(handles, identity);
    let now = Timestamp::now();
    let sent = events.emit(now, &about, Severity::Warning, "Refuse", "ForeignObject", "somebody else made it").await;
    assert!(sent);
    let again = events.emit(now, &about, Severity::Warning, "Refuse", "ForeignObject", "somebody else made it").await;
    assert!(!again, "said already");
    // As `kubectl describe` asks.
    let fields =
        format!("involvedObject.name={},involvedObject.namespace={},involvedObject.uid={uid}", key.name, key.namespace);
    let described = Api::<Event>::namespaced(cluster.admin.clone(), &key.namespace);
    let described = described.list(&ListParams::default().fields(&fields)).await.unwrap().items;
    let said: Vec<_> = described.iter().map(|event| (event.reason.as_deref(), event.message.as_deref())).collect();
    assert_eq!(said, [(Some("ForeignObject"), Some("somebody else made it"))]);
}

/// What the log shows; an apply that made an object needed `create` too.
fn used(entries: &[AuditEntry]) -> BTreeSet<Use> {
    let mut used = BTreeSet::new();
    for entry in entries {
        let made = entry.verb == "patch" && entry.code == 201;
        for verb in [Some(entry.verb.as_str()), made.then_some("create")].into_iter().flatten() {
            let of = match entry.subresource.as_str() {
                "" => entry.resource.clone(),
                subresource => format!("{}/{subresource}", entry.resource),
            };
            used.insert((verb.to_owned(), entry.group.clone(), of));
        }
    }
    used
}

fn granted() -> BTreeSet<Use> {
    let pairs = rights().flat_map(|right| right.verbs.iter().map(move |verb| (right, verb)));
    // The API server asks for that right itself, when a binding is made.
    let pairs = pairs.filter(|(_, verb)| **verb != Verb::Bind);
    pairs.map(|(right, verb)| (verb.as_str().to_owned(), right.group.to_owned(), right.resource.to_owned())).collect()
}

#[tokio::test]
async fn nothing_else_is_allowed() {
    let Some(cluster) = support::cluster().await else { return };
    let namespace = cluster.namespace("denied").await;
    let account = client(&support::account(&cluster, &namespace).await).await;
    let own = namespace.name.as_str();
    let granted = granted();
    // Everything that the server offers, by every verb that exists.
    let offered = discovery::Discovery::new(cluster.admin.clone()).run().await.unwrap();
    let mut asked = 0;
    for group in offered.groups() {
        for (resource, _) in group.recommended_resources() {
            let sensitive = [
                "secrets",
                "pods",
                "serviceaccounts",
                "roles",
                "clusterroles",
                "rolebindings",
                "repositories",
                "leases",
                "configmaps",
                "deployments",
                "namespaces",
                "events",
                "backupconfigurations",
            ];
            if !sensitive.contains(&resource.plural.as_str()) {
                continue;
            }
            for verb in
                ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "bind", "escalate"]
            {
                let wanted = granted.contains(&(verb.to_owned(), resource.group.clone(), resource.plural.clone()))
                    && scope_of(&resource.group, &resource.plural, verb).is_none_or(<[_]>::is_empty);
                assert_eq!(
                    may(&account, verb, &resource.group, &resource.plural, own, "some").await,
                    wanted,
                    "{verb} {} {}",
                    resource.plural,
                    resource.group
                );
                asked += 1;
            }
        }
    }
    assert!(asked > 100, "{asked}");
    for (verb, group, resource, name, wanted) in [
        ("get", "", "configmaps", "holdfast-state", true),
        ("patch", "", "configmaps", "holdfast-state", true),
        ("update", "coordination.k8s.io", "leases", "holdfast", true),
        ("delete", "coordination.k8s.io", "leases", "holdfast", false),
        ("delete", "stash.appscode.com", "repositories", "any", false),
        ("patch", "stash.appscode.com", "backupblueprints", "any", false),
    ] {
        assert_eq!(may(&account, verb, group, resource, own, name).await, wanted, "{verb} {resource} {name}");
        let elsewhere = wanted && !matches!(resource, "configmaps" | "leases");
        assert_eq!(
            may(&account, verb, group, resource, "kube-system", name).await,
            elsewhere,
            "{verb} {resource} elsewhere"
        );
    }
}

/// Names that the right holds for.
fn scope_of(group: &str, resource: &str, verb: &str) -> Option<&'static [&'static str]> {
    let has = |verbs: &[Verb]| verbs.iter().any(|of| of.as_str() == verb);
    rights()
        .find(|right| right.group == group && right.resource == resource && has(right.verbs))
        .map(|right| right.names)
}

async fn may(client: &Client, verb: &str, group: &str, resource: &str, namespace: &str, name: &str) -> bool {
    let text = |text: &str| Some(text.to_owned());
    let attributes = ResourceAttributes {
        verb: text(verb),
        group: text(group),
        resource: text(resource),
        namespace: text(namespace),
        name: text(name),
        ..ResourceAttributes::default()
    };
    let spec =
        SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..SelfSubjectAccessReviewSpec::default() };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await.unwrap();
    answer.status.unwrap().allowed
}
