//! The record lane: report, compare with the tip, push by compare-and-swap, look again.

use std::sync::Arc;

use holdfast::control::gitops::RecordFailure;
use holdfast::model::applied::FailureClass;
use holdfast::model::observed::Observed;
use holdfast::report::{self, Input, Memory};
use jiff::Timestamp;

use super::pass::Outcome;
use crate::bug::Bug;
use crate::env::Env;
use crate::remote::{Files, StatusCommit};

#[derive(Default)]
pub(crate) struct Record {
    memory: Option<Memory>,
    run: Option<Run>,
}

struct Run {
    expected: Option<usize>,
    files: Arc<Files>,
    /// All files of the commit, those of others too.
    tree: Arc<Files>,
    memory: Memory,
}

pub(crate) fn input<'a>(outcome: &'a Outcome, observed: &'a Observed, now: Timestamp) -> Input<'a> {
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
        let tip = expected.map(|place| env.remote.status[place].files.clone());
        let memory = self.memory.get_or_insert_with(|| {
            Memory::read(
                tip.iter().flat_map(|files| files.iter()).map(|(path, bytes)| (path.as_str(), bytes.as_slice())),
            )
        });
        let (files, memory) = report::files(&input(outcome, observed, env.clock()), memory);
        let tree = whole(tip.as_deref(), &files);
        if tip.as_deref() == Some(&tree) {
            self.memory = Some(memory);
            return Some(Ok(()));
        }
        self.run = Some(Run { expected, files: Arc::new(files), tree: Arc::new(tree), memory });
        None
    }

    /// Pushes what was prepared; the oracle holds the answer against the branch.
    pub(crate) fn push(&mut self, env: &mut Env) -> Result<(), RecordFailure> {
        let Some(run) = self.run.take() else { return transient("nothing was prepared") };
        let files = Arc::clone(&run.files);
        let result = self.send(env, run);
        if result.is_ok() {
            env.oracle.recorded(&files, &env.remote.status);
        }
        result
    }

    /// The push reaches the server, or not; then the server is asked what is there.
    fn send(&mut self, env: &mut Env, run: Run) -> Result<(), RecordFailure> {
        if env.fault("push lost", 30) {
            return transient("the forge is away");
        }
        if env.fault("push rejected", 40) {
            return rejected(env);
        }
        let parent = if env.has(Bug::DropsForeignCommits) { ours(env, run.expected) } else { run.expected };
        let commit = StatusCommit { parent, files: Arc::clone(&run.tree), report: Some(Arc::clone(&run.files)) };
        let lies = env.fault("push not there", 30);
        let pushed = if lies {
            Ok(None)
        } else if env.has(Bug::ForcesPush) {
            Ok(Some(env.remote.force_status(commit)))
        } else {
            env.remote.push_status(run.expected, commit).map(Some)
        };
        if matches!(pushed, Ok(Some(_))) {
            env.counts.effect("commit");
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
