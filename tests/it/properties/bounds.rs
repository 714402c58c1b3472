//! However long the texts and however many the objects: what a plan says stays readable, and no file grows too large.

use holdfast::model::plan::Plan;
use holdfast::plan::Settings;
use holdfast::report::{self, Memory};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::cases;
use super::scene::now;
use crate::report_input::input;
use crate::world::{Cluster, desired};

/// What formats promise of each file of the status branch.
const FILE_BYTES_MAX: usize = 512 << 10;
/// What forges still show.
const README_BYTES_MAX: usize = 64 << 10;
/// As long as a message may be in bytes: a thousand characters of the widest sort, and a sign that it was cut.
const MESSAGE_BYTES_MAX: usize = 4 * 1000 + 3;

const BLUEPRINT: &str = "apiVersion: stash.appscode.com/v1beta1\nkind: BackupBlueprint\nmetadata: {name: daily}\nspec:\n  backend: {gcs: {bucket: b, prefix: 'p/${TARGET_NAMESPACE}/${TARGET_KIND}/${TARGET_NAME}/${zone:=z}'}, storageSecretName: s}\n  schedule: 0 2 * * *\n  retentionPolicy: {name: p, keepLast: 5, prune: true}\n";

fn assert_bounded(plan: &Plan, cluster: &Cluster) {
    let messages = plan
        .refusals
        .iter()
        .map(|refusal| &refusal.message)
        .chain(plan.held.iter().map(|held| &held.message))
        .chain(plan.warnings.iter().map(|warning| &warning.message))
        .chain(plan.steps.iter().map(|step| &step.reason.message));
    for message in messages {
        assert!(message.len() <= MESSAGE_BYTES_MAX, "{} bytes: {:.200}", message.len(), message);
    }
    let observed = cluster.observed();
    for (path, bytes) in report::files(&input(plan, &observed), &Memory::default()).0 {
        let most = if path.ends_with("README.md") { README_BYTES_MAX } else { FILE_BYTES_MAX };
        assert!(bytes.len() <= most, "{path} has {} bytes", bytes.len());
    }
}

fn file(name: &str, plan: &Plan, cluster: &Cluster) -> String {
    let mut files = report::files(&input(plan, &cluster.observed()), &Memory::default()).0;
    String::from_utf8(files.remove(name).unwrap()).unwrap()
}

/// Which text is long, and in which document or annotation.
fn long_texts(place: u8, text: &str) -> (Vec<(String, String)>, Vec<Value>) {
    let quoted = serde_json::to_string(text).unwrap();
    let document = |from: &str, to: &str| BLUEPRINT.replace("name: daily", "name: bad").replace(from, to);
    let bad = match place {
        0 => document("name: bad", &format!("name: {quoted}")),
        1 => document("kind: BackupBlueprint", &format!("kind: {quoted}")),
        2 => document("stash.appscode.com/v1beta1", &format!("\"stash.appscode.com/\\u0076{}", &quoted[1..])),
        3 => document("schedule: 0 2 * * *", &format!("schedule: {quoted}")),
        4 => document("keepLast", &quoted),
        5 => document("'p/${TARGET_NAMESPACE}/", &format!("'${{' # {quoted}\n#")),
        6 => document("bucket: b", &format!("bucket: {quoted}, bucket: {quoted}")),
        7 => format!("{BLUEPRINT}{quoted}: 1\n{quoted}: 2\n"),
        8 => format!("holdfast: {quoted}\napiVersion: holdfast.dev/{}\nkind: x\n", "v".repeat(text.len())),
        9 => document("prefix: 'p/", &format!("{quoted}: 'p/${{")),
        _ => format!("# stash.appscode.com/\n{}: [", text.replace(|c: char| c.is_control() || c == ':', "x")),
    };
    let keys = [
        "stash.appscode.com/backup-blueprint",
        "blueprint.holdfast.dev/zone",
        "stash.appscode.com/schedule",
        "stash.appscode.com/target-paths",
        "stash.appscode.com/volume-mounts",
        "params.stash.appscode.com/args",
    ];
    let mut annotations = json!({keys[0]: "daily", keys[3]: "/d", keys[4]: "d:/d"});
    annotations[keys[usize::from(place) % keys.len()]] = text.into();
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "shop", "annotations": annotations}});
    (vec![("bad.yaml".to_owned(), bad), ("daily.yaml".to_owned(), BLUEPRINT.to_owned())], vec![target])
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn no_text_makes_a_message_or_a_file_too_large(place in 0..11u8, unit in "\\PC{1,8}", times in 1..40_000usize) {
        let (files, documents) = long_texts(place, &unit.repeat(times.min((200 << 10) / unit.len())));
        let (desired, cluster) = (desired(&files), Cluster::of(documents));
        let plan = cluster.plan(&desired, &Settings::default(), now());
        assert_bounded(&plan, &cluster);
    }
}

/// As many complaints as a source and a cluster can give, each as long as it can be.
#[test]
fn no_number_of_complaints_makes_a_file_too_large() {
    let folder = "f".repeat(200);
    let long = "x".repeat(3000);
    let bad = |number: usize| {
        let name = format!("{folder}/{folder}/{number}.yaml");
        (name, format!("apiVersion: stash.appscode.com/v1beta1\nkind: BackupBlueprint{long}\n"))
    };
    let mut files: Vec<_> = (0..1200).map(bad).collect();
    files.sort();
    let target = |number: usize| {
        let namespace = format!("n{}-{}", number % 3, "n".repeat(50));
        let name = format!("d{number}-{}", "d".repeat(230));
        let annotations = json!({"stash.appscode.com/backup-blueprint": "daily", "blueprint.holdfast.dev/zone": "\u{1F600}".repeat(900)});
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": namespace, "annotations": annotations}})
    };
    files.push(("daily.yaml".to_owned(), BLUEPRINT.to_owned()));
    let (desired, cluster) = (desired(&files), Cluster::of((0..1500).map(target).collect()));
    let plan = cluster.plan(&desired, &Settings::default(), now());
    assert!(plan.held.len() == 1200 && plan.refusals.len() == 1500, "{} {}", plan.held.len(), plan.refusals.len());
    assert_bounded(&plan, &cluster);
    let findings = file("findings.yaml", &plan, &cluster);
    let entries = findings.lines().filter(|line| line.starts_with("- ")).count();
    let omitted: usize = findings.rsplit("omitted: ").next().unwrap().trim().parse().unwrap();
    assert_eq!(entries + omitted, 2700, "what is left out is counted");
    assert!(
        ["held", "refusals"].iter().all(|list| !findings.contains(&format!("{list}: []"))),
        "each list has its share"
    );
}

#[test]
fn the_readme_counts_what_it_leaves_out() {
    let target = |number: usize| {
        let annotations = json!({"stash.appscode.com/backup-blueprint": "daily", "blueprint.holdfast.dev/zone": format!("{}/", "\u{1F600}".repeat(900)).repeat(2)});
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": format!("d{number}"), "namespace": "\u{1F600}".repeat(60), "annotations": annotations}})
    };
    let (desired, cluster) = (desired(&[("daily.yaml", BLUEPRINT)]), Cluster::of((0..200).map(target).collect()));
    let plan = cluster.plan(&desired, &Settings::default(), now());
    assert_eq!(plan.refusals.len(), 200);
    assert_bounded(&plan, &cluster);
    let readme = file("README.md", &plan, &cluster);
    for (heading, rest) in [("## Refused targets", "targets"), ("## Refused and held", "findings.yaml")] {
        let section = readme.split(heading).nth(1).unwrap().split("\n## ").next().unwrap();
        let shown = section.lines().filter(|line| line.starts_with("| ")).count() - 1;
        let rest = format!(" more are in [`{rest}`]({rest}).");
        let omitted = section.lines().find_map(|line| line.strip_suffix(&rest));
        assert_eq!(shown + omitted.unwrap().parse::<usize>().unwrap(), 200, "{section}");
        assert!(shown > 0);
    }
}

/// A held file that many objects came from.
#[test]
fn what_a_held_file_keeps_does_not_fill_the_findings() {
    let configuration = |number: usize| {
        let name = format!("c{number}-{}", "c".repeat(200));
        json!({"apiVersion": "stash.appscode.com/v1beta1", "kind": "BackupConfiguration",
            "metadata": {"name": name, "namespace": "shop", "uid": format!("u{number}"),
                "labels": {"app.kubernetes.io/managed-by": "holdfast"}, "annotations": {"holdfast.dev/source": "git:bad.yaml"}},
            "spec": {}})
    };
    let cluster = Cluster::of((0..5000).map(configuration).collect());
    let desired = desired(&[("bad.yaml", "stash.appscode.com/: [")]);
    let plan = cluster.plan(&desired, &Settings::default(), now());
    assert_eq!(plan.held[0].keeps.len(), 5000);
    assert_bounded(&plan, &cluster);
    let findings = file("findings.yaml", &plan, &cluster);
    let named = findings.lines().filter(|line| line.contains("BackupConfiguration/shop/c")).count();
    assert!(named > 0 && findings.ends_with(&format!("omitted: {}\n", 5000 - named)), "{named} are named");
}
