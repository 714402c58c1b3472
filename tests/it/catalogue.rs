//! The catalogue of Functions and Tasks beside what is known of Stash's: names, parameters, public documents, variables.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use holdfast::install::catalogue::{self, Native};
use holdfast::install::manifests::IMAGE;
use holdfast::model::substitution;
use holdfast::schema;
use serde_json::{Value, json};

use crate::corpus::{Row, rows};

/// Variables that have a value in every Job, and what this test gives them.
const ALWAYS: [(&str, &str); 2] = [("TARGET_NAME", "orders"), ("TARGET_MOUNT_PATH", "/stash-data")];
/// Variables that a Job has or not, and that a person may give by a parameter of the same name.
const SOMETIMES: [&str; 1] = ["TARGET_APP_REPLICAS"];

fn data(file: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/catalogue").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

/// Name to object.
fn all(kind: &str) -> BTreeMap<String, Value> {
    let objects = catalogue::objects(IMAGE).into_iter().filter(|object| object["kind"] == kind);
    let mut named = BTreeMap::new();
    for object in objects {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        assert!(named.insert(name.clone(), object).is_none(), "{kind} {name} is there twice");
    }
    named
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Name and value of each parameter.
fn params(value: &Value) -> BTreeMap<&str, &str> {
    list(value).map(|param| (param["name"].as_str().unwrap(), param["value"].as_str().unwrap())).collect()
}

/// Variables that the Function asks for.
fn asked(function: &Value) -> BTreeSet<&str> {
    texts(&function["spec"]).into_iter().flat_map(|text| substitution::variables(text).unwrap()).collect()
}

/// Defaults of what a person may say: by parameter.
fn defaults(function: &Value) -> BTreeMap<String, String> {
    let flags = list(&function["spec"]["args"]).filter_map(|argument| argument.as_str()?.split_once('='));
    let forms = flags.map(|(_, value)| value.strip_prefix("${").unwrap().strip_suffix('}').unwrap());
    forms.map(|form| form.split_once(":=").unwrap()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn catalogue_has_every_name_of_the_release_once() {
    let names = data("names.txt");
    let functions: BTreeSet<String> = names.iter().cloned().collect();
    assert!(functions.len() == names.len() && names.len() == 102, "{}", names.len());
    let mut tasks = functions.clone();
    assert!(tasks.remove("update-status"));
    assert_eq!(all("Function").into_keys().collect::<BTreeSet<_>>(), functions);
    assert_eq!(all("Task").into_keys().collect::<BTreeSet<_>>(), tasks);
    assert_eq!(catalogue::objects(IMAGE).len(), functions.len() + tasks.len());
    for (name, object) in all("Function") {
        assert_eq!(catalogue::function(&name, IMAGE), Some(object), "{name}");
        assert!(catalogue::native(&name).is_some(), "{name}");
    }
    for (name, object) in all("Task") {
        assert_eq!(catalogue::task(&name), Some(object), "{name}");
    }
}

#[test]
fn catalogue_knows_the_parameters_of_stash() {
    let mut wanted: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for line in data("parameters.tsv") {
        let columns: Vec<&str> = line.split('\t').collect();
        let [function, name, default] = columns[..] else { panic!("{line}") };
        wanted.entry(function.to_owned()).or_default().insert(name.to_owned(), default.to_owned());
    }
    assert_eq!(wanted.len(), 13);
    let functions = all("Function");
    for (function, parameters) in wanted {
        assert_eq!(defaults(&functions[&function]), parameters, "{function}");
    }
}

#[test]
fn catalogue_objects_are_sound() {
    for object in catalogue::objects(IMAGE) {
        let (kind, name) = (object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
        let crd = schema::shipped(object["apiVersion"].as_str().unwrap(), kind).unwrap();
        assert_eq!(crd.check(&object), [], "{kind} {name}");
        let sound = |name: &str, more: &str| {
            let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || more.contains(c);
            name.chars().all(inner) && !name.starts_with(['-', '.']) && !name.ends_with(['-', '.'])
        };
        assert!(sound(name, "-."), "{kind} {name}");
        // What a step's container is called.
        let container = format!("{}-0", name.replace('.', "-"));
        assert!(sound(&container, "-") && container.len() <= 63, "{container}");
    }
}

/// Of every Task: its steps are Functions, and all that they ask for has a value.
#[test]
fn catalogue_tasks_resolve() {
    let functions = all("Function");
    for (name, task) in all("Task") {
        let steps: Vec<&Value> = list(&task["spec"]["steps"]).collect();
        let called: Vec<&str> = steps.iter().map(|step| step["name"].as_str().unwrap()).collect();
        assert_eq!(called, [name.as_str(), "update-status"]);
        for step in steps {
            let function = &functions[step["name"].as_str().unwrap()];
            let own = params(&step["params"]);
            assert_eq!(own.get("outputDir"), Some(&"/stash-tmp/output"), "{name}");
            let of_the_job =
                |variable: &str| ALWAYS.iter().find(|(name, _)| *name == variable).map(|(_, value)| *value);
            let value_of = |variable: &str| own.get(variable).copied().or_else(|| of_the_job(variable));
            let resolved = texts(&function["spec"]).into_iter().chain(texts(&task["spec"]["volumes"]));
            for text in resolved {
                let text =
                    substitution::expand(text, value_of).unwrap_or_else(|error| panic!("{name}: {text}: {error}"));
                assert!(!text.contains('$'), "{name}: {text}");
            }
        }
    }
}

/// A variable of the operator would be taken for a parameter: none is asked for but those that are meant.
#[test]
fn catalogue_functions_ask_for_parameters_and_little_else() {
    for (name, function) in all("Function") {
        let known = defaults(&function);
        for variable in asked(&function) {
            let of_a_job = ALWAYS.iter().any(|(always, _)| *always == variable) || variable == "targetVolume";
            assert!(known.contains_key(variable) != of_a_job, "{name}: {variable}");
            let small = variable.starts_with(|c: char| c.is_ascii_lowercase());
            let by_environment = variable.starts_with("ENABLE_DASHBOARD_") || variable == "MAX_CONCURRENCY";
            assert!(small || by_environment || of_a_job || SOMETIMES.contains(&variable), "{name}: {variable}");
        }
    }
}

#[test]
fn catalogue_tasks_of_claims_are_those_of_stash() {
    for name in ["pvc-backup", "pvc-restore"] {
        let output = json!({"name": "outputDir", "value": "/stash-tmp/output"});
        let wanted = json!({
            "steps": [
                {"name": name, "params": [output, {"name": "targetVolume", "value": "stash-volume"}]},
                {"name": "update-status", "params": [output]},
            ],
            "volumes": [{"name": "stash-volume", "persistentVolumeClaim": {"claimName": "${TARGET_NAME}"}}],
        });
        assert_eq!(catalogue::task(name).unwrap()["spec"], wanted);
        let mounts = json!([{"name": "${targetVolume}", "mountPath": "${TARGET_MOUNT_PATH}"}]);
        assert_eq!(catalogue::function(name, IMAGE).unwrap()["spec"]["volumeMounts"], mounts);
    }
}

#[test]
fn catalogue_refuses_every_addon_that_is_not_built_and_no_claim() {
    for name in all("Task").into_keys() {
        let native = catalogue::native(&name).unwrap();
        let refusal = catalogue::refusal(&name, native);
        match native {
            Native::PvcBackup | Native::PvcRestore | Native::UpdateStatus => assert_eq!(refusal, None, "{name}"),
            Native::Addon { addon, direction } => {
                assert!(name.contains(&format!("-{}-", direction.as_str())), "{name}");
                let entry = catalogue::ENTRIES.iter().find(|entry| entry.addon == addon).unwrap();
                assert!(name.starts_with(&format!("{}-", entry.name)), "{name}");
                assert_eq!(refusal.is_none(), entry.built, "{name}");
                let begin = format!("Task {name}: the addon {} ", entry.name);
                assert!(refusal.is_none_or(|said| said.starts_with(&begin)), "{name}");
            }
        }
    }
}

/// Tasks that public documents ask for and this release does not have.
const OF_OTHER_RELEASES: [&str; 2] = [
    // v2025.7.31 has 0.2.0 in its place.
    "kubedump-backup-0.1.0",
    // Version of 2020; 11.9 is in its place.
    "postgres-backup-11.2",
];

/// What a public document says to a Task is something that its Function asks for.
#[test]
fn catalogue_has_the_tasks_and_parameters_of_public_documents() {
    let functions = all("Function");
    let (mut seen, mut said, mut others) = (BTreeSet::new(), 0, BTreeSet::new());
    for row in rows() {
        let document = row.document();
        for task in tasks(&document) {
            let Some(name) = task["name"].as_str().filter(|name| !name.contains("${")) else { continue };
            let Some(function) = functions.get(name) else {
                assert!(OF_OTHER_RELEASES.contains(&name), "{}: {name}", row.file);
                others.insert(name.to_owned());
                continue;
            };
            seen.insert(name.to_owned());
            for param in params(&task["params"]).into_keys() {
                assert!(asked(function).contains(param), "{}: {name} does not know {param}", row.file);
                said += 1;
            }
        }
    }
    assert!(seen.len() > 12 && said > 20 && !others.is_empty(), "{seen:?} {said} {others:?}");
}

/// Every `task` of a document, wherever it stands.
fn tasks(value: &Value) -> Vec<&Value> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("task").filter(|task| task.is_object());
            own.into_iter().chain(fields.values().flat_map(tasks)).collect()
        }
        Value::Array(items) => items.iter().flat_map(tasks).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn public(kind: &str) -> Vec<Value> {
    rows().iter().filter(|row| row.kind == kind).map(Row::document).collect()
}

/// Flags of the public `update-status` that ours lacks, and why.
const WITHOUT: [(&str, &[&str]); 3] = [
    (
        "the daemon tells a native step where the repository is, and mounts its Secret",
        &[
            "--provider",
            "--bucket",
            "--endpoint",
            "--path",
            "--secret-dir",
            "--scratch-dir",
            "--enable-cache",
            "--max-connections",
        ],
    ),
    (
        "the daemon writes the status, so the step needs no names",
        &[
            "--namespace",
            "--backupsession",
            "--repository",
            "--invoker-kind",
            "--invoker-name",
            "--target-kind",
            "--target-name",
        ],
    ),
    ("the daemon sends metrics", &["--metrics-enabled", "--metrics-pushgateway-url", "--prom-job-name"]),
];

#[test]
fn catalogue_functions_differ_from_public_ones_for_stated_reasons() {
    let mut compared = BTreeSet::new();
    for document in public("Function") {
        let name = document["metadata"]["name"].as_str().unwrap();
        let Some(ours) = catalogue::function(name, IMAGE) else { continue };
        compared.insert(name.to_owned());
        let arguments = |function: &Value| -> Vec<String> {
            list(&function["spec"]["args"]).map(|one| one.as_str().unwrap().to_owned()).collect()
        };
        let (ours, theirs) = (arguments(&ours), arguments(&document));
        assert_eq!(ours[0], "agent");
        assert_eq!(ours[1], theirs[0]);
        let (same, other): (Vec<_>, Vec<_>) = theirs[1..].iter().cloned().partition(|one| ours.contains(one));
        assert_eq!(same, ours[2..]);
        let without: BTreeSet<&str> = WITHOUT.iter().flat_map(|(_, flags)| flags.iter().copied()).collect();
        let other: BTreeSet<&str> = other.iter().filter_map(|one| Some(one.split_once('=')?.0)).collect();
        assert_eq!(other, without);
    }
    assert_eq!(compared.into_iter().collect::<Vec<_>>(), ["update-status"]);
}

/// The one public Task is of an older release than the names here: beside the next version it has the scratch volume elsewhere,
/// and a volume with the Secret, which the daemon mounts by itself.
#[test]
fn catalogue_tasks_have_the_steps_of_the_public_one() {
    let mut compared = 0;
    for document in public("Task") {
        let (old, new) = ("postgres-backup-11.2", "postgres-backup-11.9");
        assert_eq!(document["metadata"]["name"], old);
        let mut spec = document["spec"].clone();
        for step in spec["steps"].as_array_mut().unwrap() {
            if step["name"] == old {
                step["name"] = json!(new);
            }
            let kept = params(&step["params"]);
            assert_eq!(kept, BTreeMap::from([("outputDir", "/tmp/output"), ("secretVolume", "secret-volume")]));
            step["params"] = json!([{"name": "outputDir", "value": "/stash-tmp/output"}]);
        }
        let volumes = spec.as_object_mut().unwrap().remove("volumes").unwrap();
        assert_eq!(volumes, json!([{"name": "secret-volume", "secret": {"secretName": "${REPOSITORY_SECRET_NAME}"}}]));
        assert_eq!(catalogue::task(new).unwrap()["spec"], spec);
        compared += 1;
    }
    assert_eq!(compared, 2);
}
