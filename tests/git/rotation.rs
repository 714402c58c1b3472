//! The history of the status branch is put aside: an archive that is never overwritten, a new root in its place, and no
//! commit lost wherever it stops.

use std::collections::BTreeMap;
use std::thread;

use holdfast::git::{Pushed, Rejection, Rotated, StatusBranch, Tip};

use crate::harness::bare_repository::{BareRepository, Hook};
use crate::harness::git_cli::Git;
use crate::harness::git_server::{Access, GitServer, Transport};
use crate::harness::http_thread::SeenRequest;
use crate::harness::proxy::{Action, Proxy, Which};
use crate::support::{STATUS, TestStatus, changes, done, endpoint, loose_objects, text};

const ARCHIVE: &str = "refs/holdfast/archive/prod/2026-10";

fn server() -> GitServer {
    GitServer::start(Transport::Http, &Access::Open)
}

fn status(server: &GitServer) -> TestStatus {
    TestStatus::new(endpoint(&server.url(), None))
}

fn rotate(status: &mut TestStatus, tip: &Tip, content: &str) -> Rotated {
    let rotated = status.status.rotate(tip, ARCHIVE, &changes(&[("cluster.yaml", Some(content))]), &text("anew"));
    rotated.expect("an answer of the server")
}

fn rotated(rotated: Rotated) -> Tip {
    match rotated {
        Rotated::Pushed(pushed) => done(pushed),
        other => panic!("{other:?}"),
    }
}

/// All refs of a server with the commits they are at.
fn refs(repository: &BareRepository) -> BTreeMap<String, String> {
    let listed = Git::new().run(&repository.path(), &["for-each-ref", "--format=%(refname) %(objectname)"]);
    listed.lines().filter_map(|line| line.split_once(' ')).map(|(name, id)| (name.to_owned(), id.to_owned())).collect()
}

fn history(repository: &BareRepository, reference: &str) -> usize {
    Git::new().run(&repository.path(), &["rev-list", reference]).lines().count()
}

/// A branch of three commits, and its tip.
fn grown(status: &mut TestStatus) -> Tip {
    let tip = done(status.commit(&[
        ("cluster.yaml", Some("1")),
        ("targets/a/b.yaml", Some("b")),
        ("restores/x.yaml", Some("x")),
    ]));
    let tip = done(status.commit_on(Some(&tip), &[("cluster.yaml", Some("2"))]));
    done(status.commit_on(Some(&tip), &[("cluster.yaml", Some("3"))]))
}

#[test]
fn the_old_tip_is_kept_and_the_branch_begins_anew_with_its_files() {
    let server = server();
    let repository = server.repository();
    // In a process of its own, which has no history in its clone.
    grown(&mut status(&server));
    let mut status = status(&server);
    let tip = status.status.tip().expect("fetched").expect("there");
    let root = rotated(rotate(&mut status, &tip, "4"));

    assert_eq!(
        refs(repository),
        BTreeMap::from([(ARCHIVE.to_owned(), tip.commit()), (format!("refs/heads/{STATUS}"), root.commit())])
    );
    assert_eq!((history(repository, ARCHIVE), history(repository, STATUS)), (3, 1));
    assert!(repository.log(STATUS)[0].parents.is_empty());
    let files = repository.files(STATUS);
    let expected = [("cluster.yaml", "4"), ("restores/x.yaml", "x"), ("targets/a/b.yaml", "b")];
    assert_eq!(files, expected.map(|(path, text)| (path.to_owned(), text.to_owned())).into());

    // Writing goes on, here and in the next process.
    let next = done(status.commit_on(Some(&root), &[("cluster.yaml", Some("5"))]));
    let mut later = TestStatus::new(endpoint(&server.url(), None));
    assert_eq!(later.status.tip().expect("fetched").map(|tip| tip.commit()), Some(next.commit()));
    done(later.commit(&[("cluster.yaml", Some("6"))]));
    assert_eq!((history(repository, ARCHIVE), history(repository, STATUS)), (3, 3));
    let [clone] = &status.clones()[..] else { panic!("one clone") };
    assert_eq!(loose_objects(clone), 0);
    Git::new().run(&repository.path(), &["fsck", "--full", "--strict"]);
    println!("{}", Git::new().run(&repository.path(), &["log", "--graph", "--all", "--format=%h %d %s"]));
}

#[test]
fn what_was_interrupted_goes_on() {
    let server = server();
    let proxy = Proxy::in_front_of(&server.url());
    let mut status = TestStatus::new(endpoint(&proxy.url_of(&server.url()), None));
    let tip = grown(&mut status);
    let push = |seen: &SeenRequest| seen.method == "POST" && seen.path.ends_with("/git-receive-pack");
    let attempt = |status: &mut TestStatus, content: &str| {
        status.status.rotate(&tip, ARCHIVE, &changes(&[("cluster.yaml", Some(content))]), &text("anew"))
    };
    let here = |archive: bool| {
        let mut wanted = BTreeMap::from([(format!("refs/heads/{STATUS}"), tip.commit())]);
        wanted.extend(archive.then(|| (ARCHIVE.to_owned(), tip.commit())));
        assert_eq!(refs(server.repository()), wanted);
    };

    // The archive does not arrive; it arrives and nobody hears of it; the same for the branch.
    proxy.rule(Which::Nth(1), Action::CutBefore, push);
    assert!(attempt(&mut status, "4").is_err());
    here(false);
    proxy.rule(Which::Nth(1), Action::CutAfterForward, push);
    assert!(attempt(&mut status, "5").is_err());
    here(true);
    // A process that starts now knows nothing of it.
    let mut status = TestStatus::new(endpoint(&proxy.url_of(&server.url()), None));
    proxy.rule(Which::Nth(1), Action::CutBefore, push);
    let unclear = attempt(&mut status, "6");
    assert!(matches!(unclear, Ok(Rotated::Pushed(Pushed::Unclear(_)))), "{unclear:?}");
    here(true);
    proxy.rule(Which::Nth(1), Action::CutAfterForward, push);
    let unclear = attempt(&mut status, "7");
    assert!(matches!(unclear, Ok(Rotated::Pushed(Pushed::Unclear(_)))), "{unclear:?}");
    let now = status.status.tip().expect("fetched").expect("there");
    assert_eq!(now.read("cluster.yaml"), Ok(Some(b"7".to_vec())), "it did arrive");
    assert_eq!((history(server.repository(), ARCHIVE), history(server.repository(), STATUS)), (3, 1));

    // Once more on the old tip is no second rotation.
    let again = attempt(&mut status, "8").expect("an answer");
    assert!(
        matches!(&again, Rotated::Pushed(Pushed::Rejected(Rejection::Stale { found: Some(found) })) if *found == now.commit()),
        "{again:?}"
    );
}

#[test]
fn a_commit_of_somebody_else_is_not_rotated_away() {
    let server = server();
    let mut status = status(&server);
    let tip = grown(&mut status);
    let theirs = server.repository().push_files(STATUS, &[("notes", "n")], "by hand");
    let stale = rotate(&mut status, &tip, "4");
    assert!(
        matches!(&stale, Rotated::Pushed(Pushed::Rejected(Rejection::Stale { found: Some(found) })) if *found == theirs),
        "{stale:?}"
    );
    assert_eq!(server.repository().commit_at(STATUS), Some(theirs.clone()));

    // It comes while the server works on the replacement.
    let git = Git::new();
    let path = server.repository().path();
    let tip = status.status.tip().expect("fetched").expect("there");
    let other =
        git.run(&path, &["commit-tree", "-p", &tip.commit(), "-m", "faster", &format!("{}^{{tree}}", tip.commit())]);
    git.run(&path, &["update-ref", "-d", ARCHIVE]);
    let faster = format!("[ \"$1\" != refs/heads/{STATUS} ] || git update-ref refs/heads/{STATUS} {other}");
    server.repository().set_hook(Hook::Update, &faster);
    let stale = rotate(&mut status, &tip, "4");
    assert!(matches!(stale, Rotated::Pushed(Pushed::Rejected(Rejection::Stale { .. }))), "{stale:?}");
    server.repository().remove_hook(Hook::Update);
    assert_eq!(server.repository().commit_at(STATUS), Some(other));
    assert_eq!(history(server.repository(), STATUS), 5);
}

#[test]
fn an_archive_is_never_overwritten() {
    let server = server();
    let mut status = status(&server);
    let tip = grown(&mut status);
    let other = server.repository().push_files("main", &[("a", "a")], "something else");
    Git::new().run(&server.repository().path(), &["update-ref", ARCHIVE, &other]);
    let taken = rotate(&mut status, &tip, "4");
    assert!(matches!(&taken, Rotated::ArchiveTaken { commit } if *commit == other), "{taken:?}");
    assert_eq!(
        (refs(server.repository())[ARCHIVE].clone(), server.repository().commit_at(STATUS)),
        (other, Some(tip.commit()))
    );
    // A folder cannot be where a ref is.
    Git::new().run(&server.repository().path(), &["update-ref", "-d", ARCHIVE]);
    Git::new().run(&server.repository().path(), &["update-ref", "refs/holdfast/archive/prod", &tip.commit()]);
    let refused = rotate(&mut status, &tip, "4");
    assert!(matches!(refused, Rotated::ArchiveRefused { .. }), "{refused:?}");
    assert_eq!(server.repository().commit_at(STATUS), Some(tip.commit()));
    done(status.commit_on(Some(&tip), &[("cluster.yaml", Some("4"))]));
}

/// How a server is set up, and whether it keeps the archive then.
struct Refusing {
    what: &'static str,
    config: Option<(&'static str, &'static str)>,
    hook: Option<(Hook, String)>,
    archived: bool,
}

fn refusing_servers() -> Vec<Refusing> {
    let branch = format!("refs/heads/{STATUS}");
    let each = |reference: &str, then: &str| {
        format!("while read -r old new ref; do if [ \"$ref\" = '{reference}' ]; then {then}; fi; done")
    };
    let refuse = "echo 'protected branch' >&2; exit 1";
    let take_back = "git update-ref \"$ref\" \"$old\"";
    let config = |what, name, value, archived| Refusing { what, config: Some((name, value)), hook: None, archived };
    let hook = |what, hook, reference: &str, then, archived| {
        let script = if matches!(hook, Hook::Update) {
            format!("if [ \"$1\" = '{reference}' ]; then {then}; fi")
        } else {
            each(reference, then)
        };
        Refusing { what, config: None, hook: Some((hook, script)), archived }
    };
    vec![
        config("takes no forced push", "receive.denyNonFastForwards", "true", true),
        hook("protects the branch", Hook::PreReceive, &branch, refuse, true),
        hook("refuses the branch alone", Hook::Update, &branch, refuse, true),
        hook("takes the replacement back", Hook::PostReceive, &branch, take_back, true),
        config("hides the archive", "transfer.hideRefs", "refs/holdfast", false),
        hook("refuses the archive", Hook::Update, ARCHIVE, refuse, false),
        hook("takes the archive back", Hook::PostReceive, ARCHIVE, "git update-ref -d \"$ref\"", false),
    ]
}

#[test]
fn servers_that_refuse_leave_the_branch_as_it_is() {
    for Refusing { what, config: setting, hook, archived } in refusing_servers() {
        let server = server();
        let mut status = status(&server);
        let tip = grown(&mut status);
        if let Some((name, value)) = setting {
            config(server.repository(), name, value);
        }
        if let Some((hook, script)) = hook {
            server.repository().set_hook(hook, &script);
        }
        for content in ["4", "5"] {
            let refused = rotate(&mut status, &tip, content);
            let (kept, message) = match refused {
                Rotated::ReplacementRefused { message } => (true, message),
                Rotated::ArchiveRefused { message } => (false, message),
                other => panic!("{what}: {other:?}"),
            };
            println!("{what}: {message}");
            assert!(kept == archived && !message.is_empty(), "{what}: {message}");
            assert_eq!(server.repository().commit_at(STATUS), Some(tip.commit()), "{what}");
            let archive = refs(server.repository()).get(ARCHIVE).cloned();
            assert_eq!(archive, archived.then(|| tip.commit()), "{what}");
        }
    }
}

fn config(repository: &BareRepository, name: &str, value: &str) {
    Git::new().run(&repository.path(), &["config", name, value]);
}

/// Commits one file after the other, and rotates on the way.
fn write_all(mut status: StatusBranch, cluster: &str, count: usize) {
    for number in 0..count {
        let change = changes(&[(&format!("{cluster}-{number}"), Some("x"))]);
        let tip = status.tip().expect("a tip");
        let pushed = match &tip {
            Some(tip) if number % 4 == 3 => {
                let archive = format!("refs/holdfast/archive/{cluster}/{number:04}-01");
                match status.rotate(tip, &archive, &change, &text(cluster)).expect("an answer") {
                    Rotated::Pushed(pushed) => pushed,
                    other => panic!("{other:?}"),
                }
            }
            tip => status.commit(tip.as_ref(), &change, &text(cluster)).expect("an answer"),
        };
        // Nobody else writes to this branch, whatever happens to others beside it.
        done(pushed);
    }
}

#[test]
fn two_clusters_in_one_repository_do_not_meet() {
    const EACH: usize = 10;
    let server = server();
    let caches = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    thread::scope(|scope| {
        for (cluster, cache) in ["left", "right"].into_iter().zip(&caches) {
            let branch = format!("holdfast/{cluster}");
            let status = StatusBranch::open(endpoint(&server.url(), None), &branch, cache.path()).expect("opened");
            scope.spawn(move || write_all(status, cluster, EACH));
        }
    });
    let repository = server.repository();
    for cluster in ["left", "right"] {
        let branch = format!("holdfast/{cluster}");
        assert_eq!(repository.files(&branch).len(), EACH);
        let commits: usize = [
            format!("refs/holdfast/archive/{cluster}/0003-01"),
            format!("refs/holdfast/archive/{cluster}/0007-01"),
            branch,
        ]
        .iter()
        .map(|reference| history(repository, reference))
        .sum();
        assert_eq!(commits, EACH, "{cluster}");
    }
    assert_eq!(refs(repository).len(), 6);
    Git::new().run(&repository.path(), &["fsck", "--full", "--strict"]);
}

#[test]
fn a_folder_on_disk_is_rotated_too() {
    let repository = BareRepository::create();
    let mut status = TestStatus::new(endpoint(repository.path().to_str().expect("UTF-8"), None));
    let tip = grown(&mut status);
    let root = rotated(rotate(&mut status, &tip, "4"));
    done(status.commit_on(Some(&root), &[("cluster.yaml", Some("5"))]));
    assert_eq!((history(&repository, ARCHIVE), history(&repository, STATUS)), (3, 2));
}
