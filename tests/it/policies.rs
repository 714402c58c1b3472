//! The shipped policies: each passes its cases, every part of each is held by a case, together they say nothing against an
//! estate in order and all of them something against one that is not.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use holdfast::expression::Part;
use holdfast::model::desired::Desired;
use holdfast::model::plan::Plan;
use holdfast::model::policy::{Judged, Labels};
use holdfast::plan::Settings;
use holdfast::policy::{BUDGET, Broken, Judge, Subject, run};
use holdfast::yaml;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::docs::{GENERATED, compare};
use super::world::{Cluster, desired, tree_of_folder};

/// Fewer are a lost folder.
const POLICIES_MIN: usize = 20;

struct Shipped {
    name: String,
    folder: PathBuf,
    text: String,
    policy: Value,
    /// All documents of all files of cases.
    cases: Vec<Value>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

fn documents(text: &str) -> Vec<Value> {
    let documents = yaml::parse(text.as_bytes(), &yaml::Limits::default()).unwrap();
    documents.into_iter().map(|document| document.value).collect()
}

fn shipped() -> Vec<Shipped> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let read = |folder: PathBuf| {
        let text = std::fs::read_to_string(folder.join("policy.yaml")).unwrap();
        let policy = documents(&text).remove(0);
        let files = std::fs::read_dir(folder.join("cases")).into_iter().flatten().map(|entry| entry.unwrap().path());
        let cases = files.flat_map(|path| documents(&std::fs::read_to_string(path).unwrap())).collect();
        Shipped { name: folder.file_name().unwrap().to_str().unwrap().to_owned(), folder, text, policy, cases }
    };
    let all: Vec<Shipped> = folders.into_iter().filter(|folder| folder.is_dir()).map(read).collect();
    assert!(all.len() >= POLICIES_MIN, "{} policies", all.len());
    all
}

/// Every shipped policy by its name.
pub(crate) fn documents_of_shipped() -> Vec<(String, Value)> {
    shipped().into_iter().map(|one| (one.name, one.policy)).collect()
}

/// Cases that do not come out. What does not parse breaks them all.
fn broken(policy: &Value, cases: &[Value]) -> Vec<String> {
    let mut files = vec![("policy.json".to_owned(), policy.to_string())];
    files.extend(cases.iter().enumerate().map(|(index, case)| (format!("cases/{index}.json"), case.to_string())));
    let desired = desired(&files);
    if desired.policies.is_empty() {
        return vec!["it does not parse".to_owned()];
    }
    let now = Timestamp::UNIX_EPOCH;
    let failed = desired.cases.iter().filter_map(|case| run(case, |name| desired.policies.get(name), now).err());
    failed.map(|Broken { message, .. }| message).collect()
}

#[test]
fn every_shipped_policy_passes_its_cases() {
    for one in shipped() {
        assert_eq!(one.policy["metadata"]["name"], one.name.as_str(), "{}", one.folder.display());
        let parsed = Desired::parse(&tree_of_folder(&one.folder)).unwrap();
        assert!(parsed.held.is_empty() && parsed.warnings.is_empty(), "{:?} {:?}", parsed.held, parsed.warnings);
        assert_eq!(parsed.cases.len(), one.cases.len(), "{}", one.name);
        assert_eq!(broken(&one.policy, &one.cases), Vec::<String>::new(), "{}", one.name);
        let judges = one.policy["spec"].get("validations").is_some();
        let expects = |allow: bool| one.cases.iter().any(|case| (case["spec"]["expect"]["action"] == "Allow") == allow);
        assert_eq!((expects(true), expects(false)), (judges, judges), "{}: allowed and refused", one.name);
    }
}

/// What remains of a policy after each mistake that can be made in one place, with a word on what was done.
fn spoilt(policy: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    let mut with = |what: String, change: &dyn Fn(&mut Value)| {
        let mut copy = policy.clone();
        change(&mut copy["spec"]);
        all.push((what, copy));
    };
    let spec = &policy["spec"];
    let count = |list: &Value| list.as_array().map_or(0, Vec::len);
    for index in 0..count(&spec["validations"]) {
        if count(&spec["validations"]) > 1 {
            with(format!("validation {index} removed"), &|spec| {
                drop(spec["validations"].as_array_mut().unwrap().remove(index));
            });
        }
        for truth in ["true", "false"] {
            with(format!("validation {index} is {truth}"), &|spec| {
                spec["validations"][index]["expression"] = truth.into();
            });
        }
        if spec["validations"][index].get("messageExpression").is_some() {
            with(format!("message of validation {index} fixed"), &|spec| {
                drop(spec["validations"][index].as_object_mut().unwrap().remove("messageExpression"));
            });
        }
        operators(&spec["validations"][index]["expression"], &format!("validation {index}"), &mut |what, text| {
            with(what, &|spec| spec["validations"][index]["expression"] = text.as_str().into());
        });
    }
    for index in 0..count(&spec["variables"]) {
        let expression = &spec["variables"][index]["expression"];
        with(format!("variable {index} negated"), &|spec| {
            spec["variables"][index]["expression"] = format!("!({})", expression.as_str().unwrap()).into();
        });
        operators(expression, &format!("variable {index}"), &mut |what, text| {
            with(what, &|spec| spec["variables"][index]["expression"] = text.as_str().into());
        });
    }
    for index in 0..count(&spec["match"]["kinds"]) {
        with(format!("kind {} removed", spec["match"]["kinds"][index]), &|spec| {
            spec["match"]["kinds"].as_array_mut().unwrap().remove(index);
            if spec["match"]["kinds"].as_array().unwrap().is_empty() {
                spec["match"]["kinds"] = json!(["Task"]);
            }
        });
    }
    for field in ["labels", "namespaces"] {
        if spec["match"].get(field).is_some() {
            with(format!("match.{field} removed"), &|spec| drop(spec["match"].as_object_mut().unwrap().remove(field)));
        }
    }
    for (field, _) in spec["match"]["labels"].as_object().into_iter().flatten() {
        with(format!("{field} removed"), &|spec| drop(spec["match"]["labels"].as_object_mut().unwrap().remove(field)));
    }
    let action = if spec["actions"][0] == "Warn" { "Deny" } else { "Warn" };
    with(format!("action is {action}"), &|spec| spec["actions"] = json!([action]));
    all
}

/// One operator taken for its opposite, at one place.
fn operators(expression: &Value, place: &str, spoil: &mut dyn FnMut(String, String)) {
    let text = expression.as_str().unwrap();
    for (operator, other) in
        [(" && ", " || "), (" || ", " && "), (" == ", " != "), (" != ", " == "), (" >= ", " > "), (" > ", " >= ")]
    {
        for (at, _) in text.match_indices(operator) {
            let changed = format!("{}{other}{}", &text[..at], &text[at + operator.len()..]);
            spoil(format!("{operator:?} at {at} of {place} is {other:?}"), changed);
        }
    }
}

#[test]
fn every_part_of_every_shipped_policy_is_held_by_a_case() {
    let mut tried = 0;
    let mut missing = Vec::new();
    for one in shipped().iter().filter(|one| one.policy["spec"].get("validations").is_some()) {
        for (what, policy) in spoilt(&one.policy) {
            tried += 1;
            if broken(&policy, &one.cases).is_empty() {
                missing.push(format!("{}: {what}", one.name));
            }
        }
    }
    assert!(missing.is_empty(), "no case notices {} of {tried} mistakes:\n{}", missing.len(), missing.join("\n"));
    assert!(tried >= 250, "{tried} mistakes");
}

struct Estate {
    /// The policies beside the documents, as in a source that has both.
    desired: Desired,
    cluster: Cluster,
    now: Timestamp,
}

impl Estate {
    fn read(folder: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        let estate = tree_of_folder(&folder.join("git"));
        let policies = tree_of_folder(&root());
        let in_folder =
            |prefix: &'static str| move |(path, bytes): (&str, &[u8])| (format!("{prefix}/{path}"), bytes.to_vec());
        let files: Vec<(String, Vec<u8>)> =
            estate.files().map(in_folder("estate")).chain(policies.files().map(in_folder("policies"))).collect();
        let desired = desired(&files);
        assert!(desired.held.is_empty(), "{:?}", desired.held);
        assert_eq!(desired.policies.len(), shipped().len());
        Self { desired, cluster: Cluster::parse(&read("cluster.yaml")), now: read("now.txt").trim().parse().unwrap() }
    }

    fn plan(&self) -> Plan {
        self.cluster.plan(&self.desired, &Settings::default(), self.now)
    }
}

/// Every policy that says something, with what it says.
fn said(plan: &Plan) -> BTreeSet<(String, String)> {
    let refusals = plan.refusals.iter().map(|one| (one.policy.clone(), one.message.clone()));
    let warnings = plan.warnings.iter().map(|one| (one.policy.clone(), one.message.clone()));
    let uncovered = plan.uncovered.iter().map(|one| (Some(one.policy.clone()), one.message.clone()));
    refusals.chain(warnings).chain(uncovered).filter_map(|(policy, message)| Some((policy?, message))).collect()
}

#[test]
fn all_shipped_policies_say_nothing_against_what_is_in_order() {
    for folder in ["tests/estates/clean", "examples/quick-start"] {
        let plan = Estate::read(folder).plan();
        assert_eq!(said(&plan), BTreeSet::new(), "{folder}");
        assert!(!plan.steps.is_empty(), "{folder} plans nothing that could be judged");
    }
    let clean = Estate::read("tests/estates/clean").plan();
    assert!(clean.refusals.is_empty(), "{:?}", clean.refusals);
    let counted: usize = clean.coverage.values().map(|counted| counted.targets).sum();
    assert!(counted >= 3, "coverage counts {counted} targets");
}

#[test]
fn every_shipped_policy_speaks_where_nothing_is_in_order() {
    let said = said(&Estate::read("tests/estates/bad").plan());
    for one in shipped() {
        assert!(said.iter().any(|(policy, _)| *policy == one.name), "{} says nothing; said: {said:#?}", one.name);
    }
    let failed: Vec<_> = said.iter().filter(|(_, message)| message.contains("cannot be evaluated")).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// Ten thousand objects that differ in all that policies read: no memory helps, and nothing is refused for its cost.
#[test]
fn a_large_cluster_is_judged_within_the_budget_of_each_policy() {
    const OBJECTS: u64 = 10_000;
    const JUDGED: u64 = 100;
    let labels: Labels = [
        ("backup.holdfast.dev/tier", "critical"),
        ("backup.holdfast.dev/window", "night"),
        ("backup.holdfast.dev/batch", "true"),
        ("app.kubernetes.io/part-of", "webshop"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    let mut costly = Vec::new();
    for (name, policy) in documents_of_shipped() {
        let desired = desired(&[("policy.json", policy.to_string())]);
        let policy = &desired.policies[&name];
        if policy.validations.is_empty() {
            continue;
        }
        let judge = Judge::new([policy].into_iter(), Value::Null, Timestamp::UNIX_EPOCH);
        // Of plans there is one in a pass.
        let of_plans = policy.matching.kinds.contains(&Judged::Plan);
        let (judged, all) = if of_plans { (1, 1) } else { (JUDGED, OBJECTS) };
        for index in 0..judged {
            for kind in policy.matching.kinds.iter().copied() {
                let object = large(kind.as_str(), index);
                let target = json!({"kind": "StatefulSet", "metadata": object["metadata"]});
                let others = |other: &str, _: &Part| {
                    Cow::Owned(match other {
                        "target" => target.clone(),
                        "oldObject" => object.clone(),
                        "namespaceObject" => json!({"metadata": {
                            "labels": {"env": "prod", "backup.holdfast.dev/required": "true", "backup.holdfast.dev/limits": "required"},
                            "annotations": {"backup.holdfast.dev/buckets": format!("acme-{index}, acme-archive, acme-{index}-us")},
                        }}),
                        _ => Value::Null,
                    })
                };
                let subject =
                    Subject { kind, namespace: "prod-shop", labels: &labels, object: &object, others: &others };
                let said = if kind == Judged::Plan { judge.judge_by(&name, &subject) } else { judge.judge(&subject) };
                assert!(said.iter().all(|one| !one.message.contains("cannot be evaluated")), "{name}: {said:?}");
            }
        }
        let spent = judge.spent()[name.as_str()];
        assert!(spent > 0, "{name} costs nothing");
        let each = spent / judged;
        if each * all > BUDGET {
            costly.push(format!("{name} spends {each} on each of {all}"));
        }
    }
    assert!(costly.is_empty(), "a budget is {BUDGET}:\n{}", costly.join("\n"));
}

/// An object of any kind, or a plan of ten thousand deletes, unlike every other.
fn large(kind: &str, index: u64) -> Value {
    let name = format!("statefulset-orders-database-{index}");
    if kind == "Plan" {
        let delete = |n| json!({"action": "delete", "object": {"kind": "BackupConfiguration", "namespace": "shop", "name": format!("{name}-{n}")}, "reason": {"code": "TargetGone"}});
        return json!({"kind": kind, "steps": [], "deletes": (0..10_000).map(delete).collect::<Vec<_>>()});
    }
    let run = json!({
        "runtimeSettings": {"container": {
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
            "securityContext": {"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}},
        }},
        "target": {"ref": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name}},
    });
    let mut spec = json!({
        "schedule": format!("{} {} * * *", index % 60, index % 7), "repository": {"name": name}, "paused": true,
        "backend": {
            "s3": {"endpoint": format!("https://s3-{index}.eu-central-1.amazonaws.com"), "bucket": format!("acme-{index}"), "prefix": format!("prod/prod-shop/statefulset/{name}")},
            "storageSecretName": format!("backup-storage-{index}"),
        },
        "retentionPolicy": {"name": name, "keepDaily": 14 + index, "keepMonthly": 3, "prune": true},
        "reason": format!("INC-{index}: a faulty job deleted everything"), "existing": "delete", "backupBefore": true,
        "runtimeSettings": run["runtimeSettings"], "target": run["target"],
    });
    if kind == "BackupBatch" {
        spec["members"] = json!([run, run, run, run]);
    }
    json!({
        "kind": kind, "spec": spec,
        "metadata": {
            "name": name, "namespace": "prod-shop", "labels": {"backup.holdfast.dev/tier": "critical"},
            "annotations": {"holdfast.dev/paused-until": format!("20{:02}-12-01", index % 100), "note": name},
        },
    })
}

#[test]
fn docs_policies_are_those_that_are_shipped() {
    let mut page = format!(
        "# Policies to copy\n\n{GENERATED}\nEach folder of [policies](../policies) is one policy with its cases. Copy those that you want into a source, change what their\ncomments name, and keep the cases beside them: `holdfast check` runs them.\n\n| policy | judges | says |\n|---|---|---|\n"
    );
    for one in shipped() {
        let (judges, action) = (judges(&one.policy["spec"]), says(&one.policy["spec"]));
        writeln!(page, "| [{}](#{}) | {judges} | {action} |", one.name, one.name).unwrap();
    }
    for one in shipped() {
        let (comment, document): (Vec<&str>, Vec<&str>) = one.text.lines().partition(|line| line.starts_with('#'));
        let comment: Vec<&str> = comment.iter().map(|line| line.trim_start_matches('#').trim()).collect();
        assert!(comment.len() >= 3, "{} does not say what it is for", one.name);
        write!(page, "\n## {}\n\n{}\n\n", one.name, comment.join("\n").replace("To adapt:", "\nTo adapt:")).unwrap();
        write!(page, "```yaml\n{}\n```\n", document.join("\n")).unwrap();
        match one.cases.len() {
            0 => writeln!(page, "\nTry it: `holdfast check git --cluster dump.yaml --coverage` with `policies/{}/policy.yaml` in `git`.", one.name),
            count => writeln!(page, "\nTry it: `holdfast check policies/{}` runs its {count} cases.", one.name),
        }
        .unwrap();
    }
    compare("docs/policies.md", &page);
}

fn judges(spec: &Value) -> String {
    let list =
        |list: &Value| list.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    match spec.get("coverage") {
        Some(coverage) => format!("coverage of {}", list(&coverage["kinds"])),
        None => list(&spec["match"]["kinds"]),
    }
}

fn says(spec: &Value) -> &str {
    if spec.get("coverage").is_some() { "finding" } else { spec["actions"][0].as_str().unwrap_or("Deny") }
}
