//! The status branch: every push is a compare-and-swap, and nothing is believed that the server does not list.

use std::collections::BTreeMap;
use std::thread;

use holdfast::git::{Class, Pushed, Rejection, StatusBranch, WriteError};

use crate::harness::bare_repository::{BareRepository, Hook};
use crate::harness::git_cli::Git;
use crate::harness::git_server::{Access, GitServer, Transport};
use crate::harness::http_thread::SeenRequest;
use crate::harness::proxy::{Action, Proxy, Which};
use crate::support::{STATUS, TestStatus, changes, done, endpoint, loose_objects, packs, text};

fn server() -> GitServer {
    GitServer::start(Transport::Http, &Access::Open)
}

fn status(server: &GitServer) -> TestStatus {
    TestStatus::new(endpoint(&server.url(), None))
}

fn files(server: &GitServer) -> Vec<(String, String)> {
    server.repository().files(STATUS).into_iter().collect()
}

fn pair(path: &str, content: &str) -> (String, String) {
    (path.to_owned(), content.to_owned())
}

#[test]
fn a_branch_begins_without_history_and_grows() {
    let server = server();
    server.repository().push_files("main", &[("a", "a")], "of people");
    let mut status = status(&server);
    assert!(status.status.tip().expect("listed").is_none());
    let first = done(status.commit_on(None, &[("README.md", Some("one\n")), ("targets/a/b.yaml", Some("b\n"))]));
    // On the tip that the push gave, without another fetch.
    let requests = server.requests().len();
    let second =
        done(status.commit_on(Some(&first), &[("targets/a/c.yaml", Some("c\n")), ("README.md", Some("two\n"))]));
    let fetches = server.requests()[requests..].iter().filter(|seen| seen.path.ends_with("/git-upload-pack")).count();
    assert_eq!(fetches, 0);

    let log = server.repository().log(STATUS);
    assert_eq!(log.iter().map(|commit| &commit.id).collect::<Vec<_>>(), [&second.commit(), &first.commit()]);
    assert_eq!((&log[0].parents, &log[1].parents), (&vec![first.commit()], &vec![]));
    assert_eq!(log[0].author, "Holdfast <holdfast@example.org>");
    assert_eq!(log[0].message, "holdfast(prod): 1 succeeded");
    assert_eq!(
        files(&server),
        [pair("README.md", "two\n"), pair("targets/a/b.yaml", "b\n"), pair("targets/a/c.yaml", "c\n")]
    );
    Git::new().run(&server.repository().path(), &["fsck", "--full", "--strict"]);

    let tip = status.status.tip().expect("fetched").expect("there");
    assert_eq!(tip.commit(), second.commit());
    assert_eq!(tip.read("targets/a/b.yaml"), Ok(Some(b"b\n".to_vec())));
    assert_eq!((tip.read("targets/a"), tip.read("nowhere/x")), (Ok(None), Ok(None)));
    assert_eq!(
        tip.files().expect("listed").into_keys().collect::<Vec<_>>(),
        ["README.md", "targets/a/b.yaml", "targets/a/c.yaml"]
    );
}

#[test]
fn files_and_folders_go_and_change_places() {
    let server = server();
    let mut status = status(&server);
    let tip = done(status.commit(&[("a/b/c", Some("1")), ("a/d", Some("2")), ("e", Some("3"))]));
    let tip = done(status.commit_on(Some(&tip), &[("a/b/c", None), ("not/there", None), ("x", None)]));
    assert_eq!(files(&server), [pair("a/d", "2"), pair("e", "3")]);
    let folders = Git::new().run(&server.repository().path(), &["ls-tree", "-d", "-r", "--name-only", STATUS]);
    assert_eq!(folders, "a", "an empty folder goes with its last file");
    let tip = done(status.commit_on(Some(&tip), &[("a", Some("file")), ("e/f", Some("in a folder"))]));
    assert_eq!(files(&server), [pair("a", "file"), pair("e/f", "in a folder")]);
    assert!(matches!(status.commit_on(Some(&tip), &[("e", None), ("a/x", None)]), Pushed::Unchanged));
    for bad in ["", "/a", "a//b", "../a", "a/.git/b", "a\\b", "a/./b", ".GIT", "a\n"] {
        let result = status.status.commit(Some(&tip), &changes(&[(bad, Some("x"))]), &text("x"));
        assert!(matches!(result, Err(WriteError::BadPath(_))), "{bad:?}: {result:?}");
    }
    let both = changes(&[("z", Some("x")), ("z/y", Some("x"))]);
    assert!(matches!(status.status.commit(Some(&tip), &both, &text("x")), Err(WriteError::BadPath(_))));
}

#[test]
fn no_change_is_no_commit() {
    let server = server();
    let mut status = status(&server);
    assert!(matches!(status.commit(&[]), Pushed::Unchanged));
    assert!(matches!(status.commit(&[("gone", None)]), Pushed::Unchanged));
    assert_eq!(server.repository().commit_at(STATUS), None);
    let tip = done(status.commit(&[("a", Some("1"))]));
    let pushes =
        |server: &GitServer| server.requests().iter().filter(|seen| seen.path.ends_with("/git-receive-pack")).count();
    let before = pushes(&server);
    for _ in 0..10 {
        assert!(matches!(status.commit_on(Some(&tip), &[("a", Some("1")), ("b", None)]), Pushed::Unchanged));
    }
    assert_eq!((server.repository().log(STATUS).len(), pushes(&server)), (1, before));
}

#[test]
fn no_object_is_ever_loose_and_a_pack_holds_only_what_is_new() {
    let server = server();
    let mut status = status(&server);
    let many: BTreeMap<_, _> = (0..1000)
        .map(|number| (format!("targets/n{}/{number}.yaml", number % 20), Some(vec![b'x'; 100 + number])))
        .collect();
    let tip = done(status.status.commit(None, &many, &text("all")).expect("committed"));
    let [clone] = &status.clones()[..] else { panic!("one clone") };
    assert_eq!((loose_objects(clone), packs(clone).len()), (0, 1));
    done(status.commit_on(Some(&tip), &[("targets/n3/3.yaml", Some("one"))]));
    assert_eq!((loose_objects(clone), packs(clone).len()), (0, 2));
    let git = Git::new();
    let objects = packs(clone).into_iter().map(|pack| {
        let listed = git.run(clone, &["verify-pack", "-v", pack.with_extension("idx").to_str().expect("UTF-8")]);
        listed.lines().filter(|line| [" blob ", " tree ", " commit "].iter().any(|kind| line.contains(kind))).count()
    });
    let mut objects: Vec<usize> = objects.collect();
    objects.sort_unstable();
    // The file, three trees and the commit; and all 1000 files, 22 trees and the commit.
    assert_eq!(objects, [5, 1023]);
}

#[test]
fn commits_of_people_stay_as_parents() {
    let server = server();
    let mut status = status(&server);
    let first = done(status.commit(&[("README.md", Some("ours\n")), ("a", Some("a"))]));
    let theirs = server.repository().push_files(STATUS, &[("README.md", "theirs\n"), ("notes", "n")], "by hand");
    let stale = status.commit_on(Some(&first), &[("a", Some("b"))]);
    let Pushed::Rejected(Rejection::Stale { found }) = stale else { panic!("{stale:?}") };
    assert_eq!(found, Some(theirs.clone()));
    done(status.commit(&[("README.md", Some("ours again\n"))]));
    let log = server.repository().log(STATUS);
    assert_eq!((log.len(), &log[0].parents), (3, &vec![theirs]));
    assert_eq!(files(&server), [pair("README.md", "ours again\n"), pair("a", "a"), pair("notes", "n")]);
}

#[test]
fn a_branch_that_went_or_was_forced_back_is_noticed() {
    let server = server();
    let mut status = status(&server);
    let first = done(status.commit(&[("a", Some("1"))]));
    let second = done(status.commit_on(Some(&first), &[("a", Some("2"))]));
    server.repository().force_push(STATUS, &first.commit());
    let pushed = status.commit_on(Some(&second), &[("a", Some("3"))]);
    assert!(matches!(&pushed, Pushed::Rejected(Rejection::Stale { found: Some(found) }) if *found == first.commit()));
    server.repository().delete_branch(STATUS);
    let pushed = status.commit_on(Some(&second), &[("a", Some("3"))]);
    assert!(matches!(pushed, Pushed::Rejected(Rejection::Stale { found: None })), "{pushed:?}");
    let pushed = status.commit(&[("a", Some("3"))]);
    assert_eq!(
        (done(pushed).commit(), server.repository().log(STATUS).len()),
        (server.repository().commit_at(STATUS).expect("there"), 1)
    );
    let pushed = status.commit_on(None, &[("a", Some("4"))]);
    assert!(matches!(pushed, Pushed::Rejected(Rejection::Stale { found: Some(_) })), "{pushed:?}");
}

/// Commits one file after the other, with as many attempts as it takes.
fn write_all(mut status: StatusBranch, name: &str, count: usize) {
    for number in 0..count {
        let change = changes(&[(&format!("{name}-{number}"), Some("x"))]);
        let mut rounds = 0;
        loop {
            let tip = status.tip().expect("a tip");
            match status.commit(tip.as_ref(), &change, &text(name)).expect("committed") {
                Pushed::Done(_) => break,
                Pushed::Rejected(Rejection::Stale { .. }) => rounds += 1,
                other => panic!("{other:?}"),
            }
            assert!(rounds < 200, "{name} never wins");
        }
    }
}

#[test]
fn two_writers_lose_nothing() {
    const EACH: usize = 8;
    let server = server();
    let caches = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    thread::scope(|scope| {
        for (name, cache) in ["left", "right"].into_iter().zip(&caches) {
            let status = StatusBranch::open(endpoint(&server.url(), None), STATUS, cache.path()).expect("opened");
            scope.spawn(move || write_all(status, name, EACH));
        }
    });
    assert_eq!(files(&server).len(), 2 * EACH);
    let log = server.repository().log(STATUS);
    assert_eq!(log.len(), 2 * EACH);
    assert!(log.iter().all(|commit| commit.parents.len() <= 1));
}

#[test]
fn a_refusal_is_told_from_a_race() {
    let server = server();
    let mut status = status(&server);
    let tip = done(status.commit(&[("a", Some("1"))]));
    let refused = |pushed: Pushed| match pushed {
        Pushed::Rejected(Rejection::Refused { message }) => message,
        other => panic!("{other:?}"),
    };
    server.repository().refuse(&format!("refs/heads/{STATUS}"));
    let message = refused(status.commit_on(Some(&tip), &[("a", Some("2"))]));
    assert!(message.contains("hook declined") && message.contains("protected branch"), "{message}");
    server.repository().remove_hook(Hook::Update);
    server.repository().set_hook(Hook::PreReceive, "exit 1");
    assert!(refused(status.commit_on(Some(&tip), &[("a", Some("2"))])).contains("pre-receive hook declined"));
    server.repository().remove_hook(Hook::PreReceive);
    assert_eq!(server.repository().commit_at(STATUS), Some(tip.commit()));

    // The branch moves between the server's listing and its lock.
    let git = Git::new();
    let path = server.repository().path();
    let other =
        git.run(&path, &["commit-tree", "-p", &tip.commit(), "-m", "faster", &format!("{}^{{tree}}", tip.commit())]);
    server.repository().set_hook(Hook::Update, &format!("git update-ref refs/heads/{STATUS} {other}"));
    let pushed = status.commit_on(Some(&tip), &[("a", Some("2"))]);
    assert!(matches!(pushed, Pushed::Rejected(Rejection::Stale { .. })), "{pushed:?}");
    server.repository().remove_hook(Hook::Update);
    done(status.commit(&[("a", Some("2"))]));
    assert_eq!(server.repository().log(STATUS).len(), 3);
}

#[test]
fn an_accepted_push_without_effect_is_an_error() {
    let server = server();
    let mut status = status(&server);
    let reset = "while read -r old new ref; do git update-ref \"$ref\" \"$old\"; done";
    server.repository().set_hook(Hook::PostReceive, "while read -r old new ref; do git update-ref -d \"$ref\"; done");
    let gone = status.status.commit(None, &changes(&[("a", Some("1"))]), &text("x"));
    let Err(error @ WriteError::NotThere { .. }) = gone else { panic!("{gone:?}") };
    assert!(error.to_string().contains("no such branch") && error.class() == Class::Transient, "{error}");

    server.repository().remove_hook(Hook::PostReceive);
    let tip = done(status.commit(&[("a", Some("1"))]));
    server.repository().set_hook(Hook::PostReceive, reset);
    let result = status.status.commit(Some(&tip), &changes(&[("a", Some("2"))]), &text("x"));
    let Err(WriteError::NotThere { listed, .. }) = result else { panic!("{result:?}") };
    assert_eq!(listed, tip.commit());
    server.repository().remove_hook(Hook::PostReceive);
    done(status.commit_on(Some(&tip), &[("a", Some("2"))]));
}

#[test]
fn a_lost_answer_is_unclear() {
    let server = server();
    let proxy = Proxy::in_front_of(&server.url());
    let mut status = TestStatus::new(endpoint(&proxy.url_of(&server.url()), None));
    let first = done(status.commit(&[("a", Some("1"))]));
    let push = |seen: &SeenRequest| seen.method == "POST" && seen.path.ends_with("/git-receive-pack");
    let unclear = |pushed: Pushed| match pushed {
        Pushed::Unclear(error) => assert_eq!(error.class(), Class::Transient),
        other => panic!("{other:?}"),
    };

    let rule = proxy.rule(Which::Nth(1), Action::CutBefore, push);
    unclear(status.commit_on(Some(&first), &[("a", Some("2"))]));
    assert_eq!((rule.applied(), server.repository().commit_at(STATUS)), (1, Some(first.commit())));
    let tip = status.status.tip().expect("fetched").expect("there");
    assert_eq!(tip.read("a"), Ok(Some(b"1".to_vec())), "it did not arrive");

    proxy.rule(Which::Nth(1), Action::CutAfterForward, push);
    unclear(status.commit_on(Some(&tip), &[("a", Some("3"))]));
    let tip = status.status.tip().expect("fetched").expect("there");
    assert_eq!(tip.read("a"), Ok(Some(b"3".to_vec())), "it did arrive");
    assert_eq!(server.repository().log(STATUS).len(), 2);

    // The listing after an accepted push is lost.
    proxy.rule(Which::Nth(1), Action::CutBefore, |seen| seen.query.contains("git-upload-pack"));
    unclear(status.commit_on(Some(&tip), &[("a", Some("4"))]));
    // Nothing was sent where the server could not even be asked.
    proxy.rule(Which::Nth(1), Action::Refuse(503), |seen| seen.query.contains("git-receive-pack"));
    let tip = status.status.tip().expect("fetched").expect("there");
    let result = status.status.commit(Some(&tip), &changes(&[("a", Some("5"))]), &text("x"));
    assert!(matches!(&result, Err(WriteError::Transport(error)) if error.class() == Class::Transient), "{result:?}");
}

#[test]
fn a_new_clone_finds_the_base_again() {
    let server = server();
    let mut status = status(&server);
    let mut tip = done(status.commit(&[("n", Some("0"))]));
    let first = status.clones();
    for number in 1..=110 {
        tip = done(status.commit_on(Some(&tip), &[("n", Some(&number.to_string()))]));
    }
    assert_ne!(status.clones(), first, "made anew on the way");
    assert_eq!((status.clones().len(), server.repository().log(STATUS).len()), (1, 111));
}

#[test]
fn a_folder_on_disk_takes_commits_too() {
    let repository = BareRepository::create();
    let here = endpoint(repository.path().to_str().expect("UTF-8"), None);
    let mut status = TestStatus::new(here.clone());
    let first = done(status.commit(&[("a", Some("1"))]));
    let second = done(TestStatus::new(here).commit(&[("a", Some("2"))]));
    let stale = status.commit_on(Some(&first), &[("a", Some("3"))]);
    let Pushed::Rejected(Rejection::Stale { found }) = stale else { panic!("{stale:?}") };
    assert_eq!((found, repository.log(STATUS).len()), (Some(second.commit()), 2));
}

#[test]
fn a_large_foreign_file_is_not_read() {
    let server = server();
    server.repository().push_files(STATUS, &[("cluster.yaml", &"x".repeat(2 << 20))], "by hand");
    let mut status = status(&server);
    let tip = status.status.tip().expect("fetched").expect("there");
    let read = tip.read("cluster.yaml");
    assert!(matches!(read, Err(WriteError::FileTooLarge { bytes: 2_097_152, .. })), "{read:?}");
}

#[test]
fn a_new_process_builds_on_a_long_history() {
    let server = server();
    let mut earlier = status(&server);
    for number in 0..4 {
        done(earlier.commit(&[("n", Some(&number.to_string()))]));
    }
    drop(earlier);
    let mut later = status(&server);
    let tip = done(later.commit(&[("n", Some("later"))]));
    done(later.commit_on(Some(&tip), &[("n", Some("last"))]));
    assert_eq!(server.repository().log(STATUS).len(), 6);
}
