//! The agent as a pod runs it: a real process, a real repository, and the real restic on the other side.

#![expect(clippy::disallowed_methods, reason = "tests start programs, write files and know the environment")]

#[path = "../repository/cheap.rs"]
mod cheap;
#[allow(dead_code, reason = "each test binary uses its part of it")]
#[path = "../repository/restic.rs"]
mod restic;

mod backups;
mod ends;
mod finishes;
mod pod;
mod reports;
mod restores;
mod starts;
mod waits;
