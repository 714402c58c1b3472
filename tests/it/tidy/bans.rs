//! Words that must not stand somewhere.

use super::code::{line_of, occurrences};
use super::repository::{Complaints, File};

/// Effects and sources of chance.
const IMPURE: [&str; 21] = [
    "tokio",
    "async fn",
    "async move",
    ".await",
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "std::thread",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Zoned::now",
    "kube::",
    "git2",
    "notify::",
    "tracing",
    "rand::",
    "HashMap",
    "HashSet",
    "anyhow",
];
/// Ends of the process.
const PANICS: [&str; 3] = [".unwrap()", "panic!", "unreachable!"];
/// A message of `expect` is a sentence that states the invariant.
const EXPECT_WORDS_MIN: usize = 5;
const UNFINISHED: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];
const PRINTS: [&str; 4] = ["print!", "println!", "eprint!", "eprintln!"];
/// Written in two parts, so that this file is clean too.
const NOTES: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
const HOSTS: [&str; 9] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".com"),
    concat!("npmjs", ".org"),
    concat!("proxy.golang", ".org"),
    concat!("deb.debian", ".org"),
    concat!("archive.ubuntu", ".com"),
    concat!("docker", ".io"),
];

/// Crates that one module hides from the rest, so that it can be replaced, limited or tested in one place.
/// `cron` cannot be told from our own module of that name; it is not usable without `chrono`.
const CONFINED: [(&str, &[&str]); 10] = [
    ("axum::", &["daemon"]),
    ("chrono::", &["cron", "expression"]),
    ("clap::", &["cli", "telemetry"]),
    ("git2::", &["git"]),
    ("kube::", &["cluster"]),
    ("kube_cel::", &["expression"]),
    ("notify::", &["daemon"]),
    ("prometheus_client::", &["metrics"]),
    ("ssh_key::", &["git"]),
    ("yaml_rust2::", &["yaml"]),
];

pub(super) fn check_confined(file: &File, complaints: &mut Complaints) {
    let code = file.code().all;
    for (word, modules) in CONFINED {
        let first = occurrences(&code, word).next().filter(|_| !modules.contains(&file.module().as_str()));
        if let Some(at) = first {
            complaints.add(&file.path, line_of(&code, at), format!("`{word}` belongs into {}", modules.join(", ")));
        }
    }
}

pub(super) fn check_pure(file: &File, complaints: &mut Complaints) {
    let code = file.code().shipped;
    for word in IMPURE.iter().chain(&PANICS).chain(&PRINTS) {
        for at in occurrences(&code, word) {
            complaints.add(&file.path, line_of(&code, at), format!("`{word}` in a pure layer"));
        }
    }
    for at in occurrences(&code, ".expect(") {
        // Blanking keeps the bytes in place, so the message stands in the text where it stood.
        let message = file.text[at..].split('"').nth(1).unwrap_or_default();
        if message.split_whitespace().count() < EXPECT_WORDS_MIN {
            let complaint = format!("`.expect({message:?})` does not state why it cannot fail");
            complaints.add(&file.path, line_of(&code, at), complaint);
        }
    }
}

pub(super) fn check_everywhere(file: &File, complaints: &mut Complaints) {
    let code = file.code();
    for word in UNFINISHED {
        for at in occurrences(&code.all, word) {
            complaints.add(&file.path, line_of(&code.all, at), format!("`{word}`"));
        }
    }
    for note in NOTES {
        for at in occurrences(&file.text, note) {
            complaints.add(&file.path, line_of(&file.text, at), format!("a note `{note}`"));
        }
    }
    // What is printed is printed by the command line; elsewhere it is a leftover.
    if file.path.starts_with("src/") && file.module() != "cli" {
        for word in PRINTS {
            for at in occurrences(&code.shipped, word) {
                complaints.add(&file.path, line_of(&code.shipped, at), format!("`{word}` outside of the command line"));
            }
        }
    }
}

pub(super) fn check_settle(file: &File, complaints: &mut Complaints) {
    if file.path == "src/cluster/apply.rs" || file.path.starts_with("tests/sim/") {
        return;
    }
    let code = file.code().all;
    for call in [".settle(", "Plan::settle"] {
        for at in occurrences(&code, call) {
            complaints.add(&file.path, line_of(&code, at), "settles a plan");
        }
    }
}

/// Cargo.lock names the registry by its format; everything else must do without.
pub(super) fn check_hosts(file: &File, complaints: &mut Complaints) {
    if file.path == "Cargo.lock" || file.path.starts_with("tests/data/corpus/") {
        return;
    }
    for host in HOSTS {
        if let Some(at) = file.text.find(host) {
            complaints.add(&file.path, line_of(&file.text, at), format!("names {host}"));
        }
    }
}

#[test]
fn tidy_finds_effects_but_not_in_words_or_tests() {
    let complaints = |text: &str| {
        let mut complaints = Complaints::default();
        check_pure(&File { path: "src/plan/x.rs".to_owned(), text: text.to_owned() }, &mut complaints);
        complaints.count()
    };
    assert_eq!(complaints("use std::fs;\nfn f() { a.unwrap(); b.expect(\"some\"); }"), 3);
    assert_eq!(
        complaints(
            "// std::fs\nfn f() { g(\"tokio\"); unwrap(); Instantly; b.expect(\"the list was filled two lines above\"); }"
        ),
        0
    );
    assert_eq!(complaints("fn f() {}\n#[cfg(test)]\nmod tests { fn g() { a.unwrap(); } }"), 0);
}
