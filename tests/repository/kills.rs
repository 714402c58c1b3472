//! Killed at any moment: what was whole stays whole, what looks complete is, and the next run goes on.
//! `HOLDFAST_KILLS=200` kills more often.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast::clock;
use holdfast::repository::{
    Cancel, Depth, FileId, Folder, Holes, Mode, Opened, Order, Progress, Prune, Reader, Snapshots, check, restore,
};
use jiff::SignedDuration;

use crate::backups::{made, opened};
use crate::commands::{done, holdfast};
use crate::locks::nobody;
use crate::restic::Restic;
use crate::trees::{Seeded, differences};
use holdfast::repository::Version;

/// In a plain run; each takes about a second.
const KILLS: u64 = 24;

fn kills() -> u64 {
    std::env::var("HOLDFAST_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(KILLS)
}

/// What is done while it is killed.
#[derive(Clone, Copy, Debug)]
enum Work {
    Backup,
    Forget,
    Prune,
    Restore,
}

struct World {
    restic: Restic,
    opened: Opened,
    random: Seeded,
    out: tempfile::TempDir,
    /// Every content that a file ever had.
    known: BTreeSet<Vec<u8>>,
}

impl World {
    fn arguments(&self, work: Work) -> Vec<String> {
        let files = self.restic.files().display().to_string();
        let target = self.out.path().join("target").display().to_string();
        let arguments: Vec<&str> = match work {
            Work::Backup => vec!["backup", &files],
            Work::Forget => vec!["forget", "--keep-last", "2"],
            Work::Prune => vec!["prune", "--max-unused", "0%"],
            Work::Restore => vec!["restore", "latest", "--target", &target, "--existing", "keep"],
        };
        arguments.into_iter().map(str::to_owned).collect()
    }

    fn change(&mut self) {
        for _ in 0..3 {
            let name = format!("folder {}/file", self.random.below(10));
            let bytes = self.random.bytes(3 << 20);
            self.restic.write(&name, &bytes);
        }
        let number = self.random.next();
        self.restic.write(&format!("small/{number}"), b"small");
        remember(&self.restic.files(), &mut self.known);
    }

    /// How long it takes when nobody disturbs it.
    fn undisturbed(&mut self, work: Work) -> Duration {
        self.change();
        let begun = Instant::now();
        let arguments = self.arguments(work);
        done(&self.restic, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        begun.elapsed()
    }

    fn kill(&mut self, work: Work, after: Duration) {
        let arguments = self.arguments(work);
        let mut command = holdfast(&self.restic, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        std::thread::sleep(after);
        // It may have ended by itself.
        let _ = child.kill();
        child.wait().expect("it ends");
        // Nobody is left who could hold a lock.
        let locks = self.opened.locks(nobody(), clock::now);
        for (id, _) in locks.list().expect("they can be read") {
            locks.remove(id).expect("removed");
        }
    }

    fn names(&self) -> BTreeSet<FileId> {
        Snapshots::read(&self.opened).expect("they can be read").all.iter().map(|snapshot| snapshot.id).collect()
    }

    fn sound(&self, what: &str) {
        let checked = check(&self.opened, Depth::All, &Progress::default(), &Cancel::default()).expect("it is checked");
        assert!(checked.is_sound(), "{what}: {:?}", checked.findings);
    }

    /// The newest snapshot is what lies in the folder now.
    fn newest_is_whole(&self, what: &str) {
        let out = tempfile::tempdir().expect("a temporary folder");
        let snapshots = Snapshots::read(&self.opened).expect("they can be read");
        let order = Order {
            from: self.restic.files(),
            target: out.path().join("whole"),
            include: Vec::new(),
            exclude: Vec::new(),
            existing: None,
            holes: Holes::Filled,
        };
        let reader = Reader::new(&self.opened).expect("the index can be read");
        let newest = snapshots.all.last().expect("there is one");
        restore(&reader, newest, &order, &Progress::default(), &Cancel::default()).expect("it is restored");
        assert_eq!(differences(&self.restic.files(), &order.target), Vec::<String>::new(), "{what}");
    }
}

/// Under its own name a file is whole: what it is in the folder or was before.
fn only_whole_files(target: &Path, known: &BTreeSet<Vec<u8>>, what: &str) {
    let mut waiting = vec![target.to_owned()];
    while let Some(path) = waiting.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() {
            waiting.extend(fs::read_dir(&path).expect("listed").map(|entry| entry.expect("one").path()));
        } else if path.extension().is_none_or(|extension| extension != "holdfast-incomplete") {
            assert!(known.contains(&fs::read(&path).expect("read")), "{what}: {} is not whole", path.display());
        }
    }
}

#[test]
fn killed_at_any_moment_nothing_is_lost() {
    let restic = made(Version::V2);
    let opened = opened(&restic);
    let out = tempfile::tempdir().expect("a temporary folder");
    let mut world = World { restic, opened, random: Seeded(20_261_121), out, known: BTreeSet::new() };
    for number in 0..10 {
        let bytes = world.random.bytes(2 << 20);
        world.restic.write(&format!("folder {number}/file"), &bytes);
    }
    let all = [Work::Backup, Work::Restore, Work::Forget, Work::Prune];
    let lengths = all.map(|work| world.undisturbed(work));
    for number in 0..kills() {
        let turn = usize::try_from(number % 4).expect("small");
        let work = all[turn];
        if matches!(work, Work::Backup) {
            world.change();
        }
        let before = world.names();
        let length = u64::try_from(lengths[turn].as_micros()).expect("short");
        let after = Duration::from_micros(world.random.below(length * 11 / 10));
        world.kill(work, after);
        let what = format!("kill {number} of {work:?} after {after:?}");
        world.sound(&what);
        let now = world.names();
        match work {
            Work::Backup if now.len() > before.len() => world.newest_is_whole(&what),
            Work::Backup | Work::Prune => assert_eq!(now, before, "{what}"),
            Work::Forget => assert!(now.is_subset(&before) && !now.is_empty(), "{what}"),
            Work::Restore => only_whole_files(&world.out.path().join("target"), &world.known, &what),
        }
        if matches!(work, Work::Backup) && number % 8 == 0 {
            done(&world.restic, &["backup", world.restic.files().to_str().expect("UTF-8")]);
            world.newest_is_whole(&what);
        }
    }
    world.restic.done(&["check", "--read-data"]);
    done(&world.restic, &["backup", world.restic.files().to_str().expect("UTF-8")]);
    done(&world.restic, &["prune", "--max-unused", "0%"]);
    let lock =
        world.opened.locks(nobody(), clock::now).take(Mode::Exclusive, SignedDuration::ZERO).expect("it is free");
    let store = Arc::new(Folder::new(world.restic.repository()));
    let reopened = world.opened.clone().over(store);
    let rest = Prune::plan(&reopened, Arc::new(lock), 0, &Cancel::default()).expect("it is planned");
    assert!(rest.plan.changes_nothing(), "all room was given back: {:?}", rest.plan);
    world.newest_is_whole("at the end");
}

fn remember(folder: &Path, known: &mut BTreeSet<Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("listed") {
        let path = entry.expect("one").path();
        if path.is_dir() {
            remember(&path, known);
        } else {
            known.insert(fs::read(&path).expect("read"));
        }
    }
}
