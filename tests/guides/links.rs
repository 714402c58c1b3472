//! Links between the pages: each leads to a file of the repository, and to a heading that it has.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::pages::{pages, root};

/// The text outside of blocks of code.
fn prose(text: &str) -> String {
    let mut inside = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// As forges make them of headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    let slug = |heading: &str| heading.to_lowercase().chars().filter(kept).collect::<String>().trim().replace(' ', "-");
    headings.map(slug).collect()
}

fn complaint(page: &Path, link: &str) -> Option<String> {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let folder = page.parent().expect("a page is in a folder");
    let target = if path.is_empty() { page.to_owned() } else { folder.join(path) };
    if !target.exists() {
        return Some(format!("{}: {link} leads nowhere", page.display()));
    }
    let has = |target: &Path| anchors(&prose(&fs::read_to_string(target).expect("a page"))).contains(anchor);
    (!anchor.is_empty() && !has(&target)).then(|| format!("{}: {link} has no such heading", page.display()))
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_of_it() {
    let more = ["ARCHITECTURE.md", "CONTRIBUTING.md", "policies/README.md"].map(|page| root().join(page));
    let pages: Vec<PathBuf> = pages().into_iter().chain(more).collect();
    let (mut seen, mut complaints) = (0, Vec::new());
    for page in &pages {
        let text = prose(&fs::read_to_string(page).expect("pages are text"));
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        for link in targets.filter(|target| !target.starts_with("https://")) {
            seen += 1;
            complaints.extend(complaint(page, link));
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert!(seen > 50, "{seen} links in {} pages", pages.len());
}
