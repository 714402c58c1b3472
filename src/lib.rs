//! Holdfast keeps the data of a Kubernetes cluster backed up from what a Git repository says.
//!
//! The layers and what may import what are in `ARCHITECTURE.md`; a test holds the code to it.

pub mod agent;
pub mod api;
pub mod blueprint;
pub mod build;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod control;
pub mod cron;
pub mod daemon;
pub mod expression;
pub mod git;
pub mod install;
pub mod metrics;
pub mod model;
pub mod plan;
pub mod policy;
pub mod report;
pub mod repository;
pub mod schema;
pub mod suggest;
pub mod telemetry;
pub mod yaml;
