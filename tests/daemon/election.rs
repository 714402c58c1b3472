//! Two daemons: one leads; when it is asked to end, the other goes on at once.

use std::time::{Duration, Instant};

use crate::harness::proxy::{Action, Proxy, Which};
use crate::world::{SOON, World};

/// A Lease whose holder is dead: its duration and one look of a candidate.
const SILENCE: Duration = Duration::from_secs(17);
/// A Lease that was given back is found within one look of a candidate, which is 2 s.
const TAKE_OVER: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_asked_to_end_hands_over_at_once() {
    let Some(world) = World::new().await else { return };
    let (proxy, proxied) = Proxy::in_front_of_cluster(&world.kubeconfig);
    let mut first = world.daemon("first").kubeconfig(&proxied).leading().await;
    let mut second = world.daemon("second").start();
    second.ready().await;
    assert_eq!(second.metric("holdfast_leader").await, Some(0));

    // The third apply hangs while the leader is asked to end.
    let rule = proxy.rule(Which::Nth(3), Action::Hold, |seen| seen.method == "PATCH" && seen.path.contains("claim-"));
    let claims = ["a", "b", "c", "d", "e", "f"].map(|name| format!("claim-{name}"));
    for claim in &claims {
        world.claim(claim, "volumes").await;
    }
    rule.wait_for_held(SOON).await;
    first.process.ask_to_end();
    first.process.wait_for_output("SIGTERM: ending", SOON).await;
    rule.release();
    let status = first.process.wait_for_exit(SOON).await;
    let ended = Instant::now();
    assert!(status.success(), "{status}");
    second.leads(TAKE_OVER).await;
    let took = ended.elapsed();
    assert!(took < TAKE_OVER, "{took:?}");
    world.protected(&claims.iter().map(String::as_str).collect::<Vec<_>>()).await;
    println!("| SIGTERM while an apply hangs | the other leads after {} ms |", took.as_millis());
    drop((first, second));
    world.finish("election").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_a_killed_leader_waits_for_the_end_of_its_lease() {
    let Some(world) = World::new().await else { return };
    let (proxy, proxied) = Proxy::in_front_of_cluster(&world.kubeconfig);
    let mut first = world.daemon("first").kubeconfig(&proxied).leading().await;
    let mut second = world.daemon("second").start();
    second.ready().await;

    let rule =
        proxy.rule(Which::Nth(3), Action::HoldAnswer, |seen| seen.method == "PATCH" && seen.path.contains("claim-"));
    let claims = ["a", "b", "c"].map(|name| format!("claim-{name}"));
    for claim in &claims {
        world.claim(claim, "volumes").await;
    }
    rule.wait_for_held(SOON).await;
    first.process.kill9();
    let killed = Instant::now();
    second.leads(SILENCE + TAKE_OVER).await;
    let took = killed.elapsed();
    assert!(took < SILENCE + TAKE_OVER, "{took:?}");
    world.protected(&claims.iter().map(String::as_str).collect::<Vec<_>>()).await;
    println!("| kill -9 while an apply hangs, Lease not given back | the other leads after {} ms |", took.as_millis());
    drop((first, second));
    world.finish("end of a Lease").await;
}
