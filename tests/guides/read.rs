//! The pages, read in the order in which a new user comes to them; after each, what it promises.

use std::fs;

use serde_json::json;

use crate::harness::wait::eventually;
use crate::pages::root;
use crate::world::{SOON, STATUS, World};

const BLUEPRINT: &str = "backup/workloads.yaml";
/// A workload with a claim, as the reader has it.
const WEB: &str = r"
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: uploads, namespace: shop}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: localhost/web:1, volumeMounts: [{name: uploads, mountPath: /srv/uploads}]}]
      volumes: [{name: uploads, persistentVolumeClaim: {claimName: uploads}}]
";
/// What Stash made for another workload, from the blueprint of the same name.
const OF_STASH: &str = r"
apiVersion: stash.appscode.com/v1alpha1
kind: Repository
metadata: {name: deploy-api, namespace: shop}
spec:
  backend:
    s3: {endpoint: s3.eu-central-1.amazonaws.com, region: eu-central-1, bucket: acme-backups, prefix: quick-start/shop/deployment/api}
    storageSecretName: backup-storage
---
apiVersion: stash.appscode.com/v1beta1
kind: BackupConfiguration
metadata: {name: deploy-api, namespace: shop}
spec:
  repository: {name: deploy-api}
  schedule: 0 4 * * *
  retentionPolicy: {name: two-weeks, keepDaily: 7, prune: true}
  target:
    ref: {apiVersion: apps/v1, kind: Deployment, name: api}
    paths: [/srv/uploads]
    volumeMounts: [{name: uploads, mountPath: /srv/uploads}]
";

pub(crate) async fn everything(world: &World) {
    examples(world);
    getting_started(world).await;
    status_branch(world).await;
    policies(world);
    editor(world);
    acknowledge(world).await;
    troubleshooting(world);
    adopt_from_stash(world).await;
    world.assert_all_was_read();
}

fn examples(world: &World) {
    for (page, promise) in [
        ("examples/quick-start/README.md", "14 to create, 1 to update, 1 to delete; 0 refused"),
        ("examples/one-repository/README.md", "0 refused, 0 held, 0 warnings."),
        ("examples/blueprints-as-crs/README.md", "0 refused, 0 held, 0 warnings."),
    ] {
        let folder = root().join(page).parent().expect("a page is in a folder").to_owned();
        let said = world.page(page).run_all(&folder);
        assert!(said.contains(promise) && said.contains("0 errors"), "{page}: {said}");
    }
}

async fn getting_started(world: &World) {
    let mut page = world.page("docs/guides/getting-started.md");
    let checkout = world.checkout();
    let plan = page.run("cargo install", root());
    assert!(plan.contains("14 to create"), "{plan}");

    fs::create_dir(checkout.join("backup")).expect("folder made");
    fs::copy(root().join("examples/quick-start/git/platform/backup/workloads.yaml"), checkout.join(BLUEPRINT))
        .expect("copied");
    let checked = page.run("holdfast check", &checkout);
    assert!(checked.contains("0 errors"), "{checked}");
    world.sh(&checkout, &format!("kubectl create namespace shop; kubectl apply -f - <<'END'{WEB}END"));
    let before = world.sh(&checkout, "holdfast plan --tree .");
    assert!(before.contains("Not listed"), "{before}");
    page.run("holdfast crds", &checkout);
    world.sh(&checkout, "kubectl wait --for=condition=Established --timeout=30s crd --all");
    world.sh(
        &checkout,
        &format!("kubectl -n shop patch deployment web --patch-file /dev/stdin <<'END'\n{}END", page.yaml(0)),
    );
    let plan = page.run("holdfast plan", &checkout);
    assert!(plan.contains("+ create BackupConfiguration shop/deployment-web"), "{plan}");
    let written = world.object("-A repositories.stash.appscode.com,backupconfigurations.stash.appscode.com");
    assert_eq!(written["items"], json!([]), "nothing is written");
    page.run("git add", &checkout);

    page.run("mkdir ../holdfast-git", &checkout);
    world.ssh.allow(&checkout.join("../holdfast-git/identity.pub"));
    page.run("kubectl create namespace", &checkout);
    page.run("holdfast manifests", &checkout);
    let mut daemon = world.daemon(&[]).await;
    world.status("targets/shop/deployment.web.yaml", "state: Waiting").await;
    let status = page.run("holdfast status", &checkout);
    assert!(status.contains("Backups of prod-eu1") && status.contains("shop"), "{status}");
    let made = world.object("-n shop backupconfigurations.stash.appscode.com deployment-web");
    assert_eq!(made["spec"]["target"]["paths"], json!(["/srv/uploads"]));
    assert!(page.run_all(&checkout).is_empty(), "no block is left");
    daemon.terminate(SOON).await;
}

async fn status_branch(world: &World) {
    let mut page = world.page("docs/concepts/status-branch.md");
    let checkout = world.checkout();
    page.run("ssh-keygen", &checkout);
    let mut daemon = world.daemon(&[]).await;
    let schedule = async |schedule: &str| {
        world.sh(
            &checkout,
            &format!("kubectl -n shop annotate --overwrite deployment web stash.appscode.com/schedule='{schedule}'"),
        );
        world.status("targets/shop/deployment.web.yaml", schedule).await;
    };
    schedule("15 3 * * *").await;
    let verified = page.run("echo", &checkout);
    let last = verified.lines().last().unwrap_or_default();
    assert!(last.starts_with("Good \"git\" signature for holdfast@prod-eu1 with ED25519 key"), "{verified}");

    // A month passes.
    let cluster = world.status_file("cluster.yaml");
    let since = cluster.lines().find(|line| line.starts_with("  since: ")).expect("it says since when");
    let earlier = cluster.replace(since, "  since: 2025-09");
    world.ssh.repository().push_files(STATUS, &[("cluster.yaml", &earlier)], "a month has passed");
    schedule("25 3 * * *").await;
    eventually(SOON, "an archive", async || world.archive().ok_or("none")).await;
    let history = page.run("git ls-remote", &checkout);
    assert!(history.contains("a month has passed"), "{history}");
    assert_eq!(world.ssh.repository().log(STATUS).len(), 1, "the branch begins anew");
    assert!(page.run_all(&checkout).is_empty(), "no block is left");
    daemon.terminate(SOON).await;
}

fn policies(world: &World) {
    let mut page = world.page("docs/concepts/policies.md");
    let checkout = world.checkout();
    let folder = checkout.join("policies");
    fs::create_dir(&folder).expect("folder made");
    fs::write(folder.join("production.yaml"), page.yaml(0)).expect("written");
    fs::write(folder.join("cases.yaml"), page.yaml(1)).expect("written");
    let checked = page.run("holdfast check", &checkout);
    assert!(checked.contains("1 case passed\n0 errors"), "{checked}");
    let checked = page.run("holdfast observe", &checkout);
    assert!(checked.contains("policy production: 2 of 2 covered, 0 exempt"), "{checked}");
    // What the policy of the page is for: a blueprint that keeps less is found before a merge.
    let blueprint = fs::read_to_string(checkout.join(BLUEPRINT)).expect("it is there");
    fs::write(checkout.join(BLUEPRINT), blueprint.replace("keepDaily: 14", "keepDaily: 7")).expect("written");
    let (passes, said) = world.try_sh(&checkout, "holdfast check --cluster ../cluster.yaml .");
    assert!(
        !passes && said.contains("DeniedByPolicy") && said.contains("keepDaily is 7, production keeps 14"),
        "{said}"
    );
    fs::write(checkout.join(BLUEPRINT), blueprint).expect("written");
    fs::remove_dir_all(folder).expect("it goes");
    assert!(page.run_all(&checkout).is_empty(), "no block is left");
}

fn editor(world: &World) {
    let checkout = world.checkout();
    world.page("docs/guides/editor.md").run_all(&checkout);
    let schema = fs::read(checkout.join("../holdfast.schema.json")).expect("the schema is there");
    let schema: serde_json::Value = serde_json::from_slice(&schema).expect("it is JSON");
    jsonschema::draft7::new(&schema).expect("it is a schema of draft 7");
}

async fn acknowledge(world: &World) {
    let page = world.page("docs/guides/acknowledge.md");
    let checkout = world.checkout();
    let mut daemon = world.daemon(&[]).await;
    let push = |change: &dyn Fn(&str) -> String| {
        let blueprint = fs::read_to_string(checkout.join(BLUEPRINT)).expect("it is there");
        fs::write(checkout.join(BLUEPRINT), change(&blueprint)).expect("written");
        world.sh(&checkout, "git commit --quiet --all --message 'Keep less' && git push --quiet");
    };
    push(&|blueprint| blueprint.replace("keepDaily: 14", "keepDaily: 7"));
    let refusal = "BackupConfiguration shop/deployment-web would keep less: keepDaily 14 would become 7";
    world.status("findings.yaml", refusal).await;
    let shown = fs::read_to_string(root().join("docs/guides/acknowledge.md")).expect("it is there");
    assert!(shown.contains(refusal), "the page shows another refusal");
    let annotated = page.yaml(0);
    push(&|blueprint| blueprint.replacen("metadata:\n", &annotated, 1));
    eventually(SOON, "the step goes through", async || {
        let live = world.object("-n shop backupconfigurations.stash.appscode.com deployment-web");
        let keeps = live["spec"]["retentionPolicy"]["keepDaily"].clone();
        if keeps == 7 { Ok(()) } else { Err(keeps) }
    })
    .await;
    world.status("findings.yaml", "refusals: []").await;
    daemon.terminate(SOON).await;
}

fn troubleshooting(world: &World) {
    let said = world.page("docs/guides/troubleshooting.md").run_all(&world.checkout());
    assert!(said.contains("Nothing to do; 0 refused"), "{said}");
}

async fn adopt_from_stash(world: &World) {
    let mut page = world.page("docs/guides/adopt-from-stash.md");
    let checkout = world.checkout();
    let api = WEB.replace("web", "api").replace("name: uploads, namespace", "name: api, namespace");
    world.sh(
        &checkout,
        &format!(
            "kubectl apply --server-side --field-manager=stash-operator -f - <<'END'{OF_STASH}END
             kubectl apply -f - <<'END'{api}END
             kubectl -n shop annotate deployment api stash.appscode.com/backup-blueprint=daily \
             stash.appscode.com/target-paths=/srv/uploads stash.appscode.com/volume-mounts=uploads:/srv/uploads"
        ),
    );
    let refused = page.run("holdfast plan", &checkout);
    assert!(refused.contains("refused TargetTaken"), "{refused}");
    let adopted = page.run("holdfast plan", &checkout);
    assert!(adopted.contains("update BackupConfiguration shop/deploy-api"), "{adopted}");
    assert!(page.run_all(&checkout).is_empty(), "no block is left");

    let mut daemon = world.daemon(&["--adopt=stash"]).await;
    eventually(SOON, "it is taken over", async || {
        let live = world.object("-n shop backupconfigurations.stash.appscode.com deploy-api");
        let by = live["metadata"]["labels"]["app.kubernetes.io/managed-by"].clone();
        if by == "holdfast" { Ok(()) } else { Err(by) }
    })
    .await;
    world.status("targets/shop/deployment.api.yaml", "configuration: shop/deploy-api").await;
    daemon.terminate(SOON).await;
}
