//! The pages for users, held to what they say: every block of commands runs, in the order of its page, on a real API server and
//! a real Git server; every document is accepted; lists are those of the code, and links lead somewhere.
#![expect(clippy::disallowed_methods, reason = "the tests start programs, read pages, and have deadlines")]

#[path = "../harness/mod.rs"]
mod harness;

mod links;
mod pages;
mod read;
mod repositories;
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::panic::AssertUnwindSafe;
use std::process::Command;

use futures::FutureExt as _;

use serde_json::Value;

use pages::{Block, NOT_RUN, RUN_ELSEWHERE, blocks, blocks_of, root};
use world::World;

#[tokio::test(flavor = "multi_thread")]
async fn every_block_of_commands_runs_and_does_what_its_page_says() {
    let Some(world) = World::new().await else { return };
    let read = AssertUnwindSafe(read::everything(&world)).catch_unwind().await;
    world.clear();
    if let Err(failure) = read {
        std::panic::resume_unwind(failure);
    }
}

#[test]
fn what_is_not_run_is_there_once() {
    let blocks = blocks();
    for (page, begins, why) in NOT_RUN {
        let of_entry = |block: &&Block| block.page == page && block.language == "sh" && block.text.starts_with(begins);
        assert_eq!(blocks.iter().filter(of_entry).count(), 1, "{page}: {begins} ({why})");
    }
    let unknown: Vec<String> = blocks
        .iter()
        .filter(|block| !["", "diff", "json", "sh", "text", "yaml"].contains(&block.language.as_str()))
        .map(Block::place)
        .collect();
    assert!(unknown.is_empty(), "blocks in a language that no test reads: {unknown:?}");
}

#[test]
fn what_another_test_runs_is_named_there() {
    for (page, folder) in RUN_ELSEWHERE {
        let sources = fs::read_dir(root().join(folder)).expect("the test is there");
        let sources: String = sources
            .map(|file| fs::read_to_string(file.expect("the folder can be read").path()).expect("sources are text"))
            .collect();
        assert!(sources.contains(page), "{folder} does not read {page}");
        let blocks = blocks_of(page, "sh");
        assert!(!blocks.is_empty(), "{page} has no commands");
        for block in blocks {
            assert!(sources.contains(&format!("\"{}\"", block.heading)), "{folder} does not run {}", block.place());
        }
    }
}

/// The packages of `tests/prerequisites.sh` that everybody needs; what stands indented there is for some only.
#[test]
fn packages_are_those_that_the_script_asks_for() {
    let script = fs::read_to_string(root().join("tests/prerequisites.sh")).expect("it is there");
    let asks = script.lines().filter(|line| line.starts_with("command_of ") || line.starts_with("file_of "));
    let asked: BTreeSet<&str> = asks.filter_map(|line| line.split_whitespace().last()).collect();
    let readme = blocks_of("README.md", "sh").into_iter().find(|block| block.text.starts_with("apt-get"));
    let line = readme.expect("README.md says what to install").text;
    let shown: BTreeSet<&str> = line.split_whitespace().skip(2).filter(|word| !word.starts_with('-')).collect();
    assert!(asked.len() > 5, "{asked:?}");
    assert_eq!(shown, asked, "left: README.md, right: tests/prerequisites.sh");
}

/// What is read is judged by `holdfast check`, all of one page together; what is written, by its schema. Fragments have no
/// `apiVersion`.
#[test]
fn every_document_of_a_page_is_accepted() {
    let mut documents = 0;
    let blocks: Vec<Block> =
        blocks().into_iter().filter(|block| matches!(block.language.as_str(), "yaml" | "json")).collect();
    let pages: BTreeSet<&String> = blocks.iter().map(|block| &block.page).collect();
    for page in pages {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for block in blocks.iter().filter(|block| block.page == *page) {
            let parsed = holdfast::yaml::parse(block.text.as_bytes(), &holdfast::yaml::Limits::default());
            let parsed = parsed.unwrap_or_else(|error| panic!("{}: {error:?}", block.place()));
            let of_kind = |document: &Value, kind: &str| document.get("kind").is_some_and(|one| one == kind);
            for document in parsed.iter().map(|document| &document.value) {
                let Some(written) = holdfast::schema::written().find(|crd| of_kind(document, crd.kind)) else {
                    continue;
                };
                let issues = written.check(document);
                assert!(issues.is_empty(), "{}: {issues:?}", block.place());
                documents += 1;
            }
            let is_input = |document: &Value| {
                document.get("apiVersion").is_some()
                    && !holdfast::schema::written().any(|crd| of_kind(document, crd.kind))
            };
            let inputs = parsed.iter().filter(|document| is_input(&document.value)).count();
            documents += inputs;
            if inputs > 0 {
                let name = format!("line-{}.{}", block.line, block.language);
                fs::write(folder.path().join(name), &block.text).expect("written");
            }
        }
        let output = Command::new(env!("CARGO_BIN_EXE_holdfast"))
            .args(["check", "."])
            .current_dir(folder.path())
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{page}: {}", String::from_utf8_lossy(&output.stdout));
    }
    assert!(documents >= 10, "{documents}");
}

#[test]
fn functions_and_limits_of_policies_are_those_of_the_code() {
    let page = "docs/concepts/policies.md";
    let listed = blocks_of(page, "text").into_iter().next().expect("the page lists the functions").text;
    let listed: Vec<&str> = listed.split_whitespace().collect();
    assert_eq!(
        listed,
        holdfast::expression::function_names().collect::<Vec<_>>(),
        "left: {page}, right: src/expression"
    );
    let text = fs::read_to_string(root().join(page)).expect("it is there");
    let row = |begins: &str| {
        let row = text.lines().find(|line| line.starts_with(&format!("| {begins} |")));
        let cell = row.and_then(|row| row.split('|').nth(2)).unwrap_or_else(|| panic!("no row {begins}"));
        cell.replace([',', ' '], "").replace("units", "")
    };
    for (begins, limit) in [
        ("bytes of an expression", holdfast::expression::LENGTH_MAX as u64),
        ("`all`, `map` and the like within each other", holdfast::expression::NESTING_MAX as u64),
        ("cost of one evaluation", holdfast::expression::COST_MAX),
        ("cost of one policy in one pass", holdfast::policy::BUDGET),
    ] {
        assert_eq!(row(begins), limit.to_string(), "{begins}");
    }
    for root in holdfast::model::policy::ROOTS {
        assert!(text.contains(&format!("| `{root}` |")), "{page} does not explain {root}");
    }
}
