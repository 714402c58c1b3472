//! Room is given back, whoever wrote what is not needed any more, and nothing that is needed goes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use holdfast::repository::{Cancel, Depth, FileId, FileKind, FileName, Mode, Opened, Prune, PruneError, Version};

use crate::backups::{made, with_lock};
use crate::guarded::{Deed, Guarded};
use crate::history::{History, checked, copy, files, locked, named, planned, pruned};
use crate::restic::{PASSWORD, Restic};
use crate::trees::{Seeded, facts};

/// Every `theirs`-th snapshot is restic's.
fn written(restic: Restic, snapshots: usize, theirs: usize) -> History {
    let mut history = History::of(restic, 11);
    history.grow(snapshots, theirs);
    history
}

fn every(history: &History, nth: usize) -> Vec<FileId> {
    history.snapshots().all.iter().skip(1).step_by(nth).map(|snapshot| snapshot.id).collect()
}

/// Whether restic would still remove anything.
fn assert_nothing_is_left_to_restic(history: &History) {
    let said = history.restic.done(&["prune", "--dry-run", "--max-unused", "0"]);
    let line = |begin: &str| said.lines().find(|line| line.starts_with(begin)).unwrap_or_default().to_owned();
    assert!(line("total prune:").contains(" 0 blobs / 0 B"), "{said}");
}

/// In turn: we, restic, we.
fn both_prune(mut history: History) {
    let all = history.snapshots().all;
    let most: Vec<_> = all.iter().enumerate().filter(|(number, _)| number % 4 > 0).map(|(_, one)| one.id).collect();
    let (ours, theirs) = most.split_at(most.len() / 2);
    history.forget(ours);
    history.let_restic_forget(theirs);
    let before = history.bytes();
    let plan = pruned(&history.opened, 5).expect("it is pruned");
    let shrunk = before - history.bytes();
    assert!(plan.freed_bytes() > before / 8, "{plan:?} of {before}");
    // Lists of blobs in packs are not counted.
    assert!(shrunk.abs_diff(plan.freed_bytes()) < plan.freed_bytes() / 50, "{shrunk} and not {}", plan.freed_bytes());
    history.assert_tidy();
    history.assert_restores();
    let newest = *history.snapshots().all.last().map(|snapshot| &snapshot.id).expect("one");
    history.assert_restic_restores(newest);

    for _ in 0..3 {
        history.change();
        history.ours();
    }
    history.change();
    history.theirs();
    let third = every(&history, 3);
    history.forget(&third);
    history.restic.done(&["prune"]);
    history.assert_tidy();
    history.assert_restores();

    let third = every(&history, 3);
    history.let_restic_forget(&third);
    let plan = pruned(&history.opened, 0).expect("it is pruned");
    assert_eq!(plan.unused_bytes, 0);
    history.assert_tidy();
    history.assert_restores();
    assert_nothing_is_left_to_restic(&history);
    assert!(pruned(&history.opened, 0).expect("it is planned").changes_nothing());
    history.change();
    history.theirs();
    history.ours();
    history.assert_restores();
}

#[test]
fn fifty_snapshots_of_both_in_a_repository_of_restic() {
    let restic = Restic::new();
    restic.done(&["init"]);
    crate::cheap::make(&restic.repository(), PASSWORD);
    both_prune(written(restic, 50, 7));
}

#[test]
fn without_compression_too() {
    both_prune(written(made(Version::V1), 12, 4));
}

#[test]
fn what_two_have_stored_at_the_same_time_stays_once() {
    let mut history = written(made(Version::V2), 1, 2);
    history.restic.write("large", &Seeded(3).bytes(3 << 20));
    let (files, repository) = (history.restic.files(), history.restic.repository());
    // The other one begins and ends when this one has read the index and is about to write.
    let first = AtomicBool::new(true);
    let other = history.opened.clone();
    let beside = Arc::new(Mutex::new(Vec::new()));
    let snapshots = Arc::clone(&beside);
    let paths = [files.clone()];
    let store = Guarded::new(repository, move |deed| {
        if matches!(deed, Deed::Create(FileName::Of(FileKind::Data, _))) && first.swap(false, Ordering::SeqCst) {
            let stored = with_lock(&other, |backup| backup.paths(&paths, &[])).expect("it is stored");
            snapshots.lock().expect("no panic").push(stored.snapshot);
        }
        Ok(())
    });
    let slow = Opened::open(store, PASSWORD).expect("it opens");
    let stored = with_lock(&slow, |backup| backup.paths(std::slice::from_ref(&files), &[])).expect("it is stored");
    let both = [stored.snapshot, beside.lock().expect("no panic")[0]];
    for snapshot in both {
        history.seen.insert(snapshot, facts(&files));
    }
    let before = history.bytes();
    assert!(before > 6 << 20, "{before} bytes are not twice the same");
    history.assert_tidy();

    // Of what is there twice one may be lost.
    let packs: Vec<_> = history.restic.packs();
    let large = packs.iter().find(|path| fs::metadata(path).expect("there").len() > 3 << 20).expect("one");
    let kept = history.restic.repository().join("aside");
    for damage in [REMOVE, truncate, |_| Ok(())] {
        fs::copy(large, &kept).expect("copied");
        damage(large).expect("damaged");
        history.assert_restores();
        let plan = pruned(&history.opened, 0).expect("everything is there once more");
        assert_eq!(plan.unused_bytes, 0);
        assert!(history.bytes() < before / 2 + 100_000);
        history.assert_tidy();
        history.assert_restores();
        // Once more twice, for the next damage: it lies there, and no index names it.
        if !large.exists() {
            fs::copy(&kept, large).expect("copied");
            history.restic.done(&["rebuild-index"]);
        }
    }
}

/// A third is missing.
fn truncate(path: &Path) -> io::Result<()> {
    let bytes = fs::read(path)?;
    put(path, &bytes[..bytes.len() * 2 / 3])
}

/// A bit in each of its blobs is another.
fn flip(path: &Path) -> io::Result<()> {
    let mut bytes = fs::read(path)?;
    bytes.iter_mut().step_by(40).for_each(|byte| *byte ^= 1);
    put(path, &bytes)
}

fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::remove_file(path)?;
    fs::write(path, content)
}

type Damage = fn(&Path) -> io::Result<()>;
const REMOVE: Damage = |path| fs::remove_file(path);

#[test]
fn nothing_is_removed_when_it_is_not_known_what_is_needed() {
    let restic = made(Version::V2);
    restic.write("from the first on", &Seeded(8).bytes(70_000));
    let mut history = written(restic, 4, 9);
    let half = every(&history, 2);
    history.forget(&half);
    let repository = history.restic.repository();
    let mut paths: BTreeMap<FileKind, Vec<PathBuf>> = BTreeMap::new();
    let mut repacked = Vec::new();
    let plan = planned(&history.opened, 0);
    assert!(!plan.repack.is_empty() && !plan.remove.is_empty(), "{plan:?}");
    for file in files(&history.store()).into_keys() {
        let path = repository.join(file.to_string());
        match file {
            FileName::Of(FileKind::Data, id) if plan.repack.contains_key(&id) => repacked.push(path),
            FileName::Of(FileKind::Data, id) if plan.remove.contains_key(&id) => {}
            FileName::Of(kind, _) => paths.entry(kind).or_default().push(path),
            FileName::Config => {}
        }
    }
    let indexes = paths.get_mut(&FileKind::Index).expect("some");
    indexes.sort_by_key(|path| fs::metadata(path).and_then(|meta| meta.modified()).expect("a time"));
    let indexes = indexes.clone();
    let damages: [(&[PathBuf], &[Damage]); 5] = [
        (&paths[&FileKind::Snapshot], &[flip, truncate]),
        (&indexes, &[flip, truncate]),
        // All need what the first index names.
        (&indexes[..1], &[REMOVE]),
        (&paths[&FileKind::Data], &[truncate, REMOVE]),
        (&repacked, &[flip, truncate, REMOVE]),
    ];
    let aside = repository.join("aside");
    for (paths, damages) in damages {
        for (path, damage) in paths.iter().flat_map(|path| damages.iter().map(move |damage| (path, damage))) {
            fs::copy(path, &aside).expect("copied");
            damage(path).expect("damaged");
            let before = files(&history.store());
            let error = pruned(&history.opened, 0).expect_err("it is refused");
            let after = files(&history.store());
            assert!(before.keys().all(|file| after.contains_key(file)), "{}: {error}", path.display());
            assert!(error.to_string().starts_with("nothing"), "{error}");
            fs::rename(&aside, path).expect("put back");
        }
    }
    pruned(&history.opened, 0).expect("everything is back");
    history.assert_tidy();
    history.assert_restores();
}

#[test]
fn what_is_lost_and_not_needed_stands_in_nobodys_way() {
    let mut history = written(made(Version::V2), 3, 9);
    let all = every(&history, 1);
    history.forget(&all);
    let plan = planned(&history.opened, 5);
    let unneeded = *plan.remove.keys().next().expect("one");
    fs::remove_file(history.restic.repository().join(FileName::Of(FileKind::Data, unneeded).to_string()))
        .expect("removed");
    let plan = pruned(&history.opened, 5).expect("it is pruned");
    assert_eq!(plan.gone, [unneeded]);
    history.assert_tidy();
    history.assert_restores();
}

#[test]
fn cut_off_anywhere_it_loses_nothing_and_the_next_one_ends_it() {
    let mut history = written(made(Version::V2), 5, 9);
    let half = every(&history, 2);
    history.forget(&half);
    let repository = history.restic.repository();
    let whole = repository.with_file_name("whole");
    copy(&repository, &whole);
    let (store, left) = Guarded::limited(repository.clone());
    let dying = Opened::open(store, PASSWORD).expect("it opens");
    let end = |history: &History| {
        pruned(&history.opened, 0).expect("it is pruned");
        let checked = checked(&history.opened, Depth::All);
        assert!(checked.findings.is_empty(), "{:?}", checked.findings);
        named(&history.opened)
    };
    let expected = end(&history);
    for changes in 0.. {
        fs::remove_dir_all(&repository).expect("removed");
        copy(&whole, &repository);
        let lock = Arc::new(locked(&history.opened, Mode::Exclusive));
        let none = Cancel::default();
        let prune = Prune::plan(&dying, lock, 0, &none).expect("it is planned");
        left.store(changes, Ordering::SeqCst);
        let done = prune.run(&none);
        left.store(i64::MAX, Ordering::SeqCst);
        let checked = checked(&history.opened, Depth::All);
        assert!(checked.is_sound(), "after {changes}: {:?}", checked.findings);
        let errors = history.restic.done(&["check", "--read-data"]);
        assert!(errors.contains("no errors were found"), "after {changes}: {errors}");
        history.assert_restores();
        assert_eq!(end(&history), expected, "after {changes}");
        if done.is_ok() {
            assert!(changes > 8, "{changes}");
            return;
        }
    }
}

/// Programs before restic 0.10 named the blobs of one pack in several files of the index.
#[test]
fn a_pack_that_is_named_in_two_files_keeps_all_its_blobs() {
    use holdfast::repository::{FileId, FileName, Store as _};
    let restic = made(Version::V2);
    for number in 0..8 {
        restic.write(&format!("{number}"), &crate::trees::Seeded(number).bytes(200_000));
    }
    let mut history = History::of(restic, 1);
    history.ours();
    // Of another pack everything stays needed.
    for number in 8..16 {
        history.restic.write(&format!("{number}"), &crate::trees::Seeded(number).bytes(20_000));
    }
    history.ours();
    let (store, seal) = (history.store(), history.opened.seal());
    for (id, _) in store.list(FileKind::Index).expect("listed") {
        let file = FileName::Of(FileKind::Index, id);
        let plain = seal.open(&store.read(file).expect("read")).expect("opened");
        let whole: serde_json::Value = serde_json::from_slice(&plain).expect("JSON");
        for odd in [false, true] {
            let mut half = whole.clone();
            for pack in half["packs"].as_array_mut().expect("packs") {
                let mut number = 0;
                pack["blobs"].as_array_mut().expect("blobs").retain(|_| {
                    number += 1;
                    (number % 2 == 1) == odd
                });
            }
            let sealed = seal.close_file(half.to_string().as_bytes(), Version::V2).expect("sealed");
            let sealed = bytes::Bytes::from(sealed);
            let name = FileName::Of(FileKind::Index, FileId::of(std::slice::from_ref(&sealed)));
            store.create(name, &[sealed]).expect("written");
        }
        store.remove(file).expect("removed");
    }
    // Half of the first is not needed any more, so that it is written anew.
    for number in 0..4 {
        history.restic.write(&format!("{number}"), b"other");
    }
    let last = history.ours();
    let others: Vec<_> = history.seen.keys().copied().filter(|id| *id != last).collect();
    history.forget(&others);
    let plan = pruned(&history.opened, 0).expect("it is pruned");
    assert!(!plan.repack.is_empty() && plan.kept_packs > 1, "{plan:?}");
    history.assert_tidy();
    history.assert_restores();
}

/// Four snapshots, of which two are forgotten, and all that is there then.
fn half_forgotten() -> (History, BTreeMap<FileName, u64>) {
    let restic = made(Version::V2);
    restic.write("from the first on", &Seeded(8).bytes(70_000));
    let mut history = written(restic, 4, 9);
    let half = every(&history, 2);
    history.forget(&half);
    let before = files(&history.store());
    (history, before)
}

#[test]
fn cancelled_at_any_time_it_removes_nothing() {
    let (history, before) = half_forgotten();
    let lock = Arc::new(locked(&history.opened, Mode::Exclusive));
    let (none, cancel) = (Cancel::default(), Cancel::default());
    let prune = Prune::plan(&history.opened, Arc::clone(&lock), 0, &none).expect("it is planned");
    assert!(!prune.plan.repack.is_empty(), "{:?}", prune.plan);
    cancel.cancel();
    assert_eq!(Prune::plan(&history.opened, lock, 0, &cancel).err(), Some(PruneError::Cancelled));
    assert_eq!(prune.run(&cancel).err(), Some(PruneError::Cancelled));
    assert_eq!(files(&history.store()), before);
    history.assert_restores();
}

/// A store that gives an old list first, as some do after a write.
#[test]
fn a_snapshot_that_was_not_listed_before_stops_it() {
    let (history, before) = half_forgotten();
    let newest = history.snapshots().all.last().expect("one").id;
    let path = history.restic.repository().join(FileName::Of(FileKind::Snapshot, newest).to_string());
    let aside = history.restic.repository().join("aside");
    fs::rename(&path, &aside).expect("not listed");
    let (lock, none) = (Arc::new(locked(&history.opened, Mode::Exclusive)), Cancel::default());
    let prune = Prune::plan(&history.opened, lock, 0, &none).expect("it is planned");
    fs::rename(&aside, &path).expect("listed");
    assert_eq!(prune.run(&none).err(), Some(PruneError::Changed));
    let after = files(&history.store());
    assert!(before.keys().all(|file| after.contains_key(file)));
    history.assert_restores();
    pruned(&history.opened, 0).expect("nothing is in the way");
    history.assert_tidy();
}
