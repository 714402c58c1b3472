//! An API server that is away: the leader stops writing in time, and goes on by itself when it is back.

use std::time::Duration;

use crate::audit::lists;
use crate::harness::proxy::{Action, Proxy, Which};
use crate::harness::wait::eventually;
use crate::world::World;

/// The right to write ends 10 s after the last renewal of the Lease, which was up to 5 s ago.
const RIGHT_ENDS: Duration = Duration::from_secs(16);

/// One for each watch, and for the Lease as often as it is tried.
const WARNINGS_MAX: usize = 14 + 10;

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_api_server_is_survived() {
    let Some(world) = World::new().await else { return };
    let (proxy, proxied) = Proxy::in_front_of_cluster(&world.kubeconfig);
    let mut daemon = world.daemon("outage").kubeconfig(&proxied).leading().await;
    world.claim("a", "volumes").await;
    world.protected(&["a"]).await;

    let mark = world.mark();
    let rule = proxy.rule(Which::Every, Action::CutBefore, |_| true);
    proxy.cut_connections();
    world.claim("b", "volumes").await;
    eventually(RIGHT_ENDS, "the leader has stepped down", async || match daemon.metric("holdfast_leader").await {
        Some(0) => Ok(()),
        other => Err(format!("holdfast_leader {other:?}")),
    })
    .await;
    // The log has the end of a watch too.
    let through = world.since(mark).await.unwrap_or_default();
    assert!(through.iter().all(|entry| entry.verb == "watch"), "{through:?}");
    rule.release();
    daemon.leads(RIGHT_ENDS).await;
    world.protected(&["a", "b"]).await;

    let entries = world.since(mark).await.unwrap_or_default();
    // The watches go on from where they were.
    assert_eq!(lists(&entries), 0);
    let lines = daemon.lines(&["WARN"]).len() + daemon.lines(&["ERROR"]).len();
    assert!(lines <= WARNINGS_MAX, "{lines} warnings: {}", daemon.log());
    println!("| the API server is away for longer than the Lease | stepped down, led again, 0 LISTs, all done |");
    drop(daemon);
    world.finish("outage").await;
}
