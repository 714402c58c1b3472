//! The commands and documents of `deploy/README.md`, with the places of its examples replaced by those of a test.

use std::path::Path;

/// What the page calls them.
pub(crate) const IMAGE: &str = "registry.example.com/holdfast:0.1.0";
pub(crate) const NEXT_IMAGE: &str = "registry.example.com/holdfast:0.2.0";
pub(crate) const GIT_URL: &str = "https://git.example.com/acme/platform";
pub(crate) const TOKEN: &str = "TOKEN";

/// The blocks of one language below a heading, up to the next heading.
pub(crate) fn blocks(heading: &str, language: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/README.md");
    let page = std::fs::read_to_string(file).expect("the page is there");
    let section = page.split("\n## ").find(|section| section.lines().next() == Some(heading));
    let section = section.unwrap_or_else(|| panic!("no heading {heading}"));
    let fence = format!("```{language}\n");
    let blocks = section.split(fence.as_str()).skip(1);
    blocks.filter_map(|rest| Some(rest.split_once("```")?.0.to_owned())).collect()
}

/// The one block of shell commands below a heading.
pub(crate) fn commands(heading: &str) -> String {
    let found = blocks(heading, "sh");
    assert_eq!(found.len(), 1, "{heading}: {found:?}");
    found.into_iter().next().expect("there is one")
}
