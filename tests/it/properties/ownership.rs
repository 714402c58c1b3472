//! Whose objects a plan touches, and whose place for data it uses.

use holdfast::model::address::Address;
use holdfast::model::object::{Kind, TargetKey};
use holdfast::model::plan::Action;
use proptest::prelude::*;

use super::cases;
use super::scene::{later, lived, plan, scene, settle, waited};

proptest! {
    #![proptest_config(cases())]

    /// The model of the cluster knows by their UIDs which objects came from a plan, whatever they say of themselves.
    #[test]
    fn no_step_touches_what_is_not_ours(first in scene(), second in scene(), late in any::<bool>()) {
        let (cluster, minute) = if late { (waited(&first, &second), later(20)) } else { (lived(&first, &second), later(1)) };
        let observed = cluster.observed();
        for step in plan(&second, &cluster, minute).steps {
            let live = observed.objects.get(&step.object);
            match &step.action {
                Action::Create { .. } => prop_assert!(live.is_none(), "{} exists", step.object),
                Action::Update { uid, .. } | Action::Delete { uid, .. } => {
                    prop_assert!(uid.starts_with("uid-of-write-"), "{} is of somebody else", step.object);
                    prop_assert_eq!(live.map(|live| &live.uid), Some(uid));
                }
            }
        }
    }

    #[test]
    fn removing_a_blueprint_touches_only_what_came_from_it(first in scene()) {
        let mut first = first;
        first.source.broken_file = false;
        let mut cluster = first.cluster();
        settle(&first, &mut cluster, later(0));
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
    fn no_two_identities_share_a_place(first in scene(), second in scene()) {
        let mut cluster = lived(&first, &second);
        cluster.apply(&plan(&second, &cluster, later(1)));
        let observed = cluster.observed();
        let addresses: Vec<(Option<(TargetKey, String)>, Address)> = observed
            .objects
            .iter()
            .filter(|(key, live)| key.kind == Kind::Repository && live.uid.starts_with("uid-of-write-"))
            .filter_map(|(key, live)| {
                let identity = live.identity().map(|(target, blueprint)| (target, blueprint.to_owned()));
                Some((identity, Address::of(&live.spec()["backend"], &key.namespace).ok()?))
            })
            .collect();
        for (index, (one, place)) in addresses.iter().enumerate() {
            for (other, there) in &addresses[index + 1..] {
                prop_assert!(!place.overlaps(there), "{:?} and {:?} share {}", one, other, place);
            }
        }
    }
}
