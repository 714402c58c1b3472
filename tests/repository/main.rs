//! Repositories on real stores, with the real restic on the other side.

#![expect(clippy::disallowed_methods, reason = "tests start programs, write files and know the environment")]

#[path = "../harness/mod.rs"]
mod harness;

mod backups;
mod caches;
mod cheap;
mod checks;
mod commands;
mod copies;
mod documented;
mod dumps;
mod elsewhere;
mod failures;
mod faults;
mod foreign;
mod guarded;
mod history;
mod interrupted;
mod keys;
mod kills;
mod limits;
mod locks;
mod making;
mod memory;
mod mixed;
mod outages;
mod paths;
mod prunes;
mod restic;
mod restores;
mod retention;
mod servers;
mod shown;
mod sources;
mod statistics;
mod stores;
mod tags;
mod trees;
mod trees_round;
