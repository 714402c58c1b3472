//! A source that shrinks, is emptied, forced elsewhere or gone: what was made stays, the daemon says why, and goes on
//! when the source is back.

use std::collections::BTreeMap;

use kube::api::ListParams;

use crate::daemon::Daemon;
use crate::documents::{configuration, repository};
use crate::harness::proxy::{Action, Proxy, Which};
use crate::harness::wait::eventually;
use crate::world::{BLUEPRINT, CONFIGURATIONS, SOON, World};

const DOCUMENTS: usize = 8;

/// Name to UID: what was deleted and made again has another.
async fn configurations(world: &World) -> BTreeMap<String, String> {
    let list = world.api(CONFIGURATIONS).list(&ListParams::default()).await.expect("listed").items;
    let pair = |object: kube::core::DynamicObject| Some((object.metadata.name?, object.metadata.uid?));
    list.into_iter().filter_map(pair).collect()
}

/// Waits until the status branch shows that many deletes as refused, and how to allow them.
async fn refuses(world: &World, daemon: &Daemon, deletes: usize) {
    let wanted = i64::try_from(deletes).expect("a few");
    daemon.metric_is("holdfast_refusals{code=\"TooManyDeletes\"}", |count| count == wanted).await;
    world
        .status("the refused deletes on the branch", |files| {
            let findings = &files["findings.yaml"];
            let refused = findings.matches("code: TooManyDeletes").count();
            if refused == deletes && findings.contains("acknowledge: ") { Ok(()) } else { Err(findings.clone()) }
        })
        .await;
    let lines = daemon.lines(&["refused: ", "code=\"TooManyDeletes\""]);
    assert!(lines.len() >= deletes, "{lines:#?}");
}

/// Waits until nothing is refused or leaving any more.
async fn back(world: &World, daemon: &Daemon) {
    daemon.metric_is("holdfast_refusals{code=\"TooManyDeletes\"}", |count| count == 0).await;
    world
        .status("no refusal on the branch", |files| {
            let complaint =
                files.iter().find(|(_, text)| text.contains("TooManyDeletes") || text.contains("CauseMissing"));
            complaint.map_or(Ok(()), |(path, text)| Err(format!("{path}: {text}")))
        })
        .await;
    eventually(SOON, "no mark on an object", async || {
        let list = world.api(CONFIGURATIONS).list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let marked = list.items.iter().filter(|object| {
            object.metadata.annotations.as_ref().is_some_and(|own| own.contains_key("holdfast.dev/missing-since"))
        });
        match marked.count() {
            0 => Ok(()),
            count => Err(format!("{count} marked")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_shrinks_or_goes_deletes_nothing() {
    let Some(world) = World::new().await else { return };
    let git = world.git.repository();
    let blueprint_only = git.commit_at("main").expect("every world begins with one");
    let documents: Vec<_> = (0..DOCUMENTS)
        .map(|number| {
            let (shop, name) = (world.shop.name.as_str(), format!("d{number}"));
            let text = format!("{}---\n{}", repository(shop, &name), configuration(shop, &name, &name, "0 5 * * 1"));
            (format!("documents/d{number}.yaml"), text)
        })
        .collect();
    let files: Vec<_> = documents.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let whole = git.push_files("main", &files, "documents");
    let proxy = Proxy::in_front_of(&world.git.url());
    let daemon = world.daemon("source").git_url(&proxy.url_of(&world.git.url())).leading().await;
    world.claim("a", "volumes").await;
    world.protected(&["a", "d0", "d7"]).await;
    let made = configurations(&world).await;
    assert_eq!(made.len(), DOCUMENTS + 1);

    // More than half of nine.
    git.remove_files(
        "main",
        &["d0", "d1", "d2", "d3", "d4"].map(|name| format!("documents/{name}.yaml")).each_ref().map(String::as_str),
        "shrunk",
    );
    refuses(&world, &daemon, 5).await;
    assert_eq!(configurations(&world).await, made);
    git.push_files("main", &files, "whole again");
    back(&world, &daemon).await;
    println!("| 5 of 9 documents are gone | 5 deletes refused, 0 done; nothing refused when they are back |");

    git.remove_files("main", &["documents", BLUEPRINT], "emptied");
    refuses(&world, &daemon, DOCUMENTS + 1).await;
    assert_eq!(configurations(&world).await, made);
    git.force_push("main", &whole);
    back(&world, &daemon).await;
    println!("| the source is emptied | 9 deletes refused, 0 done; nothing refused when it is forced back |");

    git.force_push("main", &blueprint_only);
    refuses(&world, &daemon, DOCUMENTS).await;
    assert_eq!(configurations(&world).await, made);
    git.force_push("main", &whole);
    back(&world, &daemon).await;
    println!("| the source is forced to an old commit | 8 deletes refused, 0 done; nothing refused when forced back |");

    let rule = proxy.rule(Which::Every, Action::Refuse(503), |_| true);
    daemon.metric_is("holdfast_source_failures", |failures| failures >= 2).await;
    assert!(!daemon.lines(&["the source cannot be read, what was read last stays in force"]).is_empty());
    world.claim("b", "volumes").await;
    world.made(&["b"]).await;
    rule.release();
    world.protected(&["a", "b", "d0"]).await;
    daemon.metric_is("holdfast_source_failures", |failures| failures == 0).await;
    println!(
        "| the forge answers 503 | what was read stays in force, new targets too; status written when it is back |"
    );

    let entries = world.all().await.unwrap_or_default();
    assert_eq!(entries.iter().filter(|entry| entry.verb == "delete").count(), 0);
    drop(daemon);
    world.finish("a source that shrinks or goes").await;
}
