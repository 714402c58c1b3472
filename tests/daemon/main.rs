//! The real daemon as a process: a real API server under the shipped RBAC, a real Git server over smart HTTP.
#![expect(clippy::disallowed_methods, reason = "the tests start servers, write files, and have deadlines")]

#[path = "../harness/mod.rs"]
mod harness;

mod audit;
mod beside;
mod daemon;
mod documents;
mod drift;
mod election;
mod failing;
mod hostile_source;
mod hostile_status;
mod idle;
mod killed;
mod outage;
mod policies;
mod restart;
mod rights;
mod state;
mod trust;
mod world;
