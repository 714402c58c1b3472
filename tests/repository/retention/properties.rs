//! What retention promises, on any history.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::repository::retention::{Counted, GroupBy, Keep, Own, Scope, TagList, Target, Untagged, decide};
use holdfast::repository::{BlobId, FileId, INCOMPLETE, Snapshot, Summary};
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::model::{self, Rules, World, verdicts};

const OWN: &str = "holdfast-target=shop/Deployment/web";
const TAGS: [&str; 5] = ["a", "b", OWN, "holdfast-target=shop/Deployment/web2", INCOMPLETE];
const GROUPINGS: [&str; 5] = ["host,paths", "host", "tags", "paths,tags", ""];
/// Some with a fifth of another, and one byte beside it.
const BYTES: [u64; 8] = [0, 1, 4, 5, 19, 20, 100, u64::MAX];

fn config() -> ProptestConfig {
    ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() }
}

/// Within some hours, or years: so that every rule has something to count.
fn time() -> impl Strategy<Value = jiff::Zoned> {
    let second = prop_oneof![0..4i64, 0..40_000i64, 0..4_000_000i64, 0..100_000_000i64];
    (second, select(vec![-720, -300, 0, 0, 60, 345, 840])).prop_map(|(second, minutes)| {
        let zone = TimeZone::fixed(Offset::from_seconds(minutes * 60).expect("of this world"));
        Timestamp::from_second(1_767_052_800 + second).expect("of this century").to_zoned(zone)
    })
}

/// Mostly of the target and complete.
fn tags() -> impl Strategy<Value = Vec<String>> {
    let some = prop_oneof![
        4 => Just(vec![OWN]),
        2 => Just(vec![]),
        2 => Just(vec![INCOMPLETE, OWN]),
        4 => subsequence(TAGS.to_vec(), 0..4).prop_shuffle(),
    ];
    some.prop_map(|tags| tags.into_iter().map(str::to_owned).collect())
}

prop_compose! {
    fn snapshot()(
        name in any::<[u8; 32]>(),
        time in time(),
        host in select(vec!["host-0", "host-0", "host-0", "host-1"]),
        paths in select(vec![vec!["/a"], vec!["/a"], vec!["/a", "/b"], vec!["/b", "/a"]]),
        tags in tags(),
        bytes in prop::option::weighted(0.8, select(BYTES.to_vec())),
    ) -> Snapshot {
        Snapshot {
            id: FileId(name),
            time,
            host: host.to_owned(),
            username: "backup".to_owned(),
            paths: paths.into_iter().map(str::to_owned).collect(),
            tags,
            tree: BlobId([0; 32]),
            bytes,
            files: None,
            original: None,
        summary: Summary::default(),
        }
    }
}

fn history() -> impl Strategy<Value = Vec<Snapshot>> {
    prop::collection::vec(snapshot(), 0..24)
}

fn rules() -> impl Strategy<Value = Rules> {
    let count = || prop_oneof![4 => Just(0i64), 1 => Just(-1), 4 => 1..6i64];
    let tags = select(vec!["a", "b", "a,b", "b, a", OWN]);
    (prop::array::uniform6(count()), prop::collection::vec(tags, 0..2))
        .prop_map(|(counts, tags)| Rules { counts, tags: tags.into_iter().map(str::to_owned).collect() })
}

fn keep(rules: &Rules) -> Keep {
    Keep::new(Counted::ALL.into_iter().zip(rules.counts), rules.tags.iter().map(|tags| TagList::parse(tags)))
}

fn own(untagged: Untagged, acknowledged: BTreeSet<FileId>) -> Scope {
    let target = Target::new("shop", "Deployment", "web").expect("names");
    assert_eq!(target.to_string(), OWN);
    Scope::Own(Own { target, untagged, acknowledged })
}

prop_compose! {
    /// A history, and some of its snapshots acknowledged.
    fn owned()(
        history in history(),
        some in prop::collection::vec(any::<Index>(), 0..4),
        untagged in select(vec![Untagged::Join, Untagged::Hold]),
    ) -> (Vec<Snapshot>, Untagged, BTreeSet<FileId>) {
        let some = if history.is_empty() { Vec::new() } else { some };
        let acknowledged = some.iter().map(|index| index.get(&history).id).collect();
        (history, untagged, acknowledged)
    }
}

prop_compose! {
    fn scoped()((history, untagged, acknowledged) in owned(), by in prop::option::of(select(GROUPINGS.to_vec())))
        -> (Vec<Snapshot>, Scope) {
        let scope = match by {
            Some(by) => Scope::Repository(by.parse::<GroupBy>().expect("a grouping")),
            None => own(untagged, acknowledged),
        };
        (history, scope)
    }
}

fn removed(history: &[Snapshot], keep: &Keep, scope: &Scope) -> BTreeSet<FileId> {
    let verdicts = verdicts(&decide(history, keep, scope));
    verdicts.into_iter().filter(|(_, verdict)| verdict == "remove").map(|(id, _)| id).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_repository_is_judged_as_the_model_does(
        history in history(), rules in rules(), by in select(GROUPINGS.to_vec()),
    ) {
        let scope = Scope::Repository(by.parse().expect("a grouping"));
        let said = verdicts(&decide(&history, &keep(&rules), &scope));
        let expected: BTreeMap<_, _> =
            history.iter().map(|this| (this.id, model::forget(&history, this, &rules, by))).collect();
        prop_assert_eq!(said, expected);
    }

    #[test]
    fn a_target_is_judged_as_the_model_does((history, untagged, acknowledged) in owned(), rules in rules()) {
        let said = verdicts(&decide(&history, &keep(&rules), &own(untagged, acknowledged.clone())));
        let world = World {
            all: &history,
            rules: &rules,
            target: OWN,
            only_one_invoker: untagged == Untagged::Join,
            acknowledged: &acknowledged,
        };
        let expected: BTreeMap<_, _> = history.iter().map(|this| (this.id, world.verdict(this))).collect();
        prop_assert_eq!(said, expected);
    }

    #[test]
    fn the_order_of_a_listing_decides_nothing((history, scope) in scoped(), rules in rules(), turn in any::<Index>()) {
        let mut listed = history.clone();
        listed.reverse();
        if !listed.is_empty() {
            let turn = turn.index(listed.len());
            listed.rotate_left(turn);
            listed.push(history[turn].clone());
        }
        prop_assert_eq!(decide(&listed, &keep(&rules), &scope), decide(&history, &keep(&rules), &scope));
    }

    #[test]
    fn what_stayed_once_stays_the_next_time((history, scope) in scoped(), rules in rules()) {
        let keep = keep(&rules);
        let gone = removed(&history, &keep, &scope);
        let left: Vec<_> = history.iter().filter(|snapshot| !gone.contains(&snapshot.id)).cloned().collect();
        prop_assert_eq!(removed(&left, &keep, &scope), BTreeSet::new());
        let kept = |history| {
            let verdicts = verdicts(&decide(history, &keep, &scope)).into_iter();
            verdicts.filter(|(_, verdict)| verdict.starts_with("keep")).collect::<Vec<_>>()
        };
        prop_assert_eq!(kept(&left), kept(&history));
    }

    #[test]
    fn more_generous_rules_remove_no_more(
        (history, scope) in scoped(), rules in rules(), more in prop::array::uniform6(0..3i64), tag in select(TAGS.to_vec()),
    ) {
        prop_assume!(!keep(&rules).is_empty());
        let counts = std::array::from_fn(|at| rules.counts[at].max(0) + more[at]);
        let tags = rules.tags.iter().cloned().chain([tag.to_owned()]).collect();
        let generous = removed(&history, &keep(&Rules { counts, tags }), &scope);
        let strict = removed(&history, &keep(&rules), &scope);
        prop_assert!(generous.is_subset(&strict), "{generous:?} but {strict:?}");
    }

    #[test]
    fn the_newest_complete_one_stays((history, untagged, acknowledged) in owned(), rules in rules()) {
        let gone = removed(&history, &keep(&rules), &own(untagged, acknowledged));
        let complete = |snapshot: &&Snapshot| {
            let targets = snapshot.tags.iter().filter(|tag| tag.starts_with("holdfast-target=")).collect::<Vec<_>>();
            let ours = targets == [OWN] || targets.is_empty() && untagged == Untagged::Join;
            ours && !snapshot.tags.iter().any(|tag| tag == INCOMPLETE)
        };
        for removed in history.iter().filter(|snapshot| gone.contains(&snapshot.id)) {
            let paths = |snapshot: &Snapshot| snapshot.paths.iter().cloned().collect::<BTreeSet<_>>();
            let beside = |other: &&Snapshot| other.host == removed.host && paths(other) == paths(removed);
            let mut newer = history.iter().filter(complete).filter(beside).filter(|other| other.time >= removed.time);
            prop_assert!(newer.any(|other| !gone.contains(&other.id)), "nothing newer stays: {removed:?}");
        }
    }

    #[test]
    fn what_belongs_to_others_is_not_touched((history, untagged, acknowledged) in owned(), rules in rules()) {
        let gone = removed(&history, &keep(&rules), &own(untagged, acknowledged));
        for removed in history.iter().filter(|snapshot| gone.contains(&snapshot.id)) {
            let targets: Vec<_> = removed.tags.iter().filter(|tag| tag.starts_with("holdfast-target=")).collect();
            prop_assert!(targets.iter().all(|tag| *tag == OWN), "{targets:?}");
            prop_assert!(!targets.is_empty() || untagged == Untagged::Join);
        }
    }
}
