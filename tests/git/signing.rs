//! Signed status commits: the real `git verify-commit` takes each of them, and nothing is pushed where none can be made.

use std::fs;

use holdfast::git::{Class, Pushed, Rejection, Rotated, SigningError, SigningKey, WriteError};

use crate::harness::git_cli::Git;
use crate::harness::git_server::{Access, GitServer, Transport};
use crate::harness::signing_key::TestKey;
use crate::support::{STATUS, TestStatus, changes, done, endpoint, text};

const ARCHIVE: &str = "refs/holdfast/archive/prod/2026-10";

fn server() -> GitServer {
    GitServer::start(Transport::Http, &Access::Open)
}

fn good(key: &TestKey, server: &GitServer, commit: &str) {
    let said = key.verify(&server.repository().path(), commit).unwrap_or_else(|said| panic!("{commit}: {said}"));
    assert!(said.contains("Good \"git\" signature for holdfast"), "{said}");
}

#[test]
fn git_takes_the_signature_of_every_sort_of_commit() {
    let (server, key) = (server(), TestKey::ed25519());
    let mut status = TestStatus::signed(endpoint(&server.url(), None), &key.file());
    let first = done(status.commit(&[("README.md", Some("one\n")), ("targets/a/b.yaml", Some("b\n"))]));
    good(&key, &server, &first.commit());
    let second = done(status.commit_on(Some(&first), &[("README.md", Some("two\n"))]));
    good(&key, &server, &second.commit());

    let theirs = server.repository().push_files(STATUS, &[("notes", "n")], "by hand");
    assert!(key.verify(&server.repository().path(), &theirs).is_err(), "nobody signed that");
    let stale = status.commit_on(Some(&second), &[("README.md", Some("three\n"))]);
    assert!(matches!(stale, Pushed::Rejected(Rejection::Stale { .. })), "{stale:?}");
    let third = done(status.commit(&[("README.md", Some("three\n"))]));
    good(&key, &server, &third.commit());

    let rotated = status.status.rotate(&third, ARCHIVE, &changes(&[("README.md", Some("four\n"))]), &text("anew"));
    let Ok(Rotated::Pushed(pushed)) = rotated else { panic!("{rotated:?}") };
    let root = done(pushed);
    good(&key, &server, &root.commit());
    done(status.commit_on(Some(&root), &[("README.md", Some("five\n"))]));
    good(&key, &server, STATUS);
    good(&key, &server, ARCHIVE);
    Git::new().run(&server.repository().path(), &["fsck", "--full", "--strict"]);
    assert!(TestKey::ed25519().verify(&server.repository().path(), STATUS).is_err(), "the key of somebody else");
}

#[test]
fn a_key_signs_however_its_file_was_typed() {
    let (server, key) = (server(), TestKey::ed25519());
    // As it comes out of a Secret that somebody has typed.
    let written = fs::read_to_string(key.file()).expect("the key is there");
    let cut = written.trim_end().to_owned();
    let texts = [written.clone(), cut, format!("\n{written}\n\n"), written.replace('\n', "\r\n")];
    for (number, text) in texts.iter().enumerate() {
        fs::write(key.file(), text).expect("written");
        let mut status = TestStatus::signed(endpoint(&server.url(), None), &key.file());
        done(status.commit(&[("a", Some(&number.to_string()))]));
        good(&key, &server, STATUS);
    }
    fs::write(key.file(), written).expect("written");
    assert_eq!(SigningKey::open(key.file()).and_then(|key| key.fingerprint()), Ok(key.fingerprint()));
}

#[test]
fn a_key_that_is_renewed_signs_from_the_next_commit_on() {
    let (server, key) = (server(), TestKey::ed25519());
    let mut status = TestStatus::signed(endpoint(&server.url(), None), &key.file());
    let first = done(status.commit(&[("a", Some("1"))]));
    key.renew();
    let second = done(status.commit_on(Some(&first), &[("a", Some("2"))]));
    good(&key, &server, &second.commit());
    assert!(key.verify(&server.repository().path(), &first.commit()).is_err(), "that was the old key");
}

#[test]
fn nothing_is_pushed_unsigned() {
    let (server, key) = (server(), TestKey::ed25519());
    let mut status = TestStatus::signed(endpoint(&server.url(), None), &key.file());
    let tip = done(status.commit(&[("a", Some("1"))]));
    let written = fs::read(key.file()).expect("the key is there");
    fs::remove_file(key.file()).expect("it goes");
    let change = changes(&[("a", Some("2"))]);
    let committed = status.status.commit(Some(&tip), &change, &text("x"));
    let Err(error @ WriteError::Signing(SigningError::Unreadable { .. })) = committed else { panic!("{committed:?}") };
    assert_eq!(error.class(), Class::Invalid);
    fs::write(key.file(), "half a key").expect("written");
    let rotated = status.status.rotate(&tip, ARCHIVE, &change, &text("x"));
    assert!(matches!(rotated, Err(WriteError::Signing(SigningError::NotAKey { .. }))), "{rotated:?}");
    let refs = Git::new().run(&server.repository().path(), &["for-each-ref", "--format=%(objectname) %(refname)"]);
    assert_eq!(refs, format!("{} refs/heads/{STATUS}", tip.commit()), "neither branch nor archive moved");
    fs::write(key.file(), written).expect("written");
    let tip = done(status.commit_on(Some(&tip), &[("a", Some("2"))]));
    good(&key, &server, &tip.commit());
}

#[test]
fn a_key_that_cannot_sign_is_told_with_what_to_do() {
    let fails = |key: &TestKey| SigningKey::open(key.file()).expect_err("it cannot sign").to_string();
    let says = |key: &TestKey, words: &str| {
        let said = fails(key);
        assert!(said.contains(words) && said.contains(key.file().to_str().expect("UTF-8")), "{said}");
        let secret = if key.file().is_file() { key.secret_lines() } else { Vec::new() };
        assert!(secret.iter().all(|line| line.is_empty() || !said.contains(line)), "{said}");
    };
    says(&TestKey::made(&["-t", "ed25519", "-N", "a passphrase"]), "ssh-keygen -p -N ''");
    for other in [["-t", "rsa", "-b", "2048"], ["-t", "ecdsa", "-b", "256"], ["-t", "ecdsa", "-b", "521"]] {
        says(&TestKey::made(&[other.as_slice(), &["-N", ""]].concat()), "no ed25519 private key in OpenSSH's format");
    }
    let key = TestKey::ed25519();
    fs::copy(key.public_file(), key.file()).expect("copied");
    says(&key, "without .pub");
    for content in ["", "\n", "-----BEGIN OPENSSH PRIVATE KEY-----\n", "x"] {
        fs::write(key.file(), content).expect("written");
        says(&key, "no ed25519 private key in OpenSSH's format");
    }
    fs::write(key.file(), vec![0_u8; 1 << 20]).expect("written");
    says(&key, "no ed25519 private key in OpenSSH's format");
    fs::remove_file(key.file()).expect("it goes");
    says(&key, "cannot be read (entity not found)");
    fs::create_dir(key.file()).expect("made");
    says(&key, "cannot be read (is a directory)");
}
