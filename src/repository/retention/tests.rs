//! Examples: one rule each, in words.

use super::*;
use crate::api::retention::RetentionPolicy;
use crate::repository::backup::INCOMPLETE;
use crate::repository::blob::BlobId;
use crate::repository::snapshot::Summary;

const WEB: &str = "holdfast-target=shop/Deployment/web";
const DB: &str = "holdfast-target=shop/StatefulSet/db";

/// Of one host and path; the name says which hour it is of.
fn snapshot(hour: u8, tags: &[&str], bytes: Option<u64>) -> Snapshot {
    let time = jiff::Timestamp::from_second(1_767_225_600 + 3600 * i64::from(hour)).unwrap();
    Snapshot {
        id: FileId([hour; 32]),
        time: time.to_zoned(jiff::tz::TimeZone::UTC),
        host: "host-0".to_owned(),
        username: String::new(),
        paths: vec!["/data".to_owned()],
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        tree: BlobId([0; 32]),
        bytes,
        files: None,
        original: None,
        summary: Summary::default(),
    }
}

fn last(count: i64) -> Keep {
    Keep::new([(Counted::Last, count)], [])
}

fn tagged(tags: &str) -> Keep {
    Keep::new([], [TagList::parse(tags)])
}

fn web(untagged: Untagged, acknowledged: &[u8]) -> Scope {
    let target = Target::new("shop", "Deployment", "web").unwrap();
    let acknowledged = acknowledged.iter().map(|hour| FileId([*hour; 32])).collect();
    Scope::Own(Own { target, untagged, acknowledged })
}

/// Hours with what is said of them, newest first; names of snapshots are cut down to hours.
fn said(snapshots: &[Snapshot], keep: &Keep, scope: &Scope) -> Vec<(u8, String)> {
    let groups = decide(snapshots, keep, scope);
    let said = groups.iter().flat_map(|group| &group.decided).map(|decided| {
        let text = match &decided.decision {
            Decision::Keep(rules) => rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            Decision::Remove => "goes".to_owned(),
            Decision::Hold(hold) => hold.to_string(),
        };
        let hours = (0..24).map(|hour| (FileId([hour; 32]).to_string(), format!("#{hour}")));
        (decided.snapshot.0[0], hours.fold(text, |text, (id, hour)| text.replace(&id, &hour)))
    });
    said.collect()
}

fn expected(said: &[(u8, &str)]) -> Vec<(u8, String)> {
    said.iter().map(|(hour, text)| (*hour, (*text).to_owned())).collect()
}

#[test]
fn rules_come_from_a_policy() {
    let policy: RetentionPolicy = serde_json::from_str(
        r#"{"name": "p", "keepLast": 3, "keepHourly": 0, "keepDaily": -1, "keepYearly": null, "keepTags": ["a, b", "c"], "prune": true}"#,
    )
    .unwrap();
    let tags = || ["a,b", "c"].map(TagList::parse);
    assert_eq!(Keep::from(&policy), Keep::new([(Counted::Last, 3)], tags()));
    let policy: RetentionPolicy =
        serde_json::from_str(r#"{"keepMonthly": 0, "keepWeekly": -7, "keepTags": []}"#).unwrap();
    assert!(Keep::from(&policy).is_empty());
    let all = Keep::new(Counted::ALL.map(|counted| (counted, i64::MAX)), []);
    let group = decide(&[snapshot(1, &[], None)], &all, &Scope::Repository(GroupBy::HOST_AND_PATHS)).remove(0);
    let Decision::Keep(rules) = &group.decided[0].decision else { panic!("{group:?}") };
    assert_eq!(rules.len(), Counted::ALL.len(), "{rules:?}");
}

#[test]
fn restic_keeps_by_tags_as_they_are_written() {
    let all = [snapshot(3, &["a", "b"], None), snapshot(2, &["b"], None), snapshot(1, &[], None)];
    let scope = Scope::Repository(GroupBy::HOST_AND_PATHS);
    let stay = |tags| -> Vec<u8> {
        let said = said(&all, &tagged(tags), &scope).into_iter();
        said.filter(|(_, text)| text != "goes").map(|(hour, _)| hour).collect()
    };
    assert_eq!(stay("b"), [3, 2]);
    assert_eq!(stay(" b ,a"), [3]);
    assert_eq!(stay(""), [1], "without tags");
    assert_eq!(stay(",a"), [1]);
    assert_eq!(stay("a,"), [0; 0]);
    assert_eq!(stay("c"), [0; 0], "restic removes all, and in a whole repository so do we");
    let twice = Keep::new([(Counted::Last, 1)], ["a,b", "b"].map(TagList::parse));
    assert_eq!(said(&all, &twice, &scope)[0].1, "has tags [a, b], has tags [b], last snapshot");
}

#[test]
fn groups_are_named_as_restic_names_them() {
    let by = |host, paths, tags| Ok(GroupBy { host, paths, tags });
    assert_eq!("host,paths".parse(), Ok(GroupBy::HOST_AND_PATHS));
    assert_eq!("".parse(), by(false, false, false));
    assert_eq!("tag,path,hosts,".parse(), by(true, true, true));
    assert!("host, paths".parse::<GroupBy>().unwrap_err().to_string().contains("' paths'"));
}

#[test]
fn what_is_listed_twice_is_judged_once() {
    let all = [snapshot(1, &[], None), snapshot(1, &[], None)];
    let scope = Scope::Repository(GroupBy::HOST_AND_PATHS);
    assert_eq!(said(&all, &last(1), &scope), expected(&[(1, "last snapshot")]));
}

#[test]
fn a_target_is_named_without_doubt() {
    assert_eq!(Target::new("shop", "Deployment", "web").unwrap().to_string(), WEB);
    for [namespace, kind, name] in [["", "Deployment", "web"], ["shop", "Deployment/web", "x"], ["shop", "Pod", "a,b"]]
    {
        assert_eq!(Target::new(namespace, kind, name), Err(BadTarget));
    }
}

#[test]
fn only_the_own_target_is_judged() {
    let all = [
        snapshot(6, &[DB], None),
        snapshot(5, &[WEB], None),
        snapshot(4, &[WEB], None),
        snapshot(3, &[WEB, DB], None),
        snapshot(2, &[], None),
        snapshot(1, &["a"], None),
    ];
    let other = format!("belongs to another target: {DB}");
    let untagged = "names no target, and more than one invoker uses the repository";
    let held = [(6, &*other), (5, "last snapshot"), (4, "goes"), (3, &other), (2, untagged), (1, untagged)];
    assert_eq!(said(&all, &last(1), &web(Untagged::Hold, &[])), expected(&held));
    let joined = [(6, &*other), (5, "last snapshot"), (4, "goes"), (3, &other), (2, "goes"), (1, "goes")];
    assert_eq!(said(&all, &last(1), &web(Untagged::Join, &[])), expected(&joined));
}

#[test]
fn incomplete_ones_count_nothing_and_go_when_they_are_outdone() {
    let incomplete = |hour| snapshot(hour, &[INCOMPLETE, WEB], None);
    let all = [incomplete(5), snapshot(4, &[WEB], None), incomplete(3), snapshot(2, &[WEB], None), incomplete(1)];
    let scope = web(Untagged::Hold, &[]);
    let held = "incomplete, and no complete snapshot is newer";
    let last_two = [(5, held), (4, "last snapshot"), (3, "goes"), (2, "last snapshot"), (1, "goes")];
    assert_eq!(said(&all, &last(2), &scope), expected(&last_two));
    assert_eq!(said(&[incomplete(5)], &last(2), &scope), expected(&[(5, held)]));
    assert!(said(&all, &Keep::default(), &scope).iter().all(|(_, text)| text == "policy is empty"));
    let wished = said(&[snapshot(4, &[WEB], None), snapshot(3, &[INCOMPLETE, WEB, "a"], None)], &tagged("a"), &scope);
    assert_eq!(wished, expected(&[(4, "the newest complete snapshot"), (3, "has tags [a]")]));
}

#[test]
fn a_drop_is_held_on_both_sides_until_it_is_acknowledged() {
    let full = |hour, bytes| snapshot(hour, &[WEB], Some(bytes));
    let all = [full(5, 19), full(4, 19), full(3, 100), full(2, 100)];
    let drop = "from 100 bytes in #3 to 19 in #4; held until that is acknowledged";
    let before = format!("the last before the data shrank {drop}");
    let after = format!("shows that the data shrank {drop}");
    let scope = web(Untagged::Hold, &[]);
    let held = expected(&[(5, "last snapshot"), (4, &after), (3, &before), (2, "goes")]);
    assert_eq!(said(&all, &last(1), &scope), held);
    let gone = expected(&[(5, "last snapshot"), (4, "goes"), (3, "goes"), (2, "goes")]);
    assert_eq!(said(&all, &last(1), &web(Untagged::Hold, &[4])), gone);
    assert_eq!(said(&all, &last(1), &web(Untagged::Hold, &[3, 5])), held, "of another drop");

    let noted = decide(&all, &last(4), &scope);
    assert_eq!((noted[0].shrunk.len(), noted[0].shrunk[0].bytes_after), (1, 19), "also while rules keep it");
    for [before, after] in [[100, 20], [0, 0], [u64::MAX, u64::MAX / 4]] {
        assert_eq!(decide(&[full(2, after), full(1, before)], &last(1), &scope)[0].shrunk, [], "{before} to {after}");
    }
    for [before, after] in [[1, 0], [u64::MAX, u64::MAX / 6]] {
        assert_eq!(decide(&[full(2, after), full(1, before)], &last(1), &scope)[0].shrunk.len(), 1);
    }
}

#[test]
fn an_unknown_size_hides_no_drop_and_proves_none() {
    let of = |hour, bytes| snapshot(hour, &[WEB], bytes);
    let all = [of(4, Some(0)), of(3, None), of(2, Some(100)), of(1, None)];
    let shrunk = &decide(&all, &last(1), &web(Untagged::Hold, &[]))[0].shrunk;
    assert_eq!((shrunk.len(), shrunk[0].before, shrunk[0].after), (1, FileId([2; 32]), FileId([4; 32])));
}

#[test]
fn what_was_acknowledged_is_not_asked_again() {
    let of = |hour, bytes| snapshot(hour, &[WEB, if hour == 1 { "a" } else { "b" }], Some(bytes));
    let mut all = vec![of(5, 10), of(4, 10), of(3, 10), of(2, 100), of(1, 100)];
    let scope = web(Untagged::Hold, &[3]);
    let keep = Keep::new([(Counted::Last, 1)], [TagList::parse("a")]);
    let acknowledged = "its small size is acknowledged, and larger snapshots before it are kept";
    let first = [(5, "last snapshot"), (4, "goes"), (3, acknowledged), (2, "goes"), (1, "has tags [a]")];
    assert_eq!(said(&all, &keep, &scope), expected(&first));
    all.retain(|snapshot| [5, 3, 1].contains(&snapshot.id.0[0]));
    assert_eq!(decide(&all, &keep, &scope)[0].shrunk, []);
    assert_eq!(said(&all, &last(1), &scope), expected(&[(5, "last snapshot"), (3, "goes"), (1, "goes")]));
}
