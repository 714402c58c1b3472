//! What went in comes out, whoever wrote it and whoever reads it.

use std::fs;
use std::path::{Path, PathBuf};

use holdfast::repository::{
    Cancel, Existing, Holes, Order, Progress, Reader, RestoreError, Restored, Snapshot, Snapshots, Version, restore,
};

use crate::backups::{made, opened, stored};
use crate::restic::Restic;
use crate::trees::{differences, grow};

fn order(target: &Path) -> Order {
    Order {
        from: PathBuf::new(),
        target: target.to_owned(),
        include: Vec::new(),
        exclude: Vec::new(),
        existing: None,
        holes: Holes::Filled,
    }
}

fn newest(restic: &Restic) -> (Reader, Snapshot) {
    let opened = opened(restic);
    let snapshots = Snapshots::read(&opened).expect("they can be read");
    let newest = snapshots.all.last().expect("there is one").clone();
    (Reader::new(&opened).expect("the index can be read"), newest)
}

fn restored(restic: &Restic, order: &Order) -> Result<Restored, RestoreError> {
    let (reader, snapshot) = newest(restic);
    restore(&reader, &snapshot, order, &Progress::default(), &Cancel::default())
}

fn same(restic: &Restic, out: &Path) {
    let inside = out.join(restic.files().strip_prefix("/").expect("absolute"));
    assert_eq!(differences(&restic.files(), &inside), Vec::<String>::new());
}

#[test]
fn each_restores_what_the_other_stored() {
    for version in [Version::V1, Version::V2] {
        let restic = made(version);
        grow(&restic.files(), 1);
        // restic 0.14 keeps no target that is no UTF-8.
        fs::remove_file(restic.files().join("link to no UTF-8")).expect("removed");
        let files = restic.files();
        restic.done(&["backup", files.to_str().expect("UTF-8")]);
        let ours = tempfile::tempdir().expect("a temporary folder");
        let result = restored(&restic, &order(ours.path())).expect("it is restored");
        assert_eq!((result.lost.count, result.unset.count), (0, 0), "{result:?}");
        same(&restic, ours.path());

        let stored = stored(&restic);
        let again = tempfile::tempdir().expect("a temporary folder");
        let result = restored(&restic, &order(again.path())).expect("it is restored");
        assert_eq!((result.lost.count, result.unset.count), (0, 0), "{result:?}");
        same(&restic, again.path());
        let theirs = tempfile::tempdir().expect("a temporary folder");
        restic.done(&["check", "--read-data"]);
        restic.done(&["restore", &stored.snapshot.to_string(), "--target", theirs.path().to_str().expect("UTF-8")]);
        same(&restic, theirs.path());
    }
}

#[test]
fn a_folder_goes_where_it_is_wanted_and_patterns_choose() {
    let restic = made(Version::V2);
    grow(&restic.files(), 2);
    stored(&restic);
    let out = tempfile::tempdir().expect("a temporary folder");
    let target = out.path().join("new/place");
    let stripped = Order { from: restic.files(), ..order(&target) };
    restored(&restic, &stripped).expect("it is restored");
    assert_eq!(differences(&restic.files(), &target), Vec::<String>::new());

    let target = out.path().join("chosen");
    let include = vec!["file *".parse().expect("a pattern"), "fifo".parse().expect("a pattern")];
    let exclude = vec!["file 1?".parse().expect("a pattern")];
    let chosen = Order { from: restic.files(), include, exclude, ..order(&target) };
    assert_eq!(restored(&restic, &chosen).expect("it is restored").files, 40 - 10 + 1);
    assert!(target.join("fifo").exists() && target.join("deep/er/file 2").exists());
    assert!(!target.join("empty folder").exists() && !target.join("deep/er/est").exists());

    let one = Order { from: restic.files().join("deep/medium"), ..order(&out.path().join("one")) };
    restored(&restic, &one).expect("it is restored");
    assert_eq!(differences(&restic.files().join("deep/medium"), &out.path().join("one/medium")), Vec::<String>::new());

    let missing = Order { from: PathBuf::from("/no/such"), ..order(&out.path().join("none")) };
    assert!(matches!(restored(&restic, &missing), Err(RestoreError::Path(_))));
}

#[test]
fn what_is_there_is_kept_or_deleted_only_when_that_was_said() {
    let restic = made(Version::V2);
    grow(&restic.files(), 3);
    stored(&restic);
    let out = tempfile::tempdir().expect("a temporary folder");
    let target = out.path().join("target");
    fs::create_dir_all(target.join("small")).expect("made");
    fs::write(target.join("small/other"), "precious").expect("written");
    fs::write(target.join("empty"), "not empty").expect("written");
    let nothing = Order { from: restic.files(), ..order(&target) };
    assert!(matches!(restored(&restic, &nothing), Err(RestoreError::NotEmpty(_))));
    assert_eq!(fs::read_dir(&target).expect("listed").count(), 2);

    let keep = Order { existing: Some(Existing::Keep), ..nothing.clone() };
    let result = restored(&restic, &keep).expect("it is restored");
    // A folder of somebody is never removed for a file; the two other names of that file go with it.
    assert_eq!(result.lost.count, 1, "{:?}", result.lost);
    assert_eq!(fs::read(target.join("small/other")).expect("kept"), b"precious");
    assert_eq!(fs::read(target.join("empty")).expect("replaced"), b"");

    let delete = Order { existing: Some(Existing::Delete), ..nothing };
    let result = restored(&restic, &delete).expect("it is restored");
    assert_eq!((result.lost.count, result.aside.len()), (0, 0), "{result:?}");
    assert_eq!(differences(&restic.files(), &target), Vec::<String>::new());
}

#[test]
fn what_is_damaged_is_named_and_the_rest_is_restored() {
    let restic = made(Version::V2);
    grow(&restic.files(), 4);
    stored(&restic);
    let packs = restic.packs();
    let largest = packs.iter().max_by_key(|path| fs::metadata(path).expect("there").len()).expect("one");
    fs::remove_file(largest).expect("removed");
    let out = tempfile::tempdir().expect("a temporary folder");
    let order = Order { from: restic.files(), existing: Some(Existing::Delete), ..order(out.path()) };
    fs::write(out.path().join("precious"), "before").expect("written");
    let result = restored(&restic, &order).expect("what there is is restored");
    assert!(result.lost.count > 0 && result.files > 0, "{result:?}");
    let aside = result.aside.first().expect("what was there is kept when something is lost");
    assert_eq!(fs::read(aside.join("precious")).expect("kept"), b"before");
    for (path, reason) in &result.lost.first {
        assert!(!path.exists(), "{}", path.display());
        assert!(reason.contains("data/") || reason.contains("linked"), "{}: {reason}", path.display());
    }
}

#[test]
fn holes_take_no_room_when_they_are_wanted() {
    use std::os::unix::fs::MetadataExt as _;
    let restic = made(Version::V2);
    grow(&restic.files(), 5);
    stored(&restic);
    let out = tempfile::tempdir().expect("a temporary folder");
    let sparse = Order { from: restic.files(), holes: Holes::Made, ..order(out.path()) };
    restored(&restic, &sparse).expect("it is restored");
    assert_eq!(differences(&restic.files(), out.path()), Vec::<String>::new());
    let meta = fs::metadata(out.path().join("sparse")).expect("there");
    assert!(meta.blocks() * 512 < meta.size() / 2, "{} blocks of {} bytes", meta.blocks(), meta.size());
}

#[test]
fn an_attempt_that_failed_costs_nothing_of_what_was_there_before() {
    use crate::guarded::{Deed, Guarded};
    use holdfast::repository::Fault;
    let restic = made(Version::V2);
    grow(&restic.files(), 6);
    stored(&restic);
    let out = tempfile::tempdir().expect("a temporary folder");
    fs::write(out.path().join("small"), "precious").expect("written");
    let delete = Order { from: restic.files(), existing: Some(Existing::Delete), ..order(out.path()) };
    let (reader, snapshot) = newest(&restic);
    let packs = Guarded::new(restic.repository(), |deed| match deed {
        Deed::Look => Err(Fault::Broken("the disk is gone".to_owned())),
        Deed::Create(_) | Deed::Remove(_) => Ok(()),
    });
    for _ in 0..2 {
        let broken = newest(&restic).0.through(packs.clone());
        let result = restore(&broken, &snapshot, &delete, &Progress::default(), &Cancel::default());
        assert!(result.is_err() || result.is_ok_and(|restored| restored.lost.count > 0));
    }
    let result =
        restore(&reader, &snapshot, &delete, &Progress::default(), &Cancel::default()).expect("it is restored");
    assert_eq!((result.lost.count, result.aside.len()), (0, 0), "{result:?}");
    assert_eq!(differences(&restic.files(), out.path()), Vec::<String>::new());
}

#[test]
fn one_file_takes_the_place_of_one_file() {
    let restic = made(Version::V2);
    grow(&restic.files(), 7);
    stored(&restic);
    let out = tempfile::tempdir().expect("a temporary folder");
    fs::write(out.path().join("precious"), "kept").expect("written");
    let one = Order { from: restic.files().join("small"), existing: Some(Existing::Delete), ..order(out.path()) };
    restored(&restic, &one).expect("it is restored");
    assert_eq!(fs::read(out.path().join("precious")).expect("kept"), b"kept");
    assert!(out.path().join("small").exists());
}

#[test]
fn what_a_tree_says_counts_and_not_what_somebody_typed() {
    let restic = made(Version::V2);
    restic.write("work/file", b"content");
    // From a folder of its own, restic stores the path as it was given, and says another one.
    let mut command = restic.command(&["backup", "work"]);
    assert!(command.current_dir(restic.files()).output().expect("it runs").status.success());
    let out = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(out.path().join("work")).expect("made");
    fs::write(out.path().join("work/file"), "precious").expect("written");
    assert!(matches!(restored(&restic, &order(out.path())), Err(RestoreError::NotEmpty(_))));
    assert_eq!(fs::read(out.path().join("work/file")).expect("kept"), b"precious");
}

#[test]
fn a_target_behind_a_link_is_what_the_link_leads_to() {
    let restic = made(Version::V2);
    grow(&restic.files(), 8);
    stored(&restic);
    let out = tempfile::tempdir().expect("a temporary folder");
    let real = out.path().join("real");
    fs::create_dir(&real).expect("made");
    fs::write(real.join("old"), "old").expect("written");
    std::os::unix::fs::symlink(&real, out.path().join("link")).expect("linked");
    let delete = Order { from: restic.files(), existing: Some(Existing::Delete), ..order(&out.path().join("link")) };
    let result = restored(&restic, &delete).expect("it is restored");
    assert_eq!((result.lost.count, result.aside.len()), (0, 0), "{result:?}");
    assert_eq!(differences(&restic.files(), &real), Vec::<String>::new());
}

#[test]
fn a_link_in_the_place_of_a_folder_is_not_followed() {
    let restic = made(Version::V2);
    restic.write("folder/inner/file", b"content");
    stored(&restic);
    let out = tempfile::tempdir().expect("a temporary folder");
    let (elsewhere, target) = (out.path().join("elsewhere"), out.path().join("target"));
    fs::create_dir_all(elsewhere.join("inner")).expect("made");
    fs::create_dir(&target).expect("made");
    std::os::unix::fs::symlink(&elsewhere, target.join("folder")).expect("linked");
    let keep = Order { from: restic.files(), existing: Some(Existing::Keep), ..order(&target) };
    assert_eq!(restored(&restic, &keep).expect("it is restored").lost.count, 0);
    assert_eq!(differences(&restic.files(), &target), Vec::<String>::new());
    assert_eq!(fs::read_dir(elsewhere.join("inner")).expect("it stays").count(), 0, "nothing goes where it leads");
}
