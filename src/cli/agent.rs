//! `holdfast agent`: what the container's environment says, as values for the agent.

use std::process::ExitCode;

use super::output::print;
use crate::agent::{self, Pod, Surroundings};
use crate::model::step::{INPUT, POD_NAME, POD_NAMESPACE, POD_UID, SCRATCH_FOLDER, STORAGE_FOLDER};
use crate::telemetry::{self, LogFormat};

/// Where Kubernetes puts the file, if nobody says otherwise.
const TERMINATION_LOG: &str = "/dev/termination-log";

pub(super) fn run() -> anyhow::Result<ExitCode> {
    telemetry::start(LogFormat::Text, "warn,holdfast=info")?;
    let place = |name: &str, default: &str| variable(name).unwrap_or_else(|| default.to_owned()).into();
    let around = Surroundings {
        step: variable(INPUT),
        pod: Pod { namespace: variable(POD_NAMESPACE), name: variable(POD_NAME), uid: variable(POD_UID) },
        storage: place("HOLDFAST_STORAGE_FOLDER", STORAGE_FOLDER),
        scratch: place("HOLDFAST_SCRATCH_FOLDER", SCRATCH_FOLDER),
        termination_log: place("HOLDFAST_TERMINATION_LOG", TERMINATION_LOG),
        variable,
        print: line,
    };
    Ok(ExitCode::from(agent::run(&around)))
}

#[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Who does not read the log finds the outcome in the termination message.
fn line(text: &str) {
    let _ = print(&format!("{text}\n"));
}
