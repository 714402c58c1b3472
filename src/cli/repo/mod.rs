//! `holdfast repo`: work on any restic repository from a shell, with the same code as in the cluster.

pub(super) mod args;
pub(super) mod exit;
mod keep;
mod list;
mod maintain;
mod producer;
mod secret;
mod session;
mod show;
mod transfer;

use std::process::ExitCode;

use args::{RepoArgs, RepoCommand, RepositoryArgs};
use session::Session;

use crate::telemetry::{self, LogFormat};

/// Errors are printed here: their exit codes are restic's.
pub(super) fn run(args: &RepoArgs) -> ExitCode {
    match begin(&args.repository) {
        Ok(session) => match dispatch(&session, &args.command) {
            Ok(code) => {
                session.end();
                code
            }
            Err(error) => {
                // Before the locks, which may have to be waited for.
                let code = told(&error);
                session.give_up();
                code
            }
        },
        Err(error) => told(&error),
    }
}

fn told(error: &anyhow::Error) -> ExitCode {
    eprintln!("holdfast: {}", spoken(error));
    ExitCode::from(exit::code(error))
}

/// With every cause that is not in the words before it already.
fn spoken(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Who waits for a store is told why.
fn begin(args: &RepositoryArgs) -> anyhow::Result<Session<'_>> {
    telemetry::start(LogFormat::Text, if args.quiet { "holdfast=error" } else { "holdfast=warn" })?;
    Session::begin(args)
}

fn dispatch(session: &Session<'_>, command: &RepoCommand) -> anyhow::Result<ExitCode> {
    match command {
        RepoCommand::Init(args) => maintain::init(session, args),
        RepoCommand::Backup(args) => transfer::backup(session, args),
        RepoCommand::Snapshots(args) => list::snapshots(session, args),
        RepoCommand::Restore(args) => transfer::restore(session, args),
        RepoCommand::Dump(args) => transfer::dump(session, args),
        RepoCommand::Forget(args) => keep::forget(session, args),
        RepoCommand::Prune(args) => keep::prune(session, args),
        RepoCommand::Check(args) => maintain::check(session, args),
        RepoCommand::Stats(args) => list::stats(session, args),
        RepoCommand::Tag(args) => maintain::tag(session, args),
        RepoCommand::Copy(args) => transfer::copy(session, args),
        RepoCommand::Key(command) => maintain::key(session, command),
        RepoCommand::Unlock(args) => maintain::unlock(session, args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cause_is_told_twice() {
        let error = anyhow::anyhow!("the store is gone").context("nothing was stored: the store is gone");
        assert_eq!(spoken(&error.context("of two")), "of two: nothing was stored: the store is gone");
    }
}
