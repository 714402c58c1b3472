//! The status of 10,000 targets as one commit that is made, pushed over HTTP and listed, against real `git` with the same files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use holdfast::git::{Changes, CommitText, EXCHANGE_TIMEOUT, Endpoint, GitUrl, Pushed, StatusBranch, Tip};
use holdfast::model::applied::Applied;
use holdfast::model::facts::Facts;
use holdfast::model::withheld::Withheld;
use holdfast::plan::{Settings, plan};
use holdfast::report::{self, Files, History, Input, Memory, Runs};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::git_cli::Git;
use crate::harness::git_server::{Access, GitServer, Transport};
use crate::plan::{TARGETS, desired, now, objects, observe};
use crate::table::{Row, seconds, to_f64};
use crate::world;

const BRANCH: &str = "holdfast/bench";
const COMMIT_SECONDS_MAX: f64 = 1.0;
const BYTES_OF_ALL_MAX: f64 = 330.0;
const BYTES_OF_ONE_MAX: f64 = 8192.0;

pub(crate) fn measure() -> Vec<Row> {
    let (mut ours, mut git) = (Ours::start(), RealGit::start());
    let mut rows = Vec::new();
    let mut before = Report::default();
    // Minute of the blueprints' schedules, and how many targets have a schedule of their own.
    for (name, minute, rescheduled) in
        [("the first", 30, 0), ("all changed", 31, 0), ("100 changed", 31, 100), ("1 changed", 31, 101)]
    {
        let after = Report::new(minute, rescheduled, &before.memory);
        let batch = changes(&before.files, &after.files);
        let changed = batch.keys().filter(|path| world::is_status_file(path)).count();
        let pushed = ours.commit(&batch);
        let theirs = git.commit(&batch);
        let total = after.seconds + pushed.seconds;
        let what = format!("status commit of {TARGETS} targets, {name}");
        let parts = format!("{} (report {}, Git {})", seconds(total), seconds(after.seconds), seconds(pushed.seconds));
        let row = Row::new(what, parts).aim("under 1 s", total < COMMIT_SECONDS_MAX);
        rows.push(row.ratio(pushed.seconds, theirs.seconds, "git fast-import and git push (Git alone)"));
        rows.push(of_bytes(changed, &pushed, &theirs));
        before = after;
    }
    let (clone, remote) = (loose(&ours.clone()), loose(&ours.server.repository().path()));
    let row =
        Row::new("– loose objects after the four commits", format!("{clone} in the clone, {remote} in the remote"));
    rows.push(row.aim("none", clone == 0 && remote == 0));
    rows
}

fn of_bytes(changed: usize, ours: &Cost, theirs: &Cost) -> Row {
    let each = to_f64(ours.bytes) / to_f64(changed);
    let row = Row::new(format!("– packed bytes for each of its {changed} targets"), format!("{each:.0}"));
    let row = match changed {
        TARGETS => row.aim("at most 330 when all change", each <= BYTES_OF_ALL_MAX),
        1 => row.aim("at most 8 KB when one does", each <= BYTES_OF_ONE_MAX),
        _ => row,
    };
    row.ratio(to_f64(ours.bytes), to_f64(theirs.bytes), "what git fast-import and git push send")
}

/// What the status branch says, and how long it took to say.
#[derive(Default)]
struct Report {
    files: Files,
    memory: Memory,
    seconds: f64,
}

impl Report {
    /// Of a cluster where all is in place.
    fn new(minute: usize, rescheduled: usize, memory: &Memory) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        world::write_tree(folder.path(), minute);
        let desired = desired(folder.path());
        let mut objects = objects();
        objects
            .iter_mut()
            .filter(|object| object["kind"] != "Namespace")
            .step_by(7)
            .take(rescheduled)
            .for_each(world::reschedule);
        let first = plan(&desired, &observe(&objects), &Settings::default(), now());
        let made: Vec<Value> = first.steps.iter().map(world::created).collect();
        let observed = observe(objects.iter().chain(&made));
        let plan = plan(&desired, &observed, &Settings::default(), now());
        assert!(plan.steps.is_empty() && plan.refusals.is_empty(), "all is in place");
        let input = Input {
            cluster_name: "bench",
            cluster_uid: observed.cluster_uid.as_deref().expect("kube-system is there"),
            writer: "bench",
            source_url: "https://git.example.com/acme/platform",
            source_reference: "HEAD",
            source_paths: &[],
            time_zone: "Etc/UTC",
            plan: &plan,
            applied: &Applied::default(),
            withheld: &Withheld::default(),
            observed: &observed,
            facts: &Facts::default(),
            runs: &Runs::default(),
            history: &History::begin(None, now()),
            unrotated: None,
            now: now(),
        };
        let start = Instant::now();
        let (files, memory) = report::files(&input, memory);
        Self { files, memory, seconds: start.elapsed().as_secs_f64() }
    }
}

fn changes(before: &Files, after: &Files) -> Changes {
    assert!(before.keys().all(|path| after.contains_key(path)), "no file goes");
    let new = after.iter().filter(|(path, bytes)| before.get(*path) != Some(bytes));
    new.map(|(path, bytes)| (path.clone(), Some(bytes.clone()))).collect()
}

/// Of one commit.
struct Cost {
    seconds: f64,
    /// That the server got as a pack.
    bytes: u64,
}

/// The branch as the daemon writes it.
struct Ours {
    server: GitServer,
    branch: StatusBranch,
    cache: TempDir,
    tip: Option<Tip>,
}

impl Ours {
    fn start() -> Self {
        let server = server();
        let url = GitUrl::parse(&server.url(), true).expect("a URL");
        let endpoint = Endpoint { url, credentials: None, timeout: EXCHANGE_TIMEOUT };
        let cache = tempfile::tempdir().expect("a temporary folder");
        let branch = StatusBranch::open(endpoint, BRANCH, cache.path()).expect("opened");
        Self { server, branch, cache, tip: None }
    }

    fn commit(&mut self, changes: &Changes) -> Cost {
        let text = CommitText {
            message: "holdfast(bench): a batch\n".to_owned(),
            author_name: "Holdfast".to_owned(),
            author_email: "holdfast@bench.invalid".to_owned(),
            when: now(),
        };
        let remote = self.server.repository().path();
        cost(&remote, || match self.branch.commit(self.tip.as_ref(), changes, &text).expect("committed") {
            Pushed::Done(tip) => self.tip = Some(tip),
            other => panic!("not pushed: {other:?}"),
        })
    }

    fn clone(&self) -> PathBuf {
        let mut entries = fs::read_dir(self.cache.path()).expect("the cache is there");
        let is_clone = |path: &PathBuf| path.join("objects").is_dir();
        entries.find_map(|entry| Some(entry.expect("readable").path()).filter(is_clone)).expect("a clone")
    }
}

/// The same by the real program, to a server of its own.
struct RealGit {
    server: GitServer,
    git: Git,
    clone: TempDir,
    commits: u32,
}

impl RealGit {
    fn start() -> Self {
        let (server, git) = (server(), Git::new());
        let clone = tempfile::tempdir().expect("a temporary folder");
        git.run(clone.path(), &["init", "--quiet", "--bare", "."]);
        Self { server, git, clone, commits: 0 }
    }

    fn commit(&mut self, changes: &Changes) -> Cost {
        let mut stream = String::new();
        let reference = format!("refs/heads/{BRANCH}");
        let _ =
            write!(stream, "commit {reference}\ncommitter A <a@example.org> {} +0000\ndata 1\na\n", now().as_second());
        if self.commits > 0 {
            let _ = writeln!(stream, "from {reference}^0");
        }
        for (path, bytes) in changes {
            let text = std::str::from_utf8(bytes.as_deref().expect("no file goes")).expect("files are UTF-8");
            let _ = write!(stream, "M 100644 inline {path}\ndata {}\n{text}\n", text.len());
        }
        self.commits += 1;
        cost(&self.server.repository().path(), || {
            let mut import = self.git.command(self.clone.path());
            let mut import = import.args(["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn().expect("git starts");
            let mut input = import.stdin.take().expect("it is piped");
            input.write_all(stream.as_bytes()).expect("git reads");
            drop(input);
            assert!(import.wait().expect("git ends").success(), "imported");
            self.git.run(self.clone.path(), &["push", "--quiet", &self.server.url(), &reference]);
        })
    }
}

/// Keeps every push as the pack that it came as, so that it can be weighed.
fn server() -> GitServer {
    let server = GitServer::start(Transport::Http, &Access::Open);
    Git::new().run(&server.repository().path(), &["config", "receive.unpackLimit", "1"]);
    server
}

fn cost(remote: &Path, push: impl FnOnce()) -> Cost {
    let before = packed(remote);
    let start = Instant::now();
    push();
    Cost { seconds: start.elapsed().as_secs_f64(), bytes: packed(remote) - before }
}

fn packed(repository: &Path) -> u64 {
    let files = files(&repository.join("objects/pack"));
    files
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|extension| extension == "pack"))
        .map(|(_, size)| size)
        .sum()
}

fn loose(repository: &Path) -> usize {
    let folders = fs::read_dir(repository.join("objects")).expect("a repository");
    let folders = folders.map(|entry| entry.expect("readable").path());
    folders
        .filter(|folder| folder.file_name().is_some_and(|name| name.len() == 2))
        .map(|folder| files(&folder).len())
        .sum()
}

fn files(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("readable"));
    entries.map(|entry| (entry.path(), entry.metadata().expect("it is there").len())).collect()
}
