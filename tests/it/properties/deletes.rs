//! What is never deleted, and what is not deleted yet.

use holdfast::model::finding::ReasonCode;
use holdfast::model::object::Kind;
use holdfast::model::plan::{Action, Step};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::cases;
use super::scene::{KINDS, Scene, Source, later, lived, plan, scene, settle, waited};

/// Collections whose list may end early: those of targets, of what is written, and of blueprints.
const CUT: [(&str, &str); 6] = [
    KINDS[0],
    KINDS[1],
    KINDS[2],
    KINDS[3],
    ("stash.appscode.com/v1beta1", "BackupConfiguration"),
    ("stash.appscode.com/v1beta1", "BackupBlueprint"),
];

/// A delete, or the mark that is the first half of one.
fn removes(step: &Step) -> bool {
    matches!(step.action, Action::Delete { .. }) || step.reason.code == ReasonCode::CauseMissing
}

fn deletes(steps: &[Step]) -> usize {
    steps.iter().filter(|step| matches!(step.action, Action::Delete { .. })).count()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn nothing_goes_for_want_of_what_was_not_listed(first in scene(), second in scene(), cut in 0..CUT.len(), marked in any::<bool>()) {
        let mut second = second;
        let (api_version, kind) = CUT[cut];
        if kind == "BackupBlueprint" {
            // Those that Git no longer has may be in the cluster.
            second.source.blueprints.clear();
        }
        let mut cluster = if marked { waited(&first, &second) } else { lived(&first, &second) };
        let (listed, rest): (Vec<Value>, Vec<Value>) = cluster.documents.drain(..).partition(|object| object["kind"] == kind);
        cluster.documents = rest;
        cluster.documents.push(json!({"apiVersion": "v1", "kind": "List",
            "metadata": {"continue": format!("{api_version}/{kind} x")}, "items": listed[..listed.len() / 2]}));
        for minutes in [20, 40] {
            let plan = plan(&second, &cluster, later(minutes));
            for step in plan.steps.iter().filter(|step| removes(step)) {
                let of_kind = step.reason.target.as_ref().is_some_and(|target| target.kind.as_str() == kind);
                let unknown = match kind {
                    "BackupConfiguration" => step.object.kind == Kind::BackupConfiguration,
                    "BackupBlueprint" => step.reason.message.starts_with("blueprint "),
                    _ => of_kind,
                };
                prop_assert!(!unknown, "{} {}: {}", step.action.as_str(), step.object, step.reason.message);
            }
            cluster.apply(&plan);
        }
    }

    #[test]
    fn nothing_goes_for_want_of_what_is_held(first in scene(), second in scene(), marked in any::<bool>()) {
        let mut second = second;
        let mut cluster = if marked { waited(&first, &second) } else { lived(&first, &second) };
        // Whatever is no longer seen may stand in the file that cannot be read.
        second.source = Source { broken_file: true, ..Source::default() };
        for minutes in [20, 40] {
            let plan = plan(&second, &cluster, later(minutes));
            for step in plan.steps.iter().filter(|step| removes(step)) {
                let by_git = ["blueprint ", "the document "].iter().any(|start| step.reason.message.starts_with(start));
                prop_assert!(!by_git, "{} {}: {}", step.action.as_str(), step.object, step.reason.message);
            }
            cluster.apply(&plan);
        }
    }

    #[test]
    fn a_repository_is_never_deleted(first in scene(), second in scene()) {
        let mut cluster = lived(&first, &second);
        for minutes in [1, 20, 90] {
            let plan = plan(&second, &cluster, later(minutes));
            for step in plan.steps.iter().filter(|step| step.object.kind == Kind::Repository) {
                prop_assert!(!removes(step), "{} {}", step.object, step.reason.message);
            }
            cluster.apply(&plan);
        }
    }

    #[test]
    fn deletes_stay_within_the_guards(first in scene(), again in scene()) {
        let mut cluster = first.cluster();
        settle(&first, &mut cluster, later(0));
        let empty = Scene { source: Source::default(), ..first };
        let configurations = |cluster: &crate::world::Cluster| {
            cluster.observed().objects.iter().filter(|(key, live)| key.kind != Kind::Repository && live.is_ours()).count()
        };
        cluster.apply(&plan(&empty, &cluster, later(1)));
        let before = configurations(&cluster);
        let first = plan(&empty, &cluster, later(20));
        let count = deletes(&first.steps);
        prop_assert!(count <= 10 && (count < 3 || count * 2 <= before), "{} of {}", count, before);
        cluster.apply(&first);
        // The next wish to delete comes within the hour, and the first one counts.
        again.put(&mut cluster);
        settle(&again, &mut cluster, later(21));
        let none = Scene { targets: Vec::new(), ..again };
        none.put(&mut cluster);
        cluster.apply(&plan(&none, &cluster, later(22)));
        let before = configurations(&cluster);
        let second = deletes(&plan(&none, &cluster, later(40)).steps);
        let (going, all) = (count + second, count + before);
        prop_assert!(second == 0 || (going <= 10 && (going < 3 || going * 2 <= all)), "{} and {} of {}", count, second, all);
    }

    #[test]
    fn nothing_is_deleted_before_its_delay(first in scene(), second in scene(), minutes in 1..10i64) {
        let cluster = waited(&first, &second);
        let early = plan(&second, &cluster, later(minutes));
        for step in early.steps.iter().filter(|step| removes(step)) {
            prop_assert!(false, "{} {}: {}", step.action.as_str(), step.object, step.reason.message);
        }
    }
}
