//! New repositories: restic takes ours, we take restic's, and nothing is written where anything is.

use std::sync::Arc;

use holdfast::repository::{FileKind, FileName, Folder, InitError, OpenError, Opened, Store, Version, init};

use crate::backups::maker;
use crate::restic::{PASSWORD, Restic};

fn folder(restic: &Restic) -> Folder {
    Folder::new(restic.repository())
}

fn open(restic: &Restic, password: &str) -> Result<Opened, OpenError> {
    Opened::open(Arc::new(folder(restic)), password)
}

#[test]
fn restic_works_in_a_repository_of_ours() {
    for version in [Version::V1, Version::V2] {
        let restic = Restic::new();
        init(&folder(&restic), PASSWORD, version, &maker()).expect("nothing was there");
        restic.write("a/file", b"content");
        restic.done(&["backup", restic.files().to_str().expect("UTF-8")]);
        restic.done(&["check", "--read-data"]);
        open(&restic, PASSWORD).expect("it opens");
    }
}

#[test]
fn a_repository_of_restic_opens_with_its_password_only() {
    for version in ["1", "2"] {
        let restic = Restic::new();
        restic.done(&["init", "--repository-version", version]);
        open(&restic, PASSWORD).expect("it opens");
        let error = open(&restic, "wrong").expect_err("it stays closed");
        assert!(matches!(error, OpenError::WrongPassword { .. }), "{error:?}");
    }
    let none = open(&Restic::new(), PASSWORD).expect_err("nothing is there");
    assert!(matches!(none, OpenError::NoRepository { .. }), "{none:?}");
}

#[test]
fn nothing_is_written_where_anything_is() {
    let restic = Restic::new();
    restic.done(&["init"]);
    let store = folder(&restic);
    assert!(matches!(init(&store, PASSWORD, Version::V2, &maker()), Err(InitError::Exists { .. })));

    // A repository that lost its configuration is damaged, and no place for a new one.
    restic.write("file", b"content");
    restic.done(&["backup", restic.files().to_str().expect("UTF-8")]);
    store.remove(FileName::Config).expect("removed");
    let files = || FileKind::ALL.map(|kind| store.list(kind).expect("listed"));
    let before = files();
    let error = init(&store, PASSWORD, Version::V2, &maker()).expect_err("it is not empty");
    assert!(matches!(error, InitError::NotEmpty { folder: "snapshots", count: 1, .. }), "{error}");
    assert_eq!(files(), before);
}

#[test]
fn what_was_cut_off_is_made_whole_by_who_began_it() {
    let restic = Restic::new();
    let store = folder(&restic);
    init(&store, PASSWORD, Version::V2, &maker()).expect("nothing was there");
    store.remove(FileName::Config).expect("as if it had ended before");
    assert!(matches!(init(&store, "another", Version::V2, &maker()), Err(InitError::Begun { .. })));
    init(&store, PASSWORD, Version::V2, &maker()).expect("it is begun anew");
    assert_eq!(store.list(FileKind::Key).expect("listed").len(), 1);
    restic.done(&["check"]);
}

#[test]
fn of_two_that_make_it_at_once_one_wins_and_its_key_stays() {
    use crate::guarded::{Deed, Guarded};
    let restic = Restic::new();
    let root = restic.repository();
    let other = root.clone();
    // Just before the configuration is written, somebody else has made the repository.
    let store = Guarded::new(root.clone(), move |deed| {
        if deed == Deed::Create(FileName::Config) {
            init(&Folder::new(other.clone()), PASSWORD, Version::V2, &maker())
                .expect("it goes on with the key that is there");
        }
        Ok(())
    });
    let error = init(&*store, PASSWORD, Version::V2, &maker()).expect_err("somebody was faster");
    assert!(matches!(error, InitError::Exists { .. }), "{error}");
    open(&restic, PASSWORD).expect("it opens");
    restic.done(&["check"]);

    // A key that somebody has left, of a repository that never was, opens nothing and harms nobody.
    let elsewhere = Restic::new();
    init(&folder(&elsewhere), PASSWORD, Version::V2, &maker()).expect("nothing was there");
    for (id, _) in folder(&elsewhere).list(FileKind::Key).expect("listed") {
        let key = folder(&elsewhere).read(FileName::Of(FileKind::Key, id)).expect("read");
        folder(&restic).create(FileName::Of(FileKind::Key, id), &[key]).expect("written");
    }
    open(&restic, PASSWORD).expect("it opens with the other key");
}
