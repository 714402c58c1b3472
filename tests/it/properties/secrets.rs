//! What must not be shown: user-info of URLs, wherever a document, an annotation or an object carries it.

use holdfast::metrics::Metrics;
use holdfast::model::address::Address;
use holdfast::model::applied::Applied;
use holdfast::model::redact;
use holdfast::plan::Settings;
use holdfast::plan::render::{Palette, diff, json as plan_json, summary, yaml as plan_yaml};
use holdfast::report::{self, Memory};
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::cases;
use super::scene::{later, lived, scene};
use crate::report_input::input;
use crate::world::{Cluster, desired};

/// What a password holds beside the planted word; `/`, `?` and `#` end a host, `@` ends user-info.
const ODDITIES: [&str; 8] = ["", "a/b", "a@b", "a#b", "a?b", "/", "a/b@c/d", "12/"];

/// A short one, and one whose password is longer than what messages quote of a value.
fn url(long: bool, odd: usize) -> String {
    let planted = "pl4nted".repeat(if long { 40 } else { 1 });
    format!("https://planted:{}{planted}{}@host.example:9000/x", ODDITIES[odd], ODDITIES[ODDITIES.len() - 1 - odd])
}

/// The URL in a backend of each provider, where people put it or might by mistake.
fn backend(url: &str, provider: u8, folder: &str) -> String {
    let backend = match provider {
        0 => json!({"rest": {"url": format!("{url}/{folder}")}}),
        1 => json!({"s3": {"endpoint": url, "bucket": "b", "prefix": folder}}),
        2 => json!({"b2": {"bucket": "b", "prefix": format!("{url}/{folder}")}}),
        3 => json!({"swift": {"container": "b", "prefix": format!("{url}/{folder}")}}),
        4 => json!({"gcs": {"bucket": url, "prefix": folder}}),
        5 => json!({"azure": {"container": url, "prefix": folder}}),
        6 => json!({"local": {"nfs": {"server": url, "path": "/"}, "mountPath": "/m", "subPath": folder}}),
        _ => {
            json!({"local": {"csi": {"driver": "smb.csi.k8s.io", "volumeAttributes": {"source": url}}, "mountPath": "/m", "subPath": folder}})
        }
    };
    let mut backend = backend;
    backend["storageSecretName"] = "s".into();
    backend.to_string()
}

/// Files with the URL where it belongs, and where it makes a document unusable.
fn files(url: &str, wrong: u8, provider: u8, folder: &str) -> Vec<(String, String)> {
    let hand = backend(url, provider, folder);
    let repository = |name: &str, more: &str| {
        format!(
            "apiVersion: stash.appscode.com/v1alpha1\nkind: Repository\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  backend: {hand}\n{more}"
        )
    };
    let daily = backend(url, provider, "${TARGET_NAMESPACE}/${TARGET_KIND}/${TARGET_NAME}");
    let blueprint = format!(
        "apiVersion: stash.appscode.com/v1beta1\nkind: BackupBlueprint\nmetadata: {{name: daily}}\nspec:\n  backend: {daily}\n  schedule: 1 * * * *\n  retentionPolicy: {{name: p, keepLast: 5, prune: true}}\n"
    );
    let bad = match wrong {
        0 => repository("bad", &format!("  '{url}': 1\n")),
        1 => repository("bad", &format!("  usagePolicy: {{allowedNamespaces: {{from: '{url}'}}}}\n")),
        2 => repository("bad", "").replace("kind: Repository", &format!("kind: '{url}'")),
        3 => repository(&format!("'{url}'"), ""),
        4 => repository("bad", "").replace("namespace: shop", &format!("namespace: '{url}'")),
        5 => blueprint.replace("name: daily", "name: bad").replace("${TARGET_NAME}", "${zone"),
        6 => blueprint.replace("name: daily", "name: bad").replace("1 * * * *", url),
        7 => repository("bad", &format!("  x: !<{url}> 1\n")),
        _ => repository("bad", &format!("metadata: {url}\n")),
    };
    vec![
        ("bad.yaml".to_owned(), bad),
        ("daily.yaml".to_owned(), blueprint),
        ("hand.yaml".to_owned(), repository("hand", "")),
    ]
}

/// A target whose annotations carry the URL, and a Repository of somebody else at such a place.
fn more(url: &str, place: u8, provider: u8) -> Vec<Value> {
    let key = [
        "blueprint.holdfast.dev/zone",
        "stash.appscode.com/schedule",
        "stash.appscode.com/target-paths",
        "stash.appscode.com/volume-mounts",
        "params.stash.appscode.com/args",
        "stash.appscode.com/backup-blueprint",
    ][usize::from(place)];
    let mut annotations = json!({"stash.appscode.com/backup-blueprint": "daily",
        "stash.appscode.com/target-paths": "/d", "stash.appscode.com/volume-mounts": "d:/d"});
    annotations[key] = url.into();
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "told", "namespace": "shop", "annotations": annotations}});
    let repository = json!({"apiVersion": "stash.appscode.com/v1alpha1", "kind": "Repository",
        "metadata": {"name": "theirs", "namespace": "shop", "managedFields": [{"manager": url, "operation": "Update", "fieldsV1": {"f:spec": {}}}]},
        "spec": {"backend": serde_json::from_str::<Value>(&backend(url, provider, "shop")).unwrap()}});
    vec![target, repository]
}

/// Everything that leaves the process about a plan, but what is sent to the API server.
fn shown(plan: &holdfast::model::plan::Plan, cluster: &Cluster) -> Vec<String> {
    let observed = cluster.observed();
    let (files, memory) = report::files(&input(plan, &observed), &Memory::default());
    let changed: Vec<&str> = files.keys().map(String::as_str).collect();
    let message = report::message(&report::Commit {
        archived: None,
        cluster_name: "c",
        cluster_uid: "u",
        source_revision: None,
        writer: "w",
        changed: &changed,
        memory: &memory,
    });
    let metrics = Metrics::default();
    metrics.pass(plan, &Applied::default(), SignedDuration::ZERO);
    let mut texts = vec![
        plan_json(plan, None),
        plan_yaml(plan, None),
        summary(plan, Palette::Colour),
        diff(plan, Palette::Colour, &|_| None),
        message,
        metrics.render(),
        format!("{:?} {:?} {:?}", plan.refusals, plan.held, plan.warnings),
    ];
    texts.extend(plan.steps.iter().map(|step| step.reason.message.clone()));
    texts.extend(files.into_iter().map(|(path, bytes)| format!("{path}\n{}", String::from_utf8_lossy(&bytes))));
    texts
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_planted_secret_is_in_nothing_that_is_shown(
        (first, wrong, place) in (scene(), 0..9u8, 0..6u8),
        (second, long, odd) in (any::<bool>(), any::<bool>(), 0..ODDITIES.len()),
        (provider, theirs) in (0..8u8, 0..8u8),
    ) {
        let mut cluster = lived(&first, &first);
        let url = url(long, odd);
        cluster.documents.extend(more(&url, place, theirs));
        let plan = |cluster: &Cluster, folder, minute| {
            cluster.plan(&desired(&files(&url, wrong, provider, folder)), &Settings::default(), later(minute))
        };
        if second {
            cluster.apply(&plan(&cluster, "old", 1));
        }
        let plan = plan(&cluster, "new", 20);
        prop_assert!(plan.held.len() + plan.warnings.len() > 0, "{wrong} is no fault");
        for text in shown(&plan, &cluster) {
            prop_assert!(!text.contains("pl4nted") && !text.contains("planted:"), "{}", text);
        }
    }

    #[test]
    fn user_info_goes_from_any_text(before in "[a-z :/@]{0,12}", user in "[a-z]{1,5}", inner in "[a-z@:/?#]{0,4}", after in "[a-z/@. ]{0,12}") {
        let text = format!("{before} s://{user}QQ:{inner}QQ@host/{after}");
        prop_assert!(!redact::text(&text).contains("QQ"), "{}", redact::text(&text));
        let place = Address::of(&json!({"rest": {"url": format!("s://{user}QQ:{inner}QQ@host/x")}}), "n").unwrap();
        prop_assert!(!place.to_string().contains("QQ"), "{}", place);
        let plain = text.replace('@', "");
        prop_assert_eq!(redact::text(&plain), plain.as_str());
    }
}
