//! Both programs at the same time in one repository: they write beside each other, and none prunes beside the other's work.

use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use holdfast::clock;
use holdfast::repository::{Cancel, FileKind, Folder, LockError, Mode, Opened, Prune, Store as _, Version};
use jiff::SignedDuration;
use rustix::process::{Pid, Signal, kill_process};

use crate::backups::{made, with_lock};
use crate::guarded::Guarded;
use crate::history::{History, pruned};
use crate::locks::nobody;
use crate::restic::{PASSWORD, Restic};
use crate::trees::{Seeded, facts};

const MOMENTS: usize = 10;

fn spawn(restic: &Restic, arguments: &[&str]) -> Child {
    let mut command = restic.command(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("restic is installed")
}

fn ended(mut child: Child) -> Result<(), String> {
    let mut errors = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut errors).expect("read");
    if child.wait().expect("it ends").success() { Ok(()) } else { Err(errors) }
}

fn locks(restic: &Restic) -> usize {
    Folder::new(restic.repository()).list(FileKind::Lock).expect("listed").len()
}

pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_mins(1), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn both_write_at_the_same_time() {
    let mut history = History::of(made(Version::V2), 21);
    for round in 0..4 {
        history.change();
        history.restic.write("large", &Seeded(round).bytes(2 << 20));
        let files = history.restic.files();
        let theirs = spawn(&history.restic, &["backup", "--host", "far", files.to_str().expect("UTF-8")]);
        for _ in 0..2 {
            history.ours();
        }
        ended(theirs).expect("it is stored");
        let known = |id: &_| history.seen.contains_key(id);
        let new: Vec<_> =
            history.snapshots().all.into_iter().map(|snapshot| snapshot.id).filter(|id| !known(id)).collect();
        assert_eq!(new.len(), 1);
        history.seen.insert(new[0], facts(&files));
    }
    assert_eq!(locks(&history.restic), 0);
    history.assert_tidy();
    history.assert_restores();
    pruned(&history.opened, 0).expect("what is there twice goes");
    history.assert_tidy();
    history.assert_restores();
    let newest = history.snapshots().all.last().expect("one").id;
    history.assert_restic_restores(newest);
}

#[test]
fn restic_prunes_at_no_moment_of_our_backup() {
    let mut history = History::of(made(Version::V2), 22);
    for _ in 0..3 {
        history.change();
        history.ours();
    }
    // What the next backup finds in the repository and no snapshot needs: a prune would remove it.
    history.restic.write("found again", &Seeded(7).bytes(200_000));
    let last = history.ours();
    history.forget(&[last]);
    history.restic.write("new", &Seeded(8).bytes(200_000));
    let (begun, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let guard = {
        let (begun, refused) = (Arc::clone(&begun), Arc::clone(&refused));
        let command = Mutex::new(history.restic.command(&["prune"]));
        move |deed| {
            let mut refused = refused.lock().expect("no panic");
            // It reads little before it writes.
            if begun.load(Ordering::SeqCst) && refused.len() < MOMENTS {
                let output = command.lock().expect("no panic").output().expect("restic is installed");
                refused.push((deed, output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()));
            }
            Ok(())
        }
    };
    let store = Guarded::new(history.restic.repository(), guard);
    let asking = Opened::open(store, PASSWORD).expect("it opens");
    let files = history.restic.files();
    let stored = with_lock(&asking, |backup| {
        begun.store(true, Ordering::SeqCst);
        let stored = backup.paths(std::slice::from_ref(&files), &[]);
        begun.store(false, Ordering::SeqCst);
        stored
    });
    history.seen.insert(stored.expect("it is stored").snapshot, facts(&files));
    let refused = refused.lock().expect("no panic");
    assert_eq!(refused.len(), MOMENTS);
    for (deed, success, said) in &*refused {
        assert!(!success && said.contains("already locked"), "{deed:?}: {said}");
    }
    assert_eq!(locks(&history.restic), 0);
    history.assert_tidy();
    history.restic.done(&["prune", "--max-unused", "0"]);
    history.assert_tidy();
    history.assert_restores();
}

#[test]
fn we_prune_at_no_moment_of_a_backup_of_restic() {
    let mut history = History::of(made(Version::V1), 23);
    for _ in 0..3 {
        history.change();
        history.ours();
    }
    let bytes = Seeded(5).bytes(MOMENTS << 20);
    history.restic.write("same", &bytes);
    let last = history.ours();
    history.forget(&[last]);
    let mut backup = history.restic.backup_of_a_pipe();
    until("restic takes no lock", || locks(&history.restic) > 0);
    let mut input = backup.stdin.take().expect("a pipe");
    for part in bytes.chunks(1 << 20) {
        input.write_all(part).expect("restic reads");
        let taken = history.opened.locks(nobody(), clock::now).take(Mode::Exclusive, SignedDuration::ZERO);
        assert!(matches!(taken, Err(LockError::Locked(_))), "{taken:?}");
    }
    std::thread::scope(|scope| {
        let opened = &history.opened;
        let waiting = scope.spawn(move || {
            let patience = SignedDuration::from_mins(1);
            let lock = opened.locks(nobody(), clock::now).take(Mode::Exclusive, patience).expect("restic ends");
            let none = Cancel::default();
            Prune::plan(opened, Arc::new(lock), 0, &none)?.run(&none)
        });
        drop(input);
        assert!(backup.wait().expect("it ends").success());
        waiting.join().expect("no panic").expect("it is pruned");
    });
    history.assert_tidy();
    assert!(history.restic.run(&["dump", "latest", "/stdin"]).stdout == bytes);
    let newest = history.snapshots().all.last().expect("one").id;
    history.restic.done(&["forget", &newest.to_string()]);
    history.assert_restores();
}

/// restic stands still in the middle of its prune: we do not begin, and when it is done we do.
#[test]
fn we_wait_while_restic_prunes() {
    let mut history = History::of(made(Version::V2), 24);
    for _ in 0..6 {
        history.change();
        history.ours();
    }
    let most: Vec<_> = history.snapshots().all.iter().take(4).map(|snapshot| snapshot.id).collect();
    history.forget(&most);
    let prune = spawn(&history.restic, &["prune", "--max-unused", "0"]);
    until("restic takes no lock", || locks(&history.restic) > 0);
    let process = Pid::from_child(&prune);
    kill_process(process, Signal::STOP).expect("it is stopped");
    assert_eq!(locks(&history.restic), 1, "it was stopped too late");
    let locks = history.opened.locks(nobody(), clock::now);
    let taken = locks.take(Mode::Shared, SignedDuration::ZERO);
    assert!(matches!(taken, Err(LockError::Locked(_))), "{taken:?}");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| locks.take(Mode::Shared, SignedDuration::from_mins(1)));
        kill_process(process, Signal::CONT).expect("it goes on");
        ended(prune).expect("it is pruned");
        let held = waiting.join().expect("no panic").expect("restic is done");
        assert!(held.is_held());
    });
    history.change();
    history.ours();
    history.assert_tidy();
    history.assert_restores();
}
