//! The pages for users, and the blocks of code in them.

use std::fs;
use std::path::{Path, PathBuf};

/// Blocks of commands that are not run here: page, beginning, and why.
pub(crate) const NOT_RUN: [(&str, &str, &str); 3] = [
    ("README.md", "make demo", "`.ci/run` runs both, and the tests would run themselves"),
    ("README.md", "apt-get install", "needs root and the network; compared with tests/prerequisites.sh instead"),
    (
        "docs/guides/repositories.md",
        "export AWS_ACCESS_KEY_ID",
        "a bucket of the reader's; tests/repository has one on SeaweedFS",
    ),
];

/// Pages whose commands another test runs, by their headings: page, and the folder of that test.
pub(crate) const RUN_ELSEWHERE: [(&str, &str); 2] =
    [("deploy/README.md", "tests/node"), ("docs/guides/repositories.md", "tests/guides")];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// From the root of the repository.
    pub(crate) page: String,
    /// The `##` that it stands below.
    pub(crate) heading: String,
    /// Of the fence.
    pub(crate) line: usize,
    pub(crate) language: String,
    /// Without the indentation of the list that it stands in.
    pub(crate) text: String,
}

impl Block {
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.page, self.line)
    }

    /// Why it is not run, if so.
    pub(crate) fn not_run(&self) -> Option<&'static str> {
        let of_page = |(page, begins, _): &&(&str, &str, &str)| *page == self.page && self.text.starts_with(begins);
        let elsewhere = RUN_ELSEWHERE.iter().find(|(page, _)| *page == self.page).map(|(_, test)| *test);
        NOT_RUN.iter().find(of_page).map(|(_, _, why)| *why).or(elsewhere)
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All pages for users.
pub(crate) fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = ["README.md", "deploy/README.md"].map(|page| root().join(page)).into();
    walk(&root().join("docs"), &mut |file| file.extension().is_some_and(|end| end == "md"), &mut pages);
    walk(&root().join("examples"), &mut |file| file.ends_with("README.md"), &mut pages);
    pages
}

/// All blocks of all pages, in the order of their pages.
pub(crate) fn blocks() -> Vec<Block> {
    pages().iter().flat_map(|page| of_page(page)).collect()
}

/// The blocks of one page in one language.
pub(crate) fn blocks_of(page: &str, language: &str) -> Vec<Block> {
    of_page(&root().join(page)).into_iter().filter(|block| block.language == language).collect()
}

fn walk(folder: &Path, wanted: &mut impl FnMut(&Path) -> bool, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk(&path, wanted, found);
        } else if wanted(&path) {
            found.push(path);
        }
    }
}

fn of_page(file: &Path) -> Vec<Block> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let page = file.strip_prefix(root()).expect("pages are in the repository").display().to_string();
    let mut blocks = Vec::new();
    let (mut open, mut heading): (Option<(usize, Block)>, &str) = (None, "");
    for (index, line) in text.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        let indentation = line.len() - line.trim_start().len();
        match (&mut open, fence) {
            (None, None) => heading = line.strip_prefix("## ").unwrap_or(heading),
            (None, Some(language)) => {
                let language = language.trim().to_owned();
                let (page, heading) = (page.clone(), heading.to_owned());
                let block = Block { page, heading, line: index + 1, language, text: String::new() };
                open = Some((indentation, block));
            }
            (Some((outer, block)), None) => {
                let spaces = indentation.min(*outer);
                block.text.push_str(&line[spaces..]);
                block.text.push('\n');
            }
            (Some(_), Some(_)) => blocks.extend(open.take().map(|(_, block)| block)),
        }
    }
    assert!(open.is_none(), "{page}: a fence that does not close");
    blocks
}
