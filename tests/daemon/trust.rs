//! The status branch as something to rely on: signed, rotated by month, in a repository of its own, back after it was
//! deleted, and not there at all with `--read-only`.

use std::fs;

use crate::harness::bare_repository::BareRepository;
use crate::harness::git_cli::Git;
use crate::harness::git_server::{Access, GitServer, Transport};
use crate::harness::signing_key::TestKey;
use crate::harness::wait::eventually;
use crate::world::{SOON, STATUS, World};

const ARCHIVES: &str = "refs/holdfast/archive/test/";

fn git(repository: &BareRepository, arguments: &[&str]) -> String {
    Git::new().run(&repository.path(), arguments)
}

/// Name and commit of every archive.
fn archives(repository: &BareRepository) -> Vec<(String, String)> {
    let listed = git(repository, &["for-each-ref", "--format=%(refname) %(objectname)", ARCHIVES]);
    listed.lines().filter_map(|line| line.split_once(' ')).map(|(name, id)| (name.to_owned(), id.to_owned())).collect()
}

fn since(cluster: &str) -> &str {
    cluster.lines().find_map(|line| line.strip_prefix("  since: ")).expect("cluster.yaml says since when")
}

/// Somebody writes that the branch is from an earlier year: the next commit of the daemon is the first of a new month.
fn turn_the_month(world: &World) -> String {
    let cluster = world.status_files()["cluster.yaml"].clone();
    let old = cluster.replace(&format!("  since: {}", since(&cluster)), "  since: 2025-09");
    world.git.repository().push_files(STATUS, &[("cluster.yaml", &old)], "a month has passed")
}

async fn is_back(world: &World, month: &str) {
    let line = format!("  since: {month}\n");
    world
        .status("the branch says since when it is", |files| {
            let cluster = &files["cluster.yaml"];
            if cluster.contains(&line) { Ok(()) } else { Err(cluster.clone()) }
        })
        .await;
}

fn verified(key: &TestKey, repository: &BareRepository, commit: &str) {
    if let Err(said) = key.verify(&repository.path(), commit) {
        panic!("{commit}: {said}\n{}", git(repository, &["cat-file", "-p", commit]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_branch_begins_anew_with_a_month() {
    let Some(world) = World::new().await else { return };
    let (repository, key) = (world.git.repository(), TestKey::ed25519());
    let sign = format!("--status-signing-key={}", key.file().display());
    let fingerprint = key.fingerprint();
    let mut daemon = world.daemon("signed").with(&[&sign, "--log=trace"]).leading().await;
    world.claim("a", "volumes").await;
    world.protected(&["a"]).await;
    verified(&key, repository, STATUS);
    let month = since(&world.status_files()["cluster.yaml"]).to_owned();

    let before = turn_the_month(&world);
    is_back(&world, &month).await;
    let [(archive, kept)] = &archives(repository)[..] else { panic!("{:?}", archives(repository)) };
    assert_eq!(*kept, before);
    let [root] = &repository.log(STATUS)[..] else { panic!("{:#?}", repository.log(STATUS)) };
    assert!(root.parents.is_empty(), "{:?}", root.parents);
    assert!(root.message.contains(&format!("Holdfast-Archive: {archive} {before}")), "{}", root.message);
    assert!(world.status_files()["cluster.yaml"].contains(&format!("  archive: {archive}\n")));
    verified(&key, repository, STATUS);

    // What was signed before stays as it was; what comes is signed by the key that is there then.
    let (tip, old) = (root.id.clone(), key.secret_lines());
    key.renew();
    world.claim("b", "volumes").await;
    world.protected(&["a", "b"]).await;
    verified(&key, repository, STATUS);
    assert!(key.verify(&repository.path(), &tip).is_err(), "signed by the key of that time");
    assert!(daemon.process.terminate(SOON).await.success());
    let log = daemon.log();
    assert!(old.iter().chain(&key.secret_lines()).all(|line| !log.contains(line)), "a line of the key is in the log");
    assert_eq!(daemon.lines(&["the status goes to Git", &fingerprint]).len(), 1);

    let heir = world.daemon("heir").with(&[&sign]).leading().await;
    world.claim("c", "volumes").await;
    world.protected(&["a", "b", "c"]).await;
    assert_eq!((heir.metric("holdfast_status_unrotated").await, archives(repository).len()), (Some(0), 1));
    println!("{}", git(repository, &["log", "--graph", "--all", "--format=%h%d %s", "--", ".", ":!blueprints"]));
    println!("{}", repository.log(STATUS).last().expect("a commit").message);
    println!("{}", world.status_files()["cluster.yaml"]);
    drop((daemon, heir));
    world.finish("a signed branch that begins anew").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_to_rotate_is_written_on() {
    let Some(world) = World::new().await else { return };
    let repository = world.git.repository();
    let mut daemon = world.daemon("steady").leading().await;
    world.claim("a", "volumes").await;
    world.protected(&["a"]).await;
    let month = since(&world.status_files()["cluster.yaml"]).to_owned();
    let told = async |reason: &str| {
        world
            .status("the refusal on the branch", |files| {
                let cluster = &files["cluster.yaml"];
                let told = cluster.contains("type: HistoryRotated") && cluster.contains(reason);
                if told { Ok(()) } else { Err(cluster.clone()) }
            })
            .await;
    };

    git(repository, &["config", "receive.denyNonFastForwards", "true"]);
    let before = turn_the_month(&world);
    told("reason: ReplacementRefused").await;
    world.claim("b", "volumes").await;
    world.protected(&["a", "b"]).await;
    daemon.metric_is("holdfast_status_unrotated", |unrotated| unrotated == 1).await;
    let parents: Vec<_> = repository.log(STATUS).into_iter().flat_map(|commit| commit.parents).collect();
    assert!(parents.contains(&before), "the history goes on: {parents:?}");
    let tried = daemon.lines(&["the history of the status branch is not rotated"]);
    assert_eq!(tried.len(), 1, "once in a month: {tried:#?}");
    assert_eq!(archives(repository).into_iter().map(|(_, kept)| kept).collect::<Vec<_>>(), [before]);

    // After a restart it is tried again, with the first change.
    assert!(daemon.process.terminate(SOON).await.success());
    let tip = repository.commit_at(STATUS);
    let mut daemon = world.daemon("restarted").leading().await;
    daemon.metric_is("holdfast_status_written_timestamp_seconds", |written| written > 0).await;
    assert_eq!(repository.commit_at(STATUS), tip, "no change, no commit");
    assert_eq!(daemon.metric("holdfast_status_unrotated").await, Some(1));
    world.claim("c", "volumes").await;
    told("reason: ArchiveTaken").await;
    world.protected(&["a", "b", "c"]).await;
    assert!(daemon.process.terminate(SOON).await.success());

    // Somebody makes room, and allows it.
    git(repository, &["config", "receive.denyNonFastForwards", "false"]);
    for (archive, _) in archives(repository) {
        git(repository, &["update-ref", "-d", &archive]);
    }
    let tip = repository.commit_at(STATUS);
    let daemon = world.daemon("allowed").leading().await;
    world.claim("d", "volumes").await;
    world.protected(&["a", "b", "c", "d"]).await;
    is_back(&world, &month).await;
    assert_eq!(archives(repository).into_iter().map(|(_, kept)| kept).collect::<Vec<_>>(), [tip.expect("written")]);
    assert!(!world.status_files()["cluster.yaml"].contains("HistoryRotated"));
    daemon.metric_is("holdfast_status_unrotated", |unrotated| unrotated == 0).await;
    println!("| a server that takes no forced push | written on, refusal told, tried once; rotated when allowed |");
    drop(daemon);
    world.finish("a server that refuses to rotate").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_key_it_does_not_start_and_pushes_nothing() {
    let Some(world) = World::new().await else { return };
    let (repository, key) = (world.git.repository(), TestKey::ed25519());
    let sign = format!("--status-signing-key={}", key.file().display());
    let locked = TestKey::made(&["-t", "ed25519", "-N", "a passphrase"]);
    let wrong = format!("--status-signing-key={}", locked.file().display());
    let mut refused = world.daemon("locked").with(&[&wrong]).start();
    assert!(!refused.process.wait_for_exit(SOON).await.success());
    assert!(refused.log().contains("has a passphrase") && refused.log().contains("ssh-keygen -p"), "{}", refused.log());

    let daemon = world.daemon("keyed").with(&[&sign]).leading().await;
    world.claim("a", "volumes").await;
    world.protected(&["a"]).await;
    let (tip, written) = (repository.commit_at(STATUS), fs::read(key.file()).expect("the key is there"));
    fs::remove_file(key.file()).expect("it goes");
    world.claim("b", "volumes").await;
    world.made(&["b"]).await;
    daemon.metric_is("holdfast_status_failures", |failures| failures > 0).await;
    let told = daemon.lines(&["the status branch is not up to date", "cannot be read"]);
    assert!(!told.is_empty() && repository.commit_at(STATUS) == tip, "{}", daemon.log());
    fs::write(key.file(), written).expect("written");
    world.protected(&["a", "b"]).await;
    verified(&key, repository, STATUS);
    println!("| the signing key goes and comes back | objects made, nothing pushed, failure told, then signed |");
    drop(daemon);
    world.finish("without its key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_of_its_own_has_credentials_of_its_own() {
    let access = |user: &str, password: &str| Access::Basic { user: user.to_owned(), password: password.to_owned() };
    let Some(world) = World::with(Transport::Http, &access("reader", "pl4nted-r")).await else { return };
    let status = GitServer::start(Transport::Http, &access("writer", "pl4nted-w"));
    let folders = [("reader", "pl4nted-r"), ("writer", "pl4nted-w")].map(|(user, password)| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("username"), user).expect("written");
        fs::write(folder.path().join("password"), password).expect("written");
        folder
    });
    let source_refs = git(world.git.repository(), &["for-each-ref"]);
    // Nobody may push to the source.
    git(world.git.repository(), &["config", "http.receivepack", "false"]);
    let arguments = [
        format!("--git-credentials={}", folders[0].path().display()),
        format!("--status-credentials={}", folders[1].path().display()),
        format!("--status-url={}", status.url()),
    ];
    let daemon = world.daemon("apart").with(&arguments.each_ref().map(String::as_str)).leading().await;
    world.claim("a", "volumes").await;
    world.made(&["a"]).await;
    let path = world.status_path("a");
    eventually(SOON, "the status of the claim", async || {
        let files = status.repository().files(STATUS);
        if files.contains_key(&path) { Ok(()) } else { Err(format!("{:?}", files.keys())) }
    })
    .await;
    assert_eq!(git(world.git.repository(), &["for-each-ref"]), source_refs);
    assert!(status.repository().commit_at("main").is_none());
    let log = daemon.log();
    assert!(!log.contains("pl4nted"), "{log}");
    println!(
        "| the status in a repository of its own | each server sees its own credentials, the source gets nothing |"
    );
    drop(daemon);
    world.finish("a repository of its own").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_does_everything_but_write_to_git() {
    let Some(world) = World::new().await else { return };
    git(world.git.repository(), &["config", "http.receivepack", "false"]);
    let source_refs = git(world.git.repository(), &["for-each-ref"]);
    let daemon = world.daemon("reader").with(&["--read-only"]).leading().await;
    world.claim("a", "volumes").await;
    world.made(&["a"]).await;
    let passes = daemon.metric("holdfast_passes_total").await.expect("a daemon counts its passes");
    daemon.metric_is("holdfast_passes_total", |now| now > passes + 2).await;
    assert_eq!(
        (daemon.metric("holdfast_read_only").await, daemon.metric("holdfast_status_failures").await),
        (Some(1), Some(0))
    );
    assert_eq!(daemon.lines(&["read-only: nothing is written to Git"]).len(), 1);
    let pushes: Vec<_> = world
        .git
        .requests()
        .into_iter()
        .filter(|seen| seen.path.contains("receive-pack") || seen.query.contains("receive-pack"))
        .collect();
    assert!(pushes.is_empty(), "{pushes:?}");
    assert_eq!(git(world.git.repository(), &["for-each-ref"]), source_refs);
    println!("| --read-only, and a server that takes no push | objects made, no push tried, told by log and metric |");
    drop(daemon);
    world.finish("read-only").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_deleted_comes_back_as_it_was() {
    let Some(world) = World::new().await else { return };
    let repository = world.git.repository();
    let daemon = world.daemon("memory").leading().await;
    world.claim("a", "volumes").await;
    world.protected(&["a"]).await;
    daemon.metric_is("holdfast_status_failures", |failures| failures == 0).await;
    let ours = world.status_files();
    // Some seconds later, so that times which are new would differ.
    let passes = daemon.metric("holdfast_passes_total").await.expect("a daemon counts its passes");
    daemon.metric_is("holdfast_passes_total", |now| now > passes + 3).await;
    repository.delete_branch(STATUS);
    world
        .status("the same files again", |files| if *files == ours { Ok(()) } else { Err(format!("{files:#?}")) })
        .await;
    assert_eq!(repository.log(STATUS).len(), 1);
    println!("| the branch is deleted | the same files in a new root, with the times of before |");
    drop(daemon);
    world.finish("a branch that is deleted").await;
}
