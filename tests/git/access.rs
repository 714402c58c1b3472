//! Credentials: the right ones get in, the wrong ones end at once, and none is ever shown.

use std::fs;

use holdfast::git::{Class, ReadError, TransportError};

use crate::harness::git_server::{Access, GitServer, Transport};
use crate::harness::ssh_server::{KnownHost, SshServer};
use crate::support::{DOCUMENT, STATUS, Secret, TestSource, TestStatus, done, endpoint, paths};

const PLANTED: &str = "pl4nted-s3cret";

fn basic() -> Access {
    Access::Basic { user: "bot".to_owned(), password: PLANTED.to_owned() }
}

fn server(transport: Transport, access: &Access) -> GitServer {
    let server = GitServer::start(transport, access);
    server.repository().push_files("main", &[("a.yaml", DOCUMENT)], "first");
    server
}

fn authority(server: &GitServer) -> String {
    fs::read_to_string(server.authority_file().expect("it has an authority")).expect("a file")
}

/// Reads and writes with `secret`.
fn use_both_ways(server: &GitServer, secret: &Secret) {
    let mut source = TestSource::new(endpoint(&server.url(), Some(secret)), None, &[]);
    let head = source.source.probe().expect("listed");
    assert_eq!(Some(&head.commit), server.repository().commit_at("main").as_ref());
    let tree = source.read().expect("read");
    assert_eq!((paths(&tree), tree.revision.clone()), (vec!["a.yaml"], Some(head)));
    let mut status = TestStatus::new(endpoint(&server.url(), Some(secret)));
    let tip = done(status.commit(&[("README.md", Some("fine\n"))]));
    assert_eq!(server.repository().commit_at(STATUS), Some(tip.commit()));
}

/// The error with `secret`, read and written, which shows nothing planted and asks the server a few times at most.
fn refused(server: &GitServer, secret: Option<&Secret>) -> TransportError {
    let before = server.requests().len();
    let mut source = TestSource::new(endpoint(&server.url(), secret), None, &[]);
    let Err(ReadError::Transport(error)) = source.read() else { panic!("not refused") };
    assert!(server.requests().len() - before <= 3, "{:?}", server.requests());
    assert_eq!(source.source.probe(), Err(ReadError::Transport(error.clone())));
    let mut status = TestStatus::new(endpoint(&server.url(), secret));
    let written = status.status.tip().expect_err("not refused");
    for shown in [format!("{error} {error:?}"), format!("{written} {written:?}"), format!("{:?}", source.source)] {
        assert!(!shown.contains(PLANTED), "{shown}");
    }
    error
}

#[test]
fn https_with_a_password() {
    let server = server(Transport::Https, &basic());
    let authority = authority(&server);
    let secret = Secret::new(&[("username", "bot"), ("password", PLANTED), ("ca.crt", &authority)]);
    use_both_ways(&server, &secret);

    // Rotated under the running process, as the kubelet does it.
    let mut source = TestSource::new(endpoint(&server.url(), Some(&secret)), None, &[]);
    source.read().expect("the right password");
    secret.set("password", "old");
    assert!(matches!(source.read(), Err(ReadError::Transport(TransportError::Refused { .. }))));
    secret.set("password", PLANTED);
    source.read().expect("the right password again");
}

#[test]
fn https_with_a_bearer_token() {
    let server = server(Transport::Https, &Access::Bearer { token: PLANTED.to_owned() });
    let authority = authority(&server);
    use_both_ways(&server, &Secret::new(&[("bearerToken", PLANTED), ("ca.crt", &authority)]));
    let wrong = Secret::new(&[("bearerToken", "pl4nted-s3cret-of-another"), ("ca.crt", &authority)]);
    assert!(matches!(refused(&server, Some(&wrong)), TransportError::Refused { .. }));
}

#[test]
fn wrong_and_missing_credentials_end_at_once() {
    let server = server(Transport::Http, &basic());
    let wrong = Secret::new(&[("username", "bot"), ("password", "pl4nted-s3cret-of-another")]);
    let error = refused(&server, Some(&wrong));
    assert!(matches!(error, TransportError::Refused { .. }) && error.class() == Class::Denied, "{error}");
    let error = refused(&server, None);
    assert!(matches!(error, TransportError::NoCredentials { .. }) && error.class() == Class::Denied, "{error}");
    let key = Secret::new(&[("identity", PLANTED), ("known_hosts", "")]);
    assert!(matches!(refused(&server, Some(&key)), TransportError::NoCredentials { .. }));
    let both = Secret::new(&[("username", "bot"), ("password", PLANTED), ("bearerToken", PLANTED)]);
    let error = refused(&server, Some(&both));
    assert!(matches!(error, TransportError::Credentials { .. }) && error.class() == Class::Invalid, "{error}");
}

#[test]
fn user_info_of_the_address_works_and_is_not_shown() {
    let server = server(Transport::Http, &basic());
    let url = |password: &str| server.url().replace("http://", &format!("http://bot:{password}@"));
    TestSource::of(&url(PLANTED)).read().expect("the right password");
    let mut wrong = TestSource::of(&url("pl4nted-s3cret2"));
    let error = wrong.read().expect_err("the wrong password");
    let shown = format!("{error} {error:?} {:?}", wrong.source);
    assert!(shown.contains("127.0.0.1") && !shown.contains("pl4nted") && !shown.contains("bot:"), "{shown}");
}

#[test]
fn a_server_that_repeats_secrets_is_not_repeated() {
    use crate::harness::http_thread::{HttpThread, full};
    // libgit2 quotes the content type that it did not expect.
    let echo = HttpThread::start(None, |request| async move {
        let shown = request.headers().get("authorization").map_or("nothing", |value| value.to_str().expect("text"));
        let answer = hyper::Response::builder().header("content-type", format!("text/{shown} {PLANTED}"));
        Ok(answer.body(full(""))?)
    });
    let url = format!("http://{}/a.git", echo.address());
    let secret = Secret::new(&[("bearerToken", PLANTED)]);
    let mut source = TestSource::new(endpoint(&url, Some(&secret)), None, &[]);
    let error = source.read().expect_err("no Git server").to_string();
    assert!(error.contains("content-type") && error.contains("***") && !error.contains(PLANTED), "{error}");
}

#[test]
fn a_missing_repository_is_told_from_a_broken_server() {
    let server = server(Transport::Http, &Access::Open);
    let mut source = TestSource::of(&server.url().replace("repository.git", "other.git"));
    assert!(matches!(source.read(), Err(ReadError::Transport(TransportError::NotFound { .. }))));
    let gone = server.url();
    drop(server);
    let error = TestSource::of(&gone).read().expect_err("nobody there");
    assert!(error.class() == Class::Transient, "{error}");
    let error = TestSource::of("/does/not/exist").read().expect_err("no such folder");
    assert!(matches!(error, ReadError::Transport(TransportError::NotFound { .. })), "{error}");
}

#[test]
fn ssh_with_a_key() {
    let Some(server) = SshServer::start() else { return };
    server.repository().push_files("main", &[("a.yaml", DOCUMENT)], "first");
    let key = fs::read_to_string(server.client_key()).expect("a key");
    let foreign = fs::read_to_string(server.foreign_key()).expect("a key");
    let secret = Secret::new(&[("identity", &key), ("known_hosts", &server.known_host(KnownHost::Right))]);

    let mut source = TestSource::new(endpoint(&server.url(), Some(&secret)), None, &[]);
    assert_eq!(paths(&source.read().expect("read")), ["a.yaml"]);
    server.repository().push_files("main", &[("b.yaml", DOCUMENT)], "second");
    assert_eq!(paths(&source.read().expect("read again")), ["a.yaml", "b.yaml"]);
    let mut status = TestStatus::new(endpoint(&server.url(), Some(&secret)));
    let tip = done(status.commit(&[("README.md", Some("fine\n"))]));
    assert_eq!(server.repository().commit_at(STATUS), Some(tip.commit()));

    secret.set("identity", &foreign);
    let Err(ReadError::Transport(error)) = source.read() else { panic!("the foreign key got in") };
    assert!(matches!(error, TransportError::Refused { .. }), "{error}");
    secret.set("identity", "pl4nted-s3cret, which is no key");
    let error = source.read().expect_err("no key");
    assert!(!error.to_string().contains("pl4nted"), "{error}");
}
