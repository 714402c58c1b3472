//! The command line: what a person types, turned into calls of the layers below, and their results into exit codes.

mod agent;
mod args;
mod check;
mod connection;
pub mod docs;
mod excerpt;
mod inputs;
mod install;
mod observe;
mod output;
mod plan;
mod repo;
mod run_daemon;
mod source;
mod status;
mod trigger;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::telemetry;
pub use args::Cli;
use args::Command;

/// Runs one command. Errors go to standard error, and the exit code tells.
pub fn run() -> ExitCode {
    telemetry::leave_out_panics_of_expressions();
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("holdfast: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Plan(args) => plan::run(&args, &cli.connection),
        Command::Check(args) => check::run(&args),
        Command::Observe(args) => observe::run(&args, &cli.connection),
        Command::Status(args) => status::run(&args),
        Command::Repo(args) => Ok(repo::run(&args)),
        Command::Crds => install::crds(),
        Command::Catalogue { image } => install::catalogue(&image),
        Command::Manifests(args) => install::manifests(&args),
        Command::Docs { topic } => docs::run(topic),
        Command::Trigger(args) => trigger::run(&args, &cli.connection),
        Command::Daemon(args) => run_daemon::run(&args, &cli.connection),
        Command::Agent => agent::run(),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "holdfast", &mut script);
            output::print(&String::from_utf8_lossy(&script))
        }
    }
}
