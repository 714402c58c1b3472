//! The READMEs: what a person sees first on the forge.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::escape::code;
use super::memory::ClusterFile;
use super::target::{State, TargetFile};
use crate::model::object::TargetKey;
use crate::model::plan::Plan;

/// A README stays readable, and forges stop rendering long ones.
const README_BYTES_MAX: usize = 64 * 1024;
/// Rows of one table of complaints, and bytes of it: two of them leave room for the namespaces.
const COMPLAINTS_MAX: usize = 100;
const COMPLAINTS_BYTES_MAX: usize = 24 * 1024;

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

/// `README.md` of the branch.
pub(super) fn readme(cluster: &ClusterFile, plan: &Plan, rows: &[Row]) -> String {
    let tallies = tally(rows);
    let total = |state: State| tallies.values().map(|tally| tally.of(state)).sum::<usize>();
    let mut out = String::new();
    let _ = writeln!(out, "# Backups of {}\n", cluster.cluster.name);
    let refused = total(State::Refused);
    let _ = writeln!(
        out,
        "{refused} of {} target{} {} you. {} waiting, {} paused.",
        rows.len(),
        if rows.len() == 1 { "" } else { "s" },
        if refused == 1 { "needs" } else { "need" },
        total(State::Waiting),
        total(State::Paused)
    );
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
    needing(&mut out, rows);
    uncovered(&mut out, plan);
    complaints(&mut out, plan);
    out.push_str("## All targets\n\n| namespace | targets | refused | waiting | paused |\n|---|---|---|---|---|\n");
    let mut omitted = 0;
    for (namespace, tally) in &tallies {
        let row = format!(
            "| [{namespace}](targets/{namespace}/README.md) | {} | {} | {} | {} |\n",
            tally.targets,
            tally.of(State::Refused),
            tally.of(State::Waiting),
            tally.of(State::Paused)
        );
        if out.len() + row.len() > README_BYTES_MAX - 200 { omitted += 1 } else { out.push_str(&row) }
    }
    if omitted > 0 {
        let _ = writeln!(out, "\n{omitted} more namespaces are in [`targets/`](targets).");
    }
    out
}

/// `targets/<namespace>/README.md`.
pub(super) fn namespace_readme(namespace: &str, rows: &[&Row]) -> String {
    let mut out = format!(
        "# Backups of namespace {namespace}\n\n| target | state | blueprint | schedule | next run (UTC) | why |\n|---|---|---|---|---|---|\n"
    );
    let mut omitted = 0;
    for row in rows {
        let relative = row.path.strip_prefix(&format!("targets/{namespace}/")).unwrap_or(row.path);
        let join = |values: Vec<String>| if values.is_empty() { "–".to_owned() } else { values.join("<br>") };
        let backups = &row.file.backups;
        let line = format!(
            "| [{}]({relative}) | {} | {} | {} | {} | {} |\n",
            name(&row.file.target),
            row.file.state.as_str(),
            join(backups.iter().filter_map(|backup| backup.blueprint.as_deref().map(code)).collect()),
            join(backups.iter().filter_map(|backup| backup.schedule.as_deref().map(code)).collect()),
            join(backups.iter().filter_map(|backup| backup.next_run.as_deref().map(minute)).collect()),
            why(row.file),
        );
        if out.len() + line.len() > README_BYTES_MAX - 200 { omitted += 1 } else { out.push_str(&line) }
    }
    if omitted > 0 {
        let _ = writeln!(out, "\n{omitted} more targets are files in this folder.");
    }
    out
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

fn needing(out: &mut String, rows: &[Row]) {
    let needing: Vec<&Row> = rows.iter().filter(|row| row.file.state == State::Refused).collect();
    if needing.is_empty() {
        return;
    }
    out.push_str("## Targets that need you\n\n| target | state | since (UTC) | why |\n|---|---|---|---|\n");
    let lines = needing.iter().map(|row| {
        let since =
            row.file.conditions.first().map(|condition| minute(&condition.since.to_string())).unwrap_or_default();
        format!(
            "| [{}/{}]({}) | {} | {since} | {} |\n",
            row.file.target.namespace,
            name(&row.file.target),
            row.path,
            row.file.state.as_str(),
            why(row.file)
        )
    });
    table(out, lines);
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
    table(out, lines);
    if plan.uncovered.is_empty() {
        return;
    }
    out.push_str("| target | code | why | policy |\n|---|---|---|---|\n");
    let lines = plan.uncovered.iter().map(|one| {
        let target = format!("{}/{}", one.target.namespace, name(&one.target));
        format!("| {} | {} | {} | {} |\n", code(&target), one.code.as_str(), code(&one.message), code(&one.policy))
    });
    table(out, lines);
}

fn complaints(out: &mut String, plan: &Plan) {
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
    table(out, lines);
}

/// As many of the lines as a person reads and a forge shows; the others are counted.
fn table(out: &mut String, lines: impl Iterator<Item = String>) {
    let begin = out.len();
    let (mut shown, mut omitted) = (0, 0);
    for line in lines {
        if omitted > 0 || shown == COMPLAINTS_MAX || out.len() - begin + line.len() > COMPLAINTS_BYTES_MAX {
            omitted += 1;
        } else {
            out.push_str(&line);
            shown += 1;
        }
    }
    if omitted > 0 {
        let _ = writeln!(out, "\n{omitted} more are in [`findings.yaml`](findings.yaml).");
    }
    out.push('\n');
}

fn name(target: &TargetKey) -> String {
    format!("{}.{}", target.kind.as_str().to_ascii_lowercase(), target.name)
}

fn why(file: &TargetFile) -> String {
    let message = file.conditions.iter().find(|condition| !condition.message.is_empty());
    message.map_or("–".to_owned(), |condition| code(&condition.message))
}

/// `2026-11-21T02:00:00Z` as `2026-11-21 02:00`.
fn minute(time: &str) -> String {
    time.get(..16).unwrap_or(time).replace('T', " ")
}

/// `main@sha1:<40 hex>` as `main@<7 hex>`.
fn short(revision: &str) -> String {
    match revision.split_once("@sha1:") {
        Some((reference, commit)) => format!("{reference}@{}", commit.get(..7).unwrap_or(commit)),
        None => revision.to_owned(),
    }
}
