//! The record lane: report, compare with the tip, push by compare-and-swap, look again.

use std::sync::{Arc, LazyLock};

use holdfast::control::gitops::RecordFailure;
use holdfast::model::applied::FailureClass;
use holdfast::model::facts::Facts;
use holdfast::model::month::Month;
use holdfast::model::observed::Observed;
use holdfast::report::{self, History, Input, Memory, Rotation, RotationRefused, Runs};
use jiff::Timestamp;

use super::pass::Outcome;
use crate::bug::Bug;
use crate::env::Env;
use crate::oracle::Kept;
use crate::remote::{Files, StatusCommit};

/// The engine is not part of these worlds.
static NO_FACTS: LazyLock<Facts> = LazyLock::new(Facts::default);
static NO_RUNS: LazyLock<Runs> = LazyLock::new(Runs::default);

#[derive(Default)]
pub(crate) struct Record {
    memory: Option<Memory>,
    unrotated: Option<(Month, RotationRefused)>,
    run: Option<Run>,
}

struct Run {
    expected: Option<usize>,
    files: Arc<Files>,
    /// All files of the commit, those of others too.
    tree: Arc<Files>,
    memory: Memory,
    rotation: Option<Rotation>,
}

/// As `daemon::record` has it.
pub(crate) fn history(tip: Option<&StatusCommit>, memory: &Memory, now: Timestamp) -> History {
    let earlier = memory.cluster.as_ref().and_then(|cluster| cluster.history.as_ref());
    match tip {
        Some(tip) => {
            let said = tip.files.get("cluster.yaml").and_then(|file| History::of_file(file));
            History::of_tip(said.as_ref(), tip.when, now)
        }
        None => History::begin(earlier, now),
    }
}

pub(crate) fn input<'a>(
    outcome: &'a Outcome,
    observed: &'a Observed,
    history: &'a History,
    now: Timestamp,
) -> Input<'a> {
    Input {
        cluster_name: "sim",
        cluster_uid: observed.cluster_uid.as_deref().unwrap_or_default(),
        writer: "sim",
        source_url: "https://git.example.com/acme/platform",
        source_reference: "main",
        source_paths: &[],
        time_zone: "Etc/UTC",
        plan: &outcome.plan,
        applied: &outcome.applied,
        withheld: &outcome.withheld,
        observed,
        facts: &NO_FACTS,
        runs: &NO_RUNS,
        history,
        unrotated: None,
        now,
    }
}

/// The files as they will be on the branch: those of others stay.
pub(crate) fn whole(tip: Option<&Files>, files: &Files) -> Files {
    let theirs = tip.into_iter().flatten().filter(|(path, _)| !path.starts_with("targets/"));
    let mut tree: Files = theirs.map(|(path, bytes)| (path.clone(), bytes.clone())).collect();
    tree.extend(files.iter().map(|(path, bytes)| (path.clone(), bytes.clone())));
    tree
}

impl Record {
    /// Fetches the tip and makes the report. `Some` ends the effect; `None` means that a push is on its way.
    pub(crate) fn look(
        &mut self,
        env: &mut Env,
        outcome: &Outcome,
        observed: &Observed,
    ) -> Option<Result<(), RecordFailure>> {
        if observed.cluster_uid.is_none() {
            return Some(transient("whose branch it is cannot be known yet"));
        }
        if env.fault("fetch of status failed", 60) {
            return Some(transient("the forge is away"));
        }
        let expected = env.remote.tip;
        let tip = expected.map(|place| env.remote.status[place].clone());
        let on_branch = tip.as_ref().map(|tip| &*tip.files);
        let memory = self.memory.get_or_insert_with(|| {
            let files = on_branch.into_iter().flatten();
            Memory::read(files.map(|(path, bytes)| (path.as_str(), bytes.as_slice())))
        });
        if tip.is_none() {
            self.unrotated = None;
        }
        let now = env.clock();
        let history = history(tip.as_ref(), memory, now);
        let refused = self.unrotated.as_ref().filter(|(month, _)| *month == Month::of(now)).map(|(_, refused)| refused);
        let make = |history: &History| {
            let input = input(outcome, observed, history, now);
            let (files, next) = report::files(&Input { unrotated: refused, ..input }, memory);
            let tree = whole(on_branch, &files);
            Run { expected, files: Arc::new(files), tree: Arc::new(tree), memory: next, rotation: None }
        };
        let run = make(&history);
        if on_branch == Some(&*run.tree) {
            self.memory = Some(run.memory);
            return Some(Ok(()));
        }
        let tip = tip.as_ref().filter(|_| refused.is_none());
        let rotation = tip.and_then(|tip| history.rotation("sim", tip.when, now));
        self.run = Some(match rotation {
            Some(rotation) => Run { rotation: Some(rotation.clone()), ..make(&rotation.then) },
            None => run,
        });
        None
    }

    /// Pushes what was prepared; the oracle holds the answer against the branch. `None`: the history may not go aside.
    pub(crate) fn push(&mut self, env: &mut Env) -> Option<Result<(), RecordFailure>> {
        let Some(run) = self.run.take() else { return Some(transient("nothing was prepared")) };
        let (files, kept) = (Arc::clone(&run.files), Kept::of(&env.remote));
        let aside = match (&run.rotation, run.expected) {
            (Some(rotation), Some(tip)) => set_aside(env, &rotation.archive, tip),
            _ => Ok(None),
        };
        let result = match aside {
            Ok(Some(refused)) => {
                self.unrotated = Some((Month::of(env.clock()), refused));
                env.oracle.pushed(&env.remote, &kept);
                return None;
            }
            Ok(None) => self.send(env, run),
            Err(failure) => Err(failure),
        };
        env.oracle.pushed(&env.remote, &kept);
        if result.is_ok() {
            env.oracle.recorded(&files, &env.remote.status);
        }
        Some(result)
    }

    /// The push reaches the server, or not; then the server is asked what is there.
    fn send(&mut self, env: &mut Env, run: Run) -> Result<(), RecordFailure> {
        if env.fault("push lost", 30) {
            return transient("the forge is away");
        }
        if env.fault("push rejected", 40) {
            return rejected(env);
        }
        let parent = match &run.rotation {
            Some(_) => None,
            None if env.has(Bug::DropsForeignCommits) => ours(env, run.expected),
            None => run.expected,
        };
        let (files, report) = (Arc::clone(&run.tree), Some(Arc::clone(&run.files)));
        let commit = StatusCommit { parent, files, report, when: env.clock() };
        let lies = env.fault("push not there", 30);
        let pushed = if lies {
            Ok(None)
        } else if env.has(Bug::ForcesPush) {
            Ok(Some(env.remote.force_status(commit)))
        } else {
            env.remote.push_status(run.expected, commit).map(Some)
        };
        if matches!(pushed, Ok(Some(_))) {
            env.counts.effect(if run.rotation.is_some() { "rotation" } else { "commit" });
            env.oracle.commits += 1;
            env.note(|| format!("status commit with {} files", run.tree.len()));
        }
        if env.fault("push unclear", 40) && !env.has(Bug::TrustsUnclearPush) {
            return transient("the answer to the push was lost");
        }
        match pushed {
            Ok(None) if !env.has(Bug::TrustsUnclearPush) => {
                return transient("the server says that it took the push, but the branch is elsewhere");
            }
            Ok(_) => {}
            Err(_) => return rejected(env),
        }
        self.memory = Some(run.memory);
        Ok(())
    }
}

/// The history goes to its archive, unless the server refuses that or what comes after.
fn set_aside(env: &mut Env, archive: &str, tip: usize) -> Result<Option<RotationRefused>, RecordFailure> {
    let message = "because".to_owned();
    if env.has(Bug::DropsHistory) {
        return Ok(None);
    }
    if env.fault("archive refused", 150) {
        return Ok(Some(RotationRefused::Archive { archive: archive.to_owned(), message }));
    }
    if env.has(Bug::OverwritesArchive) {
        env.remote.archives.insert(archive.to_owned(), tip);
    }
    if let Err(other) = env.remote.archive(archive, tip) {
        let (archive, commit) = (archive.to_owned(), format!("{other:040x}"));
        return Ok(Some(RotationRefused::Taken { archive, commit }));
    }
    env.note(|| format!("{archive} is at {tip}"));
    if env.fault("rotation interrupted", 150) {
        return transient("the forge is away").map(|()| None);
    }
    let refused = env.fault("replacement refused", 300);
    Ok(refused.then_some(RotationRefused::Replacement { message }))
}

fn rejected(env: &Env) -> Result<(), RecordFailure> {
    if env.has(Bug::LosesBatch) { Ok(()) } else { transient("somebody else moved the status branch") }
}

/// The newest commit of ours at or below a commit.
fn ours(env: &Env, from: Option<usize>) -> Option<usize> {
    let mut at = from;
    while let Some(place) = at {
        let commit = &env.remote.status[place];
        if commit.report.is_some() {
            return at;
        }
        at = commit.parent;
    }
    None
}

fn transient(message: &str) -> Result<(), RecordFailure> {
    Err(RecordFailure { class: FailureClass::Transient, message: message.to_owned() })
}
