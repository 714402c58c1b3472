//! `README.md` of the branch: what a person sees first on the forge.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;

use super::escape::code;
use super::memory::ClusterFile;
use super::overview;
use super::table::{README_BYTES_MAX, REST_BYTES, complaints, minute, shown, spoken, why};
use super::target::{State, TargetFile, folder};
use crate::model::names::is_label;
use crate::model::object::TargetKey;
use crate::model::plan::Plan;

/// Where entries of the plan are, all of them or the first thousand.
const FINDINGS: &str = "findings.yaml";
const TARGETS: &str = "targets";

/// One target with the place of its file.
pub(super) struct Row<'a> {
    pub path: &'a str,
    pub file: &'a TargetFile,
}

/// Targets of one namespace, counted by state.
#[derive(Default)]
struct Tally {
    targets: usize,
    states: BTreeMap<State, usize>,
}

impl Tally {
    fn of(&self, state: State) -> usize {
        self.states.get(&state).copied().unwrap_or(0)
    }
}

/// With the picture of the last 30 days, if there is one.
pub(super) fn readme(cluster: &ClusterFile, plan: &Plan, rows: &[Row], has_picture: bool) -> String {
    let tallies = tally(rows);
    let mut out = format!("# Backups of {}\n\n", cluster.cluster.name);
    summary(&mut out, &tallies, rows.len());
    let applied = cluster
        .source
        .applied
        .as_deref()
        .map_or("nothing yet".to_owned(), |applied| format!("[`{}`](cluster.yaml)", short(applied)));
    let _ = writeln!(
        out,
        "Applied: {applied}. Findings: [{} held, {} refused, {} warning{}{}](findings.yaml).\n",
        plan.held.len(),
        plan.refusals.len(),
        plan.warnings.len(),
        if plan.warnings.len() == 1 { "" } else { "s" },
        if plan.coverage.is_empty() { String::new() } else { format!(", {} uncovered", plan.uncovered.len()) }
    );
    if has_picture {
        let _ = writeln!(out, "![{}]({})\n", overview::TITLE, overview::FILE);
    }
    failing(&mut out, rows);
    refused_targets(&mut out, rows);
    uncovered(&mut out, plan);
    refused_and_held(&mut out, plan);
    namespaces(&mut out, &tallies);
    out
}

fn summary(out: &mut String, tallies: &BTreeMap<&str, Tally>, targets: usize) {
    let total = |state: State| tallies.values().map(|tally| tally.of(state)).sum::<usize>();
    let (refused, running) = (total(State::Refused), total(State::Running));
    let needing = refused + total(State::Failed) + total(State::Overdue);
    let seldom = |count: usize, word: &str| if count == 0 { String::new() } else { format!(", {count} {word}") };
    let _ = writeln!(
        out,
        "{needing} of {targets} target{} {} you. {} succeeded, {} failed, {} overdue{}, {} waiting, {} paused{}.",
        if targets == 1 { "" } else { "s" },
        if needing == 1 { "needs" } else { "need" },
        total(State::Succeeded),
        total(State::Failed),
        total(State::Overdue),
        seldom(running, "running"),
        total(State::Waiting),
        total(State::Paused),
        seldom(refused, "refused"),
    );
}

/// One row per namespace.
fn namespaces(out: &mut String, tallies: &BTreeMap<&str, Tally>) {
    out.push_str(
        "## All targets\n\n| namespace | targets | succeeded | failed | overdue | other |\n|---|---|---|---|---|---|\n",
    );
    let mut omitted = 0;
    for (namespace, tally) in tallies {
        let (succeeded, failed, overdue) =
            (tally.of(State::Succeeded), tally.of(State::Failed), tally.of(State::Overdue));
        let row = format!(
            "| [{}]({}/README.md) | {} | {succeeded} | {failed} | {overdue} | {} |\n",
            if is_label(namespace) { (*namespace).to_owned() } else { code(namespace) },
            folder(namespace),
            tally.targets,
            tally.targets - succeeded - failed - overdue,
        );
        if out.len() + row.len() > README_BYTES_MAX - REST_BYTES { omitted += 1 } else { out.push_str(&row) }
    }
    if omitted > 0 {
        let _ = writeln!(out, "\n{omitted} more namespaces are in [`targets/`](targets).");
    }
}

fn tally<'a>(rows: &'a [Row]) -> BTreeMap<&'a str, Tally> {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for row in rows {
        let tally = tallies.entry(&row.file.target.namespace).or_default();
        tally.targets += 1;
        *tally.states.entry(row.file.state).or_default() += 1;
    }
    tallies
}

/// Failures before slots that were missed, each by name.
fn failing(out: &mut String, rows: &[Row]) {
    let of = |state: State| rows.iter().filter(move |row| row.file.state == state);
    let failing: Vec<&Row> = of(State::Failed).chain(of(State::Overdue)).collect();
    if failing.is_empty() {
        return;
    }
    out.push_str(
        "## Failing and overdue\n\n| target | state | since (UTC) | why | last success (UTC) |\n|---|---|---|---|---|\n",
    );
    let lines = failing.iter().map(|row| {
        let worst = row.file.backups.iter().min_by_key(|backup| backup.state());
        let since = worst.and_then(|backup| backup.past.complaint()).map(|complaint| complaint.since);
        let success = worst.and_then(|backup| backup.past.last_success);
        let time = |time: Option<Timestamp>| time.map_or("–".to_owned(), |time| minute(&time.to_string()));
        let state = row.file.state.as_str();
        format!("| {} | {state} | {} | {} | {} |\n", link(row), time(since), why(row.file), time(success))
    });
    complaints(out, lines, TARGETS);
}

fn refused_targets(out: &mut String, rows: &[Row]) {
    let refused: Vec<&Row> = rows.iter().filter(|row| row.file.state == State::Refused).collect();
    if refused.is_empty() {
        return;
    }
    out.push_str("## Refused targets\n\n| target | since (UTC) | why |\n|---|---|---|\n");
    let lines = refused.iter().map(|row| {
        let since = row.file.conditions.first().map(|condition| minute(&condition.since.to_string()));
        format!("| {} | {} | {} |\n", link(row), since.unwrap_or_default(), why(row.file))
    });
    complaints(out, lines, TARGETS);
}

fn link(row: &Row) -> String {
    let target = &row.file.target;
    format!("[{}]({})", shown(target, spoken(target)), row.path)
}

/// What should be protected and is not, and how much each policy is about.
fn uncovered(out: &mut String, plan: &Plan) {
    if plan.coverage.is_empty() {
        return;
    }
    out.push_str("## Coverage\n\n| policy | to protect | uncovered | exempt |\n|---|---|---|---|\n");
    let lines = plan.coverage.iter().map(|(policy, counted)| {
        format!("| {} | {} | {} | {} |\n", code(policy), counted.targets, counted.uncovered, counted.exempt)
    });
    complaints(out, lines, FINDINGS);
    if plan.uncovered.is_empty() {
        return;
    }
    out.push_str("| target | code | why | policy |\n|---|---|---|---|\n");
    let lines = plan.uncovered.iter().map(|one| {
        let target = spoken(&one.target);
        format!("| {} | {} | {} | {} |\n", code(&target), one.code.as_str(), code(&one.message), code(&one.policy))
    });
    complaints(out, lines, FINDINGS);
}

fn refused_and_held(out: &mut String, plan: &Plan) {
    if plan.refusals.is_empty() && plan.held.is_empty() {
        return;
    }
    out.push_str("## Refused and held\n\n| where | code | what to do |\n|---|---|---|\n");
    let held =
        plan.held.iter().map(|held| (held.at.to_string(), held.code.as_str(), Cow::Borrowed(held.message.as_str())));
    let refused = plan.refusals.iter().map(|refusal| {
        let about = refusal
            .object
            .as_ref()
            .map(|key| format!("{} {}", key.kind.as_str(), key.short()))
            .or_else(|| refusal.target.as_ref().map(TargetKey::spoken));
        let about = about.or_else(|| refusal.at.as_ref().map(ToString::to_string));
        let message = match (&refusal.policy, &refusal.at) {
            (Some(policy), Some(at)) => Cow::Owned(format!("{} (policy {policy}, {at})", refusal.message)),
            (_, _) => Cow::Borrowed(refusal.message.as_str()),
        };
        (about.unwrap_or_default(), refusal.code.as_str(), message)
    });
    let lines = held
        .chain(refused)
        .map(|(place, reason, message)| format!("| {} | {reason} | {} |\n", code(&place), code(&message)));
    complaints(out, lines, FINDINGS);
}

/// `main@sha1:<40 hex>` as `main@<7 hex>`.
fn short(revision: &str) -> String {
    match revision.split_once("@sha1:") {
        Some((reference, commit)) => format!("{reference}@{}", commit.get(..7).unwrap_or(commit)),
        None => revision.to_owned(),
    }
}
