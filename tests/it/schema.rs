//! Judging objects by the shipped CRD schemas. What is expected here was compared with the code of the API server.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::schema::{self, Crd, Issue, IssueKind, Leaf, LeafKind, Scope};
use serde_json::{Map, Value, json};

/// A schema's places by parent.
pub(crate) struct Places {
    below: BTreeMap<String, Vec<Leaf>>,
    by_pointer: BTreeMap<String, Leaf>,
}

impl Places {
    pub(crate) fn of(crd: &Crd) -> Self {
        let mut places = Self { below: BTreeMap::new(), by_pointer: BTreeMap::new() };
        for leaf in crd.leaves() {
            let (parent, _) = leaf.pointer.rsplit_once('/').unwrap();
            places.below.entry(parent.to_owned()).or_default().push(leaf.clone());
            places.by_pointer.insert(leaf.pointer.clone(), leaf);
        }
        places
    }

    /// The smallest sound value for a place.
    pub(crate) fn sample(&self, leaf: &Leaf) -> Value {
        let mut value = bare(&leaf.kind);
        self.complete(&leaf.pointer, &mut value);
        value
    }

    /// Adds what an object requires and lacks.
    fn complete(&self, pointer: &str, value: &mut Value) {
        let Value::Object(fields) = value else { return };
        for leaf in self.below.get(pointer).into_iter().flatten().filter(|leaf| leaf.required) {
            let name = leaf.pointer.rsplit_once('/').unwrap().1;
            if !fields.contains_key(name) {
                fields.insert(name.to_owned(), self.sample(leaf));
            }
        }
    }

    /// The smallest object of the kind that holds `value` at that place, and is sound but for it.
    pub(crate) fn holding(&self, crd: &Crd, pointer: &str, value: Value) -> Value {
        let mut object = self.around("", pointer, value);
        let metadata = &mut object["metadata"];
        let (name, namespace) = match crd.scope {
            Scope::Namespaced => ("one", Some("demo")),
            Scope::Cluster => ("one", None),
        };
        if metadata.is_null() && !pointer.starts_with("/metadata") {
            *metadata = json!({});
        }
        if let Value::Object(metadata) = metadata {
            metadata.entry("name").or_insert(json!(name));
            if let Some(namespace) = namespace {
                metadata.entry("namespace").or_insert(json!(namespace));
            }
        }
        object
    }

    fn around(&self, above: &str, rest: &str, value: Value) -> Value {
        let Some(rest) = rest.strip_prefix('/') else { return value };
        let (token, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let inner = self.around(&format!("{above}/{token}"), rest, value);
        let mut outer = match token {
            "0" => json!([inner]),
            token => Value::Object(Map::from_iter([(token.to_owned(), inner)])),
        };
        self.complete(above, &mut outer);
        outer
    }
}

fn bare(kind: &LeafKind) -> Value {
    match kind {
        LeafKind::Text | LeafKind::WholeOrText => json!("x"),
        LeafKind::DateTime => json!("2026-11-21T08:00:00Z"),
        LeafKind::Bytes => json!("YQ=="),
        LeafKind::Enum(allowed) => json!(allowed[0]),
        LeafKind::Whole32 | LeafKind::Whole64 => json!(1),
        LeafKind::Quantity => json!("1Gi"),
        LeafKind::Boolean => json!(true),
        LeafKind::Object | LeafKind::Map | LeafKind::Opaque => json!({}),
        LeafKind::List => json!([]),
        LeafKind::Resource => json!({"apiVersion": "example.com/v1", "kind": "Any"}),
    }
}

/// Values of every JSON type but null that do not fit.
fn misfits(kind: &LeafKind) -> Vec<Value> {
    let all = [json!("x"), json!(7), json!(1.5), json!(true), json!({}), json!([])];
    let fits = |value: &Value| match kind {
        LeafKind::Text | LeafKind::DateTime | LeafKind::Bytes | LeafKind::Enum(_) => value.is_string(),
        LeafKind::Whole32 | LeafKind::Whole64 => value.is_i64(),
        LeafKind::WholeOrText | LeafKind::Quantity => value.is_i64() || value.is_string(),
        LeafKind::Boolean => value.is_boolean(),
        LeafKind::Object | LeafKind::Map | LeafKind::Opaque | LeafKind::Resource => value.is_object(),
        LeafKind::List => value.is_array(),
    };
    all.into_iter().filter(|value| !fits(value)).collect()
}

/// Objects for a comparison with a real API server, and whether it takes them: per place of every `spec` one that
/// is sound and one per type that does not fit. `status` is left out, since a create ignores it.
pub(crate) fn cases() -> Vec<(Value, bool)> {
    let mut cases = Vec::new();
    for crd in schema::all() {
        let places = Places::of(crd);
        for leaf in crd.leaves().iter().filter(|leaf| leaf.pointer.starts_with("/spec")) {
            cases.push((places.holding(crd, &leaf.pointer, places.sample(leaf)), true));
            // The server forgets to refuse a list where a date-time or base64 belongs.
            let overlooked = matches!(leaf.kind, LeafKind::DateTime | LeafKind::Bytes);
            for misfit in misfits(&leaf.kind).into_iter().filter(|misfit| !(overlooked && misfit.is_array())) {
                cases.push((places.holding(crd, &leaf.pointer, misfit), false));
            }
        }
    }
    cases
}

/// Sets what a pointer names, making the objects on the way.
fn put(root: &mut Value, pointer: &str, value: Value) {
    let mut at = root;
    for token in pointer.split('/').skip(1) {
        at = match at {
            Value::Array(items) => &mut items[token.parse::<usize>().unwrap()],
            other => &mut other[token.replace("~1", "/").replace("~0", "~")],
        };
    }
    *at = value;
}

fn crd(kind: &str) -> &'static Crd {
    schema::all().find(|crd| crd.kind == kind).unwrap()
}

fn issues(object: &Value) -> Vec<Issue> {
    let text = |key| object[key].as_str().unwrap_or_default();
    schema::shipped(text("apiVersion"), text("kind")).expect("a shipped kind").check(object)
}

/// A sound `BackupConfiguration`.
fn configuration() -> Value {
    json!({
        "apiVersion": "stash.appscode.com/v1beta1",
        "kind": "BackupConfiguration",
        "metadata": {"name": "deployment-web", "namespace": "shop", "labels": {"app": "web"}},
        "spec": {
            "schedule": "@hourly",
            "repository": {"name": "web"},
            "retentionPolicy": {"name": "week", "keepDaily": 7, "prune": true},
            "target": {"ref": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "paths": ["/data"]},
        },
    })
}

/// The only issue of the configuration with one thing changed.
fn complaint(pointer: &str, value: Value) -> (IssueKind, String, String) {
    let mut object = configuration();
    put(&mut object, pointer, value);
    let mut issues = issues(&object);
    assert_eq!(issues.len(), 1, "{pointer}: {issues:?}");
    let Issue { kind, pointer, message } = issues.remove(0);
    (kind, pointer, message)
}

fn check(pointer: &str, value: Value, kind: IssueKind, message: &str) {
    assert_eq!(complaint(pointer, value), (kind, pointer.to_owned(), message.to_owned()));
}

#[test]
fn schema_table_equals_the_definitions() {
    assert_eq!(schema::all().count(), 10);
    for crd in schema::all() {
        let documents = holdfast::yaml::parse(crd.yaml.as_bytes(), &holdfast::yaml::Limits::default()).unwrap();
        let [document] = &documents[..] else { panic!("{}: not one document", crd.kind) };
        let spec = &document.value["spec"];
        let scope = if crd.scope == Scope::Cluster { "Cluster" } else { "Namespaced" };
        assert_eq!(spec["group"], crd.group);
        assert_eq!(spec["names"]["kind"], crd.kind);
        assert_eq!(spec["names"]["plural"], crd.plural);
        assert_eq!(spec["scope"], scope);
        let [version] = &spec["versions"].as_array().unwrap()[..] else { panic!("{}: not one version", crd.kind) };
        assert_eq!(version["name"], crd.version);
        assert!(crd.leaves().len() > 30, "{}", crd.kind);
        assert!(schema::shipped(&format!("{}/{}", crd.group, crd.version), crd.kind).is_some());
    }
    assert!(schema::shipped("stash.appscode.com/v1beta1", "Repository").is_none());
    assert!(schema::shipped("apps/v1", "Deployment").is_none());
    assert!(schema::shipped("v1", "Task").is_none());
}

#[test]
fn schema_sound_objects_have_no_issue() {
    assert_eq!(issues(&configuration()), []);
    let mut all = configuration();
    all["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "1", "controller": true}]);
    all["metadata"]["managedFields"] =
        json!([{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {"f:a": {}}}}]);
    all["metadata"]["creationTimestamp"] = Value::Null;
    all["spec"]["runtimeSettings"] = json!({"container": {"resources": {"limits": {"memory": "1Gi", "cpu": 1}}}});
    all["spec"]["hooks"] = json!({"preBackup": {"httpGet": {"port": "http"}, "tcpSocket": {"port": 80}}});
    assert_eq!(issues(&all), []);
}

#[test]
fn schema_unknown_fields() {
    use IssueKind::UnknownField;
    check(
        "/spec/retentionPolicy/keepDayly",
        json!(3),
        UnknownField,
        "unknown field spec.retentionPolicy.keepDayly: did you mean keepDaily?",
    );
    check("/spec/Schedule", json!("x"), UnknownField, "unknown field spec.Schedule: did you mean schedule?");
    check("/spec/everything", Value::Null, UnknownField, "unknown field spec.everything");
    check("/metadata/label", json!({}), UnknownField, "unknown field metadata.label: did you mean labels?");
    check("/data", json!({}), UnknownField, "unknown field data");
    let long = "k".repeat(1000);
    let (_, pointer, message) = complaint(&format!("/spec/{long}"), json!(1));
    assert_eq!(pointer.len(), 1006);
    assert_eq!(message, format!("unknown field spec.{}…", "k".repeat(64)));
    let (_, pointer, message) = complaint("/spec/a~1b~0\n", json!(1));
    assert_eq!((pointer.as_str(), message.as_str()), ("/spec/a~1b~0\n", "unknown field spec.a/b~\\n"));
}

#[test]
fn schema_wrong_types() {
    use IssueKind::WrongType;
    check("/spec/schedule", json!(5), WrongType, "spec.schedule must be a string, not a number");
    check("/spec/paused", json!("yes"), WrongType, "spec.paused must be a boolean, not a string");
    check("/spec/target/paths", json!("/data"), WrongType, "spec.target.paths must be a list, not a string");
    check("/spec/target/paths/0", json!(["/data"]), WrongType, "spec.target.paths[0] must be a string, not a list");
    check("/spec/target/ref", json!([]), WrongType, "spec.target.ref must be an object, not a list");
    check("/spec/backupHistoryLimit", json!(1.5), WrongType, "spec.backupHistoryLimit must be a whole number, not 1.5");
    check(
        "/spec/tempDir",
        json!({"sizeLimit": 1}).get("sizeLimit").cloned().unwrap(),
        WrongType,
        "spec.tempDir must be an object, not a number",
    );
    check("/metadata/labels/app", json!(true), WrongType, "metadata.labels[app] must be a string, not a boolean");
    let (kind, pointer, message) = complaint("/spec/tempDir/sizeLimit", json!(true));
    assert_eq!((kind, pointer.as_str()), (WrongType, "/spec/tempDir/sizeLimit"));
    assert_eq!(message, "spec.tempDir.sizeLimit must be a whole number or a string, not a boolean");
    for (document, found) in [(json!([]), "a list"), (json!("x"), "a string"), (json!(1), "a number")] {
        let issues = crd("Task").check(&document);
        assert_eq!(issues.len(), 1);
        assert_eq!((issues[0].kind, issues[0].pointer.as_str()), (WrongType, ""));
        assert_eq!(issues[0].message, format!("the document must be an object, not {found}"));
    }
}

#[test]
fn schema_enums() {
    use IssueKind::NotInEnum;
    check(
        "/spec/driver",
        json!("restic"),
        NotInEnum,
        "spec.driver must be one of Restic, VolumeSnapshotter, not \"restic\"",
    );
    check("/spec/driver", json!(""), NotInEnum, "spec.driver must be one of Restic, VolumeSnapshotter, not \"\"");
    let object = json!({"apiVersion": "stash.appscode.com/v1alpha1", "kind": "Task"});
    let messages: Vec<String> = crd("Task").check(&object).into_iter().map(|issue| issue.message).collect();
    assert_eq!(messages, ["apiVersion must be stash.appscode.com/v1beta1, not \"stash.appscode.com/v1alpha1\""]);
}

#[test]
fn schema_required_fields() {
    let mut object = configuration();
    object["spec"]["retentionPolicy"] = json!({"keepLast": 3, "prune": null});
    object["spec"]["repository"] = json!({});
    object["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "Pod", "name": "x"}]);
    let found: Vec<(String, String)> = issues(&object)
        .into_iter()
        .map(|issue| {
            assert_eq!(issue.kind, IssueKind::Required);
            (issue.pointer, issue.message)
        })
        .collect();
    let expected = [
        ("/metadata/ownerReferences/0", "metadata.ownerReferences[0].uid is required"),
        ("/spec/repository", "spec.repository.name is required"),
        ("/spec/retentionPolicy", "spec.retentionPolicy.name is required"),
        ("/spec/retentionPolicy", "spec.retentionPolicy.prune is required"),
    ];
    assert_eq!(found, expected.map(|(pointer, message)| (pointer.to_owned(), message.to_owned())));
    let nothing: Vec<String> = crd("Function").check(&json!({})).into_iter().map(|issue| issue.message).collect();
    assert_eq!(nothing, ["apiVersion is required", "kind is required"]);
}

#[test]
fn schema_nulls_count_as_absent_but_in_lists() {
    let mut object = configuration();
    for pointer in ["/spec/driver", "/spec/target", "/spec/paused", "/metadata/labels", "/metadata/labels", "/status"] {
        put(&mut object, pointer, Value::Null);
    }
    object["spec"]["interimVolumeTemplate"] = json!({"metadata": {"labels": {"a": null}}});
    assert_eq!(issues(&object), []);
    crd("BackupConfiguration").drop_nulls(&mut object);
    assert!(!object.to_string().contains("null"), "{object}");
    assert_eq!(object["spec"]["interimVolumeTemplate"]["metadata"]["labels"], json!({}));
    check("/spec/target/paths/0", Value::Null, IssueKind::NullValue, "spec.target.paths[0] must be a string, not null");
    let mut listed = configuration();
    listed["spec"]["target"]["paths"] = json!([null]);
    let before = listed.clone();
    crd("BackupConfiguration").drop_nulls(&mut listed);
    assert_eq!(listed, before);
}

#[test]
fn schema_formats() {
    let session = |deadline: &str| {
        let object = json!({
            "apiVersion": "stash.appscode.com/v1beta1", "kind": "BackupSession", "metadata": {"name": "a"},
            "status": {"sessionDeadline": deadline},
        });
        issues(&object)
    };
    assert_eq!(session("2026-11-21T08:00:00Z"), []);
    let bad = session("yesterday");
    assert_eq!((bad[0].kind, bad[0].pointer.as_str()), (IssueKind::Format, "/status/sessionDeadline"));
    assert_eq!(bad[0].message, "status.sessionDeadline must be a time like 2006-01-02T15:04:05Z");
    let binding = |bundle: &str| {
        let object = json!({
            "apiVersion": "appcatalog.appscode.com/v1alpha1", "kind": "AppBinding", "metadata": {"name": "a"},
            "spec": {"clientConfig": {"caBundle": bundle}},
        });
        issues(&object)
    };
    assert_eq!(binding("LS0t"), []);
    let bad = binding("-----BEGIN");
    assert_eq!(
        (bad[0].kind, bad[0].message.as_str()),
        (IssueKind::Format, "spec.clientConfig.caBundle must be base64")
    );
}

#[test]
fn schema_ranges_and_list_keys() {
    use IssueKind::OutOfRange;
    let many = i64::from(i32::MAX) + 1;
    check(
        "/spec/backupHistoryLimit",
        json!(many),
        OutOfRange,
        "spec.backupHistoryLimit must be a whole number of 32 bits, not 2147483648",
    );
    check(
        "/spec/retentionPolicy/keepLast",
        json!(u64::MAX),
        OutOfRange,
        "spec.retentionPolicy.keepLast must be a whole number of 64 bits, not 18446744073709551615",
    );
    let (kind, pointer, message) = complaint("/spec/tempDir/sizeLimit", json!("1 GB"));
    assert_eq!((kind, pointer.as_str()), (OutOfRange, "/spec/tempDir/sizeLimit"));
    assert_eq!(message, "spec.tempDir.sizeLimit must be a quantity like 500m or 1Gi");
    let mut object = configuration();
    let spread = |key: &str, when: &str| json!({"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": when});
    object["spec"]["runtimeSettings"] = json!({
        "pod": {"topologySpreadConstraints": [spread("a", "x"), spread("a", "y"), spread("b", "x"), spread("a", "y")]},
        "container": {"resources": {"claims": [{"name": "a"}, {"name": "b"}, {"name": "a"}]}},
    });
    let found: Vec<(IssueKind, String, String)> =
        issues(&object).into_iter().map(|issue| (issue.kind, issue.pointer, issue.message)).collect();
    let claims = "/spec/runtimeSettings/container/resources/claims/2";
    let constraints = "/spec/runtimeSettings/pod/topologySpreadConstraints/3";
    assert_eq!((found[0].0, found[0].1.as_str()), (OutOfRange, claims));
    assert_eq!(
        found[0].2,
        "spec.runtimeSettings.container.resources.claims[2] repeats an item: name \"a\" must be unique"
    );
    assert_eq!((found[1].0, found[1].1.as_str()), (OutOfRange, constraints));
    assert!(found[1].2.ends_with("repeats an item: topologyKey \"a\" with whenUnsatisfiable \"y\" must be unique"));
    assert_eq!(found.len(), 2);
}

#[test]
fn schema_whole_numbers_may_be_written_as_floats() {
    let mut object = configuration();
    object["spec"]["backupHistoryLimit"] = json!(3.0);
    object["spec"]["retentionPolicy"]["keepLast"] = json!(-1e3);
    assert_eq!(issues(&object), []);
    let (kind, ..) = complaint("/spec/retentionPolicy/keepLast", json!(1e17));
    assert_eq!(kind, IssueKind::WrongType);
}

#[test]
fn schema_embedded_resources_are_kept_whole() {
    let binding = |parameters: Value| {
        json!({
            "apiVersion": "appcatalog.appscode.com/v1alpha1", "kind": "AppBinding", "metadata": {"name": "a"},
            "spec": {"clientConfig": {}, "parameters": parameters},
        })
    };
    let mut sound =
        binding(json!({"apiVersion": "a/v1", "kind": "B", "stash": {"addon": [null, {"x": 1}]}, "n": null}));
    let before = sound.clone();
    assert_eq!(issues(&sound), []);
    crd("AppBinding").prune(&mut sound);
    assert_eq!(sound, before);
    let bare = issues(&binding(json!({"kind": "", "stash": {}})));
    let messages: Vec<&str> = bare.iter().map(|issue| issue.message.as_str()).collect();
    assert_eq!(messages, ["spec.parameters.apiVersion is required", "spec.parameters.kind is required"]);
    assert!(bare.iter().all(|issue| issue.pointer == "/spec/parameters" && issue.kind == IssueKind::Required));
    let mut odd = binding(json!({"apiVersion": 1, "kind": "B", "metadata": {"name": "a", "nam": 1}}));
    let kinds: Vec<(IssueKind, String)> = issues(&odd).into_iter().map(|issue| (issue.kind, issue.pointer)).collect();
    let expected = [
        (IssueKind::WrongType, "/spec/parameters/apiVersion".to_owned()),
        (IssueKind::UnknownField, "/spec/parameters/metadata/nam".to_owned()),
    ];
    assert_eq!(kinds, expected);
    crd("AppBinding").prune(&mut odd);
    assert_eq!(odd["spec"]["parameters"]["metadata"], json!({"name": "a"}));
}

#[test]
fn schema_defaults_by_pointer() {
    let default = |kind: &str, pointer: &str| crd(kind).default_of(pointer).cloned();
    assert_eq!(default("BackupConfiguration", "/spec/driver"), Some(json!("Restic")));
    assert_eq!(default("BackupBatch", "/spec/executionOrder"), Some(json!("Parallel")));
    assert_eq!(default("Function", "/spec/ports/12/protocol"), Some(json!("TCP")));
    assert_eq!(default("AppBinding", "/spec/secret/kind"), Some(json!("Secret")));
    assert_eq!(default("AppBinding", "/spec/secret/apiGroup"), Some(json!("")));
    assert_eq!(default("BackupConfiguration", "/spec/retryConfig/maxRetry"), Some(json!(1)));
    for pointer in [
        "",
        "/spec",
        "/spec/paused",
        "/spec/none/at/all",
        "/spec/target/paths/x",
        "/metadata/labels/a",
        "spec/driver/x",
    ] {
        assert_eq!(default("BackupConfiguration", pointer), None, "{pointer}");
    }
    // A required field with a default is not missing.
    let mut binding = Places::of(crd("AppBinding")).holding(crd("AppBinding"), "/spec/secret", json!({"name": "a"}));
    assert_eq!(issues(&binding), []);
    binding["spec"]["secret"] = json!({});
    assert_eq!(issues(&binding)[0].message, "spec.secret.name is required");
}

#[test]
fn schema_every_place_takes_its_sample() {
    for crd in schema::all() {
        let places = Places::of(crd);
        for leaf in crd.leaves() {
            let object = places.holding(crd, &leaf.pointer, places.sample(&leaf));
            let pointer = leaf.pointer.clone();
            assert_eq!(crd.check(&object), [], "{} {pointer}: {object}", crd.kind);
            assert!(object.pointer(&pointer).is_some(), "{} {pointer}: {object}", crd.kind);
            let mut pruned = object.clone();
            crd.prune(&mut pruned);
            assert_eq!(pruned, object);
        }
    }
}

#[test]
fn schema_every_place_refuses_every_other_type() {
    let mut refused = 0;
    for crd in schema::all() {
        let places = Places::of(crd);
        for leaf in crd.leaves() {
            for misfit in misfits(&leaf.kind) {
                let object = places.holding(crd, &leaf.pointer, misfit.clone());
                let found = crd.check(&object);
                let [issue] = &found[..] else { panic!("{} {}: {found:?}", crd.kind, leaf.pointer) };
                assert_eq!(
                    (issue.kind, &issue.pointer),
                    (IssueKind::WrongType, &leaf.pointer),
                    "{} {misfit}",
                    crd.kind
                );
                refused += 1;
            }
            if leaf.pointer.ends_with("/0") {
                let found = crd.check(&places.holding(crd, &leaf.pointer, Value::Null));
                assert_eq!((found[0].kind, &found[0].pointer), (IssueKind::NullValue, &leaf.pointer));
            }
        }
    }
    assert!(refused > 20_000, "{refused}");
}

#[test]
fn schema_pruning_removes_exactly_the_unknown_fields() {
    for crd in schema::all() {
        let places = Places::of(crd);
        for leaf in crd.leaves().into_iter().filter(|leaf| leaf.kind == LeafKind::Object) {
            let sound = places.holding(crd, &leaf.pointer, places.sample(&leaf));
            let mut object = sound.clone();
            for above in leaf.pointer.match_indices('/').map(|(end, _)| &leaf.pointer[..end]).chain([&*leaf.pointer]) {
                if let Some(Value::Object(fields)) = object.pointer_mut(above)
                    && places.by_pointer.get(above).is_none_or(|leaf| leaf.kind == LeafKind::Object)
                {
                    fields.insert("no such/field".to_owned(), json!({"deep": [null, {"er": 1}]}));
                }
            }
            let found = crd.check(&object);
            assert!(found.iter().all(|issue| issue.kind == IssueKind::UnknownField), "{found:?}");
            let unknown: BTreeSet<&str> = found.iter().map(|issue| issue.pointer.as_str()).collect();
            assert!(unknown.contains(&*format!("{}/no such~1field", leaf.pointer)), "{} {unknown:?}", leaf.pointer);
            crd.prune(&mut object);
            assert_eq!(object, sound, "{} {}", crd.kind, leaf.pointer);
        }
    }
}

#[test]
fn schema_depth_of_the_document_does_not_matter() {
    let mut deep = json!({});
    for _ in 0..10_000 {
        deep = Value::Object(Map::from_iter([("a".to_owned(), deep)]));
    }
    let mut object = configuration();
    put(&mut object, "/spec/target/alias", std::mem::take(&mut deep));
    assert_eq!(issues(&object).len(), 1);
    crd("BackupConfiguration").prune(&mut object);
    // Taking a value apart recurses in the JSON library; ours is to stay out of it.
    std::mem::forget(object);
}

#[test]
fn schema_cases_agree_with_the_walk() {
    let cases = cases();
    assert!(cases.len() > 20_000, "{}", cases.len());
    for (object, valid) in cases {
        let found = issues(&object);
        assert_eq!(found.is_empty(), valid, "{object}: {found:?}");
    }
}
