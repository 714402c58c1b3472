//! What runs inside a Job of the cluster: one step on a repository. What to do is told by the daemon, and what became of it is
//! said in the termination message of the container and in its log.

mod answer;
mod backup;
mod complaint;
mod credentials;
mod cut;
mod finish;
mod host;
mod initialize;
mod report;
mod restore;
mod retention;
mod settle;
mod site;
mod wanted;
mod working;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process;
use std::sync::Arc;

use answer::Answer;
use complaint::complaint;
use site::Site;

use crate::model::finding::StepReason;
use crate::model::step::{Complaint, INPUT, StepInput, Work};
use crate::repository::Ending;

const FAILED: u8 = 1;
/// As a shell says it of a process that SIGTERM has ended.
const TERMINATED: u8 = 143;

/// All that the agent knows of the container that it runs in.
#[derive(Debug)]
pub struct Surroundings {
    /// A [`StepInput`] as JSON.
    pub step: Option<String>,
    pub pod: Pod,
    /// The storage Secret: a file for each of its keys.
    pub storage: PathBuf,
    pub scratch: PathBuf,
    pub termination_log: PathBuf,
    /// For what the Secret does not have: where an account is bound to the pod, the cluster says here how to use it.
    pub variable: fn(&str) -> Option<String>,
    /// Writes a line to the log, as it is.
    pub print: fn(&str),
}

/// As the downward API says it.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub uid: Option<String>,
}

/// Does the step; gives the exit code.
pub fn run(around: &Surroundings) -> u8 {
    let ending = Ending::default();
    let answer = Arc::new(Answer::new(around));
    let of_signal = Arc::clone(&answer);
    let told = ending.on_signal(move || {
        of_signal.give(Some(complaint(StepReason::Cancelled, "the pod was told to end")));
        process::exit(TERMINATED.into());
    });
    let done = match told {
        Ok(()) => catch_unwind(AssertUnwindSafe(|| step(around, &ending, &answer))).unwrap_or_else(|_| {
            Err(complaint(StepReason::Internal, "the agent has a mistake: the log of the pod says where"))
        }),
        Err(error) => Err(complaint(StepReason::Internal, format_args!("no thread for signals: {error}"))),
    };
    let cancelled = matches!(&done, Err(Complaint { reason: StepReason::Cancelled, .. }));
    let success = answer.give(done.err());
    if !ending.give_up() {
        tracing::warn!("the store does not answer, so the lock stays until this pod is known to be gone");
    }
    match (success, cancelled) {
        (true, _) => 0,
        (false, false) => FAILED,
        (false, true) => TERMINATED,
    }
}

fn step(around: &Surroundings, ending: &Ending, answer: &Answer) -> Result<(), Complaint> {
    let invalid = |message: String| complaint(StepReason::InvalidInput, message);
    let text = around.step.as_deref();
    let text = text.ok_or_else(|| invalid(format!("{INPUT} is not set: the daemon starts this in a Job")))?;
    let input: StepInput =
        serde_json::from_str(text).map_err(|error| invalid(format!("{INPUT} cannot be read: {error}")))?;
    let site = || {
        let site = Site::new(&input, around, ending)?;
        tracing::info!(repository = site.location(), session = input.session, "begun");
        Ok::<_, Complaint>(site)
    };
    match &input.work {
        Work::Initialize => initialize::run(&site()?, answer),
        Work::Unlock => site()?.open().map(drop),
        Work::Backup(work) => backup::run(&site()?, work, answer),
        Work::Restore(work) => restore::run(&site()?, work, answer),
        Work::Finish(work) => finish::run(&site()?, work, answer),
        Work::Report { folder, host } => {
            report::run(folder, host, answer);
            Ok(())
        }
    }
}
