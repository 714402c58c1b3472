//! Plans as a whole: they end, a cut does no harm, order is no matter, and whoever asks gets an answer.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::model::finding::ReasonCode;
use holdfast::model::names::is_subdomain;
use holdfast::model::plan::{Group, Standing};
use holdfast::plan::Settings;
use holdfast::plan::render::{Palette, diff, json as plan_json};
use proptest::prelude::*;

use super::cases;
use super::scene::{Claims, Foreign, Scene, Source, Target, later, lived, plan, scene, settle, waited};
use crate::world::desired;
use crate::yaml_positions::Random;

fn shuffle<T>(items: &mut [T], random: &mut Random) {
    for end in (1..items.len()).rev() {
        items.swap(end, random.below(end + 1));
    }
}

proptest! {
    #![proptest_config(cases())]

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
    fn a_pass_that_was_cut_off_is_made_good(first in scene(), second in scene(), late in any::<bool>(), cut in any::<prop::sample::Index>()) {
        let (cluster, minute) = if late { (waited(&first, &second), later(20)) } else { (lived(&first, &second), later(1)) };
        let whole = plan(&second, &cluster, minute);
        let mut straight = cluster.clone();
        settle(&second, &mut straight, minute);
        let mut broken = cluster;
        for step in &whole.steps[..cut.index(whole.steps.len() + 1)] {
            broken.take(step, minute);
        }
        settle(&second, &mut broken, minute);
        prop_assert_eq!(broken.state(), straight.state());
    }

    #[test]
    fn the_order_of_inputs_is_no_matter(first in scene(), second in scene(), seed in any::<u64>()) {
        let cluster = lived(&first, &second);
        let one = plan(&second, &cluster, later(1));
        let mut random = Random(seed);
        let (mut other, mut files) = (cluster, second.source.files());
        shuffle(&mut other.documents, &mut random);
        shuffle(&mut files, &mut random);
        let two = other.plan(&desired(&files), &Settings::default(), later(1));
        prop_assert_eq!(plan_json(&one, None), plan_json(&two, None));
        prop_assert_eq!(one, two);
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
    fn what_is_refused_is_in_no_step_and_named(first in scene(), second in scene(), late in any::<bool>()) {
        let (cluster, minute) = if late { (waited(&first, &second), later(20)) } else { (lived(&first, &second), later(1)) };
        let plan = plan(&second, &cluster, minute);
        // The mark of a missing cause may go, since that only begins a delay anew.
        let steps: Vec<_> = plan.steps.iter().filter(|step| step.reason.code != ReasonCode::CauseBack).collect();
        for refusal in &plan.refusals {
            let about = steps.iter().find(|step| Some(&step.object) == refusal.object.as_ref());
            prop_assert!(about.is_none(), "{} is refused and done: {}", refusal.message, about.unwrap().object);
            prop_assert!(refusal.object.is_some() || refusal.target.is_some(), "{} is about nothing", refusal.message);
        }
        for protection in plan.protections.iter().filter(|one| one.standing == Standing::Refused) {
            let named = |refusal: &holdfast::model::plan::Refusal| {
                refusal.target.as_ref() == Some(&protection.target) || refusal.object == protection.configuration
            };
            prop_assert!(plan.refusals.iter().any(named), "{} is refused and nothing says why", protection.target);
            let Some(blueprint) = protection.blueprint.clone() else { continue };
            let group = Group::Generated { target: protection.target.clone(), blueprint };
            let half = steps.iter().find(|step| step.group == group);
            prop_assert!(half.is_none(), "{} is one half of a pair that is refused", half.unwrap().object);
        }
    }
}

/// One target is refused, but the name that its second blueprint would get is that of the other target.
#[test]
fn a_cut_between_two_halves_changes_no_name() {
    let target = |name, asks| Target { kind: 0, namespace: 0, name, asks, paths: true, minute: None };
    let blueprints = BTreeMap::from([("daily", (6, 0, 0, false)), ("weekly", (6, 0, 0, false))]);
    let scene = Scene {
        source: Source { blueprints, ..Source::default() },
        targets: vec![target("a", "daily,weekly"), target("a-weekly", "daily")],
        foreign: vec![Foreign { namespace: 0, name: "deployment-a", claims: Claims::Nothing }],
    };
    let (mut straight, mut broken) = (scene.cluster(), scene.cluster());
    let whole = plan(&scene, &straight, later(0));
    assert_eq!(whole.steps.len(), 2, "{:?}", whole.steps);
    broken.take(&whole.steps[0], later(0));
    settle(&scene, &mut broken, later(0));
    settle(&scene, &mut straight, later(0));
    assert_eq!(broken.state(), straight.state());
}
