//! Every request that the engine makes, once, under the shipped rights.

use holdfast::build::{labels, rights};
use holdfast::cluster::api::Handles;
use holdfast::cluster::deeds::carry_out;
use holdfast::cluster::lease::Leader;
use holdfast::cluster::looks::look;
use holdfast::cluster::watch::Watches;
use holdfast::control::engine::deed::{Deed, Propagation, Write};
use holdfast::control::engine::look::{Look, Seen};
use holdfast::install::rbac::trigger_role;
use holdfast::model::facts::{FactKey, FactKind};
use serde_json::{Value, json};

use crate::harness::cluster::Cluster;
use crate::harness::wait::eventually;
use crate::support::SOON;

struct Hand<'a> {
    handles: &'a Handles,
    leader: &'a Leader,
    watches: &'a Watches,
    namespace: &'a str,
}

/// `namespace` is that of the daemon too: its roles are named after it.
pub(crate) async fn every_request(
    cluster: &Cluster,
    handles: &Handles,
    leader: &Leader,
    watches: &Watches,
    namespace: &str,
) {
    cluster.apply_yaml(&there_before(namespace), namespace).await;
    let hand = Hand { handles, leader, watches, namespace };
    for object in rights::trigger(namespace, &trigger_role(namespace)) {
        hand.done(vec![Write::Apply(object)]).await;
    }
    let (session, job) = (hand.session(), hand.job());
    // Of a name there is one, however often it is made.
    hand.done(vec![
        Write::Create(session.clone()),
        Write::Create(session),
        Write::Create(job.clone()),
        Write::Create(job),
    ])
    .await;
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": hand.metadata("interim"),
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let copy = json!({"apiVersion": "v1", "kind": "Secret", "metadata": hand.metadata("copy")});
    let from = (namespace.to_owned(), "storage".to_owned());
    hand.done(vec![
        Write::Create(claim),
        Write::Project { manifest: copy, from, keys: &["RESTIC_PASSWORD"] },
        Write::Apply(hand.cron_job()),
    ])
    .await;
    for (kind, name, status) in [
        (FactKind::BackupSession, "run", json!({"phase": "Running"})),
        (FactKind::RestoreSession, "back", json!({"phase": "Pending"})),
        (FactKind::BackupConfiguration, "web", json!({"phase": "Ready", "observedGeneration": 1})),
        (FactKind::Repository, "repo", json!({"integrity": true})),
    ] {
        let document = json!({"apiVersion": kind.api_version(), "kind": kind.as_str(),
            "metadata": {"name": name, "namespace": namespace}, "status": status});
        hand.done(vec![Write::Status(document)]).await;
    }
    for (kind, name) in [(FactKind::BackupSession, "run"), (FactKind::RestoreSession, "back"), (FactKind::Job, "part")]
    {
        let (key, resource_version, _) = hand.known(kind, name).await;
        let annotations = vec![("holdfast.dev/test".to_owned(), "yes".to_owned())];
        hand.done(vec![Write::Mark { key, resource_version, finalizers: Some(Vec::new()), annotations }]).await;
    }
    looks(&hand).await;
    let mut gone = Vec::new();
    for (kind, name) in [(FactKind::CronJob, "trigger"), (FactKind::Job, "part"), (FactKind::BackupSession, "run")] {
        let (key, _, uid) = hand.known(kind, name).await;
        gone.push(Write::Delete { key, uid, propagation: Propagation::Background });
    }
    hand.done(gone).await;
}

async fn looks(hand: &Hand<'_>) {
    let namespace = hand.namespace.to_owned();
    let workload =
        |kind: &str| Look::Workload { kind: kind.to_owned(), namespace: namespace.clone(), name: "web".to_owned() };
    let secret = |name: &str| Look::Secret { namespace: namespace.clone(), name: name.to_owned() };
    assert_eq!(look(hand.handles, &secret("storage")).await, Seen::Found(json!(["OTHER", "RESTIC_PASSWORD"])));
    assert_eq!(
        look(hand.handles, &secret("copy")).await,
        Seen::Found(json!(["RESTIC_PASSWORD"])),
        "only what is needed"
    );
    assert_eq!(look(hand.handles, &secret("none")).await, Seen::Missing);
    match look(hand.handles, &workload("Deployment")).await {
        Seen::Found(found) => {
            assert_eq!(found["spec"]["selector"], json!({"matchLabels": {"app": "web"}}));
            assert!(!found.to_string().contains("SECRET"), "{found}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(look(hand.handles, &workload("StatefulSet")).await, Seen::Missing);
    assert_eq!(look(hand.handles, &workload("DaemonSet")).await, Seen::Missing);
    let pods =
        |selector: Option<&str>| Look::Pods { namespace: namespace.clone(), selector: selector.map(str::to_owned) };
    assert_eq!(look(hand.handles, &pods(Some("app in (nothing)"))).await, Seen::Found(json!([])));
    let events = Look::Events { namespace: namespace.clone(), uid: "none".to_owned() };
    assert_eq!(look(hand.handles, &events).await, Seen::Found(json!([])));
    match look(hand.handles, &Look::Claims { namespace }).await {
        Seen::Found(claims) => assert_eq!(claims[0]["spec"]["accessModes"], json!(["ReadWriteOnce"])),
        other => panic!("{other:?}"),
    }
}

impl Hand<'_> {
    async fn done(&self, writes: Vec<Write>) {
        let of = FactKey::new(FactKind::BackupSession, self.namespace, "run");
        let deeds = writes.into_iter().map(|write| Deed { of: of.clone(), write }).collect();
        for done in carry_out(self.handles, self.leader, self.watches, deeds).await {
            assert_eq!(done.failure, None);
        }
    }

    /// Key, version and UID of an object, as the watches or the answers to our writes have it.
    async fn known(&self, kind: FactKind, name: &str) -> (FactKey, String, String) {
        let key = FactKey::new(kind, self.namespace, name);
        eventually(SOON, &key.spoken(), async || {
            let facts = self.watches.facts().await;
            let fact = facts.get(&key).ok_or("not there")?;
            Ok::<_, &str>((key.clone(), fact.resource_version.clone(), fact.uid.clone()))
        })
        .await
    }

    fn metadata(&self, name: &str) -> Value {
        json!({"name": name, "namespace": self.namespace, "labels": labels::run(labels::Component::Backup, "run")})
    }

    fn session(&self) -> Value {
        json!({"apiVersion": "stash.appscode.com/v1beta1", "kind": "BackupSession", "metadata": self.metadata("run"),
            "spec": {"invoker": {"apiGroup": "stash.appscode.com", "kind": "BackupConfiguration", "name": "web"}}})
    }

    fn pod() -> Value {
        json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "localhost/none:1"}]}})
    }

    fn job(&self) -> Value {
        let mut metadata = self.metadata("part");
        metadata["finalizers"] = json!(["holdfast.dev/engine"]);
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata,
            "spec": {"backoffLimit": 0, "template": Self::pod()}})
    }

    fn cron_job(&self) -> Value {
        json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": self.metadata("trigger"),
            "spec": {"schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": {"spec": {"template": Self::pod()}}}})
    }
}

/// What users have made.
fn there_before(namespace: &str) -> String {
    let all = [
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "storage", "namespace": namespace},
            "stringData": {"RESTIC_PASSWORD": "x", "OTHER": "y"}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": namespace},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
                    {"name": "main", "image": "localhost/none:1", "env": [{"name": "A", "value": "SECRET"}]}]}}}}),
        json!({"apiVersion": "stash.appscode.com/v1alpha1", "kind": "Repository",
            "metadata": {"name": "repo", "namespace": namespace},
            "spec": {"backend": {"storageSecretName": "storage", "rest": {"url": "http://127.0.0.1:1/"}}}}),
        json!({"apiVersion": "stash.appscode.com/v1beta1", "kind": "BackupConfiguration",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {"repository": {"name": "repo"}, "schedule": "0 0 1 1 *",
                "retentionPolicy": {"name": "all", "prune": false}}}),
        json!({"apiVersion": "stash.appscode.com/v1beta1", "kind": "RestoreSession",
            "metadata": {"name": "back", "namespace": namespace}, "spec": {"repository": {"name": "repo"}}}),
    ];
    all.map(|object| format!("---\n{object}\n")).concat()
}
