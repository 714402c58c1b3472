//! Files that change, shrink, grow and vanish while they are backed up.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use holdfast::clock;
use holdfast::repository::{Filter, Mode, SelectError, Snapshots, Version};
use jiff::SignedDuration;

use crate::backups::{made, opened, with};
use crate::guarded::{Deed, Guarded};
use crate::locks::nobody;
use crate::trees::Seeded;

/// Nothing is written until it is opened: what comes later in the folder is listed by then, and not read yet.
#[derive(Debug, Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    waiting: AtomicUsize,
}

impl Gate {
    fn pass(&self, deed: Deed) {
        if let Deed::Create(_) = deed {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            let open = self.open.lock().expect("no panic");
            drop(self.opened.wait_while(open, |open| !*open).expect("no panic"));
        }
    }

    fn open(&self) {
        *self.open.lock().expect("no panic") = true;
        self.opened.notify_all();
    }
}

#[test]
fn what_changes_meanwhile_is_stored_as_it_was_read_or_named() {
    let restic = made(Version::V2);
    let mut random = Seeded(3);
    // More than fits into the packs that wait at the gate.
    for number in 0..24 {
        restic.write(&format!("a/{number:02}"), &random.bytes(8 << 20));
    }
    for name in ["grows", "pipe", "shrinks", "vanishes"] {
        restic.write(&format!("z/{name}"), &random.bytes(2 << 20));
    }
    let well = opened(&restic);
    let lock = well.locks(nobody(), clock::now).take(Mode::Shared, SignedDuration::ZERO).expect("it is free");
    let gate = Arc::new(Gate::default());
    let passing = Arc::clone(&gate);
    let gated = well.clone().over(Guarded::new(restic.repository(), move |deed| {
        passing.pass(deed);
        Ok(())
    }));
    let z = restic.files().join("z");
    let stored = thread::scope(|scope| {
        let backup = scope.spawn(|| with(&gated, lock, |backup| backup.paths(&[restic.files()], &[])));
        let begun = Instant::now();
        while gate.waiting.load(Ordering::SeqCst) < 3 {
            assert!(begun.elapsed() < Duration::from_mins(1), "nothing is written");
            thread::sleep(Duration::from_millis(10));
        }
        let mut grows = OpenOptions::new().append(true).open(z.join("grows")).expect("opened");
        grows.write_all(&[7; 1000]).expect("written");
        OpenOptions::new().write(true).open(z.join("shrinks")).expect("opened").set_len(1 << 20).expect("cut");
        fs::remove_file(z.join("vanishes")).expect("removed");
        fs::remove_file(z.join("pipe")).expect("removed");
        let mode = rustix::fs::Mode::from_raw_mode(0o644);
        rustix::fs::mknodat(rustix::fs::CWD, z.join("pipe"), rustix::fs::FileType::Fifo, mode, 0).expect("made");
        gate.open();
        backup.join().expect("no panic").expect("it is stored")
    });
    let below = |path: &std::path::Path| path.strip_prefix(&z).expect("below").to_str().expect("UTF-8").to_owned();
    let mut names: Vec<_> = stored.unread.first.iter().map(|(path, _)| below(path)).collect();
    names.sort_unstable();
    assert_eq!(
        (stored.unread.count, names),
        (2, vec!["pipe".to_owned(), "vanishes".to_owned()]),
        "{:?}",
        stored.unread
    );
    restic.done(&["check", "--read-data"]);
    assert!(restic.done(&["snapshots", "--json"]).contains("holdfast-incomplete"));
    let snapshots = Snapshots::read(&well).expect("they can be read");
    assert_eq!(snapshots.select("latest", &Filter::default()).err(), Some(SelectError::OnlyIncomplete));
    for name in ["grows", "shrinks"] {
        let path = z.join(name);
        let content = restic.run(&["dump", &stored.snapshot.to_string(), path.to_str().expect("UTF-8")]).stdout;
        assert!(content == fs::read(&path).expect("read"), "{name} is what it was when it was read");
    }
    // Its size is that of what was read, for restic too.
    let listed = restic.done(&["ls", "--json", &stored.snapshot.to_string(), z.to_str().expect("UTF-8")]);
    let shrunk = listed.lines().find(|line| line.contains("shrinks")).expect("listed");
    assert!(shrunk.contains(&format!("\"size\":{}", 1 << 20)), "{shrunk}");
}
