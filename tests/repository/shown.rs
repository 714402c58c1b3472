//! What is seen of long work: a bar on a terminal, lines of JSON for programs in restic's words, and nothing when that is wished.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::time::Instant;

use regex::Regex;
use serde_json::Value;

use crate::commands::{done, holdfast};
use crate::restic::{PASSWORD, Restic};
use crate::servers::Server;

const MIB: u64 = 1 << 20;
const COLUMNS: usize = 80;

/// Two files that nothing can compress.
fn with_files(bytes: u64) -> Restic {
    let restic = Restic::new();
    for name in ["one", "two"] {
        let mut content = Vec::new();
        let random = File::open("/dev/urandom").expect("there is chance");
        random.take(bytes / 2).read_to_end(&mut content).expect("read");
        restic.write(name, &content);
    }
    restic
}

/// On a server, for a folder has no limit.
fn slow(restic: &Restic, server: &Server, arguments: &[&str]) -> Command {
    let mut command = holdfast(restic, arguments);
    command.env("RESTIC_REPOSITORY", server.repository("some").address);
    command
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What is on a screen after all of this was written to it: only what `indicatif` makes use of is known.
fn screen(written: &str) -> String {
    let mut rows: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut column) = (0_usize, 0_usize);
    let mut characters = written.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' => column = 0,
            '\n' => row += 1,
            '\u{1b}' => {
                let sequence: String =
                    std::iter::from_fn(|| characters.next_if(|next| !next.is_ascii_alphabetic())).collect();
                let many = sequence.trim_start_matches('[').parse().unwrap_or(1);
                match characters.next().expect("a sequence ends") {
                    'A' => row = row.saturating_sub(many),
                    'B' => row += many,
                    'K' => rows[row].clear(),
                    'm' | 'h' | 'l' => {}
                    other => panic!("this screen does not know {sequence:?} {other}"),
                }
            }
            shown => {
                if column == COLUMNS {
                    (row, column) = (row + 1, 0);
                }
                rows.resize_with(rows.len().max(row + 1), Vec::new);
                let line = &mut rows[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = shown;
                column += 1;
            }
        }
        rows.resize_with(rows.len().max(row + 1), Vec::new);
    }
    let lines = rows.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// `script` of util-linux gives the program a pseudo terminal and copies what comes out of it.
#[test]
fn a_terminal_shows_rate_and_estimate_and_in_the_end_only_the_result() {
    let Some(server) = Server::start("rclone") else { return };
    let restic = with_files(64 * MIB);
    let init = slow(&restic, &server, &["--quiet", "init"]).output().expect("it runs");
    assert!(init.status.success() && init.stdout.is_empty() && init.stderr.is_empty(), "{init:?}");
    let files = restic.files();
    let command = slow(&restic, &server, &["--limit-upload=8192", "backup", files.to_str().expect("UTF-8")]);
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(|word| word.to_str());
    let line: Vec<&str> = words.map(|word| word.expect("UTF-8")).collect();
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--flush", "/dev/null", "--command"]);
    script.arg(format!("stty cols {COLUMNS} rows 24; exec {}", line.join(" ")));
    script.env_clear().env("PATH", std::env::var("PATH").unwrap_or_default()).env("TERM", "xterm");
    script.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = script.stdin(Stdio::null()).output().expect("util-linux is installed");
    let written = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{written}");

    let bar =
        r"\d\d:\d\d:\d\d \[[=> ]+\] (\d+)% [\d.]+ [KMi]*B of 64.00 MiB, [\d.]+ [KMi]*B/s, \d+[ms][^,]* left, \d files?";
    let bar = Regex::new(bar).expect("a pattern");
    let percent: Vec<u32> = bar.captures_iter(&written).map(|found| found[1].parse().expect("a number")).collect();
    assert!(percent.is_sorted() && percent.iter().any(|percent| (1..100).contains(percent)), "{percent:?}\n{written}");
    let left = screen(&written);
    let lines: Vec<&str> = left.lines().filter(|line| !line.is_empty()).collect();
    let [counts, read, saved] = lines[..] else { panic!("more is left on the screen: {left}") };
    assert_eq!(counts, "files: 2 new, 0 changed, 0 unmodified, 0 not stored");
    assert!(read.starts_with("read 64.00 MiB, added 64.") && saved.ends_with(" saved"), "{left}");
}

#[test]
fn programs_read_one_object_a_line_until_the_summary() {
    let Some(server) = Server::start("rclone") else { return };
    // More than is on the way to the store at a time, so that in the first second nobody has read it all.
    let (bytes, rate) = (160 * MIB, "--limit-upload=24576");
    let restic = with_files(bytes);
    let init = slow(&restic, &server, &["init", "--json"]).output().expect("it runs");
    assert_eq!(json(&String::from_utf8_lossy(&init.stdout))["message_type"], "initialized", "{init:?}");
    let files = restic.files();
    let begun = Instant::now();
    let mut command = slow(&restic, &server, &[rate, "--json", "backup", files.to_str().expect("UTF-8")]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let lines: Vec<Value> = lines.map(|line| json(&line.expect("UTF-8"))).collect();
    let took = begun.elapsed();
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");

    let (summary, status) = lines.split_last().expect("a summary");
    assert_eq!((&summary["message_type"], &summary["total_bytes_processed"]), (&"summary".into(), &bytes.into()));
    assert!(status.iter().all(|line| line["message_type"] == "status"), "{lines:?}");
    assert!((2..=took.as_secs()).contains(&(status.len() as u64)), "{} lines in {took:?}", status.len());
    let shares: Vec<f64> = status.iter().filter_map(|line| line["percent_done"].as_f64()).collect();
    assert!(shares.is_sorted() && shares.iter().all(|share| (0.0..=1.0).contains(share)), "{shares:?}");
    assert!(shares.iter().any(|share| (0.01..0.99).contains(share)), "{shares:?}");
    for line in status.iter().filter(|line| line.get("percent_done").is_some()) {
        assert_eq!(line["total_bytes"], bytes);
        assert!(line["bytes_done"].as_u64().is_some_and(|done| done <= bytes), "{line}");
    }

    // In restic's words, where it has the same to say.
    restic.done(&["init"]);
    let mut theirs = restic.command(&["backup", "--json", files.to_str().expect("UTF-8")]);
    let theirs = theirs.env("RESTIC_PROGRESS_FPS", "50").output().expect("restic is installed");
    let theirs: Vec<Value> = String::from_utf8_lossy(&theirs.stdout).lines().map(json).collect();
    let names = |lines: &[Value], of: &str| -> BTreeSet<String> {
        let objects = lines.iter().filter(|line| line["message_type"] == of).filter_map(Value::as_object);
        objects.flat_map(|object| object.keys().cloned()).collect()
    };
    for (of, own) in [("status", &[][..]), ("summary", &["data_added_packed", "files_unread"])] {
        let (ours, mut known) = (names(&lines, of), names(&theirs, of));
        // What is 0 restic leaves out, and a backup may be done before it says that one of its two files is.
        known.extend((of == "status").then(|| "files_done".to_owned()));
        let others: Vec<&String> = ours.difference(&known).collect();
        assert_eq!(others, own.iter().collect::<Vec<_>>(), "{of}");
        assert!(ours.len() > 4, "{ours:?}");
    }
    let their_summary = theirs.last().expect("a summary");
    for name in ["files_new", "files_changed", "files_unmodified", "total_files_processed", "total_bytes_processed"] {
        assert_eq!(summary[name], their_summary[name], "{name}");
    }
}

/// Every command, on a repository with two snapshots, in the order in which each has something to do.
const COMMANDS: [&[&str]; 13] = [
    &["backup", "FILES"],
    &["snapshots"],
    &["stats"],
    &["stats", "--mode", "raw-data"],
    &["check", "--read-data"],
    &["restore", "latest", "--target", "TARGET"],
    &["tag", "--add", "tag"],
    &["forget", "--keep-last", "1", "--plan"],
    &["forget", "--keep-last", "1", "--prune"],
    &["prune"],
    &["key", "list"],
    &["key", "add", "--new-password-file", "PASSWORD"],
    &["unlock"],
];

/// A repository with a snapshot of ours, and what stands in the commands for what is in it.
fn with_a_snapshot() -> (Restic, impl Fn(&[&str]) -> Vec<String>) {
    let restic = Restic::new();
    restic.write("file", b"content");
    let folder = restic.files();
    let folder = folder.parent().expect("a parent").to_owned();
    std::fs::write(folder.join("password"), PASSWORD).expect("written");
    done(&restic, &["--quiet", "init"]);
    let filled_in = move |words: &[&str]| -> Vec<String> {
        let place = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
        let word = |word: &&str| match *word {
            "FILES" => place("files"),
            "TARGET" => place("target"),
            "PASSWORD" => place("password"),
            other => other.to_owned(),
        };
        words.iter().map(word).collect()
    };
    let backup = filled_in(&["--quiet", "backup", "FILES"]);
    done(&restic, &backup.iter().map(String::as_str).collect::<Vec<_>>());
    (restic, filled_in)
}

#[test]
fn every_command_speaks_json() {
    let (restic, filled_in) = with_a_snapshot();
    for words in COMMANDS {
        let words = filled_in(words);
        let words: Vec<&str> = std::iter::once("--json").chain(words.iter().map(String::as_str)).collect();
        let printed = done(&restic, &words);
        // How far it is, is told once a second: by some on a slow machine.
        let lines = printed.lines().map(json).filter(|line| line["message_type"] != "status");
        let lines: Vec<Value> = lines.collect();
        assert!(!lines.is_empty(), "{words:?} says nothing");
        match words[1] {
            "snapshots" => assert_eq!(lines[0].as_array().map(Vec::len), Some(2), "{printed}"),
            "forget" => {
                assert_eq!(lines[0][0]["keep"].as_array().map(Vec::len), Some(1), "{printed}");
                assert_eq!(lines[0][0]["remove"].as_array().map(Vec::len), Some(1), "{printed}");
                assert_eq!(lines.get(1).is_some(), words.contains(&"--prune"), "{printed}");
            }
            "check" => assert_eq!((&lines[0]["sound"], &lines[0]["snapshots"]), (&true.into(), &2.into()), "{printed}"),
            "restore" => assert_eq!(lines[0]["files_restored"], 1, "{printed}"),
            "stats" => assert_eq!(lines[0]["snapshots_count"], 2, "{printed}"),
            "tag" => assert_eq!(lines[0]["changed"], 2, "{printed}"),
            "unlock" => assert_eq!(lines[0]["removed"], 0, "{printed}"),
            "key" if words[2] == "list" => assert_eq!(lines[0][0]["current"], true, "{printed}"),
            "key" => assert!(lines[0]["added"].is_string() && lines[0]["removed"].is_null(), "{printed}"),
            "prune" => assert_eq!(lines[0]["done"], true, "{printed}"),
            "backup" => assert_eq!(lines.last().expect("one")["files_unmodified"], 1, "{printed}"),
            other => panic!("what does {other} print?"),
        }
    }
    let listed = json(&done(&restic, &["snapshots", "--json"]));
    let theirs = json(&restic.done(&["snapshots", "--json"]));
    for name in ["id", "short_id", "tree", "paths", "hostname", "username", "tags"] {
        assert_eq!(listed[0][name], theirs[0][name], "{name}");
    }
}

#[test]
fn quiet_prints_only_what_was_asked_for() {
    let (restic, filled_in) = with_a_snapshot();
    for words in COMMANDS {
        let asked = words.contains(&"--plan") || matches!(words[0], "snapshots" | "stats") || words[1..] == ["list"];
        let words = filled_in(words);
        let words: Vec<&str> = std::iter::once("--quiet").chain(words.iter().map(String::as_str)).collect();
        let output = holdfast(&restic, &words).output().expect("it runs");
        assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
        assert_eq!(output.stdout.is_empty(), !asked, "{words:?}: {}", String::from_utf8_lossy(&output.stdout));
    }
    let packs = restic.packs();
    std::fs::write(&packs[0], b"damaged").expect("written");
    let damaged = holdfast(&restic, &["--quiet", "check"]).output().expect("it runs");
    assert_eq!(damaged.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&damaged.stdout).contains("the repository is damaged"), "{damaged:?}");
}
