//! The documents of Stash's public docs, and every place of its schemas, through our wire types.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use holdfast::api::{self, Leftovers};
use holdfast::schema::{self, Crd, Leaf, LeafKind};
use holdfast::yaml;
use serde_json::{Value, json};

use super::schema::Places;

/// Parts of the schemas that are Kubernetes' own and stay JSON values.
const OF_KUBERNETES: &[&str] = &[
    "affinity",
    "allowedNamespaces/selector",
    "backend/local",
    "env",
    "envFrom",
    "exec",
    "httpGet",
    "httpPost/httpHeaders",
    "httpPost/port",
    "imagePullSecrets",
    "interimVolumeTemplate/spec",
    "interimVolumeTemplate/status",
    "lifecycle",
    "livenessProbe",
    "metadata/managedFields",
    "metadata/ownerReferences",
    "readinessGates",
    "readinessProbe",
    "resources",
    "securityContext",
    "spec/parameters",
    "spec/ports",
    "spec/volumes",
    "tcpSocket",
    "tempDir/sizeLimit",
    "tolerations",
    "topologySpreadConstraints",
    "volumeClaimTemplates/0/spec",
    "volumeClaimTemplates/0/status",
    "volumeDevices",
    "volumeMounts",
];

/// Documents that the docs got wrong, with the line that repeats a key, which we refuse.
const REPEATED_KEY: &[(&str, u32)] = &[
    ("examples/addons__mongodb__replicaset__002.yaml", 9),
    ("examples/guides__hooks__backup-and-restore-hooks__002.yaml", 13),
];

/// A row of the index: file, kind, apiVersion, class and source.
pub(crate) struct Row {
    pub(crate) file: String,
    pub(crate) kind: String,
    api_version: String,
    class: String,
    source: String,
}

impl Row {
    fn crd(&self) -> Option<&'static Crd> {
        schema::shipped(&self.api_version, &self.kind)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(folder().join(&self.file)).expect("a file of the index")
    }

    /// The only document of the file, without the line that is known to repeat a key.
    pub(crate) fn document(&self) -> Value {
        let repeated = REPEATED_KEY.iter().find(|(file, _)| *file == self.file).map(|(_, line)| *line);
        let file = self.text();
        let lines = (1..).zip(file.lines()).filter(|(number, _)| Some(*number) != repeated);
        let text: String = lines.flat_map(|(_, line)| [line, "\n"]).collect();
        let mut documents = yaml::parse(text.as_bytes(), &yaml::Limits::default())
            .unwrap_or_else(|error| panic!("{}: {error}", self.file));
        assert_eq!(documents.len(), 1, "{}", self.file);
        documents.remove(0).value
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/corpus")
}

/// Rows of kinds that we have types for.
pub(crate) fn rows() -> Vec<Row> {
    let index = std::fs::read_to_string(folder().join("index.tsv")).expect("the index");
    let rows = index.lines().skip(1).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let text = |at: usize| columns[at].to_owned();
        Row { file: text(0), kind: text(1), api_version: text(2), class: text(4), source: text(5) }
    });
    rows.filter(|row| row.crd().is_some()).collect()
}

fn round_trip(name: &str, object: &Value) -> api::Kind {
    let typed = api::from_value(object.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(typed.to_value().as_ref(), Ok(object), "{name}");
    typed
}

fn unknown(typed: &api::Kind) -> Vec<String> {
    let mut pointers = Vec::new();
    typed.unknown("", &mut pointers);
    pointers
}

#[test]
fn corpus_has_all_kinds() {
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for row in rows() {
        *counts.entry((row.class, row.kind)).or_default() += 1;
    }
    let of =
        |class: &str| counts.iter().filter(|((other, _), _)| other == class).map(|(_, count)| count).sum::<usize>();
    assert_eq!((of("input"), of("output")), (262, 30));
    for crd in schema::all() {
        assert!(counts.keys().any(|(_, kind)| kind == crd.kind), "{}", crd.kind);
    }
}

#[test]
fn corpus_repeated_keys_are_refused_where_they_stand() {
    for (file, line) in REPEATED_KEY {
        let row = rows().into_iter().find(|row| row.file == *file).expect("a row of the index");
        let error = yaml::parse(row.text().as_bytes(), &yaml::Limits::default()).expect_err(file);
        assert_eq!((error.kind, error.at.line), (yaml::ErrorKind::DuplicateKey, *line), "{file}");
    }
}

/// Scenarios CW.1 and CW.3, and of CW.2 the round trip.
#[test]
fn corpus_documents_fit_and_round_trip() {
    for row in rows() {
        let document = row.document();
        let issues = row.crd().expect("a shipped kind").check(&document);
        assert_eq!(issues, [], "{} ({})", row.file, row.source);
        assert_eq!(unknown(&round_trip(&row.file, &document)), [""; 0], "{}", row.file);
    }
}

/// Scenario CW.2 to the end: not only values survive, but the ways of having none.
#[test]
fn corpus_absent_null_and_empty_stay_apart() {
    let mut changed = 0;
    for row in rows() {
        let document = row.document();
        for (pointer, value) in places(&document) {
            for other in emptied(&value) {
                let mut object = document.clone();
                *object.pointer_mut(&pointer).expect("a place of the document") = other;
                round_trip(&format!("{} {pointer}", row.file), &object);
                changed += 1;
            }
        }
    }
    assert!(changed > 10_000, "{changed}");
}

#[test]
fn corpus_many_empty_places_at_once() {
    let mut dice = Dice(0x5eed);
    for row in rows() {
        for _ in 0..8 {
            let mut object = row.document();
            for (pointer, _) in places(&object.clone()) {
                // An earlier change may have emptied the place.
                let Some(place) = object.pointer_mut(&pointer).filter(|_| dice.roll(3) == 0) else { continue };
                let choices = emptied(place);
                *place = choices[dice.roll(choices.len())].clone();
            }
            round_trip(&row.file, &object);
        }
    }
}

#[test]
fn corpus_every_place_of_the_schemas_reaches_a_field() {
    for crd in schema::all() {
        let places = Places::of(crd);
        for leaf in crd.leaves() {
            let name = format!("{} {}", crd.kind, leaf.pointer);
            let object = places.holding(crd, &leaf.pointer, places.sample(&leaf));
            assert_eq!(unknown(&round_trip(&name, &object)), [""; 0], "{name}");
            if !leaf.pointer.ends_with("/0") && !is_name_of_kind(&leaf) {
                round_trip(&name, &places.holding(crd, &leaf.pointer, Value::Null));
            }
        }
    }
}

#[test]
fn corpus_fields_have_types_unless_they_are_of_kubernetes() {
    let mut untyped: BTreeMap<&str, usize> = BTreeMap::new();
    for crd in schema::all() {
        let places = Places::of(crd);
        for leaf in crd.leaves().into_iter().filter(|leaf| !is_name_of_kind(leaf)) {
            let misfit = if leaf.kind == LeafKind::Boolean { json!(1) } else { json!(true) };
            let read = api::from_value(places.holding(crd, &leaf.pointer, misfit));
            let name = format!("{} {}", crd.kind, leaf.pointer);
            let ours = ["/local/mountPath", "/local/subPath"].iter().any(|ours| leaf.pointer.ends_with(ours));
            let of_kubernetes = |part: &&&str| !ours && format!("{}/", leaf.pointer).contains(&format!("/{part}/"));
            match OF_KUBERNETES.iter().find(of_kubernetes) {
                Some(part) if read.is_ok() => *untyped.entry(part).or_default() += 1,
                Some(_) => {}
                None => assert!(read.is_err(), "{name} is not typed"),
            }
        }
    }
    assert_eq!(untyped.len(), OF_KUBERNETES.len(), "parts that are typed or gone: {untyped:?}");
}

#[test]
fn corpus_unknown_fields_are_kept_and_listed() {
    let mut object = json!({
        "apiVersion": "stash.appscode.com/v1beta1",
        "kind": "RestoreSession",
        "more": null,
        "metadata": {"name": "a", "labels": {"x": null}, "namex": 1},
        "spec": {"target": {"rules": [{}, {"a/b~c": [1.5, 18_446_744_073_709_551_615_u64]}], "ref": {"uid": ""}}},
    });
    let typed = round_trip("unknown fields", &object);
    let expected = ["/more", "/metadata/namex", "/spec/target/ref/uid", "/spec/target/rules/1/a~1b~0c"];
    assert_eq!(unknown(&typed), expected);
    let crd = schema::shipped("stash.appscode.com/v1beta1", "RestoreSession").expect("a shipped kind");
    crd.prune(&mut object);
    assert_eq!(unknown(&round_trip("pruned", &object)), [""; 0]);
}

#[test]
fn corpus_errors_name_the_kind() {
    let read = |object: Value| api::from_value(object).unwrap_err();
    let stash = "stash.appscode.com/v1beta1";
    let error = read(json!({"apiVersion": stash, "kind": "Task", "spec": {"steps": "x"}}));
    assert_eq!(error, "Task: invalid type: string \"x\", expected a sequence");
    let error = read(json!({"apiVersion": stash, "kind": "Repository"}));
    assert_eq!(error, "kind \"Repository\" of \"stash.appscode.com/v1beta1\" is not known");
    assert_eq!(read(json!([])), "kind \"\" of \"\" is not known");
}

fn is_name_of_kind(leaf: &Leaf) -> bool {
    ["/apiVersion", "/kind"].contains(&&*leaf.pointer)
}

/// Every place below an object of the document, but for what names its kind.
fn places(document: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    below(document, "", &mut found);
    found.retain(|(pointer, _)| !["/apiVersion", "/kind"].contains(&pointer.as_str()));
    found
}

fn below(value: &Value, pointer: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                found.push((pointer.clone(), value.clone()));
                below(value, &pointer, found);
            }
        }
        // `null` in a list is refused by the schema, so only what lies below an item is a place.
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                below(value, &format!("{pointer}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Ways of having nothing at a place of that type.
fn emptied(value: &Value) -> Vec<Value> {
    let empty = match value {
        Value::Object(_) => json!({}),
        Value::Array(_) => json!([]),
        Value::String(_) => json!(""),
        Value::Number(_) => json!(0),
        Value::Bool(_) => json!(false),
        Value::Null => return vec![Value::Null],
    };
    vec![Value::Null, empty]
}

/// Xorshift: the same rolls in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).expect("less than `sides`")
    }
}
