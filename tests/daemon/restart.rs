//! What is lost with a process is nothing: another one, without its clones, finds everything as it shall be. The Git
//! server is one as they are in earnest: TLS by an authority of its own, and a password.

use std::fs;

use tempfile::TempDir;

use crate::audit::{lists, writes};
use crate::harness::git_server::{Access, Transport};
use crate::world::{SOON, STATUS, World};

const PASSWORD: &str = "pl4nted-s3cret";

/// The folder that a Secret of the daemon's namespace is mounted as.
fn credentials(world: &World) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let authority = world.git.authority_file().expect("a server with TLS has an authority");
    fs::copy(authority, folder.path().join("ca.crt")).expect("copied");
    for (name, content) in [("username", "bot"), ("password", PASSWORD)] {
        fs::write(folder.path().join(name), content).expect("written");
    }
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_from_nothing_writes_nothing() {
    let access = Access::Basic { user: "bot".to_owned(), password: PASSWORD.to_owned() };
    let Some(world) = World::with(Transport::Https, &access).await else { return };
    let credentials = credentials(&world);
    let credentials = format!("--git-credentials={}", credentials.path().display());
    let mut first = world.daemon("first").with(&[&credentials]).leading().await;
    for claim in ["a", "b", "c"] {
        world.claim(claim, "volumes").await;
    }
    world.protected(&["a", "b", "c"]).await;
    let commits = world.git.repository().log(STATUS);
    assert!(first.process.terminate(SOON).await.success());

    assert!(!first.log().contains(PASSWORD));
    // Its home held the clones, and goes with it.
    drop(first);
    let mark = world.mark();
    let second = world.daemon("second").with(&[&credentials]).leading().await;
    let passes = second.metric_is("holdfast_passes_total", |passes| passes >= 5).await;
    second.metric_is("holdfast_status_written_timestamp_seconds", |time| time > 0).await;
    assert_eq!(world.git.repository().log(STATUS), commits);
    if let Some(entries) = world.since(mark).await {
        assert_eq!(writes(&entries), Vec::<&_>::new());
        println!("| restart without clones | {passes} passes, {} LISTs, 0 writes, 0 commits |", lists(&entries));
    }
    drop(second);
    world.finish("restart").await;
}
