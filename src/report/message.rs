//! The message of a status commit: what changed, then trailers for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::escape::line;
use super::memory::{Memory, is_target_file};

/// Lines of the list; more would hide the trailers.
const LINES_MAX: usize = 50;

/// What a commit is about.
#[derive(Clone, Copy, Debug)]
pub struct Commit<'a> {
    pub cluster_name: &'a str,
    pub cluster_uid: &'a str,
    /// `main@sha1:<40 hex>`, where the source has a revision.
    pub source_revision: Option<&'a str>,
    /// `<pod>/<version>`.
    pub writer: &'a str,
    /// Paths that change, of which those of targets are listed.
    pub changed: &'a [&'a str],
    /// The ref and the commit where the history until now is kept, if this commit has no parent because of that.
    pub archived: Option<(&'a str, &'a str)>,
    /// As the files of the commit say.
    pub memory: &'a Memory,
}

pub fn message(commit: &Commit) -> String {
    let mut lines: Vec<(u8, &'static str, String)> = Vec::new();
    for path in commit.changed.iter().filter(|path| is_target_file(path)) {
        lines.push(about(path, commit.memory));
    }
    lines.sort();
    let mut counts: BTreeMap<(u8, &str), usize> = BTreeMap::new();
    for (rank, word, _) in &lines {
        *counts.entry((*rank, word)).or_default() += 1;
    }
    let counted: Vec<String> = counts.iter().map(|((_, word), count)| format!("{count} {word}")).collect();
    let subject = if counted.is_empty() { "findings and counts".to_owned() } else { counted.join(", ") };
    let mut out = format!("holdfast({}): {subject}\n\n", commit.cluster_name);
    for (_, word, text) in lines.iter().take(LINES_MAX) {
        let _ = writeln!(out, "{word:<9}  {text}");
    }
    if lines.len() > LINES_MAX {
        let _ = writeln!(out, "and {} more", lines.len() - LINES_MAX);
    }
    if !lines.is_empty() {
        out.push('\n');
    }
    if let Some((archive, _)) = commit.archived {
        let _ = writeln!(out, "A new month: the history until here is kept, git fetch origin {archive}\n");
    }
    let _ = writeln!(out, "Holdfast-Cluster: {} {}", commit.cluster_name, commit.cluster_uid);
    if let Some(revision) = commit.source_revision {
        let _ = writeln!(out, "Holdfast-Source-Revision: {revision}");
    }
    let _ = writeln!(out, "Holdfast-Writer: {}", line(commit.writer));
    let _ = writeln!(out, "Holdfast-Objects: {}", lines.len());
    if let Some((archive, tip)) = commit.archived {
        let _ = writeln!(out, "Holdfast-Archive: {archive} {tip}");
    }
    out
}

/// Rank (the worst first), word, and what is said of the target.
fn about(path: &str, memory: &Memory) -> (u8, &'static str, String) {
    let name = path.trim_start_matches("targets/").trim_end_matches(".yaml");
    let Some(conditions) = memory.targets.get(path) else { return (3, "removed", name.to_owned()) };
    let text = conditions.iter().find(|condition| !condition.message.is_empty());
    let said = text.map_or_else(|| name.to_owned(), |condition| format!("{name}: {}", line(&condition.message)));
    match conditions.first().map(|condition| condition.status.as_str()) {
        Some("True") => (2, "waiting", said),
        Some("Unknown") => (1, "held", said),
        _ => match conditions.first().map(|condition| condition.reason.as_str()) {
            Some("CauseMissing") => (2, "leaving", said),
            _ => (0, "refused", said),
        },
    }
}
