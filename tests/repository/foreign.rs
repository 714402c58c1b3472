//! Trees as no program of ours writes them: what they name is needed all the same.

use std::sync::Arc;

use bytes::Bytes;
use holdfast::repository::{
    BlobId, BlobKind, Cancel, Copying, FileId, FileKind, FileName, Index, Mode, Progress, Reader, Version,
};
use serde_json::{Value, json};

use crate::backups::made;
use crate::history::{History, locked, pruned};
use crate::trees::Seeded;

/// Writes a pack of these blobs as restic's documents describe it, without compression, and its index.
fn store(history: &History, blobs: &[(&str, &[u8])]) {
    let seal = history.opened.seal();
    let (mut content, mut list, mut named) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, plain) in blobs {
        let (sealed, id) = (seal.close(plain).expect("sealed"), BlobId::of(plain));
        let length = u32::try_from(sealed.len()).expect("small");
        named.push(json!({ "id": id, "type": kind, "offset": content.len(), "length": length }));
        list.extend([&[u8::from(*kind == "tree")], length.to_le_bytes().as_slice(), &id.0].concat());
        content.extend(sealed);
    }
    let list = seal.close(&list).expect("sealed");
    content.extend(&list);
    content.extend(u32::try_from(list.len()).expect("small").to_le_bytes());
    let pack = write(history, FileKind::Data, content);
    let index = json!({ "packs": [{ "id": pack, "blobs": named }] });
    write(history, FileKind::Index, seal.close(index.to_string().as_bytes()).expect("sealed"));
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
    let snapshot = json!({ "time": "2026-11-21T20:00:00Z", "tree": BlobId::of(&root), "paths": ["/x"] });
    let sealed = history.opened.seal().close(snapshot.to_string().as_bytes()).expect("sealed");
    write(&history, FileKind::Snapshot, sealed);
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
