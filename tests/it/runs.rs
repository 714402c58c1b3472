//! Runs on the status branch: what sessions, configurations and Repositories say, as files and as the message of a commit.
//!
//! `UPDATE_GOLDEN=1 cargo test --test it runs` writes the files in `tests/data/status/runs` anew.

use std::collections::BTreeMap;
use std::path::Path;

use holdfast::model::facts::{FactKind, Facts};
use holdfast::model::observed::Observed;
use holdfast::model::plan::Plan;
use holdfast::plan::Settings;
use holdfast::report::{self, Commit, Files, Input, Memory, Runs};
use holdfast::{schema, yaml};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::properties::cases;
use crate::report_input::input;
use crate::world::{Cluster, desired};

const BLUEPRINT: &str = "apiVersion: stash.appscode.com/v1beta1\nkind: BackupBlueprint\nmetadata: {name: daily}\nspec:\n  backend: {gcs: {bucket: b, prefix: 'p/${TARGET_NAMESPACE}/${TARGET_KIND}/${TARGET_NAME}'}, storageSecretName: s}\n  schedule: '*/15 * * * *'\n  retentionPolicy: {name: p, keepLast: 5, prune: true}\n";

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// A cluster whose plan has nothing left to do, what its engine says, and what the branch says of it.
struct World {
    cluster: Cluster,
    plan: Plan,
    facts: Facts,
    runs: Runs,
    memory: Memory,
    now: Timestamp,
}

fn claim(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": namespace,
        "annotations": {"stash.appscode.com/backup-blueprint": "daily"}}})
}

/// A configuration that somebody made beside us.
fn by_hand(namespace: &str, name: &str, target: &str) -> Value {
    json!({"apiVersion": "stash.appscode.com/v1beta1", "kind": "BackupConfiguration",
        "metadata": {"name": name, "namespace": namespace, "uid": format!("uid-{name}"), "creationTimestamp": "2026-11-01T00:00:00Z"},
        "spec": {"repository": {"name": name}, "schedule": "0 2 * * *",
            "target": {"ref": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}}}})
}

impl World {
    fn new(objects: Vec<Value>) -> Self {
        let desired = desired(&[("daily.yaml", BLUEPRINT)]);
        let now = at("2026-11-21T02:10:00Z");
        let mut cluster = Cluster::of(objects);
        let plan = cluster.plan(&desired, &Settings::default(), now);
        cluster.apply(&plan);
        let plan = cluster.plan(&desired, &Settings::default(), now);
        assert!(plan.steps.is_empty() && plan.refusals.is_empty(), "{:?}", plan.refusals);
        for document in &mut cluster.documents {
            let created = document.pointer("/metadata/creationTimestamp").is_none();
            if document["kind"] == "BackupConfiguration" && created {
                document["metadata"]["creationTimestamp"] = json!("2026-11-20T00:00:00Z");
            }
        }
        let mut facts = Facts::default();
        for kind in FactKind::ALL {
            facts.set_complete(kind, true);
        }
        for document in &cluster.documents {
            facts.upsert(document);
        }
        Self { cluster, plan, facts, runs: Runs::default(), memory: Memory::default(), now }
    }

    fn session(&mut self, namespace: &str, configuration: &str, slot: &str, status: &Value) -> String {
        let name = format!("{configuration}-{}", at(slot).as_second());
        self.facts.upsert(&json!({
            "apiVersion": "stash.appscode.com/v1beta1", "kind": "BackupSession",
            "metadata": {"namespace": namespace, "name": name, "creationTimestamp": slot, "uid": name,
                "annotations": {"holdfast.dev/added-bytes": "13002451"}},
            "spec": {"invoker": {"kind": "BackupConfiguration", "name": configuration}}, "status": status,
        }));
        name
    }

    fn status(&mut self, kind: &str, namespace: &str, name: &str, status: Value) {
        let found = self.cluster.documents.iter().find(|document| {
            document["kind"] == kind
                && document["metadata"]["namespace"] == namespace
                && document["metadata"]["name"] == name
        });
        let mut object = found.unwrap_or_else(|| panic!("{kind} {namespace}/{name}")).clone();
        object["status"] = status;
        object["metadata"]["resourceVersion"] = Value::Null;
        self.facts.upsert(&object);
    }

    fn forget(&mut self, namespace: &str, session: &str) {
        self.facts.remove(&holdfast::model::facts::FactKey::new(FactKind::BackupSession, namespace, session));
    }

    fn report(&mut self) -> (Files, Memory) {
        self.runs.note(&self.facts, self.now);
        let observed: Observed = self.cluster.observed();
        let base = input(&self.plan, &observed);
        report::files(&Input { facts: &self.facts, runs: &self.runs, now: self.now, ..base }, &self.memory)
    }

    /// The files, and the message of the commit that brings them to the branch.
    fn commit(&mut self, before: &Files) -> (Files, String) {
        let (files, memory) = self.report();
        let changed: Vec<&str> = files
            .iter()
            .filter(|(path, bytes)| before.get(*path) != Some(*bytes))
            .map(|(path, _)| path.as_str())
            .collect();
        let message = report::message(&Commit {
            cluster_name: "lab",
            cluster_uid: "uid",
            source_revision: None,
            writer: "pod/0.1.0",
            changed: &changed,
            archived: None,
            memory: &memory,
        });
        let told = self.runs.clone();
        self.runs.written(&told);
        self.memory = memory;
        (files, message)
    }
}

fn is_yaml(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "yaml")
}

fn text(files: &Files, path: &str) -> String {
    String::from_utf8(files.get(path).unwrap_or_else(|| panic!("{path}: {:?}", files.keys())).clone()).unwrap()
}

fn value(files: &Files, path: &str) -> Value {
    yaml::parse(&files[path], &yaml::Limits::default()).unwrap().remove(0).value
}

fn succeeded(seconds: u32) -> Value {
    json!({"phase": "Succeeded", "sessionDuration": format!("{seconds}s"), "targets": [{"stats": [
        {"hostname": "host-0", "phase": "Succeeded", "snapshots": [{"name": "4bc21d6f", "path": "/stash-data"}]}]}]})
}

fn failed(error: &str) -> Value {
    json!({"phase": "Failed", "sessionDuration": "41s",
        "targets": [{"stats": [{"hostname": "host-0", "phase": "Failed", "error": error}]}]})
}

fn missed(slot: &str) -> Value {
    json!({"phase": "Ready", "conditions": [{"type": "BackupOverdue", "status": "True", "reason": "SlotMissed",
        "message": format!("slot {slot} missed: no session"), "lastTransitionTime": "2026-11-21T02:06:00Z"}]})
}

const OOM: &str = "OutOfMemory: container pvc-backup-0 was killed at its limit of 512Mi";

/// Every state that a target can be in, but for refused ones.
fn scene() -> World {
    let claims = ["api", "db", "files", "mail", "new", "queue", "search"].map(|name| claim("shop", name));
    let mut world = World::new(claims.into_iter().chain([by_hand("crm", "old-way", "web")]).collect());
    let name = |claim: &str| format!("persistentvolumeclaim-{claim}");
    for day in 1..=20 {
        let slot = format!("2026-11-{day:02}T01:45:00Z");
        let status = if day % 7 == 3 { failed(OOM) } else { succeeded(11) };
        let session = world.session("shop", &name("db"), &slot, &status);
        world.commit(&Files::new());
        world.forget("shop", &session);
    }
    world.session("shop", &name("db"), "2026-11-21T01:45:00Z", &succeeded(11));
    world.session("shop", &name("db"), "2026-11-21T02:00:00Z", &failed(OOM));
    world.session("shop", &name("api"), "2026-11-21T02:00:00Z", &succeeded(9));
    world.session("shop", &name("mail"), "2026-11-21T01:45:00Z", &succeeded(71));
    let stuck = json!([{"type": "BackupExecutorEnsured", "status": "Unknown", "message": "Unschedulable: 0/3 nodes are available"}]);
    world.session(
        "shop",
        &name("mail"),
        "2026-11-21T02:00:00Z",
        &json!({"phase": "Running", "targets": [{"conditions": stuck}]}),
    );
    world.session("shop", &name("queue"), "2026-11-21T01:45:00Z", &succeeded(900));
    let skipped = json!([{"type": "BackupSkipped", "status": "True", "reason": "SkippedTakingNewBackup",
        "message": "BackupSession persistentvolumeclaim-queue-1795225500 is still running"}]);
    world.session(
        "shop",
        &name("queue"),
        "2026-11-21T01:50:00Z",
        &json!({"phase": "Skipped", "sessionDuration": "0s", "conditions": skipped}),
    );
    world.session("shop", &name("files"), "2026-11-21T01:45:00Z", &succeeded(5));
    world.status("BackupConfiguration", "shop", &name("files"), missed("2026-11-21T02:00:00Z"));
    let missing = json!([{"type": "Ready", "status": "False", "reason": "BackendSecretNotAvailable",
        "message": "Secret shop/s does not exist", "lastTransitionTime": "2026-11-21T01:00:00Z"}]);
    world.status("BackupConfiguration", "shop", &name("new"), json!({"phase": "NotReady", "conditions": missing}));
    let size = json!({"snapshotCount": 14, "totalSize": "1.195 GiB", "integrity": true});
    world.status("Repository", "shop", &name("db"), size);
    world.session("crm", "old-way", "2026-11-20T02:00:00Z", &succeeded(3600));
    world
}

#[test]
fn the_branch_is_as_reviewed() {
    let mut world = scene();
    let (files, message) = world.commit(&Files::new());
    let mut texts: BTreeMap<String, String> = BTreeMap::from([("message.txt".to_owned(), message)]);
    for path in files.keys().filter(|path| *path != "findings.yaml") {
        texts.insert(path.clone(), text(&files, path));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/status/runs");
    let mut differing = Vec::new();
    for (path, text) in &texts {
        let path = root.join(path);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != *text {
            differing.push(format!("{}:\n{text}", path.display()));
        }
    }
    assert!(differing.is_empty(), "{} differ; UPDATE_GOLDEN=1 writes them:\n{}", differing.len(), differing.join("\n"));
    for (path, bytes) in files.iter().filter(|(path, _)| is_yaml(path)) {
        let document = &yaml::parse(bytes, &yaml::Limits::default()).unwrap()[0].value;
        let crd = schema::written().find(|crd| document["kind"] == crd.kind).unwrap();
        assert_eq!(crd.check(document), [], "{path}");
    }
}

/// Nothing new: the same bytes, at any time, in the same process and after a restart.
#[test]
fn bytes_change_only_with_what_they_say() {
    let mut world = scene();
    let (files, _) = world.commit(&Files::new());
    let memory = world.memory.clone();
    let read = Memory::read(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())));
    assert_eq!(read, Memory { ended: Vec::new(), ..memory.clone() }, "what is remembered is what the branch says");
    for memory in [memory, read] {
        for later in [SignedDuration::ZERO, SignedDuration::from_mins(90), SignedDuration::from_hours(24 * 300)] {
            world.memory = memory.clone();
            world.now += later;
            let (again, next) = world.report();
            for (path, bytes) in &again {
                assert_eq!(Some(bytes), files.get(path), "{path}: {}", String::from_utf8_lossy(bytes));
            }
            assert_eq!((again.len(), next.ended.len()), (files.len(), 0), "nothing has ended since");
            world.now -= later;
        }
    }
}

/// A process that has not listed anything yet knows less than the branch, and does not unsay it.
#[test]
fn what_is_not_listed_yet_is_not_unsaid() {
    let mut world = scene();
    let (files, _) = world.commit(&Files::new());
    (world.facts, world.runs) = (Facts::default(), Runs::default());
    let (again, next) = world.report();
    assert_eq!((again, next.ended), (files, Vec::new()));
}

#[test]
fn a_run_under_way_that_is_gone_is_not_awaited() {
    let mut world = World::new(vec![claim("shop", "db")]);
    let configuration = "persistentvolumeclaim-db";
    let path = "targets/shop/persistentvolumeclaim.db.yaml";
    world.session("shop", configuration, "2026-11-21T01:45:00Z", &succeeded(5));
    let session = world.session("shop", configuration, "2026-11-21T02:00:00Z", &json!({"phase": "Running"}));
    let (files, _) = world.commit(&Files::new());
    assert_eq!(value(&files, path)["state"], "Running");
    world.forget("shop", &session);
    let (files, _) = world.commit(&files);
    let file = value(&files, path);
    assert_eq!((file["state"].as_str(), file["backups"][0]["runs"].as_array().unwrap().len()), (Some("Succeeded"), 1));
}

/// While Git is away sessions come and go: their results are told when it is back, and their days are not lost.
#[test]
fn runs_that_end_while_git_is_away_are_told_later() {
    let mut world = World::new(vec![claim("shop", "db")]);
    let configuration = "persistentvolumeclaim-db";
    world.session("shop", configuration, "2026-11-18T02:00:00Z", &succeeded(5));
    let (before, _) = world.commit(&Files::new());
    for (slot, status) in [
        ("2026-11-19T02:00:00Z", failed(OOM)),
        ("2026-11-20T02:00:00Z", succeeded(7)),
        ("2026-11-21T02:00:00Z", succeeded(8)),
    ] {
        let session = world.session("shop", configuration, slot, &status);
        // The push of this report fails.
        world.report();
        world.forget("shop", &session);
    }
    let (files, message) = world.commit(&before);
    let backup = &value(&files, "targets/shop/persistentvolumeclaim.db.yaml")["backups"][0];
    assert_eq!(backup["history"], json!({"lastDay": "2026-11-21", "days": "sfss"}));
    assert_eq!(backup["lastSuccess"], "2026-11-21T02:00:08Z");
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(lines[0], "holdfast(lab): 2 succeeded, 1 failed");
    assert_eq!(
        lines[2],
        "failed     shop/persistentvolumeclaim.db: host-0: container pvc-backup-0 was killed at its limit of 512Mi"
    );
    assert_eq!(lines[3], "succeeded  shop/persistentvolumeclaim.db: 12.4 MiB added in 7 s");
    let (_, message) = world.commit(&files);
    assert!(message.starts_with("holdfast(lab): findings and counts\n"), "nothing is told twice: {message}");
}

/// A session that is deleted, made anew by its schedule, or read again after a restart is told once.
#[test]
fn every_run_is_told_once() {
    let mut world = World::new(vec![claim("shop", "db")]);
    let configuration = "persistentvolumeclaim-db";
    let (mut files, _) = world.commit(&Files::new());
    let mut told = Vec::new();
    for number in 0..12_i64 {
        let slot = at("2026-11-20T00:00:00Z") + SignedDuration::from_mins(15 * number);
        let phase = if number % 4 == 1 { json!({"phase": "Running"}) } else { succeeded(5) };
        world.session("shop", configuration, &slot.to_string(), &phase);
        if number % 4 == 2 {
            let before = slot - SignedDuration::from_mins(15);
            world.session("shop", configuration, &before.to_string(), &failed(OOM));
        }
        for restart in [false, true] {
            if restart {
                world.memory = Memory::read(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())));
                world.runs = Runs::default();
            }
            files = world.commit(&files).0;
            told.extend(world.memory.ended.iter().map(|ended| ended.run.session.clone()));
        }
    }
    let all = told.len();
    told.sort();
    told.dedup();
    assert_eq!((all, told.len()), (12, 12));
}

#[test]
fn foreign_text_stays_text_everywhere() {
    let hostile =
        "x|y `z`\n## Heading\n<script>alert(1)</script>\u{202e} ![i](http://e) </title>&amp; Holdfast-Cluster: evil";
    let mut world = World::new(vec![claim("shop", "db"), claim("shop", "web")]);
    world.session("shop", "persistentvolumeclaim-db", "2026-11-21T02:00:00Z", &failed(hostile));
    world.status(
        "BackupConfiguration",
        "shop",
        "persistentvolumeclaim-web",
        json!({"conditions": [
        {"type": "Ready", "status": "False", "reason": hostile, "message": hostile}]}),
    );
    let (files, message) = world.commit(&Files::new());
    for path in ["README.md", "targets/shop/README.md"] {
        let readme = text(&files, path);
        assert!(readme.contains("<script>"), "it is shown: {readme}");
        for row in readme.lines().filter(|line| line.contains("<script>")) {
            let cells = row.replace("\\|", "").matches('|').count();
            let heads = readme.lines().find(|line| line.starts_with("| target")).unwrap().matches('|').count();
            assert_eq!(cells, heads, "{row}");
            let shown = row.split("``").nth(1).unwrap_or_else(|| panic!("not in a code span: {row}"));
            assert!(shown.contains("<script>") && shown.contains("Holdfast-Cluster"), "{row}");
        }
        assert!(!readme.lines().any(|line| line.starts_with("## Heading")), "{readme}");
    }
    assert!(
        !message.lines().any(|line| line.starts_with("## ") || line.starts_with("Holdfast-Cluster: evil")),
        "{message}"
    );
    let trailers = message.rsplit("\n\n").next().unwrap();
    assert!(trailers.lines().all(|line| line.starts_with("Holdfast-")), "{trailers}");
    let backup = &value(&files, "targets/shop/persistentvolumeclaim.db.yaml")["backups"][0];
    assert!(backup["runs"][0]["message"].as_str().unwrap().contains("## Heading\n<script>"), "files have it as it is");
}

/// Ten thousand targets that have all failed with much to say.
#[test]
fn no_number_of_runs_makes_a_file_too_large() {
    let long = format!("Failed: {}", "long | `text` ".repeat(300));
    let mut world = World::new(
        (0..10_000)
            .map(|number| by_hand(&format!("n{}", number % 90), &format!("c{number}"), &format!("d{number}")))
            .collect(),
    );
    for number in 0..10_000 {
        let namespace = format!("n{}", number % 90);
        let status = if number % 3 == 0 { failed(&long) } else { succeeded(5) };
        world.session(&namespace, &format!("c{number}"), "2026-11-21T02:00:00Z", &status);
    }
    let hosts: Vec<Value> = (0..40)
        .map(|host| json!({"hostname": format!("host-{host}"), "phase": "Failed", "error": long, "snapshots":
            (0..100).map(|path| json!({"name": "12345678", "path": format!("/{}/{path}", "p".repeat(4000))})).collect::<Vec<_>>()}))
        .collect();
    let status = json!({"phase": "Failed", "targets": [{"stats": hosts}]});
    world.session("n0", "c0", "2026-11-21T02:00:00Z", &status);
    let (files, message) = world.commit(&Files::new());
    for (path, bytes) in &files {
        let most = if path.ends_with("README.md") { 64 << 10 } else { 512 << 10 };
        assert!(bytes.len() <= most, "{path} has {} bytes", bytes.len());
    }
    assert!(
        message.len() < 64 << 10 && message.starts_with("holdfast(lab): 6666 succeeded, 3334 failed\n"),
        "{message:.200}"
    );
    assert!(message.contains("\nand 9950 more\n"));
    let run = &value(&files, "targets/n0/deployment.d0.yaml")["backups"][0]["runs"][0];
    let shown = run["snapshots"].as_array().map_or(0, Vec::len);
    assert_eq!(shown as u64 + run["omitted"].as_u64().unwrap(), 4000, "what is left out is counted");
    let readme = text(&files, "README.md");
    assert!(
        readme.contains("3334 of 10000 targets need you. 6666 succeeded, 3334 failed, 0 overdue, 0 waiting, 0 paused."),
        "{readme:.300}"
    );
    let picture = text(&files, "overview.svg");
    assert!(picture.contains("and 30 more namespaces"), "{}", picture.len());
}

/// One target may be named by as many configurations as somebody likes.
#[test]
fn a_target_of_many_configurations_has_a_file_of_bounded_size() {
    let mut world =
        World::new((0..3000).map(|number| by_hand("crm", &format!("{}{number}", "c".repeat(200)), "web")).collect());
    for number in 0..3000 {
        world.session(
            "crm",
            &format!("{}{number}", "c".repeat(200)),
            "2026-11-21T02:00:00Z",
            &failed(&"ü".repeat(3000)),
        );
    }
    let (files, _) = world.commit(&Files::new());
    let file = &files["targets/crm/deployment.web.yaml"];
    assert!(file.len() <= 512 << 10, "{}", file.len());
    let file = value(&files, "targets/crm/deployment.web.yaml");
    assert_eq!(file["backups"].as_array().unwrap().len() as u64 + file["omitted"].as_u64().unwrap(), 3000);
    assert_eq!(
        world.memory,
        Memory {
            ended: world.memory.ended.clone(),
            ..Memory::read(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())))
        }
    );
}

/// A reference may name what no object can be called.
#[test]
fn a_hand_made_configuration_is_a_target_only_if_it_can_be_one() {
    let names = ["../../x", "a/b", "A", "", "x|y", "web\n"];
    let objects = names.iter().enumerate().map(|(number, name)| by_hand("crm", &format!("c{number}"), name));
    let mut world = World::new(objects.chain([by_hand("crm", "sound", "web")]).collect());
    let (files, _) = world.commit(&Files::new());
    let targets: Vec<&String> = files.keys().filter(|path| path.starts_with("targets/") && is_yaml(path)).collect();
    assert_eq!(targets, ["targets/crm/deployment.web.yaml"]);
    let backup = &value(&files, targets[0])["backups"][0];
    assert_eq!((&backup["source"], backup.get("blueprint")), (&json!("cluster"), None));
    assert_eq!(backup["nextRun"], "2026-11-01T02:00:00Z");
}

fn any_json() -> impl Strategy<Value = Value> {
    let words = [
        "Succeeded",
        "Failed",
        "True",
        "1h",
        "-5s",
        "99999999999999h",
        "12.4 MiB",
        "slot 2026-11-21T02:00:00Z missed: x",
        "",
        "BackupOverdue",
        "Ready",
        "False",
        "2026-11-21T02:00:00Z",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(words.to_vec()).prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    let keys = [
        "phase",
        "conditions",
        "targets",
        "stats",
        "snapshots",
        "type",
        "status",
        "message",
        "reason",
        "error",
        "hostname",
        "sessionDuration",
        "invoker",
        "name",
        "kind",
        "lastTransitionTime",
        "totalSize",
        "snapshotCount",
        "integrity",
        "annotations",
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(keys.to_vec()), inner, 0..6)
                .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #![proptest_config(cases())]

    /// Whatever lies in a status, the report is made, fits its schemas, and is the same when it is made again.
    #[test]
    fn any_status_gives_a_report_that_stands(
        session in any_json(), spec in any_json(), configuration in any_json(), repository in any_json(),
        name in "[a-z-]{0,8}[0-9]{0,12}", created in prop_oneof![Just("2026-11-21T02:00:00Z".to_owned()), "\\PC{0,30}"],
    ) {
        let mut world = World::new(vec![claim("shop", "db"), by_hand("crm", "old-way", "web")]);
        world.status("BackupConfiguration", "shop", "persistentvolumeclaim-db", configuration);
        world.status("Repository", "shop", "persistentvolumeclaim-db", repository);
        for (number, spec) in [json!({"invoker": {"name": "persistentvolumeclaim-db"}}), spec].into_iter().enumerate() {
            let metadata = json!({"namespace": "shop", "name": format!("x{number}{name}"), "creationTimestamp": created});
            world.facts.upsert(&json!({"apiVersion": "stash.appscode.com/v1beta1", "kind": "BackupSession",
                "metadata": metadata, "spec": spec, "status": session}));
        }
        let (files, _) = world.commit(&Files::new());
        for (path, bytes) in files.iter().filter(|(path, _)| is_yaml(path)) {
            let document = &yaml::parse(bytes, &yaml::Limits::default()).unwrap()[0].value;
            let issues = schema::written().find(|crd| document["kind"] == crd.kind).unwrap().check(document);
            prop_assert!(issues.is_empty(), "{path}: {issues:?}\n{}", String::from_utf8_lossy(bytes));
        }
        world.memory = Memory::read(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())));
        let (again, _) = world.report();
        prop_assert_eq!(again, files);
    }
}
