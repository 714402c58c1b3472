//! Snapshots in another repository, of another version and cut elsewhere, are what they were.

use std::sync::Arc;

use holdfast::repository::{Cancel, Config, Copied, Copying, FileId, Mode, Progress, Reader, SoFar, Version};

use crate::backups::made;
use crate::history::{History, locked};
use crate::restic::PASSWORD;
use crate::trees::{Seeded, grow};

/// What each snapshot is called there, and what had to be read for that.
fn copied(from: &History, to: &mut History) -> (Vec<FileId>, SoFar) {
    let reader = Reader::new(&from.opened).expect("the index can be read");
    let lock = Arc::new(locked(&to.opened, Mode::Shared));
    let copying = Copying::begin((&from.opened, &reader), &to.opened, lock).expect("it can be read");
    let (progress, cancel) = (Progress::default(), Cancel::default());
    let mut ids = Vec::new();
    for snapshot in from.snapshots().all {
        let (Copied::New(id) | Copied::Known(id)) = copying.copy(&snapshot, &progress, &cancel).expect("it is copied");
        to.seen.insert(id, from.seen[&snapshot.id].clone());
        ids.push(id);
    }
    drop(copying);
    (ids, progress.so_far())
}

/// The same as it lies elsewhere.
fn assert_restores(there: &History, from: &History) {
    let reader = Reader::new(&there.opened).expect("the index can be read");
    for snapshot in &there.snapshots().all {
        let out = tempfile::tempdir().expect("a temporary folder");
        let result = crate::history::restored(&reader, snapshot, &from.restic.files(), out.path());
        assert_eq!((result.lost.count, result.unset.count), (0, 0), "{result:?}");
        assert!(there.seen[&snapshot.id] == crate::trees::facts(out.path()), "snapshot {} is another", snapshot.id);
    }
}

fn polynomial(config: &Config) -> String {
    format!("{config:?}").split("polynomial: ").nth(1).expect("it has one").to_owned()
}

#[test]
fn versions_and_polynomials_may_differ() {
    let mut first = History::of(made(Version::V1), 1);
    grow(&first.restic.files(), 7);
    // restic 0.14 keeps no target that is no UTF-8.
    std::fs::remove_file(first.restic.files().join("link to no UTF-8")).expect("removed");
    first.theirs();
    first.restic.write("large", &Seeded(1).bytes(6 << 20));
    first.ours();
    let mut second = History::of(made(Version::V2), 2);
    let mut third = History::of(made(Version::V1), 3);
    assert_ne!(polynomial(first.opened.config()), polynomial(second.opened.config()));
    let (there, read) = copied(&first, &mut second);
    assert!(read.bytes > 11 << 20, "{read:?}");
    second.assert_tidy();
    assert_restores(&second, &first);
    let has_parent = |history: &History| {
        let newest = history.snapshots().all.last().expect("one").id.to_string();
        history.restic.done(&["cat", "snapshot", &newest]).contains("\"parent\"")
    };
    assert_eq!((has_parent(&first), has_parent(&second)), (true, false), "it would name one that is not there");
    let before = crate::history::files(&second.store());

    // What was copied is not copied again: neither by us nor by restic.
    let (again, read) = copied(&first, &mut second);
    assert_eq!((&again, read.bytes), (&there, 0));
    let mut restic = second.restic.command(&["copy"]);
    restic.env("RESTIC_FROM_REPOSITORY", first.restic.repository()).env("RESTIC_FROM_PASSWORD", PASSWORD);
    restic.arg("--from-password-command").arg(format!("echo '{PASSWORD}'"));
    let output = restic.output().expect("restic is installed");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("skipping"), "{said}");
    assert_eq!(crate::history::files(&second.store()), before);

    // And back into the old version.
    copied(&second, &mut third);
    third.assert_tidy();
    assert_restores(&third, &first);
    let originals = |history: &History| -> Vec<_> {
        history.snapshots().all.into_iter().map(|snapshot| snapshot.original.unwrap_or(snapshot.id)).collect()
    };
    assert_eq!(originals(&third), originals(&first), "the first name goes along");
    let (again, read) = copied(&third, &mut first);
    assert_eq!((again, read.bytes), (first.snapshots().all.iter().map(|snapshot| snapshot.id).collect(), 0));
    // A file that comes later is cut by the polynomial there; what is not new is found.
    let out = tempfile::tempdir().expect("a temporary folder");
    let newest = there.last().expect("two").to_string();
    second.restic.done(&["restore", &newest, "--target", out.path().to_str().expect("UTF-8")]);
    let inside = out.path().join(first.restic.files().strip_prefix("/").expect("absolute"));
    assert!(crate::trees::facts(&inside) == second.seen[there.last().expect("two")]);
}

#[test]
fn what_restic_has_copied_is_known() {
    let mut first = History::of(made(Version::V2), 1);
    first.change();
    first.ours();
    let mut second = History::of(made(Version::V1), 2);
    let mut restic = second.restic.command(&["copy", "--from-repo"]);
    restic.arg(first.restic.repository()).arg("--from-password-command").arg(format!("echo '{PASSWORD}'"));
    let output = restic.output().expect("restic is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let before = crate::history::files(&second.store());
    let (_, read) = copied(&first, &mut second);
    assert_eq!(read.bytes, 0);
    assert_eq!(crate::history::files(&second.store()), before);
}
