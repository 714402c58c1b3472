//! An API server or a forge that is away: the leader stops writing in time, or goes on without it, and by itself when it
//! is back.

use std::time::{Duration, Instant};

use crate::audit::lists;
use crate::harness::proxy::{Action, Proxy, Which};
use crate::harness::wait::eventually;
use crate::world::{SOON, World};

/// The right to write ends 10 s after the last renewal of the Lease, which was up to 5 s ago.
const RIGHT_ENDS: Duration = Duration::from_secs(16);

/// Far less than a request to Git may take.
const AT_ONCE: Duration = Duration::from_secs(10);

/// One for each watch, and for the Lease as often as it is tried.
const WARNINGS_MAX: usize = 21 + 10;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_forge_that_hangs_keeps_nobody_waiting() {
    let Some(world) = World::new().await else { return };
    let proxy = Proxy::in_front_of(&world.git.url());
    let daemon = world.daemon("hang").git_url(&proxy.url_of(&world.git.url())).leading().await;
    world.claim("a", "volumes").await;
    world.protected(&["a"]).await;

    // Every request from now on is taken and not answered: one for the source, and one for the status branch.
    let before = proxy.requests().len();
    let hold = proxy.rule(Which::Every, Action::Hold, |_| true);
    eventually(SOON, "both lanes hang", async || match proxy.requests().len() - before {
        2.. => Ok(()),
        count => Err(format!("{count} requests")),
    })
    .await;
    for claim in ["b", "c", "d"] {
        world.claim(claim, "volumes").await;
        let begun = Instant::now();
        world.made(&["a", claim]).await;
        assert!(begun.elapsed() < AT_ONCE, "{claim}: {:?}", begun.elapsed());
    }
    assert_eq!(daemon.metric("holdfast_leader").await, Some(1));
    hold.release();
    world.protected(&["a", "b", "c", "d"]).await;
    println!("| the forge takes requests and does not answer | new targets served at once; status when it answers |");
    drop(daemon);
    world.finish("a forge that hangs").await;
}
