//! Run-time objects from what was asked for: which Task, which steps, which pods, as manifests that are sent as they are.

pub mod args;
pub mod cron_job;
mod fault;
pub mod job;
pub mod labels;
pub mod names;
pub mod place;
pub mod pod;
pub mod rights;
pub mod security;
pub mod session;
pub mod task;
pub mod variables;
pub mod workload;

pub use fault::Fault;
