//! A step that the API server refuses is told for as long as it is not done, whatever else happens meanwhile.

use std::time::{Duration, Instant};

use crate::documents;
use crate::harness::proxy::{Action, Proxy, Which};
use crate::world::{SOON, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_until_it_is_over() {
    let Some(world) = World::new().await else { return };
    let (proxy, proxied) = Proxy::in_front_of_cluster(&world.kubeconfig);
    let daemon = world.daemon("failing").kubeconfig(&proxied).leading().await;
    // As a webhook of somebody else would.
    let rule = proxy.rule(Which::Every, Action::Refuse(403), |seen| {
        seen.method == "PATCH" && seen.path.ends_with("/persistentvolumeclaim-denied")
    });
    world.claim("denied", "volumes").await;
    let told = async || {
        world
            .status("the failure on the branch", |files| {
                let file = files.get(&world.status_path("denied")).ok_or("no file")?;
                let cluster = &files["cluster.yaml"];
                let told = file.contains("state: Refused") && file.contains("reason: ApplyFailed");
                if told && cluster.contains("reason: ApplyFailed") { Ok(()) } else { Err(format!("{file}{cluster}")) }
            })
            .await;
    };
    told().await;
    // The step waits; other targets come, passes go on, and it is still told.
    world.claim("other", "volumes").await;
    world.protected(&["other"]).await;
    let passes = daemon.metric("holdfast_passes_total").await.expect("a daemon counts its passes");
    daemon.metric_is("holdfast_passes_total", |now| now > passes + 2).await;
    told().await;
    let tried = daemon.lines(&["failed: ", "persistentvolumeclaim-denied"]);
    assert_eq!(tried.len(), 1, "{tried:#?}");

    // A change in Git is what it may have waited for.
    rule.release();
    let changed = documents::blueprint("another", "0 1 * * *");
    world.git.repository().push_files("main", &[("blueprints/another.yaml", &changed)], "another blueprint");
    world.protected(&["denied", "other"]).await;
    println!("| a step is refused by the API server | tried once, told until a change in Git, then done |");
    drop(daemon);
    world.finish("failing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_that_stays_is_not_tried_every_second() {
    let Some(world) = World::new().await else { return };
    let (proxy, proxied) = Proxy::in_front_of_cluster(&world.kubeconfig);
    let daemon = world.daemon("conflict").kubeconfig(&proxied).leading().await;
    let rule = proxy.rule(Which::Every, Action::Refuse(409), |seen| {
        seen.method == "PATCH" && seen.path.ends_with("/persistentvolumeclaim-contested")
    });
    world.claim("contested", "volumes").await;
    rule.wait_for_applied(1, SOON).await;
    let first = Instant::now();
    rule.wait_for_applied(5, SOON).await;
    let took = first.elapsed();
    // Half of 1, 2, 4 and 8 seconds at least.
    assert!(took > Duration::from_secs(7), "four tries after {took:?}");
    rule.release();
    world.protected(&["contested"]).await;
    println!("| a step conflicts again and again | 4 more tries took {took:.1?}, then done |");
    drop(daemon);
    world.finish("conflict").await;
}
