//! Tags that we change are seen by restic, and nothing else of a snapshot changes.

use std::collections::BTreeSet;

use holdfast::repository::{FileId, FileKind, FileName, Mode, Snapshot, TagChange, Version, tag};
use serde_json::Value;

use crate::backups::made;
use crate::history::{History, locked};

fn tags(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn json(history: &History, id: FileId) -> Value {
    let sealed = history.opened.store().read(FileName::Of(FileKind::Snapshot, id)).expect("it is there");
    serde_json::from_slice(&history.opened.seal().open(&sealed).expect("it is whole")).expect("it is a snapshot")
}

fn only(history: &History) -> Snapshot {
    let snapshots = history.snapshots().all;
    assert_eq!(snapshots.len(), 1);
    snapshots.into_iter().next().expect("one")
}

fn changed(history: &History, change: &TagChange) -> Option<FileId> {
    let lock = locked(&history.opened, Mode::Exclusive);
    tag(&history.opened, &lock, &only(history), change).expect("it is changed")
}

fn seen_by_restic(history: &History) -> Vec<String> {
    let listed: Value = serde_json::from_str(&history.restic.done(&["snapshots", "--json"])).expect("JSON");
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    serde_json::from_value(listed[0]["tags"].clone()).unwrap_or_default()
}

#[test]
fn restic_sees_them_and_the_rest_stays() {
    for version in [Version::V1, Version::V2] {
        let mut history = History::of(made(version), 1);
        history.change();
        let first = history.theirs();
        let before = json(&history, first);
        let add = TagChange { add: tags(&["b", "a"]), ..TagChange::default() };
        let second = changed(&history, &add).expect("there are others now");
        assert_eq!(seen_by_restic(&history), ["a", "b"]);
        assert_eq!(changed(&history, &add), None);
        assert_eq!(only(&history).id, second);

        let remove = TagChange { remove: tags(&["a", "c"]), ..TagChange::default() };
        changed(&history, &remove).expect("there are others now");
        assert_eq!(seen_by_restic(&history), ["b"]);
        // restic's own change in between.
        history.restic.done(&["tag", "--add", "of restic"]);
        assert_eq!(only(&history).original, Some(first));
        let set = TagChange { set: Some(tags(&["x"])), add: tags(&["y"]), remove: tags(&["x"]) };
        changed(&history, &set).expect("there are others now");
        assert_eq!(seen_by_restic(&history), ["y"]);
        let none = TagChange { set: Some(BTreeSet::new()), ..TagChange::default() };
        let last = changed(&history, &none).expect("there are none now");
        assert_eq!(seen_by_restic(&history), Vec::<String>::new());

        let mut after = json(&history, last);
        assert_eq!(after["original"], first.to_string());
        after.as_object_mut().expect("an object").remove("original");
        assert_eq!(after, before, "fields that we do not know too, such as uid: {before}");
        assert!(before.get("uid").is_some() || before.get("gid").is_some() || before.get("excludes").is_none());
        let seen = history.seen.remove(&first).expect("it was seen");
        history.seen.insert(last, seen);
        history.assert_restores();
        history.assert_restic_restores(last);
        history.assert_tidy();
    }
}

#[test]
fn what_no_program_of_today_knows_is_kept() {
    let mut history = History::of(made(Version::V2), 2);
    history.change();
    let first = history.ours();
    // As some later program may write it.
    let mut later = json(&history, first);
    later["later"] = serde_json::json!({ "number": 18_446_744_073_709_551_615_u64, "list": [1.5, null, "ü"] });
    let (opened, plain) = (&history.opened, later.to_string());
    let sealed = opened.seal().close_file(plain.as_bytes(), Version::V2).expect("sealed").into();
    let id = FileId::of(std::slice::from_ref(&sealed));
    opened.store().create(FileName::Of(FileKind::Snapshot, id), &[sealed]).expect("written");
    history.forget(&[first]);
    let new = changed(&history, &TagChange { add: tags(&["t"]), ..TagChange::default() }).expect("there is one more");
    let after = json(&history, new);
    assert_eq!(after["later"], later["later"]);
    assert_eq!(after["summary"], later["summary"]);
    assert_eq!(after["original"], id.to_string());
    assert!(seen_by_restic(&history).contains(&"t".to_owned()));
}
