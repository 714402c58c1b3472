//! Tests against a real API server (level 5). `HOLDFAST_TEST_KUBECONFIG` names a cluster of your own.
#![expect(clippy::disallowed_methods, reason = "the tests start servers, write files, and have deadlines")]

#[path = "../harness/mod.rs"]
mod harness;

mod apply;
mod differential;
mod lease;
mod observe;
mod rbac;
mod runs;
mod selftest;
mod support;
mod watch;
