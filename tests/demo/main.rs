//! `make demo`: the main loop on a real API server and a real Git server, told in scenes. Each scene asserts on one of the two.

#![allow(clippy::disallowed_methods, reason = "a demonstration reads files, clocks and the environment")]

#[path = "../harness/mod.rs"]
mod harness;
mod narrator;
mod scenes;
mod stage;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use futures::FutureExt as _;

use stage::Stage;

fn main() -> ExitCode {
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        narrator::title("Setting the stage");
        let Some(mut stage) = Stage::set().await else { return ExitCode::from(3) };
        // Whatever fails in a scene, the stage is cleared afterwards.
        let played = AssertUnwindSafe(scenes::play(&mut stage)).catch_unwind().await;
        stage.clear().await;
        narrator::end(played.is_ok())
    })
}
