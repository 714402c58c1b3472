//! Values that plans are made of, against small models of what they mean.

use std::collections::BTreeSet;

use holdfast::model::address::Address;
use holdfast::model::{retention, substitution};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::cases;

proptest! {
    #![proptest_config(cases())]

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
