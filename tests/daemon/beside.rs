//! The daemon beside Argo CD and Flux: they reconcile blueprints and annotated workloads again and again, it makes what
//! those ask for, and nobody undoes what another did.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;

use holdfast::model::keys;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::audit::writes;
use crate::daemon::Daemon;
use crate::documents;
use crate::harness::git_cli::Git;
use crate::harness::tools::{Reconciled, Tools};
use crate::harness::wait::eventually;
use crate::world::{CONFIGURATIONS, DEPLOYMENTS, REPOSITORIES, Resource, SOON, STATUS, World};

const ROUNDS: usize = 50;
const BLUEPRINTS: Resource = ("stash.appscode.com", "v1beta1", "BackupBlueprint", "backupblueprints");
/// Each application of a tool has a folder, a blueprint and a workload of its name.
const APPLICATIONS: [(&str, &[&str]); 4] = [
    ("flux", &["flux"]),
    ("annotation", &["argocd"]),
    ("label", &["argocd", "--track-by-label"]),
    ("server-side", &["argocd", "--server-side"]),
];
const FLUX: [(&str, &[&str]); 1] = [APPLICATIONS[0]];
/// Also in the folder of Argo CD by annotation: a workload that asks for a backup, and the configuration that it would get.
const CONTESTED: &str = "contested";

/// A clone that the tools read.
struct Checkout {
    git: Git,
    folder: TempDir,
}

impl Checkout {
    fn of(world: &World) -> Self {
        let (git, folder) = (Git::new(), tempfile::tempdir().expect("a temporary folder"));
        git.run(folder.path(), &["clone", "--quiet", &world.git.repository().path().display().to_string(), "tree"]);
        Self { git, folder }
    }

    fn tree(&self) -> std::path::PathBuf {
        self.folder.path().join("tree")
    }

    fn pull(&self) {
        self.git.run(&self.tree(), &["pull", "--quiet"]);
    }
}

/// All applications reconcile at the same time, each as often.
async fn reconcile(world: &World, checkout: &Checkout, rounds: usize) -> BTreeMap<&'static str, Reconciled> {
    reconcile_some(world, checkout, &APPLICATIONS, rounds).await
}

async fn reconcile_some(
    world: &World,
    checkout: &Checkout,
    applications: &'static [(&'static str, &'static [&'static str])],
    rounds: usize,
) -> BTreeMap<&'static str, Reconciled> {
    let kubeconfig = world.cluster.kubeconfig().display().to_string();
    let (tree, inventory) = (checkout.tree(), checkout.folder.path().join("inventory"));
    let namespace = world.shop.name.clone();
    let run = move || {
        let tools = Tools::get().expect("they were there before");
        thread::scope(|scope| {
            let start = |(name, words): &(&'static str, &[&str])| {
                let name = *name;
                let mut arguments: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
                arguments.push(format!("--kubeconfig={kubeconfig}"));
                arguments.push(format!("--tree={}", folder(&tree, name).display()));
                arguments.push(format!("--name={name}"));
                arguments.push(format!("--namespace={namespace}"));
                arguments.push(format!("--rounds={rounds}"));
                if name == "flux" {
                    arguments.push(format!("--inventory={}", inventory.display()));
                }
                let tools = &tools;
                (name, scope.spawn(move || tools.reconcile(&arguments)))
            };
            let started: Vec<_> = applications.iter().map(start).collect();
            let joined = started.into_iter().map(|(name, thread)| (name, thread.join().expect("a tool reconciles")));
            joined.collect()
        })
    };
    tokio::task::spawn_blocking(run).await.expect("the tools ran")
}

fn folder(tree: &Path, name: &str) -> std::path::PathBuf {
    tree.join("apps").join(name)
}

/// A workload as charts write them, with marks of tools that must not spread.
fn deployment(name: &str, blueprint: &str) -> String {
    let labels = json!({"app.kubernetes.io/name": name, "app.kubernetes.io/instance": name,
        "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "web-1.2.3"});
    let annotations = json!({"stash.appscode.com/backup-blueprint": blueprint,
        "stash.appscode.com/target-paths": "/data", "stash.appscode.com/volume-mounts": "data:/data",
        "argocd.argoproj.io/compare-options": "IgnoreExtraneous", "meta.helm.sh/release-name": name,
        "kustomize.toolkit.fluxcd.io/force": "disabled"});
    let pod = json!({"metadata": {"labels": labels}, "spec": {
        "containers": [{"name": "web", "image": "web", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        "volumes": [{"name": "data", "emptyDir": {}}]}});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app.kubernetes.io/name": name}}, "template": pod}});
    deployment.to_string()
}

/// What a team commits for all applications, by path.
fn commit(world: &World, schedule: &str) {
    let namespace = &world.shop.name;
    let mut files: Vec<(String, String)> = Vec::new();
    for (name, _) in APPLICATIONS {
        files.push((format!("apps/{name}/blueprint.yaml"), documents::blueprint(&format!("{name}-daily"), schedule)));
        files.push((format!("apps/{name}/web.yaml"), deployment(name, &format!("{name}-daily"))));
    }
    let generated = format!("deployment-{CONTESTED}");
    let own = documents::configuration(namespace, &generated, "elsewhere", "0 5 * * *");
    files.push((format!("apps/annotation/{CONTESTED}.yaml"), deployment(CONTESTED, "annotation-daily")));
    files.push((format!("apps/annotation/{CONTESTED}-backup.yaml"), own));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    world.git.repository().push_files("main", &files, "applications");
}

/// Every object that a tool or the daemon made, with its version.
async fn versions(world: &World) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    for resource in [BLUEPRINTS, DEPLOYMENTS, REPOSITORIES, CONFIGURATIONS] {
        for object in world.api(resource).list(&ListParams::default()).await.expect("listed") {
            let name = format!("{} {}", resource.2, object.metadata.name.unwrap_or_default());
            versions.insert(name, object.metadata.resource_version.unwrap_or_default());
        }
    }
    versions
}

async fn generated(world: &World, resource: Resource, target: &str) -> Result<DynamicObject, kube::Error> {
    world.api(resource).get(&format!("deployment-{target}")).await
}

/// Waits until all targets have a configuration with this schedule.
async fn scheduled(world: &World, schedule: &str) {
    for (name, _) in APPLICATIONS {
        eventually(SOON, name, async || {
            let object = generated(world, CONFIGURATIONS, name).await.map_err(|error| error.to_string())?;
            let found = object.data["spec"]["schedule"].as_str().unwrap_or_default();
            if found == schedule { Ok(()) } else { Err(found.to_owned()) }
        })
        .await;
    }
}

/// No mark of another tool is on what was made, wherever it came from.
async fn unmarked(world: &World) {
    for (name, _) in APPLICATIONS {
        for resource in [REPOSITORIES, CONFIGURATIONS] {
            let object = generated(world, resource, name).await.expect("it is there");
            assert_eq!(
                object.metadata.labels.as_ref().and_then(|labels| labels.get(keys::MANAGED_BY)).map(String::as_str),
                Some("holdfast")
            );
            let metadata = &object.metadata;
            let all = metadata.labels.iter().chain(metadata.annotations.iter()).flatten().map(|(key, _)| key);
            let marks: Vec<_> = all.filter(|key| *key != keys::MANAGED_BY && keys::is_tracking(key)).collect();
            assert!(marks.is_empty(), "{name}: {marks:?}");
            assert_eq!(metadata.owner_references, None, "a target that is made anew must not take its backups along");
            let managers: Vec<_> =
                metadata.managed_fields.iter().flatten().filter_map(|entry| entry.manager.as_deref()).collect();
            assert_eq!(managers, ["holdfast"], "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_and_daemon_leave_each_other_alone() {
    let Some(_) = Tools::get() else { return };
    let Some(world) = World::new().await else { return };
    let daemon = world.daemon("beside").with(&["--git-path=blueprints"]).leading().await;
    commit(&world, "0 2 * * *");
    let checkout = Checkout::of(&world);
    let first = reconcile(&world, &checkout, 1).await;
    assert!(first.values().all(|did| did.changed.len() >= 2 && did.pruned.is_empty()), "{first:?}");
    scheduled(&world, "0 2 * * *").await;
    claimed_first(&world, &daemon).await;
    // Until the controllers of Kubernetes have written the statuses of the workloads, too.
    let mut before = versions(&world).await;
    eventually(SOON, "nothing moves", async || {
        reconcile(&world, &checkout, 3).await;
        let now = versions(&world).await;
        let moved = std::mem::replace(&mut before, now.clone()) != now;
        if moved { Err("something moved") } else { Ok(()) }
    })
    .await;

    let (mark, commits) = (world.mark(), world.git.repository().log(STATUS));
    let passes = daemon.metric("holdfast_passes_total").await.expect("it counts");
    let rounds = reconcile(&world, &checkout, ROUNDS).await;
    for (name, did) in &rounds {
        assert_eq!(*did, Reconciled { rounds: ROUNDS, changed: Vec::new(), pruned: Vec::new() }, "{name}");
    }
    let passes = daemon.metric("holdfast_passes_total").await.expect("it counts") - passes;
    assert!(passes >= 3, "the daemon looked {passes} times");
    assert_eq!(versions(&world).await, before);
    assert_eq!(world.git.repository().log(STATUS), commits);
    if let Some(entries) = world.since(mark).await {
        assert_eq!(writes(&entries), Vec::<&_>::new());
    }
    unmarked(&world).await;

    commit(&world, "15 4 * * *");
    checkout.pull();
    let changed = reconcile(&world, &checkout, 1).await;
    assert!(changed.values().all(|did| did.changed.len() == 1 && did.pruned.is_empty()), "{changed:?}");
    scheduled(&world, "15 4 * * *").await;
    they_do_prune_and_correct(&world, &checkout).await;
    claimed_later(&world, &daemon, &checkout).await;
    println!(
        "| beside Argo CD (3 ways) and Flux | {ROUNDS} reconciles each over {passes} passes: 0 writes, 0 differences, 0 pruned |"
    );
    drop(daemon);
    world.finish_after_deletes("beside", &["deployment-flux"]).await;
}

/// What Argo CD has in Git stays Argo CD's: the daemon says so once and touches nothing.
async fn claimed_first(world: &World, daemon: &Daemon) {
    daemon.metric_is("holdfast_refusals{code=\"ForeignObject\"}", |count| count == 1).await;
    let theirs = generated(world, CONFIGURATIONS, CONTESTED).await.expect("Argo CD made it");
    assert_eq!(theirs.data["spec"]["schedule"], "0 5 * * *");
    assert!(theirs.metadata.managed_fields.iter().flatten().all(|entry| entry.manager.as_deref() != Some("holdfast")));
}

/// The tools are no lambs: the same reconciles delete what carries their mark and set back what was edited.
async fn they_do_prune_and_correct(world: &World, checkout: &Checkout) {
    let mut stray: Value =
        serde_yaml::from_str(&documents::configuration(&world.shop.name, "stray", "elsewhere", "0 5 * * *"))
            .expect("a document");
    stray["metadata"]["labels"] = json!({"app.kubernetes.io/instance": "label"});
    let stray: DynamicObject = serde_json::from_value(stray).expect("an object");
    world.api(CONFIGURATIONS).create(&PostParams::default(), &stray).await.expect("made");
    let edit = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    for (name, _) in APPLICATIONS {
        let patch = Patch::Merge(json!({"spec": {"schedule": "1 1 1 1 *"}}));
        world.api(BLUEPRINTS).patch(&format!("{name}-daily"), &edit, &patch).await.expect("edited");
    }
    let did = reconcile(world, checkout, 1).await;
    for (name, did) in &did {
        assert_eq!(did.changed.len(), 1, "{name}: {did:?}");
        assert_eq!(did.pruned.len(), usize::from(*name == "label"), "{name}: {did:?}");
    }
    eventually(SOON, "the stray is pruned", async || match world.api(CONFIGURATIONS).get_opt("stray").await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    scheduled(world, "15 4 * * *").await;
}

/// Flux is given a document of what the daemon made: Holdfast sets it back twice, says so, and leaves it to Flux; when
/// Flux has pruned it, it is made anew.
async fn claimed_later(world: &World, daemon: &Daemon, checkout: &Checkout) {
    const PATH: &str = "apps/flux/backup.yaml";
    let document = documents::configuration(&world.shop.name, "deployment-flux", "deployment-flux", "0 6 * * *");
    world.git.repository().push_files("main", &[(PATH, &document)], "claim");
    checkout.pull();
    eventually(SOON, "the daemon gives in", async || {
        reconcile_some(world, checkout, &FLUX, 1).await;
        match daemon.metric("holdfast_refusals{code=\"DriftContested\"}").await {
            Some(1) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    reconcile_some(world, checkout, &FLUX, 1).await;
    let mark = world.mark();
    let did = reconcile_some(world, checkout, &FLUX, 5).await;
    assert!(did.values().all(|did| did.changed.is_empty() && did.pruned.is_empty()), "{did:?}");
    if let Some(entries) = world.since(mark).await {
        assert_eq!(writes(&entries), Vec::<&_>::new());
    }

    world.git.repository().remove_files("main", &[PATH], "no claim");
    checkout.pull();
    let did = reconcile_some(world, checkout, &FLUX, 1).await;
    assert_eq!(did["flux"].pruned.len(), 1, "{did:?}");
    scheduled(world, "15 4 * * *").await;
}
