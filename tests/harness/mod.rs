//! What the tests run against: a real API server, real Git servers, a proxy that fails requests
//! on purpose, and the real daemon as a process.
//!
//! Mounted by each test binary with `#[path = "../harness/mod.rs"] mod harness;`. Everything that
//! serves requests runs on a thread of its own, so tests may block, and ends when it is dropped.
#![allow(dead_code, reason = "each test binary uses its part of the harness")]

pub(crate) mod audit;
pub(crate) mod bare_repository;
pub(crate) mod cluster;
pub(crate) mod daemon;
pub(crate) mod git_cli;
pub(crate) mod git_server;
pub(crate) mod http_thread;
pub(crate) mod kubeconfig;
pub(crate) mod lab;
pub(crate) mod proxy;
pub(crate) mod signing_key;
pub(crate) mod ssh_server;
pub(crate) mod tls;
pub(crate) mod tools;
mod truncated;
pub(crate) mod wait;

use std::io::Write as _;

/// Says in one line that tests do not run here, and why. On CI (`CI=true`) that is a failure.
pub(crate) fn skipped(what: &str, why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what} must run on CI: {why}");
    // Written to the stream itself: the test runner hides what eprintln! writes in a test that passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}: {why}");
}
