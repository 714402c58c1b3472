//! A remote that does not do what it says, and branches that others write: the daemon says so, goes on with the
//! cluster, deletes nothing, and is done as soon as the cause is gone.

use kube::Api;

use k8s_openapi::api::core::v1::Namespace;

use crate::daemon::Daemon;
use crate::harness::bare_repository::Hook;
use crate::world::{SOON, STATUS, World};

/// Of a cluster that is not there.
const OTHER: &str = "0d7c2a54-8a5e-4a0e-9d54-3b1f6f0a7c21";

async fn fails(daemon: &Daemon, words: &[&str]) {
    daemon.metric_is("holdfast_status_failures", |failures| failures >= 2).await;
    let lines = daemon.lines(&["the status branch is not up to date"]);
    let said = lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(said, "{words:?}: {lines:#?}");
}

async fn works(daemon: &Daemon, world: &World, claims: &[&str]) {
    world.protected(claims).await;
    daemon.metric_is("holdfast_status_failures", |failures| failures == 0).await;
}

/// Nothing of ours was ever deleted, whatever happened to the branch.
async fn nothing_deleted(world: &World) {
    let entries = world.all().await.unwrap_or_default();
    let deletes: Vec<_> = entries.iter().filter(|entry| entry.verb == "delete").collect();
    assert!(deletes.is_empty(), "{deletes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_that_refuses_or_pretends() {
    let Some(world) = World::new().await else { return };
    let repository = world.git.repository();
    let daemon = world.daemon("remote").leading().await;
    world.claim("a", "volumes").await;
    works(&daemon, &world, &["a"]).await;

    let tip = repository.commit_at(STATUS);
    repository.refuse(&format!("refs/heads/{STATUS}"));
    world.claim("b", "volumes").await;
    world.made(&["b"]).await;
    fails(&daemon, &["the server refuses the status branch", "protected branch", "protection rules"]).await;
    assert_eq!(repository.commit_at(STATUS), tip);
    repository.remove_hook(Hook::Update);
    works(&daemon, &world, &["a", "b"]).await;
    println!("| the ref is refused under an accepted push | objects made, failure told, done when allowed |");

    let tip = repository.commit_at(STATUS);
    repository.set_hook(Hook::PostReceive, "while read -r old new ref; do git update-ref \"$ref\" \"$old\"; done");
    world.claim("c", "volumes").await;
    world.made(&["c"]).await;
    fails(&daemon, &["the server accepted holdfast/test at", "a hook or another writer moved it"]).await;
    assert_eq!(repository.commit_at(STATUS), tip);
    repository.remove_hook(Hook::PostReceive);
    works(&daemon, &world, &["a", "b", "c"]).await;
    println!("| a push is accepted without effect | objects made, failure told, done when it has effect |");

    nothing_deleted(&world).await;
    drop(daemon);
    world.finish("a remote that refuses or pretends").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_others_write() {
    let Some(world) = World::new().await else { return };
    let repository = world.git.repository();
    let daemon = world.daemon("owner").leading().await;
    world.claim("a", "volumes").await;
    works(&daemon, &world, &["a"]).await;
    let ours = world.status_files();

    let path = world.status_path("a");
    let invented = path.replace(".a.", ".invented.");
    let files =
        [("README.md", "by hand\n"), ("notes.md", "kept\n"), (path.as_str(), "x\n"), (invented.as_str(), "x\n")];
    let theirs = repository.push_files(STATUS, &files, "by hand");
    world
        .status("our files, and theirs beside them", |files| {
            let mut wanted = ours.clone();
            wanted.insert("notes.md".to_owned(), "kept\n".to_owned());
            if *files == wanted { Ok(()) } else { Err(format!("{files:#?}")) }
        })
        .await;
    let log = repository.log(STATUS);
    assert_eq!(log[0].parents, [theirs], "what people commit stays in the history");
    println!("| commits of others on the branch | our files again in one commit on top, theirs beside ours stay |");

    // A branch that does not say whose it is may be anybody's.
    let tip = repository.remove_files(STATUS, &["cluster.yaml"], "tidy up");
    world.claim("c", "volumes").await;
    fails(&daemon, &["has no cluster.yaml that says which cluster it belongs to"]).await;
    assert_eq!(repository.commit_at(STATUS), Some(tip));
    repository.delete_branch(STATUS);
    works(&daemon, &world, &["a", "c"]).await;
    println!("| the branch without cluster.yaml | not written, failure told; written anew when it is gone |");

    // A branch of another cluster is not touched, while the cluster is looked after.
    let foreign = foreign_cluster(&world).await;
    let tip = repository.push_files(STATUS, &[("cluster.yaml", &foreign)], "another cluster");
    world.claim("b", "volumes").await;
    world.made(&["b"]).await;
    fails(&daemon, &[&format!("belongs to cluster test ({OTHER})"), &format!("--take-over {OTHER}")]).await;
    assert_eq!(repository.commit_at(STATUS), Some(tip.clone()));
    repository.delete_branch(STATUS);
    works(&daemon, &world, &["a", "b", "c"]).await;
    println!("| the branch of another cluster | not written, failure told; written anew when it is gone |");

    let tip = repository.push_files(STATUS, &[("cluster.yaml", &foreign)], "another cluster");
    fails(&daemon, &[OTHER]).await;
    let mut daemon = daemon;
    assert!(daemon.process.terminate(SOON).await.success());
    let daemon = world.daemon("heir").with(&[&format!("--take-over={OTHER}")]).leading().await;
    works(&daemon, &world, &["a", "b", "c"]).await;
    world
        .status("the branch is ours", |files| {
            if files["cluster.yaml"].contains(OTHER) { Err(OTHER.to_owned()) } else { Ok(()) }
        })
        .await;
    assert_eq!(repository.log(STATUS)[0].parents, [tip]);
    println!("| the branch of another cluster, taken over | one commit on top of it |");

    nothing_deleted(&world).await;
    drop(daemon);
    world.finish("a branch that others write").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_branch_that_is_read_is_never_written() {
    let Some(world) = World::new().await else { return };
    let repository = world.git.repository();
    let source = repository.commit_at("main");
    // No --git-ref: that HEAD leads to main is only known once it is read.
    let daemon = world.daemon("same").with(&["--status-branch=main"]).leading().await;
    world.claim("a", "volumes").await;
    world.made(&["a"]).await;
    fails(&daemon, &["is the branch that the documents are read from", "give another --status-branch"]).await;
    assert_eq!(repository.commit_at("main"), source);
    println!("| the branch that is read as status branch | objects made, nothing written, failure told |");
    drop(daemon);
    world.finish("the branch that is read").await;
}

/// `cluster.yaml` as another cluster would have written it.
async fn foreign_cluster(world: &World) -> String {
    let system =
        Api::<Namespace>::all(world.cluster.admin.clone()).get("kube-system").await.expect("it is always there");
    let uid = system.metadata.uid.expect("the server gives one");
    let ours = world.status_files()["cluster.yaml"].clone();
    assert!(ours.contains(&uid), "{ours}");
    ours.replace(&uid, OTHER)
}
