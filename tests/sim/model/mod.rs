//! The world outside Holdfast: an API server that remembers who set what, and a Git remote with compare-and-swap.
//! The cluster half is compared with a real API server by `tests/cluster/differential.rs`.

#![allow(dead_code, reason = "two test binaries mount this, and each uses a part of it")]

pub(crate) mod cluster;
pub(crate) mod fields;
pub(crate) mod merge;
pub(crate) mod object;
pub(crate) mod schema;
