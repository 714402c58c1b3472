//! One world for one scenario: the shared cluster with nothing of ours in it, an account under the shipped RBAC, a
//! Git server, and what people do to them. A daemon watches the whole cluster, so there is one world at a time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use holdfast::install::crds::crds;
use holdfast::install::manifests::{Settings, manifests, to_yaml};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::audit::{granted, made_twice, used};
use crate::daemon::Start;
use crate::documents;
use crate::harness::audit::{AuditEntry, AuditLog, AuditMark};
use crate::harness::cluster::{Cluster, TestNamespace, client};
use crate::harness::git_server::{Access, GitServer, Transport};
use crate::harness::wait::eventually;

pub(crate) const SOON: Duration = Duration::from_secs(30);
/// The branch that a daemon of these tests writes.
pub(crate) const STATUS: &str = "holdfast/test";
/// The path of the blueprint that every world begins with.
pub(crate) const BLUEPRINT: &str = "blueprints/volumes.yaml";

/// Group, version, kind and plural name.
pub(crate) type Resource = (&'static str, &'static str, &'static str, &'static str);
pub(crate) const REPOSITORIES: Resource = ("stash.appscode.com", "v1alpha1", "Repository", "repositories");
pub(crate) const CONFIGURATIONS: Resource =
    ("stash.appscode.com", "v1beta1", "BackupConfiguration", "backupconfigurations");
pub(crate) const DEPLOYMENTS: Resource = ("apps", "v1", "Deployment", "deployments");
pub(crate) const CLAIMS: Resource = ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims");
/// Everything of ours that outlives a test's namespaces, or is seen while they end.
const OURS: [Resource; 8] = [
    DEPLOYMENTS,
    CLAIMS,
    ("stash.appscode.com", "v1beta1", "BackupBlueprint", "backupblueprints"),
    CONFIGURATIONS,
    ("stash.appscode.com", "v1beta1", "BackupBatch", "backupbatches"),
    ("stash.appscode.com", "v1beta1", "Function", "functions"),
    ("stash.appscode.com", "v1beta1", "Task", "tasks"),
    REPOSITORIES,
];

pub(crate) struct World {
    pub(crate) cluster: Cluster,
    /// Of the daemons.
    pub(crate) namespace: TestNamespace,
    /// Of the targets.
    pub(crate) shop: TestNamespace,
    pub(crate) git: GitServer,
    /// Of the daemons' account.
    pub(crate) kubeconfig: PathBuf,
    log: Option<(AuditLog, AuditMark)>,
    _turn: MutexGuard<'static, ()>,
}

impl World {
    /// None (and one loud line) where no cluster can run.
    pub(crate) async fn new() -> Option<Self> {
        Self::with(Transport::Http, &Access::Open).await
    }

    /// A world whose Git server is reached in this way.
    pub(crate) async fn with(transport: Transport, access: &Access) -> Option<Self> {
        static TURN: Mutex<()> = Mutex::const_new(());
        static DEFINED: OnceCell<()> = OnceCell::const_new();
        let turn = TURN.lock().await;
        let cluster = Cluster::get().await?;
        DEFINED
            .get_or_init(async || {
                for (_, yaml) in crds() {
                    cluster.apply_yaml(yaml, "default").await;
                }
            })
            .await;
        clear(&cluster.admin).await;
        let namespace = cluster.namespace("holdfast").await;
        let shop = cluster.namespace("shop").await;
        let kubeconfig = account(&cluster, &namespace.name).await;
        let git = GitServer::start(transport, access);
        git.repository().push_files(
            "main",
            &[(BLUEPRINT, &documents::blueprint("volumes", "30 3 * * *"))],
            "blueprint",
        );
        let log = cluster.audit_log().map(|log| {
            let mark = log.mark();
            (log, mark)
        });
        Some(Self { cluster, namespace, shop, git, kubeconfig, log, _turn: turn })
    }

    /// What every scenario must show at its end: no right was missing, none was used that is not granted, and nothing
    /// was made that was there.
    pub(crate) async fn finish(self, what: &str) {
        self.finish_after_deletes(what, &[]).await;
    }

    /// The same, where somebody else deleted these objects and they were rightly made again.
    pub(crate) async fn finish_after_deletes(self, what: &str, deleted: &[&str]) {
        if let Some((log, start)) = &self.log {
            let entries = self.entries_since(log, *start).await;
            let refused: Vec<_> = entries.iter().filter(|entry| entry.code == 403).collect();
            assert!(refused.is_empty(), "{refused:?}");
            let more: Vec<_> = used(&entries).difference(&granted()).cloned().collect();
            assert!(more.is_empty(), "used and not granted: {more:?}");
            let twice: Vec<String> = made_twice(&entries).into_iter().map(|(_, _, name)| name).collect();
            assert_eq!(twice, deleted);
            println!("{what}: {} requests of the account, none refused, {} made twice", entries.len(), twice.len());
        }
        clear(&self.cluster.admin).await;
    }

    /// A daemon that looks at everything often.
    pub(crate) fn daemon(&self, name: &str) -> Start<'_> {
        Start::new(self, name).with(&["--git-interval=1s", "--full-pass=1s", "--delete-delay=1s"])
    }

    /// A place in the audit log, if this cluster has one.
    pub(crate) fn mark(&self) -> Option<AuditMark> {
        self.log.as_ref().map(|(log, _)| log.mark())
    }

    /// What the daemons asked the API server for since then; none without an audit log.
    pub(crate) async fn since(&self, mark: Option<AuditMark>) -> Option<Vec<AuditEntry>> {
        let (log, _) = self.log.as_ref()?;
        Some(self.entries_since(log, mark?).await)
    }

    /// What the daemons asked the API server for in this scenario.
    pub(crate) async fn all(&self) -> Option<Vec<AuditEntry>> {
        self.since(self.log.as_ref().map(|(_, start)| *start)).await
    }

    async fn entries_since(&self, log: &AuditLog, mark: AuditMark) -> Vec<AuditEntry> {
        log.since(mark, Some(&format!("system:serviceaccount:{}:holdfast", self.namespace.name))).await
    }

    /// The API of a resource as the administrator; in the namespace of the targets, if it has namespaces.
    pub(crate) fn api(&self, resource: Resource) -> Api<DynamicObject> {
        if matches!(resource.2, "Function" | "Task" | "BackupBlueprint") {
            return Api::all_with(self.cluster.admin.clone(), &described(resource));
        }
        Api::namespaced_with(self.cluster.admin.clone(), &self.shop.name, &described(resource))
    }

    /// Makes a claim that asks for `blueprint`.
    pub(crate) async fn claim(&self, name: &str, blueprint: &str) {
        let claim = serde_json::from_value(documents::claim(&self.shop.name, name, blueprint)).expect("a claim");
        self.api(CLAIMS).create(&PostParams::default(), &claim).await.expect("claim made");
    }

    /// Sets annotations of a claim; null takes one away.
    pub(crate) async fn annotate(&self, name: &str, annotations: Value) {
        let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
        self.api(CLAIMS).patch(name, &PatchParams::default(), &patch).await.expect("claim annotated");
    }

    pub(crate) fn status_files(&self) -> BTreeMap<String, String> {
        self.git.repository().files(STATUS)
    }

    /// Waits until the status branch is as `wanted` says.
    pub(crate) async fn status(&self, what: &str, wanted: impl Fn(&BTreeMap<String, String>) -> Result<(), String>) {
        eventually(SOON, what, async || wanted(&self.status_files())).await;
    }

    /// Waits until the two objects of each of these claims are there.
    pub(crate) async fn made(&self, claims: &[&str]) {
        for claim in claims {
            for resource in [REPOSITORIES, CONFIGURATIONS] {
                let name = format!("persistentvolumeclaim-{claim}");
                eventually(SOON, &name, async || self.api(resource).get(&name).await).await;
            }
        }
    }

    /// Waits until these claims are backed up and the status branch says so.
    pub(crate) async fn protected(&self, claims: &[&str]) {
        self.status("the status of all claims", |files| {
            for claim in claims {
                let path = self.status_path(claim);
                let text = files.get(&path).ok_or_else(|| format!("no {path}"))?;
                if !text.contains("state: Waiting") || !text.contains("nextRun: ") {
                    return Err(text.clone());
                }
            }
            Ok(())
        })
        .await;
    }

    pub(crate) fn status_path(&self, claim: &str) -> String {
        format!("targets/{}/persistentvolumeclaim.{claim}.yaml", self.shop.name)
    }

    /// Gives the Lease of a daemon back that is known to be dead, as a person may, to spare its whole duration.
    pub(crate) async fn give_lease_back(&self) {
        let leases = Api::<Lease>::namespaced(self.cluster.admin.clone(), &self.namespace.name);
        let patch = Patch::Merge(json!({"spec": {"holderIdentity": null}}));
        leases.patch("holdfast", &PatchParams::default(), &patch).await.expect("Lease given back");
    }
}

/// Installs the daemon's objects as `holdfast manifests` prints them, and gives the kubeconfig of its account once its
/// rights hold.
async fn account(cluster: &Cluster, namespace: &str) -> PathBuf {
    let settings =
        Settings { namespace: namespace.to_owned(), ..Settings::new("test", "https://git.example.com/acme/platform") };
    let mut objects = manifests(&settings);
    // The process of the test stands in for the pod.
    objects.retain(|object| object["kind"] != "Deployment");
    cluster.apply_yaml(&to_yaml(&objects), namespace).await;
    let kubeconfig = cluster.service_account_kubeconfig(namespace, "holdfast").await;
    let account = client(&kubeconfig).await;
    for (verb, group, resource, name) in
        [("update", "coordination.k8s.io", "leases", "holdfast"), ("list", "stash.appscode.com", "tasks", "")]
    {
        eventually(SOON, "the rights hold", async || may(&account, namespace, verb, group, resource, name).await).await;
    }
    kubeconfig
}

async fn may(
    account: &Client,
    namespace: &str,
    verb: &str,
    group: &str,
    resource: &str,
    name: &str,
) -> Result<(), String> {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let attributes = ResourceAttributes {
        verb: text(verb),
        group: text(group),
        resource: text(resource),
        namespace: text(namespace).filter(|_| !name.is_empty()),
        name: text(name),
        ..ResourceAttributes::default()
    };
    let spec =
        SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..SelfSubjectAccessReviewSpec::default() };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let answer = Api::all(account.clone()).create(&PostParams::default(), &review).await;
    let allowed = answer.map_err(|error| error.to_string())?.status.is_some_and(|status| status.allowed);
    if allowed { Ok(()) } else { Err(format!("{verb} {resource} is not allowed")) }
}

fn described((group, version, kind, plural): Resource) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

/// Deletes what an earlier scenario left, and waits until it is gone.
async fn clear(admin: &Client) {
    for resource in OURS {
        let described = described(resource);
        let all = Api::<DynamicObject>::all_with(admin.clone(), &described);
        eventually(SOON, &format!("no {}", resource.3), async || {
            let left = all.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
            for object in &left {
                let name = object.metadata.name.as_deref().unwrap_or_default();
                let own = match &object.metadata.namespace {
                    Some(namespace) => Api::namespaced_with(admin.clone(), namespace, &described),
                    None => all.clone(),
                };
                let _gone_already = own.delete(name, &DeleteParams::background()).await;
            }
            if left.is_empty() { Ok(()) } else { Err(format!("{} left", left.len())) }
        })
        .await;
    }
}
