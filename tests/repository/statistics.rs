//! Sizes are those that restic counts.

use std::fs;

use holdfast::repository::{BlobError, Cancel, Reader, Snapshot, Version, restore_size, stats};
use serde_json::Value;

use crate::backups::made;
use crate::history::History;
use crate::trees::grow;

fn theirs(history: &History, arguments: &[&str]) -> Value {
    let all = [&["stats", "--json"], arguments].concat();
    serde_json::from_str(&history.restic.done(&all)).expect("JSON")
}

fn grown(version: Version) -> History {
    let mut history = History::of(made(version), 1);
    grow(&history.restic.files(), 3);
    history.ours();
    for _ in 0..2 {
        history.change();
        history.theirs();
        history.ours();
    }
    history
}

#[test]
fn what_it_takes_in_the_repository() {
    for version in [Version::V1, Version::V2] {
        let history = grown(version);
        let reader = Reader::new(&history.opened).expect("the index can be read");
        let all = history.snapshots().all;
        for snapshots in [all.iter().collect::<Vec<_>>(), all.iter().take(1).collect()] {
            let names: Vec<_> = snapshots.iter().map(|snapshot: &&Snapshot| snapshot.id.to_string()).collect();
            let names = names.iter().map(String::as_str);
            let theirs = theirs(&history, &["--mode", "raw-data"].into_iter().chain(names).collect::<Vec<_>>());
            let ours = stats(&reader, &snapshots, &Cancel::default()).expect("everything is there");
            assert_eq!(theirs["total_size"], ours.stored_bytes, "{theirs} {ours:?}");
            assert_eq!(theirs["total_blob_count"], ours.blobs);
            assert_eq!(theirs["snapshots_count"], ours.snapshots);
            match version {
                // Nothing is packed, but everything has a signature.
                Version::V1 => assert_eq!(ours.plain_bytes + 32 * ours.blobs, ours.stored_bytes),
                Version::V2 => assert!(ours.plain_bytes > ours.stored_bytes, "{ours:?}"),
            }
        }
    }
}

#[test]
fn what_a_restore_gives() {
    let history = grown(Version::V2);
    let reader = Reader::new(&history.opened).expect("the index can be read");
    for snapshot in history.snapshots().all {
        let ours = restore_size(&reader, &snapshot).expect("everything is there");
        let theirs = theirs(&history, &[&snapshot.id.to_string()]);
        assert_eq!(theirs["total_size"], ours.bytes, "{theirs} {ours:?}");
        // restic counts folders and everything else as files too.
        let facts = &history.seen[&snapshot.id];
        let above = history.restic.files().components().count() - 1;
        assert_eq!(theirs["total_file_count"], facts.len() - 1 + above, "{theirs}");
        let own_names = facts.iter().filter(|(name, facts)| facts.is_file() && facts.first_name() == *name);
        assert_eq!(ours.files, own_names.count() as u64);
    }
}

#[test]
fn what_is_lost_is_said() {
    let history = grown(Version::V2);
    for file in fs::read_dir(history.restic.repository().join("index")).expect("listed") {
        let path = file.expect("one").path();
        let text = fs::read(&path).expect("read");
        fs::remove_file(&path).expect("removed");
        let reader = Reader::new(&history.opened).expect("the index can be read");
        let all = history.snapshots().all;
        let result = stats(&reader, &all.iter().collect::<Vec<_>>(), &Cancel::default());
        assert!(result.is_err(), "without {}: {result:?}", path.display());
        fs::write(&path, text).expect("put back");
    }
    let reader = Reader::new(&history.opened).expect("the index can be read");
    let (all, cancel) = (history.snapshots().all, Cancel::default());
    cancel.cancel();
    assert_eq!(stats(&reader, &all.iter().collect::<Vec<_>>(), &cancel), Err(BlobError::Cancelled));
}
