//! What is lost with a process is nothing: another one, without its clones, finds everything as it shall be.

use crate::audit::{lists, writes};
use crate::world::{SOON, STATUS, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_from_nothing_writes_nothing() {
    let Some(world) = World::new().await else { return };
    let mut first = world.daemon("first").leading().await;
    for claim in ["a", "b", "c"] {
        world.claim(claim, "volumes").await;
    }
    world.protected(&["a", "b", "c"]).await;
    let commits = world.git.repository().log(STATUS);
    assert!(first.process.terminate(SOON).await.success());

    // Its home held the clones, and goes with it.
    drop(first);
    let mark = world.mark();
    let second = world.daemon("second").leading().await;
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
