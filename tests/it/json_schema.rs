//! The JSON Schema for editors says of documents what the product itself says of them.

use std::path::{Path, PathBuf};

use holdfast::schema::{self, IssueKind};
use holdfast::yaml;
use jsonschema::Validator;
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn validator() -> Validator {
    jsonschema::draft7::new(&schema::json_schema().expect("the schemas convert")).expect("it is a schema of draft 7")
}

/// What our own walk says: anything but formats and ranges, which a schema of draft 7 has no words for.
fn is_sound(document: &Value) -> Option<bool> {
    let text = |field: &str| document.get(field).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let of_ours = || schema::own().chain(schema::written());
    let own = of_ours().find(|crd| crd.kind == kind && api_version == format!("{}/{}", crd.group, crd.version));
    let crd = schema::shipped(api_version, kind).or(own)?;
    Some(!crd.check(document).iter().any(|issue| match issue.kind {
        IssueKind::UnknownField | IssueKind::WrongType | IssueKind::NotInEnum | IssueKind::Required => true,
        IssueKind::NullValue | IssueKind::Format | IssueKind::OutOfRange => false,
    }))
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn documents(folder: &str) -> Vec<(PathBuf, Value)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "yaml" || extension == "json") {
                let parsed = yaml::parse(&std::fs::read(&entry).unwrap(), &yaml::Limits::default());
                let values = parsed.into_iter().flatten().map(|document| document.value);
                found.extend(values.map(|value| (entry.clone(), value)));
            }
        }
    }
    found
}

#[test]
fn json_schema_agrees_with_the_judgement_of_documents() {
    let validator = validator();
    let (mut sound, mut unsound) = (0, 0);
    let folders = ["tests/data/corpus/examples", "tests/golden", "examples", "policies"];
    let all = folders.into_iter().filter(|folder| root().join(folder).is_dir()).flat_map(documents);
    for (path, document) in all.filter(|(_, document)| !has_null(document)) {
        let Some(expected) = is_sound(&document) else { continue };
        let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert_eq!(errors.is_empty(), expected, "{}: {document}: {errors:?}", path.display());
        if expected { sound += 1 } else { unsound += 1 }
    }
    assert!(sound > 300 && unsound > 5, "{sound} sound, {unsound} not: the sample lost its sense");
}

#[test]
fn json_schema_knows_our_own_kinds() {
    let validator = validator();
    let policy = |spec: Value| json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "BackupPolicy", "metadata": {"name": "a"}, "spec": spec});
    assert!(validator.is_valid(&policy(json!({"coverage": {"kinds": ["StatefulSet"], "rpo": "26h"}}))));
    for wrong in [
        json!({"coverage": {"kinds": ["StatefulSets"]}}),
        json!({"coverage": {"rpo": "26h"}}),
        json!({"valdations": []}),
        json!({"match": {"kinds": "Plan"}}),
    ] {
        assert!(!validator.is_valid(&policy(wrong.clone())), "{wrong}");
    }
    let other = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}, "anything": 1});
    assert!(validator.is_valid(&other), "what is not ours is nobody's business");
}
