//! A real S3 server that is killed in the middle of whole commands: where it comes back in time they end well, and where it stays
//! away they end with an error and leave nothing that looks whole. `HOLDFAST_OUTAGES=20` kills more often.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use holdfast::clock;
use holdfast::repository::{
    Cancel, Copying, Depth, FileId, FileKind, FileName, Folder, Holes, Mode, Opened, Order, Progress, Prune, Reader,
    Snapshots, Store, Version, forget, restore,
};
use jiff::SignedDuration;
use rustix::process::{Pid, Signal, kill_process};

use crate::backups::{made, with_lock};
use crate::commands::holdfast;
use crate::harness::proxy::{Action, Proxy, Rule, Which};
use crate::history::{checked, locked, planned, restored};
use crate::mixed::until;
use crate::restic::{PASSWORD, Restic};
use crate::servers::{Repository, Server};
use crate::trees::{Seeded, facts};

/// Kills in each command of a plain run, in turn of a server that comes back and of one that stays away; each takes some
/// seconds, most of them for the server to begin again.
const OUTAGES: u64 = 1;
/// Of who calls the library: a command has a quarter of an hour.
const PATIENCE: Duration = Duration::from_secs(2);
/// Work that is given up, then its lock, and what a busy machine needs.
const GIVEN_UP: Duration = Duration::from_secs(12);
const BUCKETS: [&str; 2] = ["bucket", "other"];
const FILES: u64 = 12;

fn outages() -> u64 {
    std::env::var("HOLDFAST_OUTAGES").ok().and_then(|count| count.parse().ok()).unwrap_or(OUTAGES)
}

/// What is done while the server is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Backup,
    Restore,
    Copy,
    Forget,
    Prune,
}

/// Each half has a server of its own: most of the time is spent waiting for one.
const HALVES: [&[Work]; 2] = [&[Work::Backup, Work::Forget, Work::Restore], &[Work::Copy, Work::Prune]];

/// A request of a command: its method, its bucket, the folder of its file, and which of so many it may be.
type Moment = (&'static str, &'static str, &'static str, u64);

impl Work {
    fn moments(self) -> &'static [Moment] {
        match self {
            Work::Backup => &[
                ("PUT", "bucket", "data", 2),
                ("PUT", "bucket", "index", 1),
                ("PUT", "bucket", "snapshots", 1),
                ("PUT", "bucket", "data", 2),
            ],
            Work::Restore => &[("GET", "bucket", "data", 3)],
            Work::Copy => &[
                ("PUT", "other", "data", 2),
                ("GET", "bucket", "data", 4),
                ("PUT", "other", "index", 1),
                ("PUT", "other", "snapshots", 1),
            ],
            Work::Forget => &[("DELETE", "bucket", "snapshots", 2)],
            Work::Prune => &[
                ("DELETE", "bucket", "index", 2),
                ("PUT", "bucket", "data", 1),
                ("DELETE", "bucket", "data", 1),
                ("GET", "bucket", "data", 2),
                ("PUT", "bucket", "index", 1),
            ],
        }
    }

    /// The bucket that it changes, or reads.
    fn bucket(self) -> &'static str {
        BUCKETS[usize::from(self == Work::Copy)]
    }
}

struct World {
    server: Server,
    proxy: Proxy,
    restic: Restic,
    random: Seeded,
    out: tempfile::TempDir,
}

impl World {
    fn new(seed: u64) -> Option<Self> {
        let server = Server::start("seaweedfs")?;
        let proxy = Proxy::in_front_of_signed(&server.url());
        for bucket in BUCKETS {
            server.make(bucket);
            upload(&Folder::new(made(Version::V2).repository()), &*server.repository(bucket).store());
        }
        let out = tempfile::tempdir().expect("a temporary folder");
        let mut world = Self { server, proxy, restic: Restic::new(), random: Seeded(seed), out };
        for number in 0..FILES {
            world.restic.write(&number.to_string(), &world.random.bytes(2 << 20));
        }
        world.back_up();
        Some(world)
    }

    fn through_the_proxy(&self, bucket: &str) -> Repository {
        let url = self.server.url();
        self.server.repository(bucket).at(&url, self.proxy.url_of(&url).trim_end_matches('/'))
    }

    fn opened(&self, bucket: &str) -> Opened {
        Opened::open(self.server.repository(bucket).store(), PASSWORD).expect("it opens")
    }

    fn change(&mut self) {
        for _ in 0..6 {
            let name = self.random.below(FILES).to_string();
            self.restic.write(&name, &self.random.bytes(3 << 20));
        }
    }

    fn back_up(&self) {
        let files = [self.restic.files()];
        with_lock(&self.opened("bucket"), |backup| backup.paths(&files, &[])).expect("it is stored");
    }

    /// So that there is something to do.
    fn prepare(&mut self, work: Work) {
        match work {
            Work::Restore => {}
            Work::Backup => self.change(),
            Work::Copy => {
                self.change();
                self.back_up();
            }
            Work::Forget => (0..2).for_each(|_| self.back_up()),
            Work::Prune => {
                self.change();
                self.back_up();
                let opened = self.opened("bucket");
                let old = older(&opened);
                forget(&opened, &locked(&opened, Mode::Exclusive), &old).expect("they are removed");
            }
        }
        // Of the round before.
        let _ = std::fs::remove_dir_all(self.target());
    }

    fn target(&self) -> PathBuf {
        self.out.path().join("target")
    }

    fn command(&self, work: Work) -> Command {
        let (files, target) = (self.restic.files().display().to_string(), self.target().display().to_string());
        let (from, latest) = (self.through_the_proxy("bucket").address, format!("latest:{files}"));
        // Slow enough for requests to be under way together.
        let arguments: Vec<&str> = match work {
            Work::Backup => vec!["backup", &files, "--host", "host-0", "--limit-upload", "20000"],
            Work::Restore => vec!["restore", &latest, "--target", &target, "--limit-download", "20000"],
            Work::Copy => vec!["copy", "--from-repo", &from, "--limit-upload", "20000"],
            Work::Forget => vec!["forget", "--keep-last", "1"],
            Work::Prune => vec!["prune", "--max-unused", "0%", "--limit-upload", "20000"],
        };
        self.repo(work.bucket(), &arguments)
    }

    fn repo(&self, bucket: &str, arguments: &[&str]) -> Command {
        let repository = self.through_the_proxy(bucket);
        let mut command = holdfast(&self.restic, arguments);
        command.env("RESTIC_REPOSITORY", &repository.address).envs(&repository.variables);
        command.env("RESTIC_FROM_PASSWORD", PASSWORD).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// At one of the moments of the work a request is held, or does what it is to do and its answer is lost.
    fn rule(&mut self, work: Work, round: u64) -> (String, Arc<Rule>) {
        let moments = work.moments();
        let at = usize::try_from(round).expect("small") % moments.len();
        let (method, bucket, folder, most) = moments[at];
        let nth = 1 + self.random.below(most);
        let action = if self.random.below(2) == 0 { Action::Hold } else { Action::CutAfterForward };
        let path = format!("/{bucket}/some/prefix/{folder}/");
        let rule = self.proxy.rule(Which::Nth(usize::try_from(nth).expect("small")), action, move |seen| {
            seen.method == method && seen.path.starts_with(&path)
        });
        (format!("{work:?}, {action:?} of {method} {nth} of {bucket}/{folder}"), rule)
    }

    fn begin_again(&mut self) {
        self.server = self.server.start_again();
    }

    fn check_by_restic(&self, bucket: &str, what: &str) {
        let repository = self.server.repository(bucket);
        let mut command = self.restic.command(&["check", "--read-data"]);
        command.env("RESTIC_REPOSITORY", &repository.address).envs(&repository.variables);
        succeeded(&command.output().expect("restic is installed"), what);
    }

    /// All that the work was to do is done, and both programs find nothing wrong.
    fn assert_done(&self, work: Work, what: &str) {
        let opened = self.opened(work.bucket());
        let count = names(&opened).len();
        match work {
            Work::Backup | Work::Copy => self.newest_is_whole(&opened, what),
            Work::Restore => assert!(facts(&self.restic.files()) == facts(&self.target()), "{what}"),
            Work::Forget => assert_eq!(count, 1, "{what}"),
            Work::Prune => assert!(planned(&opened, 0).changes_nothing(), "{what}"),
        }
        self.newest_is_whole(&self.opened("bucket"), what);
        for bucket in BUCKETS {
            assert_eq!(self.opened(bucket).store().list(FileKind::Lock).expect("listed"), [], "{what}");
        }
        self.check_by_restic(work.bucket(), what);
    }

    fn newest_is_whole(&self, opened: &Opened, what: &str) {
        let out = tempfile::tempdir().expect("a temporary folder");
        let reader = Reader::new(opened).expect("the index can be read");
        let snapshots = Snapshots::read(opened).expect("they can be read").all;
        let newest = snapshots.last().expect("there is one");
        let result = restored(&reader, newest, &self.restic.files(), out.path());
        assert_eq!(result.lost.count, 0, "{what}: {result:?}");
        assert!(facts(&self.restic.files()) == facts(out.path()), "{what}: the newest snapshot is another");
    }

    /// The same as a command does, with less patience.
    fn attempt(&self, work: Work) -> Result<(), String> {
        let open = |bucket: &str| {
            let store = self.through_the_proxy(bucket).store_with(|access| access.outage = PATIENCE);
            Opened::open(store, PASSWORD).expect("it opens")
        };
        let (opened, progress, none) = (open(work.bucket()), Progress::default(), Cancel::default());
        let lock = |mode| Arc::new(locked(&opened, mode));
        match work {
            Work::Backup => {
                let stored = with_lock(&opened, |backup| backup.paths(&[self.restic.files()], &[]));
                stored.map(drop).map_err(|error| error.to_string())
            }
            Work::Restore => {
                let _lock = lock(Mode::Shared);
                let snapshots = Snapshots::read(&opened).expect("they can be read").all;
                let reader = Reader::new(&opened).expect("the index can be read");
                let newest = snapshots.last().expect("there is one");
                let order = Order {
                    from: self.restic.files(),
                    target: self.target(),
                    include: Vec::new(),
                    exclude: Vec::new(),
                    existing: None,
                    holes: Holes::Filled,
                };
                match restore(&reader, newest, &order, &progress, &none) {
                    Err(error) => Err(error.to_string()),
                    Ok(result) if result.lost.count == 0 => Ok(()),
                    Ok(result) => Err(format!("{:?}", result.lost)),
                }
            }
            Work::Copy => {
                let from = open("bucket");
                let reader = Reader::new(&from).expect("the index can be read");
                let copying = Copying::begin((&from, &reader), &opened, lock(Mode::Shared)).expect("it can be read");
                let all = Snapshots::read(&from).expect("they can be read").all;
                let copied = all.iter().try_for_each(|one| copying.copy(one, &progress, &none).map(drop));
                copied.map_err(|error| error.to_string())
            }
            Work::Forget => {
                let old = older(&opened);
                forget(&opened, &lock(Mode::Exclusive), &old).map_err(|error| error.to_string())
            }
            Work::Prune => {
                let prune = Prune::plan(&opened, lock(Mode::Exclusive), 0, &none);
                prune.and_then(|prune| prune.run(&none)).map(drop).map_err(|error| error.to_string())
            }
        }
    }

    /// What a failure has left behind.
    fn assert_nothing_lost(&self, work: Work, before: &BTreeSet<FileId>, what: &str) {
        let opened = self.opened(work.bucket());
        let now: BTreeSet<_> = names(&opened).into_iter().collect();
        match work {
            Work::Forget => assert!(now.is_subset(before) && !now.is_empty(), "{what}"),
            // Which of several were copied before is not known; each of them is whole.
            Work::Copy => assert!(before.is_subset(&now), "{what}"),
            Work::Backup | Work::Restore | Work::Prune => assert_eq!(&now, before, "{what}"),
        }
        let checked = checked(&opened, Depth::All);
        assert!(checked.is_sound(), "{what}: {:?}", checked.findings);
        if work == Work::Restore {
            self.only_whole_files(what);
        }
    }

    fn only_whole_files(&self, what: &str) {
        for entry in std::fs::read_dir(self.target()).expect("listed") {
            let path = entry.expect("one").path();
            if path.extension().is_none_or(|extension| extension != "holdfast-incomplete") {
                let there = self.restic.files().join(path.file_name().expect("a name"));
                assert!(same(&path, &there), "{what}: {} is not whole", path.display());
            }
        }
    }

    /// A lock that could not be given back keeps nobody out for ever: it gets stale, and whoever knows better removes it.
    fn unlock(&self, bucket: &str, what: &str) {
        let later = clock::now() + SignedDuration::from_mins(31);
        let locks = self.opened(bucket).locks(crate::locks::nobody(), clock::now).list().expect("they can be read");
        assert!(locks.len() <= 1 && locks.iter().all(|(_, lock)| lock.is_stale(later)), "{what}: {locks:?}");
        succeeded(&self.repo(bucket, &["unlock", "--remove-all"]).output().expect("it runs"), what);
    }
}

fn names(opened: &Opened) -> Vec<FileId> {
    Snapshots::read(opened).expect("they can be read").all.iter().map(|snapshot| snapshot.id).collect()
}

/// All but the newest.
fn older(opened: &Opened) -> Vec<FileId> {
    let mut names = names(opened);
    names.pop();
    names
}

fn same(one: &Path, other: &Path) -> bool {
    std::fs::read(one).expect("read") == std::fs::read(other).expect("read")
}

fn succeeded(output: &Output, what: &str) {
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {said}");
}

/// What was made in a folder, elsewhere.
fn upload(folder: &Folder, store: &dyn Store) {
    let keys = folder.list(FileKind::Key).expect("listed").into_iter().map(|(id, _)| FileName::Of(FileKind::Key, id));
    for file in keys.chain([FileName::Config]) {
        let content: Bytes = folder.read(file).expect("read");
        store.create(file, &[content]).expect("written");
    }
}

#[test]
fn a_server_is_killed_in_the_middle_of_every_command() {
    std::thread::scope(|scope| {
        for half in HALVES {
            scope.spawn(move || {
                let Some(mut world) = World::new(31) else { return };
                for round in 0..outages() {
                    for (turn, work) in (round..).zip(half) {
                        world.prepare(*work);
                        let kill = if turn % 2 == 0 { comes_back } else { stays_away };
                        kill(&mut world, *work, round);
                    }
                }
            });
        }
    });
}

/// A command waits for it.
fn comes_back(world: &mut World, work: Work, round: u64) {
    let (what, rule) = world.rule(work, round / 2);
    let child = world.command(work).spawn().expect("it runs");
    until(&what, || rule.applied() > 0);
    world.server.kill();
    world.begin_again();
    rule.release();
    succeeded(&child.wait_with_output().expect("it ends"), &what);
    world.assert_done(work, &what);
}

/// The work is given up, and the next one does it.
fn stays_away(world: &mut World, work: Work, round: u64) {
    let before = names(&world.opened(work.bucket())).into_iter().collect();
    let (what, rule) = world.rule(work, round / 2);
    let (result, took) = std::thread::scope(|scope| {
        let attempt = scope.spawn(|| world.attempt(work));
        until(&what, || rule.applied() > 0);
        world.server.kill();
        let killed = Instant::now();
        rule.release();
        (attempt.join().expect("no panic"), killed.elapsed())
    });
    let error = result.expect_err(&what);
    assert!(took < GIVEN_UP, "{what}: it took {took:?}");
    assert!(error.contains("/some/prefix") && error.contains("when the store answers"), "{what}: {error}");
    world.begin_again();
    world.assert_nothing_lost(work, &before, &what);
    world.unlock(work.bucket(), &what);
    let _ = std::fs::remove_dir_all(world.target());
    succeeded(&world.command(work).output().expect("it runs"), &what);
    world.assert_done(work, &what);
    succeeded(&world.command(Work::Prune).output().expect("it runs"), &what);
    assert!(planned(&world.opened("bucket"), 0).changes_nothing(), "{what}: all room was given back");
}

#[test]
fn who_is_told_to_end_does_not_wait_for_the_server() {
    let Some(mut world) = World::new(33) else { return };
    world.change();
    let (what, rule) = world.rule(Work::Backup, 0);
    let before = names(&world.opened("bucket"));
    let mut child = world.command(Work::Backup).spawn().expect("it runs");
    until(&what, || rule.applied() > 0);
    world.server.kill();
    let told = Instant::now();
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    let code = child.wait().expect("it ends").code();
    assert!(code == Some(130) && told.elapsed() < Duration::from_secs(2), "{code:?} after {:?}", told.elapsed());
    rule.release();
    world.begin_again();
    assert_eq!(names(&world.opened("bucket")), before);
    // Whoever wants it alone is told who stands in the way.
    let refused = world.command(Work::Prune).output().expect("it runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(11) && said.contains("shared lock of"), "{said}");
    world.unlock("bucket", "after it was told to end");
    succeeded(&world.command(Work::Backup).output().expect("it runs"), "the next one");
    world.assert_done(Work::Backup, "the next one");

    // This server writes nothing to the disk at once: what it had said to have, and lost with its machine, is found out.
    let store = world.opened("bucket").store();
    let (pack, _) = store.list(FileKind::Data).expect("listed")[0];
    store.remove(FileName::Of(FileKind::Data, pack)).expect("removed");
    let found = world.repo("bucket", &["check"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&found.stdout);
    assert!(found.status.code() == Some(1) && said.contains(&pack.to_string()), "{said}");
}

/// The store is well until the lock is to be given back, and says nothing from then on.
#[test]
fn who_has_failed_does_not_wait_for_its_lock() {
    let Some(server) = Server::start("rclone") else { return };
    let proxy = Proxy::in_front_of(&server.url());
    let direct = server.repository("some");
    upload(&Folder::new(made(Version::V2).repository()), &*direct.store());
    let address = direct.at(&server.url(), proxy.url_of(&server.url()).trim_end_matches('/')).address;
    let rule = proxy.rule(Which::Every, Action::Hold, |seen| seen.method == "DELETE");
    let mut command = holdfast(&Restic::new(), &["backup", "/no/such/folder"]);
    let begun = Instant::now();
    let output = command.env("RESTIC_REPOSITORY", address).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), rule.applied()), (Some(1), 1), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(30), "it took {:?}", begun.elapsed());
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].contains("/no/such/folder") && lines[1].contains("holdfast repo unlock"), "{said}");
}
