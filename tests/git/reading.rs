//! What a source gives: exactly the files that count, at exactly one commit.

use std::fs;
use std::os::unix::fs::symlink;

use holdfast::git::{Class, ReadError, Source, SourceSettings};
use holdfast::model::tree::{InputPaths, NoticeKind, TreeError};

use crate::harness::bare_repository::BareRepository;
use crate::harness::git_cli::Git;
use crate::harness::git_server::{Access, GitServer, Transport};
use crate::support::{COMMIT, DOCUMENT, TestSource, endpoint, fast_import, loose_objects, notices, packs, paths};

fn server() -> GitServer {
    GitServer::start(Transport::Http, &Access::Open)
}

#[test]
fn each_reading_is_the_branch_as_it_is() {
    let server = server();
    let repository = server.repository();
    let mut source = TestSource::of(&server.url());
    assert!(matches!(source.read(), Err(ReadError::Empty { .. })));
    assert!(matches!(source.source.probe(), Err(ReadError::Empty { .. })));

    let first = repository.push_files("main", &[("a/b.yaml", DOCUMENT), ("README.md", "x")], "first");
    let tree = source.read().expect("read");
    let revision = tree.revision.clone().expect("from Git");
    assert_eq!(revision.to_string(), format!("main@sha1:{first}"));
    assert_eq!(source.source.probe(), Ok(revision));
    assert_eq!(tree.files().collect::<Vec<_>>(), [("a/b.yaml", DOCUMENT.as_bytes())]);

    // Another commit beside the inputs keeps the hash.
    let second = repository.push_files("main", &[("README.md", "y")], "second");
    let beside = source.read().expect("read");
    assert_eq!((beside.inputs, beside.revision.expect("from Git").commit), (tree.inputs.clone(), second));

    // Forced back, and to a history of its own.
    repository.push_files("main", &[("c.yaml", DOCUMENT)], "third");
    assert_eq!(paths(&source.read().expect("read")), ["a/b.yaml", "c.yaml"]);
    repository.force_push("main", &first);
    assert_eq!(source.read().expect("read"), tree);
    repository.push_files("other", &[("d.yaml", DOCUMENT)], "unrelated");
    repository.force_push("main", "other");
    assert_eq!(paths(&source.read().expect("read")), ["d.yaml"]);

    // Emptied is a tree without files, gone is an error.
    repository.remove_files("main", &["d.yaml"], "nothing left");
    assert_eq!(paths(&source.read().expect("an empty tree")), [""; 0]);
    repository.delete_branch("main");
    let error = source.read().expect_err("HEAD leads nowhere");
    assert!(matches!(error, ReadError::NoDefaultBranch { .. }) && error.class() == Class::Invalid, "{error}");
    let mut named = TestSource::new(endpoint(&server.url(), None), Some("main"), &[]);
    let error = named.read().expect_err("the branch is gone");
    assert!(matches!(&error, ReadError::BranchMissing { branch, .. } if branch == "main"), "{error}");
}

#[test]
fn the_clone_is_shallow_bare_and_packed() {
    let server = server();
    for number in 0..5 {
        server.repository().push_files("main", &[("a.yaml", &format!("{DOCUMENT}n: {number}\n"))], "more");
    }
    let mut source = TestSource::of(&server.url());
    source.read().expect("read");
    let [clone] = &source.clones()[..] else { panic!("one clone") };
    let git = Git::new();
    assert_eq!(git.run(clone, &["rev-list", "--count", "refs/holdfast/fetched"]), "1");
    assert_eq!(git.run(clone, &["rev-parse", "--is-bare-repository"]), "true");
    assert_eq!((loose_objects(clone), packs(clone).len()), (0, 1));
}

#[test]
fn branches_and_paths_are_chosen() {
    let server = server();
    let repository = server.repository();
    repository.push_files("main", &[("a/b.yaml", DOCUMENT), ("c/d.yaml", DOCUMENT), ("e.yaml", DOCUMENT)], "first");
    repository.push_files("team/x", &[("f.yaml", DOCUMENT)], "another");
    let read = |reference, paths: &[&str]| TestSource::new(endpoint(&server.url(), None), reference, paths).read();
    let tree = read(Some("team/x"), &[]).expect("read");
    assert_eq!(
        (paths(&tree), tree.revision.clone().expect("from Git").reference),
        (vec!["f.yaml"], "team/x".to_owned())
    );
    assert_eq!(paths(&read(None, &["a", "e.yaml"]).expect("read")), ["a/b.yaml", "e.yaml"]);
    let missing = read(None, &["a", "a/nowhere"]);
    assert_eq!(missing, Err(TreeError::PathMissing("a/nowhere".to_owned()).into()));
    let cache = tempfile::tempdir().expect("a temporary folder");
    for bad in ["", "a..b", "-x", "a b", "x.lock", "refs/heads/../x"] {
        let (endpoint, paths) = (endpoint(&server.url(), None), InputPaths::default());
        let settings = SourceSettings { endpoint, reference: Some(bad.to_owned()), paths };
        assert!(matches!(Source::open(settings, cache.path()), Err(ReadError::BadBranch(_))), "{bad:?}");
    }
}

#[test]
fn a_folder_on_disk_is_a_source_too() {
    let repository = BareRepository::create();
    let mut source = TestSource::of(repository.path().to_str().expect("UTF-8"));
    assert!(matches!(source.read(), Err(ReadError::Empty { .. })));
    let first = repository.push_files("main", &[("a.yaml", DOCUMENT)], "first");
    let tree = source.read().expect("read");
    assert_eq!((paths(&tree), tree.revision.clone().map(|revision| revision.commit)), (vec!["a.yaml"], Some(first)));
    repository.push_files("main", &[("b.yaml", DOCUMENT)], "second");
    assert_eq!(paths(&source.read().expect("read")), ["a.yaml", "b.yaml"]);
}

#[test]
fn links_modules_and_odd_names_are_told_and_not_followed() {
    let server = server();
    let repository = server.repository();
    let large = format!("{DOCUMENT}{}", "#".repeat(2 << 20));
    repository.push_change("main", "first", |tree| {
        symlink("/etc/passwd", tree.join("link.yaml")).expect("a link");
        symlink("folder", tree.join("link")).expect("a link");
        for (path, content) in [
            ("large.yaml", large.as_str()),
            ("large-other.json", &large.replace("stash.appscode.com/", "")),
            ("ok.yaml", DOCUMENT),
            ("folder/back\\slash.yaml", DOCUMENT),
            ("folder/line\nbreak.yaml", DOCUMENT),
            ("folder/\u{e9} ok.yml", DOCUMENT),
            ("folder/ignored/a.yaml", DOCUMENT),
            ("folder/a.test.yaml", DOCUMENT),
            (".holdfastignore", "*.test.yaml\n/folder/ignored/\n"),
            (&format!("{}a.yaml", "d/".repeat(20)), DOCUMENT),
        ] {
            fs::create_dir_all(tree.join(path).parent().expect("a folder")).expect("folder made");
            fs::write(tree.join(path), content).expect("file written");
        }
    });
    fast_import(repository, |stream| {
        let from = "from refs/heads/main^0\n";
        let module = "M 160000 0123456789012345678901234567890123456789 module\n";
        write!(stream, "{COMMIT}{from}{module}M 100644 inline \"folder/\\377.yaml\"\ndata 1\nx\n").expect("written");
    });
    let tree = TestSource::of(&server.url()).read().expect("read");
    assert_eq!(paths(&tree), ["folder/\u{e9} ok.yml", "ok.yaml"]);
    let deep = "d/".repeat(17);
    let expected = [
        (deep.trim_end_matches('/'), NoticeKind::TooDeep),
        ("folder/back\u{fffd}slash.yaml", NoticeKind::BadName),
        ("folder/line\u{fffd}break.yaml", NoticeKind::BadName),
        ("folder/\u{fffd}.yaml", NoticeKind::NotUtf8Path),
        ("large.yaml", NoticeKind::TooLarge),
        ("link", NoticeKind::Symlink),
        ("link.yaml", NoticeKind::Symlink),
        ("module", NoticeKind::Submodule),
    ];
    assert_eq!(notices(&tree), expected);
}

#[test]
fn names_that_lead_upwards_are_told() {
    let server = server();
    let (git, path) = (Git::new(), server.repository().path());
    let blob = {
        server.repository().push_files("main", &[("a.yaml", DOCUMENT)], "first");
        git.run(&path, &["rev-parse", "main:a.yaml"])
    };
    // Real clients refuse to make such trees, so their bytes are written by hand.
    let tree = |name: &str, mode: &str, id: &str| {
        let id: Vec<u8> = (0..20).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).expect("hex")).collect();
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), [format!("{mode} {name}\0").as_bytes(), &id].concat()).expect("written");
        let place = file.path().to_str().expect("UTF-8");
        git.run(&path, &["hash-object", "-t", "tree", "-w", "--literally", place])
    };
    let upwards = tree("..", "40000", &tree("evil.yaml", "100644", &blob));
    let commit = git.run(&path, &["commit-tree", "-m", "x", &upwards]);
    git.run(&path, &["update-ref", "refs/heads/main", &commit]);
    let read = TestSource::of(&server.url()).read().expect("read");
    assert_eq!((paths(&read), notices(&read)), (vec![], vec![("..", NoticeKind::BadName)]));
}

#[test]
fn a_hundred_thousand_other_files_do_no_harm() {
    let server = server();
    fast_import(server.repository(), |stream| {
        write!(
            stream,
            "blob\nmark :1\ndata 13\nkind: Service\nblob\nmark :2\ndata {}\n{DOCUMENT}{COMMIT}",
            DOCUMENT.len()
        )
        .expect("written");
        for number in 0..100_000 {
            writeln!(stream, "M 100644 :1 f{}/{number}.yaml", number / 1000).expect("written");
        }
        writeln!(stream, "M 100644 :2 z.yaml").expect("written");
    });
    assert_eq!(paths(&TestSource::of(&server.url()).read().expect("read")), ["z.yaml"]);
}

#[test]
fn too_many_documents_are_a_limit_of_the_source() {
    let server = server();
    fast_import(server.repository(), |stream| {
        write!(stream, "blob\nmark :1\ndata {}\n{DOCUMENT}{COMMIT}", DOCUMENT.len()).expect("written");
        for number in 0..5001 {
            writeln!(stream, "M 100644 :1 {number}.yaml").expect("written");
        }
    });
    let mut source = TestSource::of(&server.url());
    let read = source.read();
    assert!(matches!(read, Err(ReadError::Tree(TreeError::TooManyFiles { count: 5001, .. }))), "{read:?}");
    assert_eq!(source.clones().len(), 1, "the clone is good");
}

#[test]
fn a_broken_clone_is_made_anew() {
    let server = server();
    server.repository().push_files("main", &[("a.yaml", DOCUMENT)], "first");
    let mut source = TestSource::of(&server.url());
    let tree = source.read().expect("read");
    let before = source.clones();
    for pack in packs(&before[0]) {
        fs::remove_file(&pack).expect("removed");
        fs::write(&pack, "garbage").expect("written");
    }
    assert_eq!(source.read().expect("read anew"), tree);
    assert_ne!(source.clones(), before);
    fs::remove_dir_all(&source.clones()[0]).expect("removed");
    assert_eq!(source.read().expect("read anew"), tree);
}

#[test]
fn the_clone_does_not_grow_for_ever() {
    let server = server();
    server.repository().push_files("main", &[("a.yaml", DOCUMENT)], "first");
    let mut source = TestSource::of(&server.url());
    source.read().expect("read");
    let first = source.clones();
    for _ in 1..100 {
        source.read().expect("read");
    }
    assert_eq!(source.clones(), first);
    source.read().expect("read");
    assert_eq!(source.clones().len(), 1);
    assert_ne!(source.clones(), first, "made anew");
}
