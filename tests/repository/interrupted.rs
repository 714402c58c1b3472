//! A store that fails at any one operation, or from any one on: what was there stays, what was not done is told, `Ok` means that
//! all is done, and the next run does it. And one that is slow: whoever is told to end does so within a second.
//! `HOLDFAST_INTERRUPTIONS=all` fails every operation in both ways.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use holdfast::repository::keys::{add, change, list, remove};
use holdfast::repository::{
    Backup, Cancel, Copying, Depth, Fault, FileId, Folder, Held, Holes, Mode, Opened, Order, Progress, Prune, Reader,
    Restored, Snapshot, Snapshots, TagChange, Version, check, forget, restore, tag,
};

use crate::backups::{made, maker, opened, with};
use crate::guarded::Guarded;
use crate::history::{History, checked, copy, files, locked, restored};
use crate::restic::{PASSWORD, Restic};
use crate::trees::{Facts, facts};

/// Of each operation of a slow store, and of one that is told to end meanwhile.
const SLOW: Duration = Duration::from_millis(10);
const SOON: Duration = Duration::from_secs(1);
/// So many operations of each work fail in a plain run, in turn in one way and the other.
const POSITIONS: u64 = 5;
const NEW: &str = "new password";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Backup,
    Restore,
    Copy,
    Forget,
    Prune,
    Tag,
    Check,
    AddKey,
    RemoveKey,
    ChangeKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fails {
    From(u64),
    Only(u64),
}

type Seen = BTreeMap<FileId, BTreeMap<PathBuf, Facts>>;

/// A repository that is made anew for each failure, and another one to copy to.
struct World {
    history: History,
    other: Restic,
    /// Of all snapshots, and those of them that are to be forgotten.
    seen: Seen,
    old: Vec<FileId>,
    /// What another password has made.
    second_key: FileId,
    out: tempfile::TempDir,
    /// Of a repository that nothing happens to: what is tested is the work, and to take a lock costs time.
    lock: Arc<Held>,
}

fn whole(restic: &Restic) -> PathBuf {
    restic.repository().with_file_name("whole")
}

impl World {
    fn new() -> Self {
        let mut history = History::of(made(Version::V2), 7);
        history.grow(3, 9);
        let old: Vec<_> = history.snapshots().all.iter().take(2).map(|snapshot| snapshot.id).collect();
        let lock = Arc::new(locked(&opened(&made(Version::V2)), Mode::Exclusive));
        let second_key = history.opened.key;
        let other = made(Version::V2);
        for restic in [&history.restic, &other] {
            copy(&restic.repository(), &whole(restic));
        }
        let (seen, out) = (history.seen.clone(), tempfile::tempdir().expect("a temporary folder"));
        Self { history, other, seen, old, second_key, out, lock }
    }

    /// Not for all: to open it costs as much as it must.
    fn with_a_second_key(mut self) -> Self {
        self.second_key = add(&self.history.opened, &self.lock, "second", &maker()).expect("it is made");
        copy(&self.history.restic.repository(), &whole(&self.history.restic));
        self
    }

    fn renew(&self, work: Work) {
        for restic in [&self.history.restic, &self.other] {
            fs::remove_dir_all(restic.repository()).expect("removed");
            copy(&whole(restic), &restic.repository());
        }
        let _ = fs::remove_dir_all(self.target());
        if work == Work::Backup {
            self.history.restic.write("one more", b"new content");
        }
        if work == Work::Prune {
            forget(&self.history.opened, &self.lock, &self.old).expect("they are removed");
        }
    }

    fn target(&self) -> PathBuf {
        self.out.path().join("target")
    }

    /// The repository that is changed.
    fn restic(&self, work: Work) -> &Restic {
        if work == Work::Copy { &self.other } else { &self.history.restic }
    }

    fn well(&self, work: Work) -> Opened {
        if work == Work::Copy { opened(&self.other) } else { self.history.opened.clone() }
    }

    fn run(&self, work: Work, bad: &Opened, cancel: &Cancel) -> Result<(), String> {
        let said = |error: &dyn std::error::Error| error.to_string();
        let (progress, lock) = (Progress::default(), &self.lock);
        match work {
            Work::Backup => {
                let stored = with(bad, Arc::clone(lock), |backup| {
                    let backup = Backup { cancel, lock: Arc::clone(&backup.lock), ..*backup };
                    backup.paths(&[self.history.restic.files()], &[])
                });
                stored.map(|stored| assert_eq!(stored.unread.count, 0)).map_err(|error| said(&error))
            }
            Work::Restore => self.restore(bad, cancel).map(drop),
            Work::Copy => {
                let from = opened(&self.history.restic);
                let reader = Reader::new(&from).expect("the index can be read");
                let copying = Copying::begin((&from, &reader), bad, Arc::clone(lock)).map_err(|error| said(&error))?;
                let all = Snapshots::read(&from).expect("they can be read").all;
                let copied = all.iter().try_for_each(|one| copying.copy(one, &progress, cancel).map(drop));
                copied.map_err(|error| said(&error))
            }
            Work::Forget => forget(bad, lock, &self.old).map_err(|error| said(&error)),
            Work::Prune => {
                let plan = Prune::plan(bad, Arc::clone(lock), 0, cancel);
                plan.and_then(|plan| plan.run(cancel)).map(drop).map_err(|error| said(&error))
            }
            Work::Tag => {
                let all = Snapshots::read(bad).map_err(|error| said(&error))?.all;
                let change = TagChange { add: ["t".to_owned()].into(), ..TagChange::default() };
                let changed = all.iter().try_for_each(|one| tag(bad, lock, one, &change).map(drop));
                changed.map_err(|error| said(&error))
            }
            Work::Check => {
                let checked = check(bad, Depth::All, &progress, cancel).map_err(|error| said(&error))?;
                if checked.is_sound() { Ok(()) } else { Err(format!("{:?}", checked.findings)) }
            }
            Work::AddKey => add(bad, lock, NEW, &maker()).map(drop).map_err(|error| said(&error)),
            Work::RemoveKey => remove(bad, &self.second_key.to_string()).map(drop).map_err(|error| said(&error)),
            Work::ChangeKey => change(bad, lock, NEW, &maker()).map(drop).map_err(|error| said(&error)),
        }
    }

    /// What is not restored is told, by its name or by that of a folder that it is in.
    fn restore(&self, bad: &Opened, cancel: &Cancel) -> Result<Restored, String> {
        let newest = self.history.snapshots().all.pop().expect("one");
        let order = Order {
            from: self.history.restic.files(),
            target: self.target(),
            include: Vec::new(),
            exclude: Vec::new(),
            existing: None,
            holes: Holes::Filled,
        };
        let reader = Reader::new(bad).map_err(|error| error.to_string())?;
        let result = restore(&reader, &newest, &order, &Progress::default(), cancel);
        let there = if self.target().exists() { facts(&self.target()) } else { BTreeMap::new() };
        let wanted = &self.seen[&newest.id];
        let unfinished = |path: &Path| path.extension().is_some_and(|end| end == "holdfast-incomplete");
        for (path, facts) in there.iter().filter(|(path, facts)| facts.is_file() && !unfinished(path)) {
            assert!(wanted.get(path) == Some(facts), "{} is not whole", path.display());
        }
        let restored = result.map_err(|error| error.to_string())?;
        for path in
            wanted.iter().filter(|(path, facts)| facts.is_file() && !there.contains_key(*path)).map(|(path, _)| path)
        {
            let named = |(lost, _): &(PathBuf, String)| self.target().join(path).starts_with(lost);
            assert!(restored.lost.first.iter().any(named), "{} is missing, and not told: {restored:?}", path.display());
        }
        if restored.lost.count == 0 { Ok(restored) } else { Err(format!("{:?}", restored.lost)) }
    }

    /// Whatever has happened: both programs find nothing wrong, and no snapshot holds less than it did.
    fn assert_safe(&self, work: Work, what: &str) {
        let well = self.well(work);
        let sound = checked(&well, Depth::All);
        assert!(sound.is_sound(), "{what}: {:?}", sound.findings);
        self.restic(work).done(&["check", "--read-data"]);
        let snapshots = Snapshots::read(&well).expect("they can be read");
        assert_eq!(snapshots.lost, [], "{what}");
        let reader = Reader::new(&well).expect("the index can be read");
        for snapshot in &snapshots.all {
            let Some(seen) = self.seen.get(&first_name(snapshot)) else { continue };
            let out = tempfile::tempdir().expect("a temporary folder");
            let result = restored(&reader, snapshot, &self.history.restic.files(), out.path());
            assert_eq!(result.lost.count, 0, "{what}: {result:?}");
            assert!(*seen == facts(out.path()), "{what}: snapshot {} is another", snapshot.id);
        }
        let names: Vec<_> = snapshots.all.iter().map(first_name).collect();
        let kept = |id: &&FileId| !self.old.contains(id);
        match work {
            Work::Copy => {}
            Work::Forget | Work::Prune => assert!(self.seen.keys().filter(kept).all(|id| names.contains(id)), "{what}"),
            Work::Backup
            | Work::Restore
            | Work::Tag
            | Work::Check
            | Work::AddKey
            | Work::RemoveKey
            | Work::ChangeKey => assert!(self.seen.keys().all(|id| names.contains(id)), "{what}"),
        }
    }

    /// Under some password everybody still gets in.
    fn reopened(&self, work: Work) -> Opened {
        let folder = Arc::new(Folder::new(self.restic(work).repository()));
        let first = Opened::open(folder.clone(), PASSWORD);
        first.or_else(|_| Opened::open(folder, NEW)).expect("one of both opens it")
    }

    fn assert_done(&self, work: Work, what: &str) {
        let well = self.well(work);
        let names: Vec<_> = Snapshots::read(&well).expect("they can be read").all.iter().map(first_name).collect();
        let keys = || list(&well).expect("listed").len();
        let opens = |password: &str| Opened::open(well.store(), password).is_ok();
        match work {
            Work::Backup => {
                let (newest, out) =
                    (Snapshots::read(&well).expect("read").all.pop(), tempfile::tempdir().expect("made"));
                let reader = Reader::new(&well).expect("the index can be read");
                restored(&reader, &newest.expect("one"), &self.history.restic.files(), out.path());
                assert!(facts(&self.history.restic.files()) == facts(out.path()), "{what}");
            }
            Work::Restore | Work::Check => {}
            Work::Copy => assert!(self.seen.keys().all(|id| names.contains(id)), "{what}"),
            Work::Forget => assert!(!self.old.iter().any(|id| names.contains(id)), "{what}"),
            Work::Prune => {
                let prune = Prune::plan(&well, Arc::clone(&self.lock), 0, &Cancel::default());
                assert!(prune.expect("it is planned").plan.changes_nothing(), "{what}");
            }
            Work::Tag => {
                let all = Snapshots::read(&well).expect("they can be read").all;
                assert!(all.iter().all(|one| one.tags.contains(&"t".to_owned())), "{what}");
            }
            Work::AddKey => assert!(opens(NEW) && opens(PASSWORD), "{what}"),
            Work::RemoveKey => assert_eq!(keys(), 1, "{what}"),
            Work::ChangeKey => assert!(opens(NEW) && !opens(PASSWORD), "{what}"),
        }
    }

    /// Fails it at its operations; how often that was.
    fn interrupt(&self, work: Work) -> u64 {
        let (_, all) = self.failed(work, Fails::From(u64::MAX));
        let mut failed = 0;
        let step = if everything() { 1 } else { (all / POSITIONS).max(1) };
        for number in (0..all).step_by(usize::try_from(step).expect("small")) {
            let both = [Fails::From(number), Fails::Only(number)];
            let turn = usize::try_from(number / step % 2).expect("small");
            for fails in if everything() { &both[..] } else { &both[turn..=turn] } {
                failed += u64::from(self.failed(work, *fails).0);
            }
        }
        failed
    }

    /// Whether it did, and how many operations there were.
    fn failed(&self, work: Work, fails: Fails) -> (bool, u64) {
        self.renew(work);
        let (folder, what) = (Folder::new(self.restic(work).repository()), format!("{work:?}, {fails:?}"));
        let before = files(&folder);
        let (store, count) = failing(self.restic(work), fails);
        let result = self.run(work, &self.well(work).over(store), &Cancel::default());
        let count = count.load(Ordering::SeqCst);
        let is_hit = match fails {
            Fails::From(number) | Fails::Only(number) => count > number,
        };
        if let Err(error) = &result {
            assert!(is_hit && error.contains("connection was lost"), "{what}: {error}");
            let opened = self.reopened(work);
            // What is as it was is as good as it was.
            if files(&folder) != before {
                self.assert_safe(work, &what);
            }
            let _ = fs::remove_dir_all(self.target());
            if work != Work::ChangeKey || opened.key == self.history.opened.key {
                self.run(work, &opened, &Cancel::default()).expect(&what);
            }
        }
        assert!(!is_hit || result.is_err() || work != Work::Check, "{what}: what was not looked at is not sound");
        self.assert_done(work, &what);
        (result.is_err(), count)
    }

    /// Tells it to end at some of its operations.
    fn cancel(&self, work: Work) {
        let all = self.cancelled_at(work, u64::MAX);
        let parts = if everything() { 10 } else { 2 };
        for part in 0..parts {
            self.cancelled_at(work, all * part / parts);
        }
    }

    /// How many operations there were.
    fn cancelled_at(&self, work: Work, at: u64) -> u64 {
        self.renew(work);
        let (cancel, count) = (Cancel::default(), Arc::new(AtomicU64::new(0)));
        let told = Arc::new(std::sync::Mutex::new(None));
        let store = {
            let (cancel, count, told) = (cancel.clone(), Arc::clone(&count), Arc::clone(&told));
            Guarded::new(self.restic(work).repository(), move |_| {
                if count.fetch_add(1, Ordering::SeqCst) == at {
                    cancel.cancel();
                    told.lock().expect("no panic").get_or_insert_with(Instant::now);
                }
                std::thread::sleep(SLOW);
                Ok(())
            })
        };
        let (what, folder) = (format!("{work:?}, told to end at {at}"), Folder::new(self.restic(work).repository()));
        let before = files(&folder);
        let result = self.run(work, &self.well(work).over(store), &cancel);
        let told = told.lock().expect("no panic").take();
        if let Some(told) = told {
            assert!(told.elapsed() < SOON, "{what}: it took {:?}", told.elapsed());
            assert!(result.as_ref().map_or_else(|error| error.contains("cancelled"), |()| true), "{what}: {result:?}");
            if files(&folder) != before {
                self.assert_safe(work, &what);
            }
        }
        if result.is_err() {
            let _ = fs::remove_dir_all(self.target());
            self.run(work, &self.well(work), &Cancel::default()).expect(&what);
        }
        self.assert_done(work, &what);
        count.load(Ordering::SeqCst)
    }
}

fn everything() -> bool {
    std::env::var_os("HOLDFAST_INTERRUPTIONS").is_some()
}

/// Of a snapshot whose tags were changed, or that was copied.
fn first_name(snapshot: &Snapshot) -> FileId {
    snapshot.original.unwrap_or(snapshot.id)
}

fn failing(restic: &Restic, fails: Fails) -> (Arc<Guarded>, Arc<AtomicU64>) {
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    let guard = move |_| {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        let fails = match fails {
            Fails::From(first) => number >= first,
            Fails::Only(one) => number == one,
        };
        if fails { Err(Fault::Unavailable("the connection was lost".to_owned())) } else { Ok(()) }
    };
    (Guarded::new(restic.repository(), guard), count)
}

fn interrupted(world: &World, works: &[Work], least: u64) {
    for work in works {
        let failed = world.interrupt(*work);
        assert!(failed >= least, "{work:?} failed {failed} times");
    }
}

#[test]
fn what_writes_may_fail_anywhere() {
    interrupted(&World::new(), &[Work::Backup, Work::Copy, Work::Prune], 4);
}

#[test]
fn what_removes_or_changes_may_fail_anywhere() {
    interrupted(&World::new(), &[Work::Forget, Work::Tag], 2);
}

#[test]
fn a_change_of_keys_may_fail_anywhere() {
    // It begins with an addition and ends with a removal. Each key costs what it must.
    interrupted(&World::new(), &[Work::ChangeKey], 2);
    if everything() {
        interrupted(&World::new(), &[Work::AddKey], 4);
        interrupted(&World::new().with_a_second_key(), &[Work::RemoveKey], 4);
    }
}

#[test]
fn what_reads_may_fail_anywhere_and_says_what_it_has_not_read() {
    interrupted(&World::new(), &[Work::Restore, Work::Check], 4);
}

#[test]
fn whoever_is_told_to_end_ends_soon_on_a_slow_store() {
    let world = World::new();
    for work in [Work::Backup, Work::Restore, Work::Copy, Work::Prune, Work::Check] {
        world.cancel(work);
    }
}
