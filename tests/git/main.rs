//! Git against real servers: `git http-backend`, sshd, and servers that misbehave on purpose.
#![expect(clippy::disallowed_methods, reason = "the tests start servers, write files, and have deadlines")]

#[path = "../harness/mod.rs"]
mod harness;

mod access;
mod commands;
mod hostile;
mod reading;
mod rotation;
mod selftest;
mod signing;
mod support;
mod trust;
mod writing;
