//! Locks as restic sees them, and restic's as we do.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use holdfast::clock;
use holdfast::repository::{
    BackupError, Cancel, EditError, FileId, FileKind, FileName, Folder, Lock, LockError, Locks, Mode, Opened, Prune,
    PruneError, Store, Version, WriteError, forget, init,
};
use jiff::{SignedDuration, Timestamp};

use crate::backups::{maker, opened, stored, with};
use crate::guarded::{Deed, Guarded};
use crate::history::{checked, files, locked};
use crate::restic::{PASSWORD, Restic};

/// Who takes the locks of these tests.
pub(crate) fn nobody() -> Lock {
    Lock {
        time: Timestamp::UNIX_EPOCH,
        exclusive: false,
        hostname: "node-1".to_owned(),
        username: "backup".to_owned(),
        pid: i64::from(std::process::id()),
        uid: None,
        gid: None,
        holdfast: None,
    }
}

fn locks(restic: &Restic) -> Locks {
    let store = Arc::new(Folder::new(restic.repository()));
    Opened::open(store, PASSWORD).expect("it opens").locks(nobody(), clock::now)
}

fn made() -> Restic {
    let restic = Restic::new();
    init(&Folder::new(restic.repository()), PASSWORD, Version::V2, &maker()).expect("nothing was there");
    restic.write("file", b"content");
    restic
}

fn count(restic: &Restic) -> usize {
    Folder::new(restic.repository()).list(FileKind::Lock).expect("listed").len()
}

#[test]
fn restic_honours_our_locks() {
    let restic = made();
    let files = restic.files();
    let backup = ["backup", files.to_str().expect("UTF-8")];
    let locks = locks(&restic);
    let held = locks.take(Mode::Shared, SignedDuration::ZERO).expect("nobody is there");
    restic.done(&backup);
    let refusal = restic.refused(&["prune"]);
    assert!(refusal.contains("already locked") && refusal.contains("node-1"), "{refusal}");
    drop(held);
    restic.done(&["prune"]);
    let held = locks.take(Mode::Exclusive, SignedDuration::ZERO).expect("nobody is there");
    assert!(restic.refused(&backup).contains("already locked exclusively"));
    assert!(held.is_held());
    drop(held);
    restic.done(&backup);
    assert_eq!(count(&restic), 0, "no lock is left behind");
}

#[test]
fn we_honour_the_locks_of_restic() {
    let restic = made();
    let mut backup = restic.backup_of_a_pipe();
    let locks = locks(&restic);
    // restic writes its lock before it reads.
    let begun = std::time::Instant::now();
    while locks.list().expect("listed").is_empty() {
        assert!(begun.elapsed().as_secs() < 60, "restic takes no lock");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let beside = locks.take(Mode::Shared, SignedDuration::ZERO).expect("it is shared");
    drop(beside);
    let error = locks.take(Mode::Exclusive, SignedDuration::ZERO).expect_err("restic works there");
    assert!(matches!(error, LockError::Locked(_)), "{error}");
    assert!(error.to_string().contains("wait until it is done"), "{error}");
    let mut input = backup.stdin.take().expect("it is a pipe");
    input.write_all(b"content").expect("restic reads");
    drop(input);
    assert!(backup.wait().expect("it ends").success());
    locks.take(Mode::Exclusive, SignedDuration::ZERO).expect("nobody is there any more");
}

#[test]
fn of_two_that_want_it_alone_one_gets_it() {
    let restic = made();
    let locks = locks(&restic);
    let first = locks.take(Mode::Exclusive, SignedDuration::ZERO).expect("nobody is there");
    assert!(matches!(locks.take(Mode::Shared, SignedDuration::ZERO), Err(LockError::Locked(_))));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| locks.take(Mode::Exclusive, SignedDuration::from_secs(60)));
        drop(first);
        let second = waiting.join().expect("no panic").expect("it waits for its turn");
        assert!(second.is_held());
    });
    assert_eq!(count(&restic), 0);
}

/// Both look before either has written: the second look is what tells them.
#[test]
fn of_two_at_the_same_moment_one_gets_it() {
    let restic = made();
    let (other, taken) = (locks(&restic), Arc::new(Mutex::new(None)));
    let by_other = Arc::clone(&taken);
    let store = Guarded::new(restic.repository(), move |deed| {
        if matches!(deed, Deed::Create(FileName::Of(FileKind::Lock, _))) {
            let held = other.take(Mode::Exclusive, SignedDuration::ZERO).expect("nobody has written yet");
            *by_other.lock().expect("no panic") = Some(held);
        }
        Ok(())
    });
    let late = Opened::open(store, PASSWORD).expect("it opens").locks(nobody(), clock::now);
    let refused = late.take(Mode::Shared, SignedDuration::ZERO);
    assert!(matches!(refused, Err(LockError::Locked(_))), "{refused:?}");
    assert!(taken.lock().expect("no panic").as_ref().is_some_and(holdfast::repository::Held::is_held));
    assert_eq!(count(&restic), 1);
}

static AHEAD_SECONDS: AtomicI64 = AtomicI64::new(0);

fn ahead() -> Timestamp {
    clock::now() + SignedDuration::from_secs(AHEAD_SECONDS.load(Ordering::SeqCst))
}

fn until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_lock_is_kept_fresh_until_somebody_removes_it() {
    let restic = made();
    let folder = || Folder::new(restic.repository());
    let ids = || folder().list(FileKind::Lock).expect("listed").into_iter().map(|(id, _)| id).collect::<Vec<FileId>>();
    let remove_all = |folder: &Folder| {
        for (id, _) in folder.list(FileKind::Lock).expect("listed") {
            folder.remove(FileName::Of(FileKind::Lock, id)).expect("removed");
        }
    };
    let later = || AHEAD_SECONDS.fetch_add(6 * 60, Ordering::SeqCst);
    let held = opened(&restic).locks(nobody(), ahead).take(Mode::Shared, SignedDuration::ZERO).expect("it is free");
    let first = ids();
    later();
    until("it is not written anew", || ids() != first && ids().len() == 1);
    assert!(held.is_held());
    remove_all(&folder());
    later();
    until("nobody finds out that it is gone", || !held.is_held());
    assert_eq!(ids(), [], "it is not written again");
    drop(held);

    // Somebody removes it when it was just looked at, and may hold another one by the time that the new one is there.
    let (root, meanwhile) = (restic.repository(), Arc::new(AtomicBool::new(false)));
    let removed = Arc::clone(&meanwhile);
    let store = Guarded::new(restic.repository(), move |deed| {
        if matches!(deed, Deed::Create(_)) && removed.load(Ordering::SeqCst) {
            remove_all(&Folder::new(root.clone()));
        }
        Ok(())
    });
    let locks = opened(&restic).over(store).locks(nobody(), ahead);
    let held = locks.take(Mode::Shared, SignedDuration::ZERO).expect("it is free");
    meanwhile.store(true, Ordering::SeqCst);
    later();
    until("nobody finds out that it was gone", || !held.is_held());
}

fn lost<T: std::fmt::Debug>(result: Result<T, WriteError>) {
    let error = result.expect_err("the lock is lost");
    assert!(matches!(error, WriteError::LockLost(_)), "{error}");
}

#[test]
fn whoever_has_lost_the_lock_changes_nothing_any_more() {
    let restic = crate::backups::made(Version::V2);
    restic.write("file", b"content");
    let (first, opened) = (stored(&restic), opened(&restic));
    restic.write("file", b"other content");
    stored(&restic);
    restic.write("file", b"content that is new");
    let there = || files(&Folder::new(restic.repository()));
    let before = there();
    let shared = locked(&opened, Mode::Shared);
    shared.release();
    lost(with(&opened, shared, |backup| backup.paths(&[restic.files()], &[])).map_err(|error| match error {
        BackupError::Write(error) => error,
        other => panic!("{other}"),
    }));
    let alone = locked(&opened, Mode::Exclusive);
    alone.release();
    lost(forget(&opened, &alone, &[first.snapshot]).map_err(|error| match error {
        EditError::Write(error) => error,
        other => panic!("{other}"),
    }));
    assert_eq!(there(), before);

    // In the middle of a prune: what was removed is all that is.
    forget(&opened, &locked(&opened, Mode::Exclusive), &[first.snapshot]).expect("it is forgotten");
    let (alone, removed) = (Arc::new(locked(&opened, Mode::Exclusive)), Arc::new(Mutex::new(0)));
    let (lock, count) = (Arc::clone(&alone), Arc::clone(&removed));
    let store = Guarded::new(restic.repository(), move |deed| {
        if let Deed::Remove(_) = deed {
            *count.lock().expect("no panic") += 1;
            lock.release();
        }
        Ok(())
    });
    let losing = opened.clone().over(store);
    let none = Cancel::default();
    let pruned = Prune::plan(&losing, alone, 0, &none).expect("it is planned").run(&none);
    lost(pruned.map_err(|error| match error {
        PruneError::Write(error) => error,
        other => panic!("{other}"),
    }));
    assert_eq!(*removed.lock().expect("no panic"), 1);
    assert!(checked(&opened, holdfast::repository::Depth::All).is_sound());
}
