//! A plan is carried out exactly, or not at all where the cluster is no longer as the plan saw it.

use std::collections::BTreeMap;

use holdfast::cluster::api::Handles;
use holdfast::cluster::apply::{apply, known_versions};
use holdfast::cluster::lease::Leader;
use holdfast::cluster::observe::observe;
use holdfast::cluster::state;
use holdfast::model::applied::{Applied, FailureClass, StepResult};
use holdfast::model::delete_log::RecentDelete;
use holdfast::model::keys::{FIELD_MANAGER, MANAGED_BY};
use holdfast::model::object::{Kind, ObjectKey};
use holdfast::model::plan::{Action, Plan, Step};
use jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::cluster::{Cluster, TestNamespace};
use crate::harness::http_thread::SeenRequest;
use crate::harness::proxy::{Action as ProxyAction, Proxy, Which};
use crate::support;
use crate::support::{SOON, api, configuration, create, delete, plan, repository, step, update};

/// A leading process behind a proxy, in a namespace of its own.
struct Bench {
    cluster: Cluster,
    namespace: TestNamespace,
    proxy: Proxy,
    handles: Handles,
    leader: Leader,
    _tasks: JoinSet<anyhow::Result<()>>,
}

impl Bench {
    async fn new() -> Option<Self> {
        let cluster = support::cluster().await?;
        let namespace = cluster.namespace("apply").await;
        let kubeconfig = support::account(&cluster, &namespace).await;
        let (proxy, proxied) = Proxy::in_front_of_cluster(&kubeconfig);
        let handles = support::handles(&proxied, &namespace.name).await;
        let (leader, tasks) = support::leader(&handles).await;
        Some(Self { cluster, namespace, proxy, handles, leader, _tasks: tasks })
    }

    fn configuration(&self, name: &str) -> ObjectKey {
        configuration(&self.namespace.name, name)
    }

    fn repository(&self, name: &str) -> ObjectKey {
        repository(&self.namespace.name, name)
    }

    async fn apply(&self, steps: Vec<Step>) -> Vec<StepResult> {
        self.apply_plan(&plan(steps), &BTreeMap::new()).await
    }

    async fn apply_plan(&self, plan: &Plan, known: &BTreeMap<ObjectKey, String>) -> Vec<StepResult> {
        let mut log = state::read(&self.handles).await.unwrap();
        let applied: Applied = apply(&self.handles, &self.leader, &mut log, plan, known).await;
        applied.results().iter().map(|(_, result)| result.clone()).collect()
    }

    async fn live(&self, key: &ObjectKey) -> Option<DynamicObject> {
        api(&self.cluster, key).get_opt(&key.name).await.unwrap()
    }

    async fn made(&self, key: &ObjectKey, value: &str) -> DynamicObject {
        assert_eq!(self.apply(vec![create(key, value)]).await, [StepResult::Done]);
        self.live(key).await.unwrap()
    }

    /// Somebody else creates it.
    async fn foreign(&self, key: &ObjectKey, value: &str) -> DynamicObject {
        let mut manifest = support::manifest(key, value);
        manifest["metadata"]["labels"] = json!({"made-by": "somebody"});
        manifest["metadata"]["annotations"] = json!({});
        let object = serde_json::from_value(manifest).unwrap();
        let params = PostParams { field_manager: Some("somebody".to_owned()), ..PostParams::default() };
        api(&self.cluster, key).create(&params, &object).await.unwrap()
    }

    /// Requests about the kinds that plans write, as `METHOD status`.
    fn requests(&self) -> Vec<String> {
        let about =
            |request: &&SeenRequest| request.path.contains("stash.appscode.com") && request.path.contains("/t-");
        let said = |request: &SeenRequest| format!("{} {}", request.method, request.status.unwrap_or_default());
        self.proxy.requests().iter().filter(about).map(said).collect()
    }
}

fn class(result: &StepResult) -> Option<FailureClass> {
    if let StepResult::Failed { class, .. } = result { Some(*class) } else { None }
}

fn is_patch_of(request: &SeenRequest, name: &str) -> bool {
    request.method == "PATCH" && request.path.ends_with(&format!("/{name}"))
}

#[tokio::test]
async fn a_plan_is_carried_out_and_costs_few_requests() {
    let Some(bench) = Bench::new().await else { return };
    let (repository, configuration) = (bench.repository("t-web"), bench.configuration("t-web"));
    let steps = vec![
        create(&repository, "one"),
        step(&repository, &configuration, Action::Create { manifest: support::manifest(&configuration, "0 2 * * *") }),
    ];
    assert_eq!(bench.apply(steps).await, [StepResult::Done, StepResult::Done]);
    assert_eq!(bench.requests(), ["GET 404", "PATCH 201", "GET 404", "PATCH 201"]);
    let live = bench.live(&configuration).await.unwrap();
    let managers = live.metadata.managed_fields.clone().unwrap();
    assert_eq!(managers.len(), 1);
    assert_eq!(
        (managers[0].manager.as_deref(), managers[0].operation.as_deref()),
        (Some(FIELD_MANAGER), Some("Apply"))
    );

    // Drift is undone with force, what nobody asked for stays.
    let edit = json!({"spec": {"schedule": "0 5 * * *", "paused": true}});
    let edited = api(&bench.cluster, &configuration);
    edited.patch("t-web", &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
    assert_eq!(bench.apply(vec![update(&live, &configuration, "0 2 * * *")]).await, [StepResult::Done]);
    let back = bench.live(&configuration).await.unwrap();
    assert_eq!((&back.data["spec"]["schedule"], &back.data["spec"]["paused"]), (&json!("0 2 * * *"), &json!(true)));

    // The same again: nothing to write.
    let same = plan(vec![update(&live, &configuration, "0 2 * * *")]);
    let known = known_versions(&same, &observe(&bench.handles).await.unwrap());
    assert_eq!(bench.apply_plan(&same, &known).await, [StepResult::Unchanged]);
    assert_eq!(bench.live(&configuration).await.unwrap().metadata.resource_version, back.metadata.resource_version);

    let gone = plan(vec![delete(&back, &configuration)]);
    assert_eq!(bench.apply_plan(&gone, &known).await, [StepResult::Done]);
    assert!(bench.live(&configuration).await.is_none());
    assert_eq!(bench.apply_plan(&gone, &known).await, [StepResult::Unchanged]);
    assert_eq!(bench.requests()[4..], ["PATCH 200", "PATCH 200", "DELETE 200", "DELETE 404"]);
    let log = state::read(&bench.handles).await.unwrap();
    let recent = RecentDelete { time: gone.now, uid: back.metadata.uid };
    assert_eq!(log.recent(Timestamp::now()), [recent], "two tries of one delete");
}

#[tokio::test]
async fn a_foreign_object_is_left_alone_and_holds_back_its_group_only() {
    let Some(bench) = Bench::new().await else { return };
    let (taken, after, other) =
        (bench.repository("t-taken"), bench.configuration("t-after"), bench.repository("t-other"));
    let foreign = bench.foreign(&taken, "theirs").await;
    let steps = vec![
        create(&taken, "ours"),
        step(&taken, &after, Action::Create { manifest: support::manifest(&after, "@daily") }),
        create(&other, "ours"),
    ];
    let results = bench.apply(steps).await;
    assert_eq!(class(&results[0]), Some(FailureClass::Conflict), "{results:?}");
    assert!(matches!(&results[1], StepResult::Skipped { because } if because.contains("t-taken")), "{results:?}");
    assert_eq!(results[2], StepResult::Done);
    let live = bench.live(&taken).await.unwrap();
    assert_eq!(live.metadata.resource_version, foreign.metadata.resource_version);
    assert!(bench.live(&after).await.is_none());
}

#[tokio::test]
async fn an_object_that_appears_in_the_last_moment_gets_nothing_of_ours() {
    let Some(bench) = Bench::new().await else { return };
    for (name, theirs) in [("t-same", "ours"), ("t-differs", "theirs")] {
        let key = bench.repository(name);
        let hold = bench.proxy.rule(Which::Nth(1), ProxyAction::Hold, move |request| is_patch_of(request, name));
        let (results, foreign) = tokio::join!(bench.apply(vec![create(&key, "ours")]), async {
            hold.wait_for_held(SOON).await;
            let foreign = bench.foreign(&key, theirs).await;
            hold.release();
            foreign
        });
        assert_eq!(class(&results[0]), Some(FailureClass::Conflict), "{results:?}");
        let live = bench.live(&key).await.unwrap();
        assert_eq!((&live.data["spec"], &live.metadata.uid), (&foreign.data["spec"], &foreign.metadata.uid));
        assert!(!live.metadata.labels.unwrap_or_default().contains_key(MANAGED_BY), "{name}");
        assert_eq!(live.metadata.annotations.unwrap_or_default(), BTreeMap::new(), "{name}");
        let managers = live.metadata.managed_fields.unwrap_or_default();
        assert!(managers.iter().all(|entry| entry.manager.as_deref() != Some(FIELD_MANAGER)), "{name}: {managers:?}");
    }
}

#[tokio::test]
async fn an_object_that_was_made_anew_is_neither_written_nor_deleted() {
    let Some(bench) = Bench::new().await else { return };
    let key = bench.configuration("t-again");
    let first = bench.made(&key, "0 1 * * *").await;
    api(&bench.cluster, &key).delete("t-again", &DeleteParams::default()).await.unwrap();
    let gone = bench.apply(vec![update(&first, &key, "0 2 * * *")]).await;
    assert_eq!(class(&gone[0]), Some(FailureClass::Conflict), "{gone:?}");
    assert!(bench.live(&key).await.is_none(), "an update never creates");

    let second = bench.foreign(&key, "0 3 * * *").await;
    for try_it in [update(&first, &key, "0 2 * * *"), delete(&first, &key)] {
        let results = bench.apply(vec![try_it]).await;
        assert_eq!(class(&results[0]), Some(FailureClass::Conflict), "{results:?}");
    }
    assert_eq!(bench.live(&key).await.unwrap().metadata.resource_version, second.metadata.resource_version);
}

#[tokio::test]
async fn an_object_that_changed_since_the_plan_is_not_deleted() {
    let Some(bench) = Bench::new().await else { return };
    let key = bench.configuration("t-changed");
    let first = bench.made(&key, "0 1 * * *").await;
    let edit = json!({"metadata": {"labels": {"touched": "yes"}}});
    api(&bench.cluster, &key).patch("t-changed", &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
    let results = bench.apply(vec![delete(&first, &key)]).await;
    assert_eq!(class(&results[0]), Some(FailureClass::Conflict), "{results:?}");
    assert!(bench.live(&key).await.is_some());
}

#[tokio::test]
async fn what_is_not_known_to_have_failed_is_unknown() {
    let Some(bench) = Bench::new().await else { return };
    let (lost, after) = (bench.repository("t-lost"), bench.configuration("t-lost-after"));
    bench.proxy.rule(Which::Nth(1), ProxyAction::CutAfterForward, |request| is_patch_of(request, "t-lost"));
    let steps =
        vec![create(&lost, "a"), step(&lost, &after, Action::Create { manifest: support::manifest(&after, "@daily") })];
    let results = bench.apply(steps).await;
    assert!(matches!(results[0], StepResult::Unknown { .. }), "{results:?}");
    assert!(matches!(results[1], StepResult::Skipped { .. }), "{results:?}");
    assert!(bench.live(&lost).await.is_some() && bench.live(&after).await.is_none());

    let slow = bench.repository("t-slow");
    let hold = bench.proxy.rule(Which::Nth(1), ProxyAction::Hold, |request| is_patch_of(request, "t-slow"));
    let results = bench.apply(vec![create(&slow, "a")]).await;
    assert!(matches!(&results[0], StepResult::Unknown { message } if message.contains("5 s")), "{results:?}");
    hold.release();
}

#[tokio::test]
async fn refusals_of_the_server_are_classed() {
    let Some(bench) = Bench::new().await else { return };
    let refuse = |code, name: &'static str| {
        bench.proxy.rule(Which::Nth(1), ProxyAction::Refuse(code), move |request| is_patch_of(request, name));
    };
    refuse(429, "t-429");
    refuse(503, "t-503");
    refuse(401, "t-401");
    refuse(404, "t-404");
    let names = ["t-429", "t-503", "t-401", "t-404"];
    let steps = names.iter().map(|name| create(&bench.repository(name), "a")).collect();
    let results = bench.apply(steps).await;
    assert_eq!(results[0], StepResult::Done, "it was sent again");
    let classes: Vec<_> = results[1..].iter().map(class).collect();
    let expected = [FailureClass::Transient, FailureClass::Denied, FailureClass::Invalid].map(Some);
    assert_eq!(classes, expected, "{results:?}");

    let nowhere = configuration("t-no-such-namespace", "t-a");
    let mut wrong = create(&bench.configuration("t-wrong"), "@daily");
    if let Action::Create { manifest } = &mut wrong.action {
        manifest["spec"]["retentionPolicy"] = json!("a text");
    }
    let repository = bench.made(&bench.repository("t-kept"), "a").await;
    let results =
        bench.apply(vec![create(&nowhere, "@daily"), wrong, delete(&repository, &bench.repository("t-kept"))]).await;
    let classes: Vec<_> = results.iter().map(class).collect();
    let expected = [FailureClass::Invalid, FailureClass::Invalid, FailureClass::Denied].map(Some);
    assert_eq!(classes, expected, "{results:?}");
    assert!(!bench.requests().iter().any(|request| request.starts_with("DELETE")));
}

#[tokio::test]
async fn no_delete_happens_that_was_not_written_down() {
    let Some(bench) = Bench::new().await else { return };
    let key = bench.configuration("t-kept");
    let live = bench.made(&key, "@daily").await;
    bench.proxy.rule(Which::Nth(1), ProxyAction::Refuse(500), |request| is_patch_of(request, "holdfast-state"));
    let results = bench.apply(vec![delete(&live, &key)]).await;
    assert_eq!(class(&results[0]), Some(FailureClass::Transient), "{results:?}");
    assert!(bench.live(&key).await.is_some());
}

#[tokio::test]
async fn nothing_is_written_once_the_lease_is_given_back() {
    let Some(bench) = Bench::new().await else { return };
    bench.leader.release().await;
    let key = ObjectKey::new(Kind::Repository, &bench.namespace.name, "t-late");
    let results = bench.apply(vec![create(&key, "a")]).await;
    assert!(matches!(results[0], StepResult::Skipped { .. }), "{results:?}");
    assert_eq!(bench.requests(), Vec::<String>::new());
}
