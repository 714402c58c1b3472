//! Git against real servers: `git http-backend`, sshd, and servers that misbehave on purpose.

#[path = "../harness/mod.rs"]
mod harness;

mod access;
mod hostile;
mod reading;
mod selftest;
mod support;
mod trust;
mod writing;
