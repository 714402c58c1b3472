//! What every plan keeps, whatever the source and the cluster. Each property kills a mutant of `tests/mutants/`,
//! which `tests/mutants.sh` proves.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::model::address::Address;
use holdfast::model::desired::Desired;
use holdfast::model::names::is_subdomain;
use holdfast::model::object::{Kind, TargetKey};
use holdfast::model::plan::{Action, Plan, Standing};
use holdfast::model::{redact, retention, substitution};
use holdfast::plan::Settings;
use holdfast::plan::render::{Palette, diff, json as plan_json, summary, yaml as plan_yaml};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{Cluster, desired};

const CASES: u32 = 256;
const NAMESPACES: [&str; 2] = ["shop", "infra"];
const KINDS: [(&str, &str); 4] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("v1", "PersistentVolumeClaim"),
    ("appcatalog.appscode.com/v1alpha1", "AppBinding"),
];

/// A source by its decisions, so that a later one can differ in one of them.
#[derive(Clone, Debug)]
struct Source {
    /// By name: keep-daily, prefix style, schedule minute, wrong field.
    blueprints: BTreeMap<&'static str, (u8, u8, u8, bool)>,
    configuration: Option<u8>,
    broken_file: bool,
}

#[derive(Clone, Debug)]
struct Target {
    kind: usize,
    namespace: usize,
    name: &'static str,
    /// The annotation's text.
    asks: &'static str,
    paths: bool,
    minute: Option<u8>,
}

#[derive(Clone, Debug)]
struct Scene {
    source: Source,
    targets: Vec<Target>,
    foreign: Vec<(usize, &'static str)>,
}

impl Source {
    fn files(&self) -> Vec<(String, String)> {
        let mut files: Vec<(String, String)> =
            self.blueprints.iter().map(|(name, dials)| (format!("{name}.yaml"), blueprint(name, *dials))).collect();
        if let Some(keep) = self.configuration {
            files.push(("hand.yaml".to_owned(), configuration(keep)));
        }
        if self.broken_file {
            files.push(("broken.yaml".to_owned(), "stash.appscode.com/: [".to_owned()));
        }
        files
    }

    fn desired(&self) -> Desired {
        desired(&self.files())
    }
}

fn blueprint(name: &str, (keep, style, minute, wrong): (u8, u8, u8, bool)) -> String {
    let prefix = match style {
        0 => format!("{name}/${{TARGET_NAMESPACE}}/${{TARGET_KIND}}/${{TARGET_NAME}}"),
        1 => format!("moved/{name}/${{TARGET_NAMESPACE}}/${{TARGET_KIND}}/${{TARGET_NAME}}"),
        2 => format!("{name}/${{TARGET_NAME}}"),
        _ => format!("{name}/${{zone:=z}}/${{TARGET_APP_RESOURCE}}"),
    };
    let keep_field = if wrong { "keepDaily: many".to_owned() } else { format!("keepDaily: {}", u32::from(keep) + 1) };
    format!(
        "apiVersion: stash.appscode.com/v1beta1\nkind: BackupBlueprint\nmetadata: {{name: {name}}}\nspec:\n  backend:\n    gcs: {{bucket: b, prefix: '{prefix}'}}\n    storageSecretName: s\n  schedule: {minute} * * * *\n  retentionPolicy: {{name: p, {keep_field}, prune: true}}\n"
    )
}

fn configuration(keep: u8) -> String {
    format!(
        "apiVersion: stash.appscode.com/v1alpha1\nkind: Repository\nmetadata: {{name: hand, namespace: shop}}\nspec:\n  backend: {{rest: {{url: 'https://planted:pass@h/hand'}}, storageSecretName: s}}\n---\napiVersion: stash.appscode.com/v1beta1\nkind: BackupConfiguration\nmetadata: {{name: hand, namespace: shop}}\nspec:\n  repository: {{name: hand}}\n  schedule: 1 1 * * *\n  retentionPolicy: {{name: p, keepLast: {}, prune: true}}\n  target:\n    ref: {{apiVersion: apps/v1, kind: StatefulSet, name: b}}\n    paths: [/d]\n    volumeMounts: [{{name: d, mountPath: /d}}]\n",
        u32::from(keep) + 1
    )
}

impl Target {
    fn manifest(&self) -> Value {
        let (api_version, kind) = KINDS[self.kind];
        let mut annotations = json!({});
        if !self.asks.is_empty() {
            annotations["stash.appscode.com/backup-blueprint"] = self.asks.into();
        }
        if self.paths {
            annotations["stash.appscode.com/target-paths"] = "/d".into();
            annotations["stash.appscode.com/volume-mounts"] = "d:/d".into();
        }
        if let Some(minute) = self.minute {
            annotations["stash.appscode.com/schedule"] = format!("{minute} * * * *").into();
        }
        json!({"apiVersion": api_version, "kind": kind, "spec": {"type": "g/r", "version": "1"},
            "metadata": {"name": self.name, "namespace": NAMESPACES[self.namespace], "annotations": annotations}})
    }
}

impl Scene {
    fn cluster(&self) -> Cluster {
        let mut cluster = Cluster::default();
        self.put(&mut cluster);
        cluster
    }

    /// Replaces what is not ours to write in a cluster.
    fn put(&self, cluster: &mut Cluster) {
        cluster
            .documents
            .retain(|object| object["apiVersion"].as_str().is_some_and(|version| version.starts_with("stash")));
        for name in NAMESPACES {
            cluster.documents.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        }
        let mut seen = BTreeSet::new();
        for target in self.targets.iter().filter(|target| seen.insert((target.kind, target.namespace, target.name))) {
            cluster.documents.push(target.manifest());
        }
        for (namespace, name) in &self.foreign {
            let known = |object: &Value| {
                object["kind"] == "Repository"
                    && object["metadata"]["name"] == *name
                    && object["metadata"]["namespace"] == NAMESPACES[*namespace]
            };
            if !cluster.documents.iter().any(known) {
                cluster.documents.push(json!({"apiVersion": "stash.appscode.com/v1alpha1", "kind": "Repository",
                    "metadata": {"name": name, "namespace": NAMESPACES[*namespace], "uid": format!("uid-{namespace}-{name}"),
                        "managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}}]},
                    "spec": {"backend": {"gcs": {"bucket": "other", "prefix": name}}}}));
            }
        }
    }
}

fn source() -> impl Strategy<Value = Source> {
    let dials = || {
        prop::option::weighted(
            0.8,
            (6..9u8, prop_oneof![6 => Just(0u8), 1 => 1..4u8], 0..3u8, prop::bool::weighted(0.08)),
        )
    };
    (dials(), dials(), prop::option::weighted(0.3, 4..7u8), prop::bool::weighted(0.1)).prop_map(
        |(daily, weekly, configuration, broken_file)| {
            let blueprints = [("daily", daily), ("weekly", weekly)]
                .into_iter()
                .filter_map(|(name, dials)| Some((name, dials?)))
                .collect();
            Source { blueprints, configuration, broken_file }
        },
    )
}

fn target() -> impl Strategy<Value = Target> {
    let asks = prop_oneof![
        6 => Just("daily"), 2 => Just("weekly"), 2 => Just("daily,weekly"), 1 => Just("weekly, daily"),
        2 => Just(""), 1 => Just("daily,,"), 1 => Just("nothing")
    ];
    let long = "abcdefghij-abcdefghij-abcdefghij-abcdefghij-abcdefghij-abcdefghij";
    let name = prop_oneof![4 => Just("a"), 4 => Just("b"), 2 => Just("a.b-c"), 1 => Just(long)];
    (0..4usize, 0..2usize, name, asks, prop::bool::weighted(0.9), prop::option::weighted(0.2, 0..60u8))
        .prop_map(|(kind, namespace, name, asks, paths, minute)| Target { kind, namespace, name, asks, paths, minute })
}

fn scene() -> impl Strategy<Value = Scene> {
    let foreign = prop::collection::vec((0..2usize, prop_oneof![Just("deployment-a"), Just("app-b"), Just("x")]), 0..2);
    (source(), prop::collection::vec(target(), 0..8), foreign).prop_map(|(source, targets, foreign)| Scene {
        source,
        targets,
        foreign,
    })
}

fn now() -> Timestamp {
    "2026-11-21T02:00:00Z".parse().unwrap()
}

fn later(minutes: i64) -> Timestamp {
    now() + SignedDuration::from_mins(minutes)
}

fn plan(scene: &Scene, cluster: &Cluster, now: Timestamp) -> Plan {
    cluster.plan(&scene.source.desired(), &Settings::default(), now)
}

/// A cluster that lived through a scene, with the next one in place.
fn lived(first: &Scene, second: &Scene) -> Cluster {
    let mut cluster = first.cluster();
    cluster.apply(&plan(first, &cluster, now()));
    second.put(&mut cluster);
    cluster
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_is_a_fixed_point(first in scene(), second in scene()) {
        let mut cluster = lived(&first, &second);
        for minutes in [1, 20] {
            let first = plan(&second, &cluster, later(minutes));
            cluster.apply(&first);
            let mut again = plan(&second, &cluster, later(minutes));
            // A configuration that went may have stood in the way of a blueprint.
            if first.steps.iter().any(|step| step.action.as_str() == "delete") {
                cluster.apply(&again);
                again = plan(&second, &cluster, later(minutes));
            }
            prop_assert!(again.steps.is_empty(), "{}", diff(&again, Palette::Plain, &|_| None));
        }
    }

    #[test]
    fn a_pass_that_was_cut_off_is_made_good(first in scene(), second in scene(), cut in any::<prop::sample::Index>()) {
        let cluster = lived(&first, &second);
        let whole = plan(&second, &cluster, later(1));
        let mut straight = cluster.clone();
        straight.apply(&whole);
        let mut broken = cluster;
        for step in &whole.steps[..cut.index(whole.steps.len() + 1)] {
            broken.take(step, later(1));
        }
        broken.apply(&plan(&second, &broken, later(1)));
        prop_assert_eq!(broken.state(), straight.state());
    }

    #[test]
    fn the_order_of_inputs_is_no_matter(first in scene(), second in scene(), turn in 0..9usize) {
        let cluster = lived(&first, &second);
        let mut other = cluster.clone();
        other.documents.reverse();
        let middle = turn.min(other.documents.len());
        other.documents.rotate_left(middle);
        let (one, two) = (plan(&second, &cluster, later(1)), plan(&second, &other, later(1)));
        prop_assert_eq!(plan_json(&one, None), plan_json(&two, None));
    }

    #[test]
    fn no_step_touches_what_is_not_ours(first in scene(), second in scene()) {
        let cluster = lived(&first, &second);
        let observed = cluster.observed();
        for step in plan(&second, &cluster, later(20)).steps {
            match (&step.action, observed.objects.get(&step.object)) {
                (Action::Create { .. }, live) => prop_assert!(live.is_none(), "{} exists", step.object),
                (Action::Update { .. } | Action::Delete { .. }, live) => {
                    let live = live.unwrap();
                    prop_assert!(live.is_ours(), "{} is not ours", step.object);
                    let wrote = live.owned.as_ref().is_none_or(|owned| owned.ours().next().is_some());
                    prop_assert!(wrote && live.annotations.contains_key("holdfast.dev/source"), "{}", step.object);
                }
            }
        }
    }

    #[test]
    fn nothing_goes_for_want_of_what_was_not_listed(first in scene(), second in scene(), kind in 0..4usize) {
        let mut cluster = lived(&first, &second);
        cluster.apply(&plan(&second, &cluster, later(1)));
        // The list of that kind ended early: some of its objects are not known.
        let (api_version, kind) = KINDS[kind];
        let listed: Vec<Value> = cluster.documents.iter().filter(|object| object["kind"] == kind).cloned().collect();
        cluster.documents.retain(|object| object["kind"] != kind);
        cluster.documents.push(json!({"apiVersion": "v1", "kind": "List",
            "metadata": {"continue": format!("{api_version}/{kind} x")}, "items": listed[..listed.len() / 2]}));
        for step in plan(&second, &cluster, later(40)).steps {
            let of_kind = step.reason.target.as_ref().is_some_and(|target| target.kind.as_str() == kind);
            let deletes = matches!(step.action, Action::Delete { .. });
            prop_assert!(!(deletes && of_kind), "{} is deleted", step.object);
        }
    }

    #[test]
    fn nothing_goes_for_want_of_what_is_held(first in scene(), second in scene()) {
        let mut second = second;
        let mut cluster = lived(&first, &second);
        cluster.apply(&plan(&second, &cluster, later(1)));
        second.source.broken_file = true;
        for step in plan(&second, &cluster, later(40)).steps {
            let by_document = matches!(step.reason.code.as_str(), "BlueprintGone" | "DocumentGone");
            prop_assert!(!by_document, "{} {}", step.object, step.reason.message);
        }
    }

    #[test]
    fn removing_a_blueprint_touches_only_what_came_from_it(first in scene()) {
        let mut first = first;
        first.source.broken_file = false;
        let mut cluster = first.cluster();
        cluster.apply(&plan(&first, &cluster, now()));
        let before = plan(&first, &cluster, later(1)).steps.len();
        prop_assert_eq!(before, 0);
        let mut second = first.clone();
        second.source.blueprints.remove("daily");
        for minutes in [1, 20] {
            let plan = plan(&second, &cluster, later(minutes));
            for step in &plan.steps {
                prop_assert_eq!(step.reason.blueprint.as_deref(), Some("daily"), "{}", step.object);
            }
            cluster.apply(&plan);
        }
    }

    #[test]
    fn a_repository_is_never_deleted(first in scene(), second in scene()) {
        let mut cluster = lived(&first, &second);
        for minutes in [1, 20, 90] {
            let plan = plan(&second, &cluster, later(minutes));
            for step in &plan.steps {
                let deletes = step.action.as_str() == "delete";
                prop_assert!(step.object.kind != Kind::Repository || !deletes, "{} is deleted", step.object);
            }
            cluster.apply(&plan);
        }
    }

    #[test]
    fn names_are_unique_and_fit(first in scene(), second in scene()) {
        let cluster = lived(&first, &second);
        let plan = plan(&second, &cluster, later(1));
        let mut seen = BTreeSet::new();
        for step in &plan.steps {
            prop_assert!(seen.insert(&step.object), "{} twice", step.object);
            prop_assert!(step.object.name.len() <= 63 && is_subdomain(&step.object.name), "{}", step.object);
        }
        let mut holders = BTreeMap::new();
        for protection in plan.protections.iter().filter(|protection| protection.standing == Standing::Wanted) {
            let identity = (&protection.target, &protection.blueprint);
            for key in [&protection.repository, &protection.configuration].into_iter().flatten() {
                prop_assert!(holders.insert(key, identity).is_none_or(|other| other == identity), "{} is shared", key);
            }
        }
    }

    #[test]
    fn whoever_asks_gets_a_backup_or_an_answer(first in scene(), second in scene()) {
        let cluster = lived(&first, &second);
        let observed = cluster.observed();
        let plan = plan(&second, &cluster, later(1));
        for (key, target) in &observed.targets {
            let Some(asks) = target.annotations.get("stash.appscode.com/backup-blueprint") else { continue };
            let refused = plan.refusals.iter().any(|refusal| refusal.target.as_ref() == Some(key));
            for name in asks.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                let protection = plan.protections.iter().find(|protection| protection.target == *key && protection.blueprint.as_deref() == Some(name));
                let in_force = protection.and_then(|protection| protection.configuration.as_ref());
                let there = in_force.is_some_and(|key| observed.objects.contains_key(key) || plan.steps.iter().any(|step| step.object == *key));
                prop_assert!(there || refused, "{} asks for {} and hears nothing", key, name);
            }
        }
    }

    #[test]
    fn no_two_identities_share_a_place(first in scene(), second in scene()) {
        let mut cluster = lived(&first, &second);
        cluster.apply(&plan(&second, &cluster, later(1)));
        let observed = cluster.observed();
        let addresses: Vec<(Option<(TargetKey, String)>, Address)> = observed
            .objects
            .iter()
            .filter(|(key, _)| key.kind == Kind::Repository)
            .filter_map(|(key, live)| {
                let identity = live.identity().map(|(target, blueprint)| (target, blueprint.to_owned()));
                Some((identity, Address::of(&live.spec()["backend"], &key.namespace).ok()?))
            })
            .collect();
        for (index, (one, place)) in addresses.iter().enumerate() {
            for (other, there) in addresses[index + 1..].iter().filter(|(other, _)| other.is_some() && one.is_some()) {
                prop_assert!(!place.overlaps(there), "{:?} and {:?} share {}", one, other, place);
            }
        }
    }

    #[test]
    fn deletes_stay_within_the_guards(first in scene()) {
        let mut cluster = first.cluster();
        cluster.apply(&plan(&first, &cluster, now()));
        let configurations = cluster.observed().objects.iter().filter(|(key, live)| key.kind != Kind::Repository && live.is_ours()).count();
        let empty = Scene { source: Source { blueprints: BTreeMap::new(), configuration: None, broken_file: false }, ..first };
        cluster.apply(&plan(&empty, &cluster, later(1)));
        let plan = plan(&empty, &cluster, later(20));
        let deletes = plan.steps.iter().filter(|step| matches!(step.action, Action::Delete { .. })).count();
        prop_assert!(deletes <= 10 && (deletes < 3 || deletes * 2 <= configurations), "{} of {}", deletes, configurations);
    }

    #[test]
    fn nothing_is_deleted_before_its_delay(first in scene(), second in scene(), minutes in 1..10i64) {
        let mut cluster = lived(&first, &second);
        cluster.apply(&plan(&second, &cluster, later(1)));
        let early = plan(&second, &cluster, later(minutes));
        let deletes = early.steps.iter().filter(|step| step.action.as_str() == "delete").count();
        prop_assert_eq!(deletes, 0);
    }

    #[test]
    fn a_planted_secret_is_in_no_rendering(first in scene(), second in scene()) {
        let mut second = second;
        second.source.configuration = Some(5);
        let cluster = lived(&first, &second);
        let plan = plan(&second, &cluster, later(1));
        for text in [
            plan_json(&plan, None),
            plan_yaml(&plan, None),
            summary(&plan, Palette::Colour),
            diff(&plan, Palette::Colour, &|_| None),
        ] {
            prop_assert!(!text.contains("planted") && !text.contains("pass@"), "{}", text);
        }
    }

    #[test]
    fn user_info_goes_from_any_text(before in "[a-z :/@]{0,12}", user in "[a-z]{1,5}", after in "[a-z/@. ]{0,12}") {
        let text = format!("{before} s://{user}QQ:QQ@host/{after}");
        prop_assert!(!redact::text(&text).contains("QQ"), "{}", redact::text(&text));
        let plain = text.replace('@', "");
        prop_assert_eq!(redact::text(&plain), plain.as_str());
    }

    #[test]
    fn weaker_retention_is_whatever_keeps_fewer(from in policy(), to in policy()) {
        let weaker = !retention::weakened(&from, &to).is_empty();
        prop_assert_eq!(weaker, loses(&from, &to), "{} to {}", from, to);
        prop_assert!(retention::weakened(&from, &from).is_empty());
    }

    #[test]
    fn overlap_is_symmetric_and_by_segments(one in "[a-c/]{0,6}", two in "[a-c/]{0,6}") {
        let of = |prefix: &str| Address::of(&json!({"gcs": {"bucket": "b", "prefix": prefix}}), "n").unwrap();
        let (first, second) = (of(&one), of(&two));
        prop_assert_eq!(first.overlaps(&second), second.overlaps(&first));
        let parts = |text: &str| text.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        let (one, two) = (parts(&one), parts(&two));
        prop_assert_eq!(first.overlaps(&second), one.starts_with(&two) || two.starts_with(&one));
        prop_assert!(first.ancestors().all(|ancestor| first.as_str().starts_with(ancestor)));
    }

    #[test]
    fn a_value_is_never_expanded_again(value in "[$a-z{}:=V]{0,12}", text in "[a-z/]{0,6}") {
        let filled = substitution::expand(&format!("{text}${{V}}{text}"), |_| Some(&value)).unwrap();
        prop_assert_eq!(filled, format!("{text}{value}{text}"));
        let literal = text.replace('$', "$$");
        prop_assert_eq!(substitution::expand(&literal, |_| None).unwrap(), text);
    }
}

fn policy() -> impl Strategy<Value = Value> {
    let tags = prop::collection::btree_set(prop_oneof![Just("x"), Just("y")], 0..3);
    (0..4u8, 0..4u8, tags, any::<bool>(), any::<bool>()).prop_map(|(last, daily, tags, prune, dry_run)| {
        let mut policy = json!({"name": "p", "keepTags": tags, "prune": prune, "dryRun": dry_run});
        for (field, count) in [("keepLast", last), ("keepDaily", daily)].into_iter().filter(|(_, count)| *count > 0) {
            policy[field] = count.into();
        }
        policy
    })
}

/// The model: what a policy keeps, as numbers and sets; none at all keeps everything.
fn loses(from: &Value, to: &Value) -> bool {
    let count = |policy: &Value, field: &str| policy[field].as_u64().unwrap_or(0);
    let tags = |policy: &Value| {
        policy["keepTags"].as_array().unwrap().iter().map(ToString::to_string).collect::<BTreeSet<_>>()
    };
    let everything =
        |policy: &Value| count(policy, "keepLast") + count(policy, "keepDaily") == 0 && tags(policy).is_empty();
    let removes = |policy: &Value, flag: &str| policy[flag] == true;
    let more_removal =
        (!removes(from, "prune") && removes(to, "prune")) || (removes(from, "dryRun") && !removes(to, "dryRun"));
    let fewer = ["keepLast", "keepDaily"].iter().any(|field| count(to, field) < count(from, field))
        || !tags(to).is_superset(&tags(from));
    more_removal || (!everything(to) && (everything(from) || fewer))
}
