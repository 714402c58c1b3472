//! Whatever is damaged is found and named, and a restore gives what is left of it and never anything else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use holdfast::repository::{
    Cancel, Depth, Fault, FileId, FileKind, FileName, Finding, Folder, OpenError, Opened, Progress, Reader, Store as _,
    Version, check,
};
use serde_json::Value;

use crate::backups::{made, opened};
use crate::history::{History, checked, restored};
use crate::restic::PASSWORD;
use crate::trees::facts;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    /// One bit: so far from the beginning, or from the end.
    Flip(usize),
    FlipFromEnd(usize),
    /// In the middle.
    FlipHalfway,
    /// So many bytes are left.
    Cut(usize),
    CutLast,
    Remove,
    Append,
    /// Holds what another file of its kind does.
    Replace,
}

use Damage::{Append, Cut, CutLast, Flip, FlipFromEnd, FlipHalfway, Remove, Replace};

/// The file as it is then; `other` is one of the same kind.
fn damage(path: &Path, damage: Damage, other: &Path) {
    let mut bytes = fs::read(path).expect("read");
    let length = bytes.len();
    match damage {
        Flip(at) => bytes[at] ^= 1,
        FlipFromEnd(at) => bytes[length - 1 - at] ^= 1,
        FlipHalfway => bytes[length / 2] ^= 0x80,
        Cut(left) => bytes.truncate(left),
        CutLast => bytes.truncate(length - 1),
        Append => bytes.extend([0; 7]),
        Replace => bytes = fs::read(other).expect("read"),
        Remove => return fs::remove_file(path).expect("removed"),
    }
    fs::remove_file(path).expect("removed");
    fs::write(path, bytes).expect("written");
}

fn sound() -> History {
    let mut history = History::of(made(Version::V2), 4);
    for _ in 0..3 {
        history.change();
        history.ours();
    }
    history
}

/// All packs, with what is in them.
fn packs(history: &History) -> BTreeMap<FileId, String> {
    let (store, seal) = (history.opened.store(), history.opened.seal());
    let indexes = store.list(FileKind::Index).expect("listed").into_iter().map(|(id, _)| {
        let sealed = store.read(FileName::Of(FileKind::Index, id)).expect("read");
        serde_json::from_slice::<Value>(&seal.open(&sealed).expect("whole")).expect("JSON")
    });
    let packs = indexes.flat_map(|index| index["packs"].as_array().expect("a list").clone());
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    packs.map(|pack| (text(&pack["id"]).parse().expect("an id"), text(&pack["blobs"][0]["type"]))).collect()
}

/// What is there is what was there; what is not is named.
fn assert_restores_what_is_left(history: &History, damaged: FileName, how: Damage) -> u64 {
    let reader = Reader::new(&history.opened).expect("the folder can be read");
    let snapshots = history.snapshots();
    let mut lost = 0;
    for snapshot in &snapshots.all {
        let out = tempfile::tempdir().expect("a temporary folder");
        let result = restored(&reader, snapshot, Path::new(""), out.path());
        let inside = out.path().join(history.restic.files().strip_prefix("/").expect("absolute"));
        let before = &history.seen[&snapshot.id];
        let after = if inside.exists() { facts(&inside) } else { BTreeMap::new() };
        let whole = |path: &Path| !path.to_string_lossy().ends_with(".holdfast-incomplete");
        for (path, facts) in after.iter().filter(|(path, _)| whole(path)) {
            assert!(before.get(path) == Some(facts), "{damaged} {how:?}: {} is another", path.display());
        }
        for path in before.keys().filter(|path| !after.contains_key(*path)) {
            let at = inside.join(path);
            let named = result.lost.first.iter().any(|(lost, _)| at.starts_with(lost));
            assert!(named, "{damaged} {how:?}: nobody says that {} is lost", path.display());
        }
        assert_eq!(result.lost.count == 0, *before == after, "{damaged} {how:?}: {result:?}");
        lost += result.lost.count;
    }
    lost + snapshots.lost.len() as u64
}

fn names(findings: &[Finding], file: FileName) -> bool {
    findings.iter().any(|finding| matches!(finding, Finding::Damaged { file: of, .. } if *of == file))
}

/// Does it to the file, looks, and puts the file back.
fn with<T>(history: &History, file: FileName, how: Damage, other: FileName, look: impl FnOnce() -> T) -> T {
    let path = |file: FileName| history.restic.repository().join(file.to_string());
    let aside = history.restic.repository().join("aside");
    fs::copy(path(file), &aside).expect("copied");
    damage(&path(file), how, &path(other));
    let looked = look();
    fs::rename(&aside, path(file)).expect("put back");
    looked
}

/// Two files of each kind, trees and data apart.
fn victims(history: &History) -> Vec<(&'static str, FileName, FileName)> {
    let of = |kind| {
        let mut ids: Vec<_> =
            history.store().list(kind).expect("listed").into_iter().map(|(id, _)| FileName::Of(kind, id)).collect();
        ids.sort();
        (ids[0], ids[1])
    };
    let packs = packs(history);
    let packs = |kind: &str| {
        let mut of_kind = packs.iter().filter(|(_, of)| *of == kind).map(|(id, _)| FileName::Of(FileKind::Data, *id));
        (of_kind.next().expect("one"), of_kind.next().expect("another"))
    };
    let all = [
        ("snapshot", of(FileKind::Snapshot)),
        ("index", of(FileKind::Index)),
        ("data", packs("data")),
        ("tree", packs("tree")),
    ];
    all.into_iter().map(|(kind, (one, other))| (kind, one, other)).collect()
}

#[test]
fn every_damage_is_found_and_named() {
    let history = sound();
    history.assert_tidy();
    let small = [Flip(0), Flip(20), FlipHalfway, FlipFromEnd(0), Cut(0), Cut(40), CutLast, Remove, Append, Replace];
    // The list of blobs is at the end of a pack, and its length behind it.
    let pack = [FlipFromEnd(2), FlipFromEnd(3), FlipFromEnd(10), FlipFromEnd(60)];
    for (kind, file, other) in victims(&history) {
        let is_pack = matches!(kind, "data" | "tree");
        for how in small.into_iter().chain(pack).filter(|how| is_pack || !pack.contains(how)) {
            // Who removes a snapshot forgets it: nothing is left that could miss it.
            if (kind, how) == ("snapshot", Remove) {
                continue;
            }
            let (all, structure, lost) = with(&history, file, how, other, || {
                let lost = assert_restores_what_is_left(&history, file, how);
                (checked(&history.opened, Depth::All), checked(&history.opened, Depth::Structure), lost)
            });
            assert!(!all.is_sound(), "{kind} {how:?}");
            // Nobody knows the name of an index that is gone, but that of everything that is lost with it.
            assert!(names(&all.findings, file) || (kind, how) == ("index", Remove), "{kind} {how:?}: {all:?}");
            assert!(structure.findings.iter().all(|finding| all.findings.contains(finding)));
            let in_list = pack.contains(&how) || how == FlipFromEnd(0);
            match kind {
                "snapshot" | "index" => assert!(!structure.is_sound(), "{kind} {how:?}"),
                _ if matches!(how, Cut(_) | CutLast | Append | Remove) => {
                    assert!(names(&structure.findings, file), "{kind} {how:?}: {structure:?}");
                }
                "tree" if !in_list => assert!(!structure.is_sound(), "{kind} {how:?}"),
                _ => {}
            }
            if is_pack && (in_list || matches!(how, CutLast | Append)) {
                assert_eq!(lost, 0, "{kind} {how:?}: its blobs are all there");
            } else {
                assert!(lost > 0, "{kind} {how:?}");
            }
        }
    }
    history.assert_tidy();
    history.assert_restores();
}

/// restic tries to read a pack that is too short for a minute, so it is not asked about those.
#[test]
fn what_is_an_error_to_restic_is_one_to_us() {
    let history = sound();
    let asked = [
        ("snapshot", Flip(20)),
        ("snapshot", Replace),
        ("index", FlipHalfway),
        ("index", Remove),
        ("data", Flip(40)),
        ("data", FlipFromEnd(10)),
        ("data", Append),
        ("tree", FlipHalfway),
    ];
    for (kind, file, other) in victims(&history) {
        for (_, how) in asked.into_iter().filter(|(of, _)| *of == kind) {
            with(&history, file, how, other, || {
                let said = history.restic.run(&["check", "--read-data"]);
                let ours = checked(&history.opened, Depth::All);
                assert_eq!((said.status.success(), ours.is_sound()), (false, false), "{kind} {how:?}");
            });
        }
    }
    // Takes room and harms nothing, say both: a pack that no index names.
    let mut elsewhere = History::of(made(Version::V2), 9);
    elsewhere.change();
    elsewhere.ours();
    let foreign = elsewhere.restic.packs().pop().expect("one");
    let id: FileId = foreign.file_name().and_then(|name| name.to_str()).expect("text").parse().expect("an id");
    let file = FileName::Of(FileKind::Data, id);
    let content = fs::read(&foreign).expect("read").into();
    history.opened.store().create(file, &[content]).expect("written");
    history.restic.done(&["check"]);
    let checked = checked(&history.opened, Depth::All);
    assert!(checked.is_sound() && checked.findings == [Finding::Unused { file }], "{checked:?}");
}

#[test]
fn without_its_key_or_configuration_it_does_not_open() {
    let history = sound();
    let other = made(Version::V2);
    let repository = history.restic.repository();
    let key = |repository: PathBuf| {
        let listed = Folder::new(repository).list(FileKind::Key).expect("listed");
        FileName::Of(FileKind::Key, listed[0].0)
    };
    let aside = repository.join("aside");
    for (file, foreign) in [(FileName::Config, FileName::Config), (key(repository.clone()), key(other.repository()))] {
        // What in a key follows its name of the user could be anything and the key would still open.
        for how in [Flip(0), FlipFromEnd(0), FlipFromEnd(40), Cut(0), Cut(40), CutLast, Remove, Append, Replace] {
            let path = repository.join(file.to_string());
            fs::copy(&path, &aside).expect("copied");
            damage(&path, how, &other.repository().join(foreign.to_string()));
            let error = Opened::open(Arc::new(Folder::new(repository.clone())), PASSWORD).expect_err("it is damaged");
            match (&error, how) {
                (OpenError::NoRepository { .. }, Remove) => assert_eq!(file, FileName::Config),
                (OpenError::NoKey { .. }, Remove) => assert_ne!(file, FileName::Config),
                (OpenError::Broken { file: named, .. }, _) => assert_eq!(*named, file, "{how:?}: {error}"),
                _ => panic!("{file} {how:?}: {error}"),
            }
            fs::rename(&aside, &path).expect("put back");
        }
    }
    assert!(checked(&opened(&history.restic), Depth::All).is_sound());
}

#[test]
fn parts_and_shares_together_read_everything() {
    let history = sound();
    let packs = packs(&history);
    let victim = victims(&history).into_iter().find(|(kind, ..)| *kind == "data").expect("one");
    let (found, read) = with(&history, victim.1, FlipFromEnd(10), victim.2, || {
        let parts = (1..=4).map(|part| checked(&history.opened, Depth::Part { part, of: 4 }));
        let parts: Vec<_> = parts.collect();
        let found = parts.iter().filter(|part| names(&part.findings, victim.1)).count();
        (found, parts.iter().map(|part| part.packs_read).sum::<u64>())
    });
    assert_eq!((found, read), (1, packs.len() as u64));
    let share = |percent| checked(&history.opened, Depth::Percent { percent, seed: 3 });
    assert_eq!((share(0).packs_read, share(100).packs_read), (0, packs.len() as u64));
    assert!(share(100).is_sound());
    let all = with(&history, victim.1, Flip(40), victim.2, || (share(100).is_sound(), share(0).is_sound()));
    assert_eq!(all, (false, true), "what is not read is not judged");
    let cancel = Cancel::default();
    cancel.cancel();
    let error = check(&history.opened, Depth::All, &Progress::default(), &cancel).expect_err("nothing was looked at");
    assert_eq!(error.fault, Fault::Cancelled);
}

#[test]
fn of_few_packs_each_has_its_turn() {
    let history = sound();
    let packs = packs(&history);
    // One of trees is always read.
    let (file, _) = packs.iter().find(|(_, kind)| *kind == "data").expect("one");
    let (file, packs) = (*file, packs.len() as u64);
    let name = FileName::Of(FileKind::Data, file);
    let path = history.restic.packs().into_iter().find(|path| path.ends_with(file.to_string())).expect("it is there");
    damage(&path, FlipHalfway, &path);
    let (mut found, mut missed) = (0, 0);
    for seed in 0..40 * packs {
        let checked =
            check(&history.opened, Depth::Percent { percent: 1, seed }, &Progress::default(), &Cancel::default());
        let checked = checked.expect("it can be looked at");
        assert!((1..packs).contains(&checked.packs_read), "{} of {packs}", checked.packs_read);
        if checked.findings.iter().any(|one| one.to_string().starts_with(&name.to_string())) {
            found += 1;
        } else {
            missed += 1;
        }
    }
    assert!(found >= 10 && missed > found, "found by {found} and missed by {missed}, of {packs} packs");
}
