//! Every right that the shipped RBAC grants is used by a daemon at work, and no other.

use std::collections::BTreeSet;

use crate::audit::{granted, used};
use crate::documents::{configuration, repository};
use crate::harness::wait::eventually;
use crate::world::{SOON, World};

/// One document of each kind that the daemon writes, and of those that it may delete a second one, so that it is less
/// than half that goes.
fn documents(world: &World, version: &str) -> Vec<(String, String)> {
    let shop = world.shop.name.as_str();
    let mut documents = vec![("r.yaml".to_owned(), repository(shop, "r"))];
    for (name, number) in [("goes", 1), ("stays", 2), ("remains", 3)] {
        let name = format!("{name}-{shop}");
        let meta = format!("metadata:\n  name: {name}\n");
        let function = format!(
            "apiVersion: stash.appscode.com/v1beta1\nkind: Function\n{meta}spec:\n  image: example.org/f:{version}\n"
        );
        let task = format!(
            "apiVersion: stash.appscode.com/v1beta1\nkind: Task\n{meta}spec:\n  steps:\n  - name: {name}-{version}\n"
        );
        let batch = format!(
            "apiVersion: stash.appscode.com/v1beta1\nkind: BackupBatch\n{meta}  namespace: {shop}\nspec:\n  \
             repository:\n    name: r\n  schedule: '{number} {version} * * *'\n  retentionPolicy:\n    name: keep\n    \
             keepLast: 3\n    prune: true\n"
        );
        let configuration = configuration(shop, &name, "r", &format!("{number} {version} * * *"));
        documents.push((format!("{name}/all.yaml"), [function, task, batch, configuration].join("---\n")));
    }
    documents
}

fn push(world: &World, documents: &[(String, String)], message: &str) {
    let files: Vec<_> = documents.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    world.git.repository().push_files("main", &files, message);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_granted_is_what_is_used() {
    let Some(world) = World::new().await else { return };
    let daemon = world.daemon("rights").leading().await;
    let done = async |action: &str, count: i64| {
        let series = format!("holdfast_steps_total{{action=\"{action}\",result=\"done\"}}");
        daemon.metric_is(&series, |done| done >= count).await
    };
    push(&world, &documents(&world, "1"), "everything");
    done("create", 13).await;
    let mut changed = documents(&world, "2");
    changed[0].1.push_str("  usagePolicy:\n    allowedNamespaces:\n      from: Same\n");
    push(&world, &changed, "everything changes");
    done("update", 13).await;
    world.git.repository().remove_files("main", &[&format!("goes-{}", world.shop.name)], "one of each goes");
    done("delete", 4).await;
    // A refusal is told to the owner of the target, and later deletes are counted beside the first ones.
    world.claim("unknown", "no-such-blueprint").await;
    daemon.metric_is("holdfast_refusals{code=\"BlueprintMissing\"}", |count| count == 1).await;

    let Some(_) = world.all().await else { return world.finish("rights").await };
    let used_rights = eventually(SOON, "what is used is what is granted", async || {
        let used = used(&world.all().await.unwrap_or_default());
        let differ: BTreeSet<_> = used.symmetric_difference(&granted()).cloned().collect();
        if differ.is_empty() { Ok(used) } else { Err(format!("{differ:?}; {}", daemon.log())) }
    })
    .await;
    println!("| rights | {} (verb, resource) pairs granted, the same {} used |", granted().len(), used_rights.len());
    drop(daemon);
    world.finish("rights").await;
}
