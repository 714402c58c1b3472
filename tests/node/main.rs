//! What people install, on a real node: the image, the Helm chart and the plain manifests.
#![expect(clippy::disallowed_methods, reason = "the tests start programs, read files, and have deadlines")]

#[path = "../harness/mod.rs"]
mod harness;

mod chart;
mod image;
mod installed;
mod leadership;
mod readme;
mod shell;
mod stage;
