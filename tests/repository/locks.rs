//! Locks as restic sees them, and restic's as we do.

use std::io::Write as _;
use std::sync::Arc;

use holdfast::clock;
use holdfast::repository::{FileKind, Folder, Lock, LockError, Locks, Mode, Opened, Store, Version, init};
use jiff::{SignedDuration, Timestamp};

use crate::backups::maker;
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
