//! The Git side of the harness does what the tests rely on: real clients against real servers.

use std::{path::Path, process::Output, time::Duration};

use crate::harness::{
    bare_repository::{BareRepository, Hook},
    daemon::DaemonProcess,
    git_cli::Git,
    git_server::{Access, GitServer, Transport},
    proxy::{Action, Proxy, Which},
    ssh_server::{KnownHost, SshServer},
};

const SOON: Duration = Duration::from_secs(20);

/// Clones `url` into `tree`, commits a file and pushes to `main`, with `options` for git.
fn clone_and_push(git: &Git, tree: &Path, options: &[&str], url: &str) -> Output {
    git.run(tree, &[options, &["clone", "--quiet", url, "."]].concat());
    std::fs::write(tree.join("from-client"), "1\n").expect("file written");
    git.run(tree, &["add", "--all"]);
    git.run(tree, &["commit", "--quiet", "--message", "from the client"]);
    git.output(tree, &[options, &["push", "--quiet", "origin", "HEAD:main"]].concat())
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn repository_shows_what_people_push() {
    let repository = BareRepository::create();
    assert_eq!(repository.commit_at("main"), None);
    let first = repository.push_files("main", &[("a/b.yaml", "b: 1\n"), ("c", "c\n")], "first\n\nbody");
    let second = repository.remove_files("main", &["a"], "second");
    assert_eq!(repository.files("main").into_iter().collect::<Vec<_>>(), [("c".to_owned(), "c\n".to_owned())]);
    let log = repository.log("main");
    assert_eq!([&log[0].id, &log[1].id], [&second, &first]);
    assert_eq!(log[0].parents, std::slice::from_ref(&first));
    assert_eq!((&log[1].message[..], &log[1].author[..]), ("first\n\nbody", "A Person <person@example.org>"));

    repository.force_push("main", &first);
    assert_eq!(repository.commit_at("main"), Some(first.clone()));
    let unrelated = repository.push_files("other", &[("d", "d\n")], "no common history");
    assert_eq!(repository.log("other").len(), 1);
    repository.force_push("main", "other");
    assert_eq!(repository.commit_at("main"), Some(unrelated));
    repository.delete_branch("main");
    assert_eq!(repository.commit_at("main"), None);
    assert!(repository.files("main").is_empty());
}

#[test]
fn http_server_wants_its_token() {
    let access = Access::Basic { user: "bot".to_owned(), password: "t0ken".to_owned() };
    let server = GitServer::start(Transport::Http, &access);
    server.repository().push_files("main", &[("file", "1\n")], "first");
    let (git, tree) = (Git::new(), tempfile::tempdir().expect("a temporary folder"));
    let url = server.url();

    for url in [url.clone(), url.replace("http://", "http://bot:wrong@")] {
        let refused = git.output(tree.path(), &["ls-remote", &url]);
        assert!(!refused.status.success());
        assert!(server.requests().iter().all(|request| request.status == Some(401)), "{:?}", server.requests());
    }
    let pushed = clone_and_push(&git, tree.path(), &[], &url.replace("http://", "http://bot:t0ken@"));
    assert!(pushed.status.success(), "{}", stderr(&pushed));
    assert_eq!(server.repository().log("main").len(), 2);
    let last = server.requests().pop().expect("requests were made");
    assert_eq!(
        (&last.method[..], &last.path[..], last.status),
        ("POST", "/repository.git/git-receive-pack", Some(200))
    );
    assert!(last.user_agent.starts_with("git/"), "{last:?}");
}

#[test]
fn http_server_takes_a_bearer_token() {
    let server = GitServer::start(Transport::Http, &Access::Bearer { token: "t0ken".to_owned() });
    let git = Git::new();
    let tree = tempfile::tempdir().expect("a temporary folder");
    let listed = |header: &str| git.output(tree.path(), &["-c", header, "ls-remote", &server.url()]).status.success();
    assert!(listed("http.extraHeader=Authorization: Bearer t0ken"));
    assert!(!listed("http.extraHeader=Authorization: Bearer other"));
}

#[test]
fn https_server_is_trusted_by_its_authority_alone() {
    let (server, other) =
        (GitServer::start(Transport::Https, &Access::Open), GitServer::start(Transport::Https, &Access::Open));
    server.repository().push_files("main", &[("file", "1\n")], "first");
    let (git, tree) = (Git::new(), tempfile::tempdir().expect("a temporary folder"));
    let option = |server: &GitServer| {
        format!("http.sslCAInfo={}", server.authority_file().expect("it has an authority").display())
    };
    let distrusted = git.output(tree.path(), &["-c", &option(&other), "ls-remote", &server.url()]);
    assert!(stderr(&distrusted).contains("certificate"), "{}", stderr(&distrusted));
    let pushed = clone_and_push(&git, tree.path(), &["-c", &option(&server)], &server.url());
    assert!(pushed.status.success(), "{}", stderr(&pushed));
    assert_eq!(server.repository().log("main").len(), 2);
}

/// Asks for the branches of `url` by libgit2, with `credentials`; any server will do.
fn list_by_libgit2(
    url: &str,
    credentials: impl Fn(&str) -> Result<git2::Cred, git2::Error>,
) -> Result<Vec<String>, git2::Error> {
    let mut remote = git2::Remote::create_detached(url)?;
    let mut callbacks = git2::RemoteCallbacks::new();
    callbacks.certificate_check(|_, _| Ok(git2::CertificateCheckStatus::CertificateOk));
    // libgit2 asks again and again while credentials are refused.
    let asked = std::cell::Cell::new(false);
    callbacks.credentials(move |_, user, _| {
        if asked.replace(true) { Err(git2::Error::from_str("refused")) } else { credentials(user.unwrap_or_default()) }
    });
    let connection = remote.connect_auth(git2::Direction::Fetch, Some(callbacks), None)?;
    Ok(connection.list()?.iter().map(|head| format!("{} {}", head.name(), head.oid())).collect())
}

#[test]
fn libgit2_talks_to_all_servers() {
    let access = Access::Basic { user: "bot".to_owned(), password: "t0ken".to_owned() };
    let https = GitServer::start(Transport::Https, &access);
    let commit = https.repository().push_files("main", &[("file", "1\n")], "first");
    let listed = list_by_libgit2(&https.url(), |_| git2::Cred::userpass_plaintext("bot", "t0ken")).expect("let in");
    assert!(listed.contains(&format!("refs/heads/main {commit}")), "{listed:?}");
    list_by_libgit2(&https.url(), |_| git2::Cred::userpass_plaintext("bot", "other")).expect_err("refused");

    let Some(ssh) = SshServer::start() else { return };
    let commit = ssh.repository().push_files("main", &[("file", "1\n")], "first");
    let with = |key: &Path| list_by_libgit2(&ssh.url(), |user| git2::Cred::ssh_key(user, None, key, None));
    let listed = with(&ssh.client_key()).expect("let in");
    assert!(listed.contains(&format!("refs/heads/main {commit}")), "{listed:?}");
    with(&ssh.foreign_key()).expect_err("refused");
}

#[test]
fn hooks_refuse_and_report() {
    let server = GitServer::start(Transport::Http, &Access::Open);
    server.repository().push_files("main", &[("file", "1\n")], "first");
    server.repository().refuse("refs/heads/main");
    let (git, tree) = (Git::new(), tempfile::tempdir().expect("a temporary folder"));
    let refused = clone_and_push(&git, tree.path(), &[], &server.url());
    assert!(!refused.status.success() && stderr(&refused).contains("protected branch"), "{}", stderr(&refused));
    let aside = git.output(tree.path(), &["push", "--quiet", "origin", "HEAD:aside"]);
    assert!(aside.status.success(), "{}", stderr(&aside));

    server.repository().remove_hook(Hook::Update);
    server.repository().set_hook(Hook::PostReceive, "cat > received");
    let pushed = git.output(tree.path(), &["push", "--quiet", "origin", "HEAD:main"]);
    assert!(pushed.status.success(), "{}", stderr(&pushed));
    let received = std::fs::read_to_string(server.repository().path().join("received")).expect("the hook ran");
    assert!(received.ends_with("refs/heads/main\n"), "{received}");
}

#[test]
fn ssh_server_checks_keys_both_ways() {
    let Some(server) = SshServer::start() else { return };
    server.repository().push_files("main", &[("file", "1\n")], "first");
    let git = Git::new();
    let tree = tempfile::tempdir().expect("a temporary folder");
    let known_hosts = tree.path().with_extension("known_hosts");
    let option = |key: &Path| {
        format!(
            "core.sshCommand=ssh -F none -i {} -o IdentitiesOnly=yes -o BatchMode=yes -o GlobalKnownHostsFile=none \
             -o StrictHostKeyChecking=yes -o UserKnownHostsFile={}",
            key.display(),
            known_hosts.display()
        )
    };
    let listed = |kind: KnownHost, key: &Path| {
        std::fs::write(&known_hosts, server.known_host(kind)).expect("file written");
        git.output(tree.path(), &["-c", &option(key), "ls-remote", &server.url()])
    };
    let key = server.client_key();
    assert!(listed(KnownHost::Right, &key).status.success(), "{}", server.log());
    assert!(listed(KnownHost::Hashed, &key).status.success(), "{}", server.known_host(KnownHost::Hashed));
    assert!(server.known_host(KnownHost::Hashed).starts_with("|1|"));
    for (kind, said) in [(KnownHost::WrongKey, "HAS CHANGED"), (KnownHost::Revoked, "REVOKED HOST KEY")] {
        let refused = listed(kind, &key);
        assert!(!refused.status.success() && stderr(&refused).contains(said), "{kind:?}: {}", stderr(&refused));
    }
    let foreign = listed(KnownHost::Right, &server.foreign_key());
    assert!(stderr(&foreign).contains("Permission denied"), "{}", stderr(&foreign));

    let pushed = clone_and_push(&git, tree.path(), &["-c", &option(&key)], &server.url());
    assert!(pushed.status.success(), "{}", stderr(&pushed));
    assert_eq!(server.repository().log("main").len(), 2);
    std::fs::remove_file(known_hosts).expect("it was written");
}

#[tokio::test]
async fn proxy_holds_one_push_and_cuts_another() {
    let server = GitServer::start(Transport::Http, &Access::Open);
    let first = server.repository().push_files("main", &[("file", "1\n")], "first");
    let proxy = Proxy::in_front_of(&server.url());
    let url = proxy.url_of(&server.url());
    let is_push = |request: &crate::harness::http_thread::SeenRequest| {
        request.method == "POST" && request.path.ends_with("/git-receive-pack")
    };
    let hold = proxy.rule(Which::Nth(1), Action::Hold, is_push);
    let cut = proxy.rule(Which::Nth(1), Action::CutBefore, is_push);
    let lose = proxy.rule(Which::Nth(1), Action::CutAfterForward, is_push);

    let (git, tree) = (Git::new(), tempfile::tempdir().expect("a temporary folder"));
    let held_url = url.clone();
    let push = tokio::task::spawn_blocking(move || {
        let pushed = clone_and_push(&git, tree.path(), &[], &held_url);
        (git, tree, pushed)
    });
    hold.wait_for_held(SOON).await;
    assert_eq!(server.repository().commit_at("main"), Some(first.clone()), "a held push has not arrived");
    hold.release();
    let (git, tree, pushed) = push.await.expect("it ends");
    assert!(pushed.status.success(), "{}", stderr(&pushed));
    let second = server.repository().commit_at("main").expect("main is there");
    assert_ne!(second, first);

    let commit_and_push = || {
        git.run(tree.path(), &["commit", "--quiet", "--allow-empty", "--message", "more"]);
        git.output(tree.path(), &["push", "--quiet", "origin", "HEAD:main"])
    };
    assert!(!commit_and_push().status.success());
    assert_eq!((cut.applied(), lose.applied()), (1, 0));
    assert_eq!(server.repository().commit_at("main"), Some(second), "a request cut before never arrives");

    assert!(!commit_and_push().status.success());
    assert_eq!(lose.applied(), 1);
    let arrived = git.run(tree.path(), &["rev-parse", "HEAD"]);
    assert_eq!(server.repository().commit_at("main"), Some(arrived), "only the answer was lost");
    let answers: Vec<_> = proxy.requests().into_iter().filter(is_push).map(|request| request.status).collect();
    assert_eq!(answers, [Some(200), None, Some(200)]);
}

#[test]
fn proxy_refuses_and_truncates() {
    let server = GitServer::start(Transport::Http, &Access::Open);
    server.repository().push_files("main", &[("file", "1\n")], "first");
    let proxy = Proxy::in_front_of(&server.url());
    let url = proxy.url_of(&server.url());
    let (git, tree) = (Git::new(), tempfile::tempdir().expect("a temporary folder"));
    let list = || git.output(tree.path(), &["ls-remote", &url]);

    let refuse = proxy.rule(Which::Every, Action::Refuse(503), |request| request.path.ends_with("/info/refs"));
    assert!(stderr(&list()).contains("503"));
    refuse.release();
    assert!(list().status.success());
    let truncate = proxy.rule(Which::Nth(1), Action::Truncate(10), |_| true);
    let broken = list();
    assert!(!broken.status.success() && truncate.applied() == 1, "{}", stderr(&broken));
    assert!(list().status.success());
    proxy.rule(Which::Nth(1), Action::Delay(Duration::from_millis(50)), |_| true);
    let start = std::time::Instant::now();
    assert!(list().status.success());
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn process_is_watched_and_ended() {
    let script = "echo started $GREETING; trap 'echo ended >&2; exit 7' TERM; while :; do sleep 0.05; done";
    let mut process = DaemonProcess::spawn(Path::new("/bin/sh"), &["-c", script], &[("GREETING", "hello")]);
    process.wait_for_output("started hello", SOON).await;
    assert_eq!(process.exited(), None);
    assert_eq!(process.terminate(SOON).await.code(), Some(7));
    assert_eq!(process.stderr(), "ended\n");

    let mut process = DaemonProcess::spawn(Path::new("/bin/sleep"), &["600"], &[]);
    process.kill9();
    assert!(process.exited().is_some_and(|status| !status.success()));
}

#[tokio::test]
async fn readiness_is_asked_over_http() {
    let server = GitServer::start(Transport::Http, &Access::Open);
    server.repository().push_files("main", &[("file", "1\n")], "first");
    let proxy = Proxy::in_front_of(&server.url());
    proxy.rule(Which::Nth(1), Action::Refuse(503), |_| true);
    let mut process = DaemonProcess::spawn(Path::new("/bin/sleep"), &["600"], &[]);
    let url = format!("{}/info/refs?service=git-upload-pack", proxy.url_of(&server.url()));
    process.wait_for_ready(&url, SOON).await;
    let answers: Vec<_> = proxy.requests().into_iter().map(|request| request.status).collect();
    assert_eq!(answers, [Some(503), Some(200)]);
}
