//! `holdfast repo`: work on any restic repository from a shell, with the same code as in the cluster.

pub(super) mod args;
pub(super) mod exit;
mod keep;
mod limit;
mod list;
mod maintain;
mod producer;
mod secret;
mod session;
mod show;
mod transfer;

use std::process::ExitCode;

use args::{RepoArgs, RepoCommand};
use session::Session;

/// Errors are printed here: their exit codes are restic's.
pub(super) fn run(args: &RepoArgs) -> ExitCode {
    match dispatch(args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("holdfast: {error:#}");
            ExitCode::from(exit::code(&error))
        }
    }
}

fn dispatch(args: &RepoArgs) -> anyhow::Result<ExitCode> {
    let session = Session::begin(&args.repository)?;
    let done = match &args.command {
        RepoCommand::Init(args) => maintain::init(&session, args),
        RepoCommand::Backup(args) => transfer::backup(&session, args),
        RepoCommand::Snapshots(args) => list::snapshots(&session, args),
        RepoCommand::Restore(args) => transfer::restore(&session, args),
        RepoCommand::Dump(args) => transfer::dump(&session, args),
        RepoCommand::Forget(args) => keep::forget(&session, args),
        RepoCommand::Prune(args) => keep::prune(&session, args),
        RepoCommand::Check(args) => maintain::check(&session, args),
        RepoCommand::Stats(args) => list::stats(&session, args),
        RepoCommand::Tag(args) => maintain::tag(&session, args),
        RepoCommand::Copy(args) => transfer::copy(&session, args),
        RepoCommand::Key(command) => maintain::key(&session, command),
        RepoCommand::Unlock(args) => maintain::unlock(&session, args),
    };
    session.end();
    done
}
