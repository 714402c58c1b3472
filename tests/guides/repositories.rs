//! The page on repositories, in one shell from its beginning to its end. It needs no cluster.

use std::fs;
use std::path::Path;
use std::process::Command;

use regex::Regex;

use crate::pages::{Block, NOT_RUN, blocks};

const PAGE: &str = "docs/guides/repositories.md";
/// All of it, in order; `what_another_test_runs_is_named_there` reads them.
const HEADINGS: [&str; 11] = [
    "Make one",
    "Back up",
    "See what is there",
    "Restore",
    "Remove what is old",
    "Look for damage",
    "Tags and passwords",
    "Copy to a second place",
    "When it is locked",
    "With restic",
    "In scripts",
];
const END: &str = "--- end of the block ---";
/// What the reader dumps.
const DUMP: &str = "create table orders (id);\n\n";

/// Commands, and what the page says that they print.
fn steps() -> Vec<(Block, Option<String>)> {
    let all: Vec<Block> = blocks().into_iter().filter(|block| block.page == PAGE).collect();
    let shown = |at: usize| all.get(at + 1).filter(|next| next.language == "text").map(|next| next.text.clone());
    let left_out =
        |block: &Block| NOT_RUN.iter().any(|(page, begins, _)| *page == PAGE && block.text.starts_with(begins));
    let steps = all.iter().enumerate().filter(|(_, block)| block.language == "sh" && !left_out(block));
    steps.map(|(at, block)| (block.clone(), shown(at))).collect()
}

/// A zone where no day ends while the page is read: its rules count days.
fn noon() -> String {
    let hour = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).hour();
    format!("NOON{}", i32::from(hour) - 12)
}

/// Runs all of them as a reader does, and gives what each prints.
fn printed(home: &Path, steps: &[(Block, Option<String>)]) -> Vec<String> {
    let one_after = |all: String, (block, _): &(Block, _)| format!("{all}{}\necho '{END}'\n", block.text);
    let commands = steps.iter().fold(String::new(), one_after);
    let commands = commands.replace("pg_dump shop", "cat dump");
    let own = Path::new(env!("CARGO_BIN_EXE_holdfast")).parent().expect("a program is in a folder").display();
    let output = Command::new("timeout")
        .args(["--kill-after=5", "120", "bash", "-eu", "-c", &format!("exec 2>&1\n{commands}")])
        .current_dir(home)
        .env_clear()
        .env("PATH", format!("{own}:{}", std::env::var("PATH").unwrap_or_default()))
        .envs([("HOME", home), ("RESTIC_HOST", Path::new("laptop")), ("USER", Path::new("me"))])
        .env("TZ", noon())
        .output()
        .expect("bash runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{PAGE} failed and said:\n{said}");
    said.split(&format!("{END}\n")).take(steps.len()).map(str::to_owned).collect()
}

/// With words in the place of what differs each time: names, times, sizes of what is random, and the width of columns.
fn steady(text: &str, home: &str) -> String {
    let rules = [
        (r"\b[0-9a-f]{8}\b", "ID"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
        (r"(added|\(|freed|snapshots,) [\d.]+ (B|KiB)", "$1 SIZE"),
        (r"\([\d.]+ (B|KiB) stored\)", "(SIZE stored)"),
        (r"\d+ packs?", "N packs"),
        (r"\d+ (kept|of them read|written anew|B stay)", "N $1"),
        (r"me@\S+", "me@laptop"),
        (r" +", " "),
    ];
    let text = text.replace(home, "/home/me");
    rules.iter().fold(text, |text, (pattern, word)| {
        Regex::new(pattern).expect("a pattern").replace_all(&text, *word).into_owned()
    })
}

#[test]
fn the_page_on_repositories_shows_what_its_commands_print() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let path = home.path().canonicalize().expect("it is there");
    fs::create_dir(path.join("documents")).expect("made");
    for (name, text) in [("list.txt", "Bread\n"), ("letter", "Dear,\n"), ("draft.tmp", "left out")] {
        fs::write(path.join("documents").join(name), text).expect("written");
    }
    fs::write(path.join("dump"), DUMP).expect("written");
    let steps = steps();
    let printed = printed(&path, &steps);
    let mut headings: Vec<&str> = steps.iter().map(|(block, _)| block.heading.as_str()).collect();
    headings.dedup();
    assert_eq!(headings, HEADINGS);
    let home = path.to_str().expect("UTF-8");
    for ((block, shown), printed) in steps.iter().zip(&printed) {
        if let Some(shown) = shown {
            assert_eq!(steady(shown, home), steady(printed, home), "{}: left: the page", block.place());
        }
    }
    let of = |heading: &str| {
        let found = steps.iter().zip(&printed).filter(|((block, _), _)| block.heading == heading);
        found.map(|(_, printed)| printed.as_str()).collect::<String>()
    };
    let read = |file: &str| fs::read_to_string(path.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    for folder in [format!("restored{home}/documents"), "documents.restored".to_owned()] {
        assert_eq!(read(&format!("{folder}/list.txt")), "Bread\nBuy milk\n");
        assert_eq!(read(&format!("{folder}/letter")), "Dear,\n");
        assert!(!path.join(folder).join("draft.tmp").exists());
    }
    assert!(!path.join(format!("one{home}/documents/letter")).exists());
    assert_eq!(read("shop.sql"), DUMP);
    let restic = of("With restic");
    assert!(restic.contains("no errors were found") && restic.contains(DUMP), "{restic}");
    let listed = of("In scripts");
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap_or_else(|error| panic!("{error}: {listed}"));
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "quiet, and then JSON");
}
