//! Servers that say nothing, send elsewhere or send too much.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use holdfast::git::{Class, Endpoint, ReadError, TransportError, WriteError};
use holdfast::model::tree::TreeError;

use crate::harness::git_cli::Git;
use crate::harness::git_server::{Access, GitServer, Transport};
use crate::harness::http_thread::{Answer, HttpThread, full};
use crate::harness::proxy::{Action, Proxy, Which};
use crate::support::{COMMIT, DOCUMENT, Secret, TestSource, TestStatus, endpoint, fast_import, paths};

#[test]
fn a_server_that_says_nothing_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    for scheme in ["http", "https", "ssh"] {
        let secret = Secret::new(&[("identity", "x"), ("known_hosts", "")]);
        let endpoint = endpoint(&format!("{scheme}://{address}/a.git"), Some(&secret));
        let endpoint = Endpoint { timeout: Duration::from_millis(300), ..endpoint };
        let start = Instant::now();
        let mut source = TestSource::new(endpoint.clone(), None, &[]);
        let Err(ReadError::Transport(error)) = source.read() else { panic!("nobody answers") };
        assert!(matches!(error, TransportError::Timeout { .. }) && error.class() == Class::Transient, "{error}");
        if scheme == "http" {
            let written = TestStatus::new(endpoint).status.tip();
            assert!(matches!(written, Err(WriteError::Transport(TransportError::Timeout { .. }))), "{written:?}");
        }
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

/// Answers every request with a redirect to `target`.
fn redirecting(target: String) -> HttpThread {
    HttpThread::start(None, move |request| {
        let location = format!("{target}{}", request.uri());
        async move { Ok(hyper::Response::builder().status(302).header("location", location).body(full(""))?) }
    })
}

#[test]
fn redirects_to_another_host_are_not_followed() {
    let target = GitServer::start(Transport::Http, &Access::Open);
    target.repository().push_files("main", &[("a.yaml", DOCUMENT)], "first");
    let other_name = target.url().replace("127.0.0.1", "localhost").replace("/repository.git", "");
    let redirecting = redirecting(other_name);
    let url = format!("http://{}/repository.git", redirecting.address());
    for keys in [&[("username", "bot"), ("password", "pl4nted")][..], &[("bearerToken", "pl4nted")], &[]] {
        let error = TestSource::new(endpoint(&url, Some(&Secret::new(keys))), None, &[]).read().expect_err("elsewhere");
        assert!(matches!(error, ReadError::Transport(TransportError::Redirected { .. })), "{error}");
        assert_eq!(error.class(), Class::Invalid);
    }
    assert_eq!(target.requests(), []);
}

#[test]
fn a_password_is_not_shown_to_another_port() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let asking = HttpThread::start(None, move |request| {
        let shown = request.headers().get("authorization").is_some();
        log.lock().expect("no holder panics").push(shown);
        async {
            let answer = hyper::Response::builder().status(401).header("www-authenticate", "Basic realm=\"x\"");
            Ok(answer.body(full(""))?)
        }
    });
    let redirecting = redirecting(format!("http://{}", asking.address()));
    let url = format!("http://{}/a.git", redirecting.address());
    let secret = Secret::new(&[("username", "bot"), ("password", "pl4nted")]);
    let error = TestSource::new(endpoint(&url, Some(&secret)), None, &[]).read().expect_err("elsewhere");
    assert!(matches!(error, ReadError::Transport(TransportError::Redirected { .. })), "{error}");
    let seen = seen.lock().expect("no holder panics");
    assert!(!seen.is_empty() && !seen.contains(&true), "{seen:?}");
}

#[test]
fn a_transfer_of_too_many_objects_is_stopped() {
    let server = GitServer::start(Transport::Http, &Access::Open);
    fast_import(server.repository(), |stream| {
        for number in 1..=200_001 {
            let content = number.to_string();
            writeln!(stream, "blob\nmark :{number}\ndata {}\n{content}", content.len()).expect("written");
        }
        stream.write_all(COMMIT.as_bytes()).expect("written");
        for number in 1..=200_001 {
            writeln!(stream, "M 100644 :{number} {}/{number}", number / 1000).expect("written");
        }
    });
    let mut source = TestSource::of(&server.url());
    let read = source.read();
    let Err(ReadError::Tree(TreeError::FetchTooManyObjects { objects })) = read else { panic!("{read:?}") };
    assert!(objects > 200_001);
    assert_eq!(source.clones(), [""; 0].map(std::path::PathBuf::from), "what has arrived is thrown away");
    let tip = TestStatus::new(endpoint(&server.url(), None)).status.tip();
    assert!(matches!(tip, Ok(None)), "the status branch is not there, so nothing is fetched: {tip:?}");
}

#[test]
fn a_broken_answer_ends_and_the_next_one_counts() {
    let server = GitServer::start(Transport::Http, &Access::Open);
    server.repository().push_files("main", &[("a.yaml", DOCUMENT)], "first");
    let proxy = Proxy::in_front_of(&server.url());
    let mut source = TestSource::of(&proxy.url_of(&server.url()));
    let fetch = |request: &crate::harness::http_thread::SeenRequest| request.path.ends_with("/git-upload-pack");
    for action in [Action::Truncate(40), Action::CutBefore, Action::CutAfterForward, Action::Refuse(503)] {
        proxy.rule(Which::Nth(1), action, fetch);
        let error = source.read().expect_err("a broken answer");
        assert_eq!(error.class(), Class::Transient, "{action:?}: {error}");
        assert_eq!(paths(&source.read().expect("read")), ["a.yaml"]);
        server.repository().push_files("main", &[("a.yaml", &format!("{DOCUMENT}{action:?}: 1\n"))], "next");
    }
}

#[test]
fn names_that_are_not_utf8_do_no_harm() {
    let server = GitServer::start(Transport::Http, &Access::Open);
    server.repository().push_files("main", &[("a.yaml", DOCUMENT)], "first");
    let packed = server.repository().path().join("packed-refs");
    let git = Git::new();
    let commit = git.run(&server.repository().path(), &["rev-parse", "main"]);
    let line = [commit.as_bytes(), b" refs/heads/a\xff\n"].concat();
    std::fs::write(packed, line).expect("written");
    assert_eq!(paths(&TestSource::of(&server.url()).read().expect("read")), ["a.yaml"]);
}

#[test]
fn a_server_of_another_sort_is_an_error() {
    let other = HttpThread::start(None, |_| async {
        let answer: Answer = Ok(hyper::Response::builder().header("content-type", "text/html").body(full("<html>"))?);
        answer
    });
    let error = TestSource::of(&format!("http://{}/a.git", other.address())).read().expect_err("no Git server");
    assert!(matches!(error, ReadError::Transport(TransportError::Failed { .. })), "{error}");
}
