//! Trees and indexes as no program of ours writes them: what a tree names is needed, and what an index says is not believed.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use holdfast::repository::{
    BlobId, BlobKind, Cancel, Copying, Depth, FileId, FileKind, FileName, Finding, Index, Mode, Progress, Reader,
    Restored, Version,
};
use serde_json::{Value, json};

use crate::backups::made;
use crate::history::{History, checked, locked, pruned};
use crate::trees::Seeded;

/// Writes a pack of these blobs as restic's documents describe it, without compression, and its index.
fn store(history: &History, blobs: &[(&str, &[u8])]) -> FileId {
    store_as(history, blobs, |number| number)
}

/// The same, and the index says in the place of each blob the name of another.
fn store_as(history: &History, blobs: &[(&str, &[u8])], other: impl Fn(usize) -> usize) -> FileId {
    let seal = history.opened.seal();
    let (mut content, mut list, mut named) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (kind, plain)) in blobs.iter().enumerate() {
        let (sealed, id) = (seal.close(plain).expect("sealed"), BlobId::of(plain));
        let length = u32::try_from(sealed.len()).expect("small");
        let said = BlobId::of(blobs[other(number)].1);
        named.push(json!({ "id": said, "type": kind, "offset": content.len(), "length": length }));
        list.extend([&[u8::from(*kind == "tree")], length.to_le_bytes().as_slice(), &id.0].concat());
        content.extend(sealed);
    }
    let list = seal.close(&list).expect("sealed");
    content.extend(&list);
    content.extend(u32::try_from(list.len()).expect("small").to_le_bytes());
    let pack = write(history, FileKind::Data, content);
    let index = json!({ "packs": [{ "id": pack, "blobs": named }] });
    write(history, FileKind::Index, seal.close(index.to_string().as_bytes()).expect("sealed"));
    pack
}

fn snapshot(history: &History, tree: &[u8]) {
    let snapshot = json!({ "time": "2026-11-21T20:00:00Z", "tree": BlobId::of(tree), "paths": ["/x"] });
    let sealed = history.opened.seal().close(snapshot.to_string().as_bytes()).expect("sealed");
    write(history, FileKind::Snapshot, sealed);
}

fn write(history: &History, kind: FileKind, content: Vec<u8>) -> FileId {
    let content = [Bytes::from(content)];
    let id = FileId::of(&content);
    history.opened.store().create(FileName::Of(kind, id), &content).expect("written");
    id
}

fn tree(nodes: &[Value]) -> Vec<u8> {
    (json!({ "nodes": nodes }).to_string() + "\n").into_bytes()
}

#[test]
fn what_lies_in_a_folder_that_we_would_not_restore_is_needed() {
    let history = History::of(made(Version::V1), 1);
    let content = Seeded(1).bytes(5_000);
    let file = json!({ "name": "file", "type": "file", "size": 5_000, "content": [BlobId::of(&content)] });
    let inner = tree(&[file]);
    let folder = json!({ "name": "out/side", "type": "dir", "content": null, "subtree": BlobId::of(&inner) });
    let root = tree(&[folder]);
    store(&history, &[("data", &content), ("data", b"needed by nobody")]);
    store(&history, &[("tree", &inner), ("tree", &root)]);
    snapshot(&history, &root);
    history.restic.done(&["check", "--read-data"]);

    let plan = pruned(&history.opened, 0).expect("everything is there");
    assert_eq!((plan.repack.len(), plan.remove.len()), (1, 0), "only what nobody needs goes: {plan:?}");
    history.restic.done(&["check", "--read-data"]);
    let has_all = |of: &History| {
        let index = Index::read(&of.opened).expect("it can be read").0;
        assert!(index.has(BlobKind::Data, BlobId::of(&content)) && index.has(BlobKind::Tree, BlobId::of(&inner)));
    };
    has_all(&history);

    let there = History::of(made(Version::V2), 2);
    let lock = Arc::new(locked(&there.opened, Mode::Shared));
    let reader = Reader::new(&history.opened).expect("the index can be read");
    let snapshot = &history.snapshots().all[0];
    let (progress, cancel) = (Progress::default(), Cancel::default());
    let copying = Copying::begin((&history.opened, &reader), &there.opened, lock).expect("it can be read");
    copying.copy(snapshot, &progress, &cancel).expect("it is copied");
    drop(copying);
    has_all(&there);
    there.restic.done(&["check", "--read-data"]);
}

/// All that is in the only snapshot.
fn restored(history: &History, out: &Path) -> Restored {
    let reader = Reader::new(&history.opened).expect("the index can be read");
    crate::history::restored(&reader, &history.snapshots().all[0], Path::new(""), out)
}

#[test]
fn an_index_that_mistakes_one_blob_for_another_is_found_out() {
    let history = History::of(made(Version::V1), 3);
    let contents = [Seeded(1).bytes(5_000), Seeded(2).bytes(5_000)];
    let node = |name: &str, number: usize| json!({ "name": name, "type": "file", "mode": 0o644, "size": 5_000, "content": [BlobId::of(&contents[number])] });
    let root = tree(&[node("one", 0), node("two", 1)]);
    let pack = store_as(&history, &[("data", &contents[0]), ("data", &contents[1])], |number| 1 - number);
    store(&history, &[("tree", &root)]);
    snapshot(&history, &root);
    let out = tempfile::tempdir().expect("a temporary folder");
    let result = restored(&history, out.path());
    assert_eq!((result.files, result.lost.count), (0, 2), "{result:?}");
    assert!(!out.path().join("one").exists() && !out.path().join("two").exists());
    let checked = checked(&history.opened, Depth::All);
    let damaged = FileName::Of(FileKind::Data, pack);
    let is_named = |found: &Finding| matches!(found, Finding::Damaged { file, .. } if *file == damaged);
    assert!(checked.findings.iter().any(is_named), "{checked:?}");
}

/// A file was removed while the backup ran, and another was given its number.
#[test]
fn two_files_of_one_number_keep_what_each_of_them_holds() {
    let history = History::of(made(Version::V1), 4);
    let contents = [b"the first".as_slice(), b"another"];
    let node = |name: &str, content: &[u8]| {
        json!({ "name": name, "type": "file", "mode": 0o644, "size": content.len(), "content": [BlobId::of(content)],
            "links": 2, "inode": 7, "device_id": 1 })
    };
    let root = tree(&[node("one", contents[0]), node("same", contents[0]), node("two", contents[1])]);
    store(&history, &[("data", contents[0]), ("data", contents[1])]);
    store(&history, &[("tree", &root)]);
    snapshot(&history, &root);
    let out = tempfile::tempdir().expect("a temporary folder");
    assert_eq!(restored(&history, out.path()).lost.count, 0);
    let read = |name: &str| fs::read(out.path().join(name)).expect("restored");
    assert_eq!([read("one"), read("same"), read("two")], [contents[0], contents[0], contents[1]]);
    assert_eq!(fs::metadata(out.path().join("one")).expect("restored").nlink(), 2);
}
