//! The GitOps loop as a state machine: `(state, event, now)` gives the next effects and the next wake-up. Pure.

pub mod backoff;
pub mod engine;
pub mod gitops;
pub mod recorder;
