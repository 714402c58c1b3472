//! The scenes: what people do, and Holdfast's answer to it.

use std::fmt::Write as _;

use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::harness::wait::eventually;
use crate::narrator::{checked, say, show, title};
use crate::stage::{SOON, STATUS, Stage};

const BLUEPRINTS: [(&str, &str); 4] = [
    ("platform/backup/workloads.yaml", include_str!("../../examples/quick-start/git/platform/backup/workloads.yaml")),
    ("platform/backup/claims.yaml", include_str!("../../examples/quick-start/git/platform/backup/claims.yaml")),
    ("platform/backup/databases.yaml", include_str!("../../examples/quick-start/git/platform/backup/databases.yaml")),
    ("teams/shop/reports.yaml", include_str!("../../examples/quick-start/git/teams/shop/reports.yaml")),
];
/// One configuration for each annotated target, and the one that the team shop wrote itself.
const CONFIGURATIONS: [&str; 8] = [
    "crm/app-contacts",
    "crm/replicaset-importer",
    "crm/replicationcontroller-fax",
    "infra/daemonset-agent",
    "shop/deployment-web",
    "shop/persistentvolumeclaim-invoices",
    "shop/reports",
    "shop/statefulset-search",
];

pub(crate) async fn play(stage: &mut Stage) {
    blueprints_and_annotations(stage).await;
    daemon_starts(stage).await;
    status_branch(stage).await;
    change_is_pushed(stage).await;
    file_breaks(stage).await;
    object_is_edited(stage).await;
    annotation_goes(stage).await;
    blueprint_goes(stage).await;
    daemon_ends(stage).await;
}

async fn blueprints_and_annotations(stage: &Stage) {
    title("1. A platform team pushes blueprints, owners annotate what must be safe");
    stage.git.repository().push_files("main", &BLUEPRINTS, "Back up workloads, claims and databases");
    show(
        "git push   # three blueprints, and one configuration that a team wrote itself",
        &BLUEPRINTS.map(|(path, _)| path).join("\n"),
    );
    show("cat platform/backup/workloads.yaml", BLUEPRINTS[0].1);
    let made = stage.make_targets().await;
    show(
        "kubectl apply -f targets.yaml",
        &format!("{made} objects: targets of all seven kinds in the namespaces shop, crm and infra"),
    );

    let flags = stage.source_flags();
    let mut args = vec!["plan", "--output=summary"];
    args.extend(flags.iter().map(String::as_str));
    let plan = stage.holdfast(&args);
    show("holdfast plan --git-url … --output summary   # nothing is written", &plan);
    assert!(plan.contains("16 to create, 0 to update, 0 to delete; 0 refused, 0 held, 0 warnings"), "{plan}");
    assert!(stage.configurations().await.is_empty(), "a plan writes nothing");
    checked("the plan has a Repository and a BackupConfiguration for each of 8 targets; nothing was written");
}

async fn daemon_starts(stage: &mut Stage) {
    title("2. The daemon starts and carries the same plan out");
    stage.start_daemon().await;
    let configurations = eventually(SOON, "all configurations made", async || {
        let made = stage.configurations().await;
        if made.keys().map(String::as_str).eq(CONFIGURATIONS) { Ok(made) } else { Err(format!("{:?}", made.keys())) }
    })
    .await;
    let repositories = stage.repositories().await;
    assert!(repositories.keys().map(String::as_str).eq(CONFIGURATIONS), "{:?}", repositories.keys());
    let mut table = format!("{:<38} {:<14} {}\n", "NAMESPACE/NAME", "SCHEDULE", "PREFIX");
    for (key, configuration) in &configurations {
        let prefix = &repositories[key]["spec"]["backend"]["s3"]["prefix"];
        let _ = writeln!(table, "{key:<38} {:<14} {}", text(&configuration["spec"]["schedule"]), text(prefix));
    }
    show("kubectl get backupconfigurations,repositories -A", &table);
    checked("8 Repositories and 8 BackupConfigurations are on the API server");
    assert_eq!(
        repositories["shop/persistentvolumeclaim-invoices"]["spec"]["backend"]["s3"]["prefix"],
        "quick-start/shop/accounting/invoices"
    );
    checked("the owner of shop/invoices chose the folder by an annotation");
    assert_eq!(configurations["shop/statefulset-search"]["spec"]["schedule"], "*/15 * * * *");
    checked("the owner of shop/search overrides the schedule");
    assert_eq!(configurations["crm/app-contacts"]["spec"]["task"]["name"], "mariadb-backup-10.5.8");
    checked("the AppBinding of crm/contacts chose the task by its type and version");
}

async fn status_branch(stage: &Stage) {
    title("3. What happened is a commit");
    let target = stage.status_has("targets/shop/deployment.web.yaml", "deployment-web").await;
    let readme = stage.status_has("README.md", "shop").await;
    show(&format!("git log {STATUS}"), &log(stage));
    show("README.md of the branch, as the forge shows it", &readme);
    show("targets/shop/deployment.web.yaml", &target);
    assert!(stage.git.repository().files("main").keys().all(|path| !path.starts_with("targets/")));
    checked("the status is on a branch of its own; the source branch is untouched");
    let flags = stage.source_flags();
    let mut args = vec!["status", "--cluster-name=demo"];
    args.extend(flags.iter().map(String::as_str));
    let status = stage.holdfast(&args);
    show("holdfast status --cluster-name demo", &status);
    assert!(status.contains("shop"), "{status}");
    checked("`holdfast status` reads the same from Git, without a cluster");
}

async fn change_is_pushed(stage: &Stage) {
    title("4. A change is pushed: nightly backups move to 04:30");
    let (path, before) = BLUEPRINTS[0];
    let after = before.replace("schedule: 0 2 * * *", "schedule: 30 4 * * *");
    assert_ne!(before, after);
    let commit =
        stage.git.repository().push_files("main", &[(path, &after)], "Back up at 04:30, after the nightly import");
    eventually(SOON, "the new schedule", async || {
        let live = stage.configurations().await;
        let schedule = live["shop/deployment-web"]["spec"]["schedule"].clone();
        if schedule == "30 4 * * *" { Ok(()) } else { Err(schedule) }
    })
    .await;
    let live = stage.configurations().await;
    let mut table = String::new();
    for (key, configuration) in &live {
        let _ = writeln!(table, "{key:<38} {}", text(&configuration["spec"]["schedule"]));
    }
    show("kubectl get backupconfigurations -A", &table);
    let moved = live.values().filter(|configuration| configuration["spec"]["schedule"] == "30 4 * * *").count();
    assert_eq!(moved, 4, "those of the blueprint that do not override it");
    assert_eq!(live["shop/statefulset-search"]["spec"]["schedule"], "*/15 * * * *");
    checked("4 configurations follow the blueprint, the one with an annotation keeps its own schedule");
    stage.status_has("cluster.yaml", &commit).await;
    show(&format!("git log -1 {STATUS}"), &newest(stage));
    checked("the status branch names the commit that is applied");
}

async fn file_breaks(stage: &Stage) {
    title("5. A file breaks: somebody pushes a typing error");
    let (path, good) = BLUEPRINTS[1];
    let broken = good.replace("keepDaily: 7", "keepDaily: a week");
    assert_ne!(good, broken);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("claims.yaml");
    std::fs::write(&file, &broken).expect("file written");
    let told =
        stage.holdfast(&["check", file.to_str().expect("UTF-8")]).replace(&format!("{}/", folder.path().display()), "");
    show("holdfast check claims.yaml   # what CI would have said", &told);
    assert!(told.contains("claims.yaml:20:16"), "{told}");
    checked("`holdfast check` points at line and column");

    stage.git.repository().push_files("main", &[(path, &broken)], "Keep a week");
    let readme = stage.status_has("README.md", "claims.yaml").await;
    show("README.md of the status branch", &readme);
    assert!(stage.configurations().await.contains_key("shop/persistentvolumeclaim-invoices"));
    checked("the file is held; what it made earlier stays as it was, and the rest goes on");
    stage.git.repository().push_files("main", &[(path, good)], "Keep 7 daily backups");
    eventually(SOON, "the README is well again", async || {
        let readme = stage.git.repository().files(STATUS).remove("README.md").unwrap_or_default();
        if readme.contains("claims.yaml:") { Err(readme) } else { Ok(()) }
    })
    .await;
    show(&format!("git log -2 {STATUS}"), &log_of(stage, 2));
    checked("repaired by the next push");
}

async fn object_is_edited(stage: &Stage) {
    title("6. Somebody edits an object by hand");
    let api = stage.api("stash.appscode.com/v1beta1", "BackupConfiguration", Some("shop"));
    let edit = json!({"spec": {"schedule": "0 0 1 1 *"}});
    let editor = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    let edited = api.patch("deployment-web", &editor, &Patch::Merge(&edit)).await.expect("edited");
    assert_eq!(edited.data["spec"]["schedule"], "0 0 1 1 *");
    show("kubectl -n shop edit backupconfiguration deployment-web   # schedule: 0 0 1 1 *", "edited");
    let live = eventually(SOON, "the edit is undone", async || {
        let live = api.get("deployment-web").await.map_err(|error| error.to_string())?;
        if live.data["spec"]["schedule"] == "30 4 * * *" {
            Ok(live)
        } else {
            Err(live.data["spec"]["schedule"].to_string())
        }
    })
    .await;
    show(
        "kubectl -n shop get backupconfiguration deployment-web -o jsonpath='{.spec.schedule}'",
        &text(&live.data["spec"]["schedule"]),
    );
    checked("it is as Git says again");
    let log = stage.daemon_log();
    let told = log.lines().rev().find(|line| line.contains("kubectl-edit")).expect("a log line names who edited");
    show("kubectl logs deployment/holdfast | grep kubectl-edit", told);
    checked("the log names the field and who had changed it");
}

async fn annotation_goes(stage: &Stage) {
    title("7. An owner removes the annotation");
    let targets = stage.api("apps/v1", "DaemonSet", Some("infra"));
    let remove = json!({"metadata": {"annotations": {"stash.appscode.com/backup-blueprint": null}}});
    targets.patch("agent", &PatchParams::default(), &Patch::Merge(&remove)).await.expect("annotation removed");
    show("kubectl -n infra annotate daemonset agent stash.appscode.com/backup-blueprint-", "annotated");
    say("The configuration is marked first and goes after --delete-delay, here 5 s (10 m by default).");
    gone(stage, "infra/daemonset-agent").await;
    checked("the BackupConfiguration is gone");
    assert!(stage.repositories().await.contains_key("infra/daemonset-agent"));
    checked("the Repository stays: no plan ever deletes one, and the snapshots are safe");
    stage_log(stage).await;
}

async fn blueprint_goes(stage: &Stage) {
    title("8. A blueprint is deleted in Git");
    stage.git.repository().remove_files("main", &["platform/backup/databases.yaml"], "Databases move to another tool");
    show("git rm platform/backup/databases.yaml && git push", "pushed");
    gone(stage, "crm/app-contacts").await;
    checked("the configuration that it made is gone, after the same delay");
    let rest = stage.configurations().await;
    assert_eq!(rest.len(), CONFIGURATIONS.len() - 2, "{:?}", rest.keys());
    assert_eq!(stage.repositories().await.len(), CONFIGURATIONS.len());
    checked("all other configurations and all Repositories are there");
    let events = Api::<Event>::namespaced(stage.cluster.admin.clone(), "crm");
    let told = eventually(SOON, "an Event on the target", async || {
        let about = ListParams::default().fields("involvedObject.name=contacts");
        let events = events.list(&about).await.map_err(|error| error.to_string())?.items;
        if events.is_empty() { Err("none yet".to_owned()) } else { Ok(events) }
    })
    .await;
    let line = |event: &Event| {
        let field = |value: &Option<String>| value.clone().unwrap_or_default();
        format!("{:<8} {:<20} {}", field(&event.type_), field(&event.reason), field(&event.message))
    };
    show("kubectl -n crm events --for appbinding/contacts", &told.iter().map(line).collect::<Vec<_>>().join("\n"));
    checked("whoever owns the target reads it in its Events");
    stage_log(stage).await;
}

async fn daemon_ends(stage: &mut Stage) {
    title("9. The daemon ends as a pod does");
    assert!(stage.end_daemon().await, "SIGTERM is answered by exit code 0");
    checked("SIGTERM: exit code 0");
    let lease =
        stage.api("coordination.k8s.io/v1", "Lease", Some("holdfast-demo")).get("holdfast").await.expect("a Lease");
    let holder = text(&lease.data["spec"]["holderIdentity"]);
    assert!(holder.is_empty(), "held by {holder}");
    checked("its Lease is free for the next one");
    show(&format!("git log {STATUS}"), &log(stage));
}

async fn gone(stage: &Stage, key: &str) {
    eventually(SOON, &format!("{key} gone"), async || {
        if stage.configurations().await.contains_key(key) { Err("it is there") } else { Ok(()) }
    })
    .await;
}

/// Waits until the branch says what is there now, and shows its newest commit.
async fn stage_log(stage: &Stage) {
    let count = stage.configurations().await.len();
    eventually(SOON, "the status branch agrees", async || {
        let files = stage.git.repository().files(STATUS);
        let told = files
            .iter()
            .filter(|(path, text)| path.starts_with("targets/") && text.contains("  configuration: "))
            .count();
        if told == count { Ok(()) } else { Err(format!("{told} of {count}: {:?}", files.keys())) }
    })
    .await;
    show(&format!("git log -1 {STATUS}"), &newest(stage));
    checked("the status branch says so");
}

fn log(stage: &Stage) -> String {
    log_of(stage, usize::MAX)
}

/// Subjects, newest first.
fn log_of(stage: &Stage, count: usize) -> String {
    let commits = stage.git.repository().log(STATUS);
    let line = |commit: &crate::harness::bare_repository::LoggedCommit| {
        format!("{} {}", &commit.id[..9], commit.message.lines().next().unwrap_or_default())
    };
    commits.iter().take(count).map(line).collect::<Vec<_>>().join("\n")
}

/// The whole message of the newest commit.
fn newest(stage: &Stage) -> String {
    let commits = stage.git.repository().log(STATUS);
    commits.first().map(|commit| format!("{}\n\n{}", &commit.id[..9], commit.message)).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
