//! Sources, clusters and annotations made to hurt: each gives a plan or a refusal, and harms nobody else.

use std::collections::BTreeMap;

use holdfast::model::desired::{Desired, Error};
use holdfast::model::finding::HeldCode;
use holdfast::model::plan::{Plan, Step};
use holdfast::plan::Settings;
use holdfast::plan::render::{Palette, diff, json as plan_json};
use holdfast::schema::{self, Leaf, LeafKind};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{Cluster, desired, tree};

const GOOD: &str = "apiVersion: stash.appscode.com/v1alpha1\nkind: Repository\nmetadata: {name: good, namespace: shop}\nspec: {backend: {gcs: {bucket: b, prefix: good}, storageSecretName: s}}\n";
const BLUEPRINT: &str = "apiVersion: stash.appscode.com/v1beta1\nkind: BackupBlueprint\nmetadata: {name: daily}\nspec:\n  backend: {gcs: {bucket: b, prefix: 'p/${zone:=z}/${TARGET_NAMESPACE}/${TARGET_KIND}/${TARGET_NAME}/${TARGET_APP_TYPE:=t}/${TARGET_APP_VERSION:=v}'}, storageSecretName: s}\n  schedule: 0 2 * * *\n  retentionPolicy: {name: p, keepLast: 5, prune: true}\n  task: {name: 'dump-${TARGET_APP_VERSION:=1}'}\n";
const ASKS: &str = "stash.appscode.com/backup-blueprint";

fn now() -> Timestamp {
    "2026-11-21T02:00:00Z".parse().unwrap()
}

fn planned(desired: &Desired, cluster: &Cluster) -> Plan {
    let plan = cluster.plan(desired, &Settings::default(), now());
    assert!(diff(&plan, Palette::Plain, &|_| None).len() + plan_json(&plan, None).len() > 2);
    plan
}

/// The file is held under that code, and the good one beside it goes on.
fn is_held(content: impl AsRef<[u8]>, code: HeldCode) {
    let bytes = content.as_ref();
    let desired = desired(&[("bad.yaml", bytes), ("good.yaml", GOOD.as_bytes())]);
    let plan = planned(&desired, &Cluster::default());
    assert_eq!(plan.held.iter().map(|held| held.code).collect::<Vec<_>>(), [code], "{:?}", plan.held);
    assert_eq!(plan.steps.len(), 1, "{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(80)]));
}

#[test]
fn files_made_to_hurt_are_held() {
    let mut bomb = "stash.appscode.com/: x\na0: &a0 [x, x]\n".to_owned();
    for level in 1..30 {
        bomb.push_str(&format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1));
    }
    is_held(bomb, HeldCode::Alias);
    is_held(format!("# stash.appscode.com/\n{}", "[".repeat(100_000)), HeldCode::Limit);
    is_held(format!("# stash.appscode.com/\n{}", "{a: ".repeat(100_000)), HeldCode::Limit);
    is_held(format!("# stash.appscode.com/\n{}", "#\n".repeat(1 << 20)), HeldCode::Limit);
    is_held("stash.appscode.com/: \0", HeldCode::Encoding);
    is_held(b"stash.appscode.com/: \xff\xfe", HeldCode::Encoding);
    is_held("stash.appscode.com/: 'open", HeldCode::Syntax);
    is_held("stash.appscode.com/: 1\nstash.appscode.com/: 2\n", HeldCode::DuplicateKey);
}

#[test]
fn another_spelling_of_the_same_document_is_not_its_end() {
    let json = r#"{"apiVersion":"stash.appscode.com\/v1alpha1","kind":"Repository","metadata":{"name":"good","namespace":"shop"},"spec":{"backend":{"gcs":{"bucket":"b","prefix":"good"},"storageSecretName":"s"}}}"#;
    let spec = |name: &str, content: &str| {
        let documents = desired(&[(name, content)]).documents;
        documents.into_iter().map(|(key, one)| (key, one.manifest["spec"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(spec("good.json", json), spec("good.yaml", GOOD));
    let policy = GOOD.replace("Repository", "BackupPolicy");
    for mark in ["", "\u{feff}"] {
        let wide =
            |unit: fn(u16) -> [u8; 2]| format!("{mark}{policy}").encode_utf16().flat_map(unit).collect::<Vec<_>>();
        for bytes in [wide(u16::to_le_bytes), wide(u16::to_be_bytes)] {
            is_held(&bytes, HeldCode::Encoding);
            let held = desired(&[("bad.yaml", bytes)]).held;
            assert!(held[0].message.contains("UTF-16") && held[0].mentions_policy, "{held:?}");
        }
    }
    let foreign: Vec<u8> = "a: b".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(desired(&[("foreign.yaml", foreign), ("escapes.json", b"\"a\\/\\".to_vec())]).held, []);
}

#[test]
fn a_source_with_too_many_documents_is_not_read_at_all() {
    let documents = |count: usize| {
        (0..count)
            .map(|number| format!("---\n{}", GOOD.replace("name: good", &format!("name: g{number}"))))
            .collect::<String>()
    };
    let (one, two) = (documents(2500), documents(2501).replace("name: g", "name: h"));
    let parsed = Desired::parse(&tree(&[("a.yaml", &one), ("b.yaml", &two)]));
    assert!(matches!(parsed, Err(Error::TooManyDocuments { count: 5001, .. })), "{:?}", parsed.err());
}

/// Puts `bad` at every place of a minimal document of each kind that the schema knows, and reads where the complaint points.
#[test]
fn a_wrong_type_in_any_field_holds_its_document_and_points_at_it() {
    let mut tried = 0;
    for (api_version, kind) in [
        ("stash.appscode.com/v1alpha1", "Repository"),
        ("stash.appscode.com/v1beta1", "BackupConfiguration"),
        ("stash.appscode.com/v1beta1", "BackupBatch"),
        ("stash.appscode.com/v1beta1", "BackupBlueprint"),
        ("stash.appscode.com/v1beta1", "Function"),
        ("stash.appscode.com/v1beta1", "Task"),
    ] {
        let crd = schema::shipped(api_version, kind).unwrap();
        let leaves = crd.leaves();
        for leaf in leaves.iter().filter(|leaf| leaf.pointer.starts_with("/spec/")) {
            let Some(bad) = wrong(&leaf.kind) else { continue };
            let document = document(api_version, kind, leaf, bad);
            let text = serde_json::to_string_pretty(&document).unwrap();
            let desired = desired(&[("bad.json", text.as_str()), ("good.yaml", GOOD)]);
            assert_eq!(desired.documents.len() + desired.blueprints.len(), 1, "{kind} {}", leaf.pointer);
            // Required neighbours may be missing as well, and are complained of too.
            let faults = desired.held.iter().filter(|held| !held.message.contains("is required"));
            let places: Vec<_> = faults.map(|held| (held.at.line as usize, held.at.column as usize)).collect();
            assert_eq!(
                places,
                [place_of(api_version, kind, leaf)],
                "{kind} {}: {:?}\n{text}",
                leaf.pointer,
                desired.held
            );
            tried += 1;
        }
    }
    assert!(tried > 3000, "{tried} places");
}

/// Line and column of the value at a place, found by a value that stands nowhere else.
fn place_of(api_version: &str, kind: &str, leaf: &Leaf) -> (usize, usize) {
    let marked = serde_json::to_string_pretty(&document(api_version, kind, leaf, json!("the bad one"))).unwrap();
    let mut lines = marked.lines().enumerate();
    lines.find_map(|(index, line)| Some((index + 1, line.find("\"the bad one\"")? + 1))).unwrap()
}

fn wrong(kind: &LeafKind) -> Option<Value> {
    Some(match kind {
        LeafKind::Text | LeafKind::DateTime | LeafKind::Bytes | LeafKind::Enum(_) => json!(["list"]),
        LeafKind::Whole32 | LeafKind::Whole64 | LeafKind::Boolean => json!("text"),
        LeafKind::WholeOrText | LeafKind::Quantity => json!(true),
        LeafKind::Object | LeafKind::Map | LeafKind::List | LeafKind::Resource => json!(7),
        LeafKind::Opaque => return None,
    })
}

fn document(api_version: &str, kind: &str, leaf: &Leaf, bad: Value) -> Value {
    let mut document = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "bad"}});
    if !matches!(kind, "BackupBlueprint" | "Function" | "Task") {
        document["metadata"]["namespace"] = "shop".into();
    }
    let value =
        leaf.pointer.split('/').skip(1).collect::<Vec<_>>().into_iter().rev().fold(bad, |value, token| match token {
            "0" => json!([value]),
            "*" => json!({"key": value}),
            field => json!({field: value}),
        });
    document["spec"] = value["spec"].clone();
    document
}

fn target(kind: &str, name: &str, annotations: &BTreeMap<String, String>, spec: &Value) -> Value {
    let api_version = if kind == "AppBinding" { "appcatalog.appscode.com/v1alpha1" } else { "apps/v1" };
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "shop", "annotations": annotations}, "spec": spec})
}

fn annotations(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    [(ASKS, "daily"), ("stash.appscode.com/target-paths", "/d"), ("stash.appscode.com/volume-mounts", "d:/d")]
        .iter()
        .chain(more)
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn bystander() -> Value {
    target("Deployment", "bystander", &annotations(&[]), &json!({}))
}

/// The steps that do not come from the target `bad`.
fn of_others(plan: &Plan) -> Vec<&Step> {
    plan.steps.iter().filter(|step| step.reason.target.as_ref().is_none_or(|target| target.name != "bad")).collect()
}

/// Plans with a bad target beside a bystander, who must not notice.
fn beside(bad: Value) -> Plan {
    let desired = desired(&[("daily.yaml", BLUEPRINT)]);
    let alone = planned(&desired, &Cluster::of(vec![bystander()]));
    assert_eq!((alone.steps.len(), alone.refusals.len()), (2, 0), "{:?}", alone.refusals);
    let both = planned(&desired, &Cluster::of(vec![bad, bystander()]));
    assert_eq!(of_others(&both), alone.steps.iter().collect::<Vec<_>>());
    both
}

/// Whatever is made for `bad` keeps its data inside the folder that the blueprint says.
fn assert_inside(plan: &Plan, context: &str) {
    for step in &plan.steps {
        let holdfast::model::plan::Action::Create { manifest } = &step.action else { continue };
        let Some(prefix) = manifest.pointer("/spec/backend/gcs/prefix").and_then(Value::as_str) else { continue };
        assert!(prefix.starts_with("p/"), "{context}: {prefix}");
        assert!(
            prefix.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains(['\\', '%', '\0'])),
            "{context}: {prefix}"
        );
    }
}

/// Ways out of a folder, and what some reader of paths may take for one.
const TRICKS: [&str; 19] = [
    "..",
    ".",
    "/",
    "//",
    "a//b",
    "../x",
    "a/../b",
    "a/..",
    "/a",
    "a/",
    "%2e%2e",
    "%2e%2e%2f",
    "..\\x",
    "a\\..",
    "a\0b",
    "\0",
    "\u{2025}",
    "．．",
    "",
];

/// Each variable alone in a prefix, and each trick wherever a target can say something.
#[test]
fn path_tricks_in_any_variable_stay_inside() {
    let (mut inside, mut refused) = (0, 0);
    for variable in [
        "TARGET_API_VERSION",
        "TARGET_APP_GROUP",
        "TARGET_APP_RESOURCE",
        "TARGET_APP_TYPE",
        "TARGET_APP_VERSION",
        "TARGET_KIND",
        "TARGET_NAME",
        "TARGET_NAMESPACE",
        "TARGET_RESOURCE",
        "zone",
    ] {
        let prefix = format!("p/${{{variable}:=d}}/end");
        let start = BLUEPRINT.find("p/${zone").unwrap();
        let end = start + BLUEPRINT[start..].find('\'').unwrap();
        let blueprint = [&BLUEPRINT[..start], &prefix, &BLUEPRINT[end..]].concat();
        let desired = desired(&[("daily.yaml", blueprint.as_str())]);
        for trick in TRICKS {
            let zone = annotations(&[("blueprint.holdfast.dev/zone", trick)]);
            let app = |kind: String, version: &str| {
                target("AppBinding", "bad", &annotations(&[]), &json!({"type": kind, "version": version}))
            };
            let mut elsewhere = target("Deployment", "bad", &annotations(&[]), &json!({}));
            elsewhere["metadata"]["namespace"] = trick.into();
            let sources = [
                target("Deployment", "bad", &zone, &json!({})),
                target("AppBinding", "bad", &zone, &json!({"type": "g/r", "version": "1"})),
                target("Deployment", trick, &annotations(&[]), &json!({})),
                elsewhere,
                app(trick.to_owned(), "1"),
                app(format!("{trick}/r"), "1"),
                app(format!("g/{trick}"), "1"),
                app("g/r".to_owned(), trick),
            ];
            for source in sources {
                let plan = planned(&desired, &Cluster::of(vec![source.clone()]));
                assert_inside(&plan, &format!("{variable} {trick:?} {source}"));
                if plan.refusals.is_empty() { inside += plan.steps.len() } else { refused += 1 }
            }
        }
    }
    assert!(inside > 0 && refused > 1000, "{inside} steps inside, {refused} refused");
}

#[test]
fn path_tricks_go_nowhere() {
    for trick in TRICKS {
        let bad = target("Deployment", "bad", &annotations(&[("blueprint.holdfast.dev/zone", trick)]), &json!({}));
        let plan = beside(bad);
        assert_eq!(plan.refusals.len(), 1, "{trick:?}");
        assert_inside(&plan, trick);
        for field in ["type", "version"] {
            let plan = beside(target("AppBinding", "bad", &annotations(&[]), &json!({field: trick})));
            assert_eq!(plan.refusals.is_empty(), trick.is_empty(), "{field} {trick:?}");
            assert_inside(&plan, trick);
        }
        for key in ["stash.appscode.com/target-paths", "stash.appscode.com/volume-mounts"] {
            let plan = beside(target("Deployment", "bad", &annotations(&[(key, trick)]), &json!({})));
            let plain_path = key.ends_with("paths") && matches!(trick, "/" | "//" | "/a");
            assert_eq!(plan.refusals.is_empty(), plain_path, "{key} {trick:?}");
        }
        let plan = beside(target(
            "Deployment",
            "bad",
            &annotations(&[("stash.appscode.com/volume-mounts", &format!("d:/d:{trick}"))]),
            &json!({}),
        ));
        let leaves = trick.is_empty()
            || trick.starts_with('/')
            || trick.contains('\0')
            || trick.split('/').any(|part| part == "..");
        assert_eq!(!plan.refusals.is_empty(), leaves, "subPath {trick:?}");
    }
    for name in ["../x", "a/b", "..", "A", "", "a b"] {
        let plan = beside(target("Deployment", name, &annotations(&[]), &json!({})));
        assert_inside(&plan, name);
        assert_eq!(plan.refusals.len(), 1, "{name:?}");
    }
}

#[test]
fn huge_values_are_refused_in_a_short_sentence() {
    let huge = "x".repeat(256 << 10);
    for key in [
        ASKS,
        "stash.appscode.com/target-paths",
        "stash.appscode.com/volume-mounts",
        "stash.appscode.com/schedule",
        "params.stash.appscode.com/args",
        "blueprint.holdfast.dev/zone",
    ] {
        let plan = beside(target("Deployment", "bad", &annotations(&[(key, &huge)]), &json!({})));
        assert_eq!(plan.refusals.len(), 1, "{key}");
        assert!(plan.refusals[0].message.len() < 1000, "{key}: {} bytes", plan.refusals[0].message.len());
    }
    let commas = ",".repeat(256 << 10);
    let slashes = "/d,".repeat(64 << 10) + "/d";
    for (key, value) in
        [(ASKS, &commas), ("stash.appscode.com/target-paths", &slashes), ("stash.appscode.com/target-paths", &commas)]
    {
        assert_eq!(
            beside(target("Deployment", "bad", &annotations(&[(key, value)]), &json!({}))).refusals.len(),
            1,
            "{key}"
        );
    }
}

#[test]
fn many_blueprints_params_and_variables_have_a_limit() {
    let names = |count: usize| (0..count).map(|number| format!("b{number}")).collect::<Vec<_>>().join(",");
    let plan = beside(target("Deployment", "bad", &annotations(&[(ASKS, &names(16))]), &json!({})));
    assert_eq!(plan.refusals.len(), 16, "each is missing");
    let plan = beside(target("Deployment", "bad", &annotations(&[(ASKS, &names(17))]), &json!({})));
    assert_eq!(plan.refusals.len(), 1, "the list is too long");
    for prefix in ["params.stash.appscode.com/", "blueprint.holdfast.dev/"] {
        let mut many = annotations(&[]);
        many.extend((0..65).map(|number| (format!("{prefix}v{number}"), "x".to_owned())));
        let plan = beside(target("Deployment", "bad", &many, &json!({})));
        assert_eq!(plan.refusals.len(), 1, "{prefix}");
    }
}

#[test]
fn a_source_that_shrinks_deletes_little_and_an_emptied_one_nothing() {
    let count = 24;
    let blueprint = |number: usize| BLUEPRINT.replace("name: daily", &format!("name: b{number}"));
    let files =
        |count: usize| (0..count).map(|number| (format!("{number}.yaml"), blueprint(number))).collect::<Vec<_>>();
    let targets = (0..count).map(|number| {
        target("Deployment", &format!("t{number}"), &annotations(&[(ASKS, &format!("b{number}"))]), &json!({}))
    });
    let mut cluster = Cluster::of(targets.collect());
    cluster.apply(&planned(&desired(&files(count)), &cluster));
    for left in [count / 2, 2, 0] {
        let mut cluster = cluster.clone();
        let desired = desired(&files(left));
        cluster.apply(&planned(&desired, &cluster));
        let late = now() + Settings::default().delete_delay;
        let plan = cluster.plan(&desired, &Settings::default(), late);
        assert!(plan.steps.is_empty(), "{left} left: {} steps", plan.steps.len());
        let refused = plan.refusals.iter().filter(|refusal| refusal.code.as_str() == "TooManyDeletes").count();
        assert_eq!(refused, count - left);
        assert!(plan.refusals.iter().all(|refusal| refusal.acknowledge.is_some()));
    }
}

/// Forged identities: a label and annotations prove nothing that would let a plan delete or overwrite.
#[test]
fn forged_marks_do_not_move_a_plan() {
    for identity in ["", "/", "////", "apps/Deployment/shop", "apps/Deployment/shop/bystander/x", "x/Y/z/w"] {
        let forged = json!({"apiVersion": "stash.appscode.com/v1beta1", "kind": "BackupConfiguration",
            "metadata": {"name": "forged", "namespace": "shop", "labels": {"app.kubernetes.io/managed-by": "holdfast"},
                "annotations": {"holdfast.dev/target": identity, "holdfast.dev/blueprint": "daily", "holdfast.dev/source": "git:x",
                    "holdfast.dev/missing-since": "2020-01-01T00:00:00Z"}},
            "spec": {}});
        let plan = beside(forged);
        assert!(plan.steps.iter().all(|step| step.action.as_str() != "delete"), "{identity}");
    }
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-z0-9./:,${}\\\\%~ -]{0,40}", "\\PC{0,200}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_unicode_in_any_annotation_harms_nobody_else(values in prop::collection::btree_map(0..7usize, any_text(), 1..7), app in any::<bool>(), suffix in any_text()) {
        let keys = [
            ASKS.to_owned(),
            "stash.appscode.com/target-paths".to_owned(),
            "stash.appscode.com/volume-mounts".to_owned(),
            "stash.appscode.com/schedule".to_owned(),
            "holdfast.dev/acknowledge".to_owned(),
            format!("params.stash.appscode.com/{suffix}"),
            format!("blueprint.holdfast.dev/{suffix}"),
        ];
        let mut bad = annotations(&[]);
        bad.extend(values.iter().map(|(index, value)| (keys[*index].clone(), value.clone())));
        let kind = if app { "AppBinding" } else { "Deployment" };
        let plan = beside(target(kind, "bad", &bad, &json!({"type": suffix, "version": values.values().next()})));
        assert_inside(&plan, "any text");
        let made = plan.steps.len() > 2;
        prop_assert!(made || !plan.refusals.is_empty());
    }

    #[test]
    fn any_bytes_as_a_file_harm_no_other(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[a-z:\\[\\]{}&*!|>'\"%@` \n\t#?,-]{0,80}") {
        for mut bad in [bytes.clone(), text.clone().into_bytes()] {
            bad.extend_from_slice(b"\n# stash.appscode.com/");
            let desired = desired(&[("bad.yaml", bad.as_slice()), ("good.yaml", GOOD.as_bytes())]);
            prop_assert_eq!(planned(&desired, &Cluster::default()).steps.len(), 1);
        }
    }
}
