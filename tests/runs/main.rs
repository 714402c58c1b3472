//! Sessions and restores on a real node: the daemon as a process under the shipped RBAC, its Jobs as pods, the real restic beside them.
#![expect(clippy::disallowed_methods, reason = "the tests start programs, write files, and have deadlines")]

#[path = "../harness/mod.rs"]
mod harness;

mod documents;
mod ground;
mod image;
mod killed;
mod missing;
mod pods;
mod restic;
mod scene;
mod shop;
mod volumes;
mod workloads;
