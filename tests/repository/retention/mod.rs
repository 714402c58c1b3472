//! Which snapshots are kept: held against a model of few words, and against the real restic.

mod forget;
mod model;
mod properties;
