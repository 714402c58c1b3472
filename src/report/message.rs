//! The message of a status commit: which runs ended and what else changed, then trailers for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::escape::line;
use super::memory::{Memory, is_target_file};
use super::target::State;
use crate::model::human;
use crate::model::run::{Run, RunResult};

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

/// What a line is about, in the order of the list: what needs somebody first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    Failed,
    Overdue,
    Refused,
    Held,
    Skipped,
    Succeeded,
    Running,
    Leaving,
    Waiting,
    Paused,
    Changed,
    Removed,
}

impl Word {
    /// In the order of the subject: what a day is made of, then the rest.
    const ALL: [Word; 12] = [
        Word::Succeeded,
        Word::Failed,
        Word::Overdue,
        Word::Refused,
        Word::Held,
        Word::Skipped,
        Word::Running,
        Word::Leaving,
        Word::Waiting,
        Word::Paused,
        Word::Changed,
        Word::Removed,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Word::Failed => "failed",
            Word::Overdue => "overdue",
            Word::Refused => "refused",
            Word::Held => "held",
            Word::Skipped => "skipped",
            Word::Succeeded => "succeeded",
            Word::Running => "running",
            Word::Leaving => "leaving",
            Word::Waiting => "waiting",
            Word::Paused => "paused",
            Word::Changed => "changed",
            Word::Removed => "removed",
        }
    }
}

pub fn message(commit: &Commit) -> String {
    let lines = lines(commit);
    let mut counts: BTreeMap<Word, usize> = BTreeMap::new();
    for (word, _) in &lines {
        *counts.entry(*word).or_default() += 1;
    }
    let counted = |word: &Word| counts.get(word).map(|count| format!("{count} {}", word.as_str()));
    let counted: Vec<String> = Word::ALL.iter().filter_map(counted).collect();
    let subject = if counted.is_empty() { "findings and counts".to_owned() } else { counted.join(", ") };
    let mut out = format!("holdfast({}): {subject}\n\n", commit.cluster_name);
    for (word, text) in lines.iter().take(LINES_MAX) {
        let _ = writeln!(out, "{:<9}  {text}", word.as_str());
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

/// One for each run that ended, and one for each other target that changed.
fn lines(commit: &Commit) -> Vec<(Word, String)> {
    let mut lines = Vec::new();
    let mut told = BTreeSet::new();
    for ended in &commit.memory.ended {
        told.insert(ended.path.as_str());
        let Some((word, said)) = of_run(&ended.run) else { continue };
        let target = line(&ended.target);
        lines.push((word, if said.is_empty() { target } else { format!("{target}: {said}") }));
    }
    for path in commit.changed.iter().filter(|path| is_target_file(path) && !told.contains(**path)) {
        lines.push(of_target(path, commit.memory));
    }
    lines.sort();
    lines
}

fn of_run(run: &Run) -> Option<(Word, String)> {
    let why = || line(if run.message.is_empty() { &run.reason } else { &run.message });
    match run.result {
        RunResult::Failed => Some((Word::Failed, why())),
        RunResult::Skipped => Some((Word::Skipped, why())),
        RunResult::Succeeded => {
            let added = run.added_bytes.map_or("done".to_owned(), |bytes| format!("{} added", size(bytes)));
            let took = run.seconds.map_or(String::new(), |seconds| format!(" in {seconds} s"));
            Some((Word::Succeeded, format!("{added}{took}")))
        }
        RunResult::Running | RunResult::Waiting => None,
    }
}

/// `12.4 MiB`: enough for a line.
fn size(bytes: u64) -> String {
    let exact = human::size(bytes);
    match exact.split_once('.') {
        Some((whole, rest)) if rest.len() > 3 => format!("{whole}.{}{}", &rest[..1], &rest[3..]),
        _ => exact,
    }
}

fn of_target(path: &str, memory: &Memory) -> (Word, String) {
    let name = path.trim_start_matches("targets/").trim_end_matches(".yaml");
    let Some(target) = memory.targets.get(path) else { return (Word::Removed, name.to_owned()) };
    let text = target.conditions.iter().find(|condition| !condition.message.is_empty());
    let said = text.map_or_else(|| name.to_owned(), |condition| format!("{name}: {}", line(&condition.message)));
    let first = target.conditions.first();
    let word = match first.map(|condition| condition.status.as_str()) {
        Some("True") => match target.state {
            Some(State::Overdue) => Word::Overdue,
            Some(State::Running) => Word::Running,
            Some(State::Waiting) => Word::Waiting,
            Some(State::Paused) => Word::Paused,
            Some(State::Refused | State::Failed | State::Succeeded) | None => Word::Changed,
        },
        Some("Unknown") => Word::Held,
        _ if first.is_some_and(|condition| condition.reason == "CauseMissing") => Word::Leaving,
        _ => Word::Refused,
    };
    (word, said)
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_one_digit_behind_the_point() {
        assert_eq!([0, 13_002_451, 1_181_116_006].map(size), ["0 B", "12.4 MiB", "1.1 GiB"]);
    }
}
