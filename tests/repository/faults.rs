//! Stores whose servers fail: what is tried again, what is not, and that every wait ends.

use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use holdfast::repository::{Access, Cancel, Fault, FileId, FileKind, FileName, Patience, Store, StoreError};
use http_body_util::BodyExt as _;
use hyper::Response;

use crate::harness::http_thread::{Answer, HttpThread, full};
use crate::harness::proxy::{Action, Proxy, Which};
use crate::harness::tls::TestAuthority;
use crate::servers::{Repository, Server};

const PACK: FileName = FileName::Of(FileKind::Data, FileId([7; 32]));
/// Longer than any machine needs for what ends at once.
const SOON: Duration = Duration::from_secs(1);

/// A REST server behind a proxy, and a pack of a MiB in it.
struct Behind {
    proxy: Proxy,
    repository: Repository,
    _server: Server,
}

fn megabyte() -> Bytes {
    (0..1 << 20).map(|at: u32| at.to_le_bytes()[1]).collect()
}

fn behind_a_proxy() -> Option<Behind> {
    let server = Server::start("rclone")?;
    let direct = server.repository("some");
    direct.store().create(PACK, &[megabyte()]).expect("created");
    let proxy = Proxy::in_front_of(&server.url());
    let repository = direct.at(&server.url(), proxy.url_of(&server.url()).trim_end_matches('/'));
    Some(Behind { proxy, repository, _server: server })
}

/// One that is asked once.
fn at_once(access: &mut Access) {
    access.outage = Duration::ZERO;
}

fn fault<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Fault {
    result.expect_err("it fails").fault
}

#[test]
fn what_passes_is_tried_again() {
    let Some(Behind { proxy, repository, _server }) = behind_a_proxy() else { return };
    let store = repository.store();
    for action in
        [Action::Refuse(503), Action::Refuse(429), Action::CutBefore, Action::CutAfterForward, Action::Truncate(1000)]
    {
        let rule = proxy.rule(Which::Nth(1), action, |seen| seen.method == "GET");
        assert_eq!(store.read(PACK).expect("read the second time"), megabyte(), "{action:?}");
        assert_eq!(rule.applied(), 1, "{action:?}");
        rule.release();
    }
}

#[test]
fn what_does_not_pass_is_told_at_once() {
    let Some(Behind { proxy, repository, _server }) = behind_a_proxy() else { return };
    let store = repository.store();
    let before = proxy.requests().len();
    for status in [401, 403, 507, 400] {
        let rule = proxy.rule(Which::Every, Action::Refuse(status), |_| true);
        let fault = fault(store.size(PACK));
        let right = match status {
            507 => fault == Fault::Full,
            400 => matches!(fault, Fault::Broken(_)),
            _ => matches!(fault, Fault::Denied(_)),
        };
        assert!(right, "{status}: {fault:?}");
        rule.release();
    }
    assert_eq!(fault(store.read(FileName::Config)), Fault::Missing);
    assert_eq!(proxy.requests().len() - before, 5, "each was asked once");
}

#[test]
fn an_upload_whose_answer_was_lost_finds_itself() {
    let Some(Behind { proxy, repository, _server }) = behind_a_proxy() else { return };
    let store = repository.store();
    let lost = |seen: &crate::harness::http_thread::SeenRequest| seen.method == "POST";
    let rule = proxy.rule(Which::Nth(1), Action::CutAfterForward, lost);
    store.create(FileName::Config, &[Bytes::from("con"), Bytes::from("fig")]).expect("it is there");
    assert_eq!(rule.applied(), 1);
    assert_eq!(store.read(FileName::Config).expect("read"), "config");
    // Of somebody else it finds nothing of its own.
    let rule = proxy.rule(Which::Nth(1), Action::Refuse(503), |seen| seen.method == "HEAD");
    assert_eq!(fault(store.create(FileName::Config, &[Bytes::from("others")])), Fault::Exists);
    assert_eq!(rule.applied(), 1);
}

#[test]
fn a_body_that_ends_early_is_short() {
    let Some(Behind { proxy, repository, _server }) = behind_a_proxy() else { return };
    let store = repository.store_with(at_once);
    proxy.rule(Which::Every, Action::Truncate(1000), |seen| seen.method == "GET");
    for (result, wanted) in [(store.read(PACK), 1 << 20), (store.read_part(PACK, 10, 5000), 5000)] {
        let fault = fault(result);
        let short = matches!(fault, Fault::Short { wanted: all, got } if all == wanted && got <= 1000);
        assert!(short, "{fault:?}");
    }
}

#[test]
fn a_server_that_lies_about_lengths_is_found_out() {
    // It names all sizes right, and gives less of any range.
    let server = HttpThread::start(None, |request| async move {
        let answer = Response::builder();
        match (request.method().as_str(), request.headers().contains_key("range")) {
            ("HEAD", _) => Ok(answer.header("content-length", 100).body(full(vec![0; 100]))?),
            (_, true) => Ok(answer.status(206).body(full(vec![0; 7]))?),
            (_, false) => Ok(answer.header("content-length", 100).body(full(vec![0; 7]))?),
        }
    });
    for address in [format!("rest:http://{}/", server.address()), format!("s3:http://{}/bucket", server.address())] {
        let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
        let store = Repository::new(&address, &keys).store_with(at_once);
        let part = fault(store.read_part(PACK, 0, 10));
        assert_eq!(part, Fault::Short { wanted: 10, got: 7 }, "{address}");
        let whole = fault(store.read(PACK));
        // The connection ends where bytes are owed.
        assert!(whole.is_passing(), "{address}: {whole:?}");
    }
}

type Ask = fn(&dyn Store) -> Fault;

/// Ends the wish while `ask` hangs; how long it took to come back.
fn cancelled_while(
    store: &Arc<dyn Store>,
    cancel: &Cancel,
    hangs: impl Fn() -> bool,
    ask: impl Fn(&dyn Store) -> Fault + Sync,
) -> Duration {
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let fault = ask(&**store);
            (fault, Instant::now())
        });
        let begun = Instant::now();
        while !hangs() {
            assert!(begun.elapsed() < Duration::from_mins(1), "nothing hangs");
            std::thread::yield_now();
        }
        let wished = Instant::now();
        cancel.cancel();
        let (fault, ended) = asked.join().expect("no panic");
        assert_eq!(fault, Fault::Cancelled);
        ended.saturating_duration_since(wished)
    })
}

#[test]
fn work_ends_within_a_second_wherever_it_hangs() {
    let Some(Behind { proxy, repository, _server }) = behind_a_proxy() else { return };
    let upload = || vec![Bytes::from(vec![7; 64 << 20])];
    let asks: [(&str, Ask); 4] = [
        ("GET", |store| fault(store.read(PACK))),
        ("GET", |store| fault(store.list(FileKind::Data))),
        ("HEAD", |store| fault(store.size(PACK))),
        ("DELETE", |store| fault(store.remove(PACK))),
    ];
    for (number, (method, ask)) in asks.into_iter().enumerate() {
        for action in [Action::Hold, Action::Refuse(503)] {
            let cancel = Cancel::default();
            let store = repository.store_with(|access| access.cancel = cancel.clone());
            let rule = proxy.rule(Which::Every, action, move |seen| seen.method == method);
            let took = cancelled_while(&store, &cancel, || rule.applied() > 0, ask);
            rule.release();
            assert!(took < SOON, "{number} {action:?}: {took:?}");
        }
    }
    // In the middle of a body that goes out.
    let cancel = Cancel::default();
    let store = repository.store_with(|access| access.cancel = cancel.clone());
    let rule = proxy.rule(Which::Every, Action::Hold, |seen| seen.method == "POST");
    let content = upload();
    let took = cancelled_while(
        &store,
        &cancel,
        || rule.applied() > 0,
        move |store| fault(store.create(FileName::Of(FileKind::Data, FileId([8; 32])), &content)),
    );
    rule.release();
    assert!(took < SOON, "{took:?}");
    assert_eq!(fault(store.size(PACK)), Fault::Cancelled, "nothing is asked any more");
}

#[test]
fn a_server_that_is_silent_is_given_up() {
    let Some(Behind { proxy, repository, _server }) = behind_a_proxy() else { return };
    let store = repository.store_with(|access| {
        at_once(access);
        access.patience = Patience { stalled: Duration::from_millis(300), ..Patience::default() };
    });
    proxy.rule(Which::Every, Action::Hold, |seen| seen.method == "GET");
    let fault = fault(store.read(PACK));
    assert!(matches!(&fault, Fault::Unavailable(reason) if reason.contains("nothing came or went")), "{fault:?}");
}

#[test]
fn no_more_connections_than_allowed() {
    static BUSY: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    async fn answer() -> Answer {
        MOST.fetch_max(BUSY.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // Long enough for all that may come to be here together.
        tokio::time::sleep(Duration::from_millis(50)).await;
        BUSY.fetch_sub(1, Ordering::SeqCst);
        Ok(Response::builder().status(404).body(full(""))?)
    }
    let server = HttpThread::start(None, |_| answer());
    let address = format!("rest:http://{}/", server.address());
    let store = Repository::new(&address, &[]).store_with(|access| access.connections = NonZeroUsize::new(3));
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| assert_eq!(fault(store.size(PACK)), Fault::Missing));
        }
    });
    assert_eq!(MOST.load(Ordering::SeqCst), 3);
}

#[test]
fn bytes_flow_no_faster_than_allowed() {
    let Some(Behind { proxy: _proxy, repository, _server }) = behind_a_proxy() else { return };
    let limit = NonZeroU64::new(1 << 20);
    let timed = |work: &dyn Fn()| {
        let begun = Instant::now();
        work();
        begun.elapsed()
    };
    let store = repository.store_with(|access| access.download = limit);
    let down = timed(&|| assert_eq!(store.read(PACK).expect("read"), megabyte()));
    let store = repository.store_with(|access| access.upload = limit);
    let other = FileName::Of(FileKind::Data, FileId([8; 32]));
    let up = timed(&|| store.create(other, &[megabyte()]).expect("created"));
    assert_eq!(store.read(other).expect("read"), megabyte());
    for took in [down, up] {
        // The last piece goes before it is paid for.
        assert!(took > Duration::from_millis(850), "{took:?}");
    }
}

#[test]
fn certificates_are_looked_at() {
    let authority = TestAuthority::create();
    let server = HttpThread::start(Some(authority.server_config()), |request| async move {
        let size = if request.headers().get("authorization").is_some_and(|login| login == "Basic bWU6c2VjcmV0") {
            5
        } else {
            4
        };
        Ok(Response::builder().header("content-length", size).body(full(vec![0; size]))?)
    });
    let repository = Repository::new(&format!("rest:https://{}/", server.address()), &[]);
    let untrusted = fault(repository.store().size(PACK));
    assert!(matches!(&untrusted, Fault::Broken(reason) if reason.contains("CA_CERT_DATA")), "{untrusted:?}");
    let pem = std::fs::read_to_string(authority.file()).expect("a certificate");
    let trusting = repository.clone().with("CA_CERT_DATA", &pem);
    assert_eq!(trusting.store().size(PACK), Ok(4));
    let blind = repository.store_with(|access| access.trust = holdfast::repository::Trust::Blind);
    assert_eq!(blind.size(PACK), Ok(4));
    // The same server, which wants to know who asks.
    for (user, password) in
        [("RESTIC_REST_USERNAME", "RESTIC_REST_PASSWORD"), ("REST_SERVER_USERNAME", "REST_SERVER_PASSWORD")]
    {
        assert_eq!(trusting.clone().with(user, "me").with(password, "secret").store().size(PACK), Ok(5));
    }
}

/// Answers of the first version are names alone.
#[test]
fn lists_without_sizes_are_read() {
    let id = FileId([0xab; 32]);
    let server = HttpThread::start(None, move |request| async move {
        let body = match request.uri().path() {
            "/index/" => format!(r#"["{id}", "{id}", "unfinished"]"#),
            path => {
                assert_eq!(path, format!("/index/{id}"));
                "12345".to_owned()
            }
        };
        let _ = request.into_body().collect().await;
        Ok(Response::builder().header("content-length", body.len()).body(full(body))?)
    });
    let store = Repository::new(&format!("rest:http://{}", server.address()), &[]).store();
    assert_eq!(store.list(FileKind::Index), Ok(vec![(id, 5)]));
}

#[test]
fn s3_that_is_killed_and_comes_back_is_waited_for() {
    let Some(server) = Server::start("seaweedfs") else { return };
    server.make("bucket");
    let store = server.repository("bucket").store();
    store.create(PACK, &[megabyte()]).expect("created");
    server.kill();
    let again = std::thread::scope(|scope| {
        let reading = scope.spawn(|| store.read(PACK));
        let again = server.start_again();
        assert_eq!(reading.join().expect("no panic").expect("read"), megabyte());
        again
    });
    // And an upload whose answer was lost, with a condition: it is refused to itself.
    let proxy = Proxy::in_front_of_signed(&again.url());
    let repository = again.repository("bucket").at(&again.url(), proxy.url_of(&again.url()).trim_end_matches('/'));
    let rule = proxy.rule(Which::Nth(1), Action::CutAfterForward, |seen| seen.method == "PUT");
    let index = FileName::Of(FileKind::Index, FileId([1; 32]));
    repository.store().create(index, &[megabyte()]).expect("it is there");
    assert_eq!(rule.applied(), 1);
    let wrong = again.repository("bucket").with("AWS_SECRET_ACCESS_KEY", "wrong").store();
    assert!(matches!(fault(wrong.size(PACK)), Fault::Denied(_)));
}

#[test]
fn swift_that_has_forgotten_the_token_is_asked_for_another() {
    let Some(server) = Server::start("swift") else { return };
    server.make("bucket");
    let store = server.repository("bucket").store();
    store.create(PACK, &[Bytes::from("pack")]).expect("created");
    server.kill();
    let _again = server.start_again();
    assert_eq!(store.read(PACK).expect("read"), "pack");
    let wrong = server.repository("bucket").with("ST_KEY", "wrong").store();
    assert!(matches!(fault(wrong.size(PACK)), Fault::Denied(_)));
}
