//! Tests against a real API server (level 5). `HOLDFAST_TEST_KUBECONFIG` names a cluster of your own.

#[path = "../harness/mod.rs"]
mod harness;

mod apply;
mod differential;
mod lease;
mod observe;
mod rbac;
mod selftest;
mod support;
mod watch;
