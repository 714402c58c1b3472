//! Forget and prune: what makes room.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use serde_json::{Value, json};

use super::args::{ForgetArgs, KeepArgs, PruneArgs};
use super::list::{json_of, selected, short};
use super::session::{Repository, Session};
use super::show::{bytes, counted};
use crate::cli::output::print;
use crate::repository::retention::{Counted, Decision, Group, Keep, Scope, TagList, decide};
use crate::repository::{FileId, Held, Mode, Prune, PrunePlan, Snapshot, Snapshots, forget as remove};

/// As in restic.
const UNUSED_PERCENT: u64 = 5;

fn rules(args: &KeepArgs) -> Keep {
    let counts = [
        (Counted::Last, args.keep_last),
        (Counted::Hourly, args.keep_hourly),
        (Counted::Daily, args.keep_daily),
        (Counted::Weekly, args.keep_weekly),
        (Counted::Monthly, args.keep_monthly),
        (Counted::Yearly, args.keep_yearly),
    ];
    Keep::new(counts, args.keep_tag.iter().map(|tags| TagList::parse(tags)))
}

pub(super) fn forget(session: &Session<'_>, args: &ForgetArgs) -> anyhow::Result<ExitCode> {
    let keep = rules(&args.keep);
    if args.snapshots.is_empty() && keep.is_empty() {
        bail!("nothing to forget: name snapshots, or say with --keep-last, --keep-daily, … which are kept");
    }
    let scope = Scope::Repository(args.group_by.parse()?);
    let repository = session.open()?;
    let lock = session.lock(&repository, Mode::Exclusive)?;
    let all = Snapshots::read(&repository.opened)?;
    let chosen = selected(&all, &args.snapshots, &args.select)?;
    let gone: Vec<FileId> = if args.snapshots.is_empty() {
        let judged: Vec<_> = chosen.into_iter().cloned().collect();
        let groups = decide(&judged, &keep, &scope);
        let told = told(session, &groups, &judged);
        if args.plan {
            print(&told)?
        } else {
            session.report(&told)?
        };
        groups
            .iter()
            .flat_map(|group| &group.decided)
            .filter(|one| one.decision == Decision::Remove)
            .map(|one| one.snapshot)
            .collect()
    } else {
        chosen.iter().map(|snapshot| snapshot.id).collect()
    };
    if args.plan {
        return Ok(ExitCode::SUCCESS);
    }
    remove(&repository.opened, &lock, &gone)?;
    if !session.args.json {
        session.report(&format!("{} forgotten\n", counted(gone.len() as u64, "snapshot")))?;
    }
    if args.prune {
        return run_prune(session, &repository, lock, UNUSED_PERCENT, false);
    }
    Ok(ExitCode::SUCCESS)
}

fn told(session: &Session<'_>, groups: &[Group], snapshots: &[Snapshot]) -> String {
    let of = |id: FileId| snapshots.iter().find(|snapshot| snapshot.id == id);
    if session.args.json {
        let groups: Vec<Value> = groups
            .iter()
            .map(|group| {
                let with = |removed: bool| -> Vec<Value> {
                    let decided = group.decided.iter().filter(|one| (one.decision == Decision::Remove) == removed);
                    decided.filter_map(|one| of(one.snapshot)).map(json_of).collect()
                };
                let first = group.decided.first().and_then(|one| of(one.snapshot));
                let (host, paths) = first.map(|one| (one.host.clone(), one.paths.clone())).unwrap_or_default();
                json!({ "host": host, "paths": paths, "keep": with(false), "remove": with(true) })
            })
            .collect();
        return format!("{}\n", Value::from(groups));
    }
    let mut text = String::new();
    for one in groups.iter().flat_map(|group| &group.decided) {
        let Some(snapshot) = of(one.snapshot) else { continue };
        let why = match &one.decision {
            Decision::Keep(rules) => {
                format!("kept: {}", rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
            }
            Decision::Remove => "removed".to_owned(),
            Decision::Hold(hold) => format!("kept: {hold}"),
        };
        let time = snapshot.time.strftime("%Y-%m-%d %H:%M:%S");
        let _ =
            writeln!(text, "{}  {time}  {}  {}  {why}", short(snapshot.id), snapshot.host, snapshot.paths.join(", "));
    }
    text
}

pub(super) fn prune(session: &Session<'_>, args: &PruneArgs) -> anyhow::Result<ExitCode> {
    let repository = session.open()?;
    let lock = session.lock(&repository, Mode::Exclusive)?;
    run_prune(session, &repository, lock, args.max_unused, args.plan)
}

fn run_prune(
    session: &Session<'_>,
    repository: &Repository,
    lock: Arc<Held>,
    unused_percent: u64,
    only_plan: bool,
) -> anyhow::Result<ExitCode> {
    let prune = Prune::plan(&repository.opened, lock, unused_percent, &session.cancel)?;
    let plan = if only_plan { prune.plan } else { prune.run(&session.cancel)? };
    let told = told_plan(session, &plan, only_plan);
    if only_plan { print(&told) } else { session.report(&told) }
}

fn told_plan(session: &Session<'_>, plan: &PrunePlan, only_plan: bool) -> String {
    if session.args.json {
        let summary = json!({
            "message_type": "prune",
            "done": !only_plan,
            "packs_removed": plan.remove.len(),
            "packs_repacked": plan.repack.len(),
            "packs_kept": plan.kept_packs,
            "bytes_freed": plan.freed_bytes(),
            "bytes_copied": plan.copied_bytes,
            "bytes_unused": plan.unused_bytes,
        });
        return format!("{summary}\n");
    }
    let (would, frees) = if only_plan { ("would be ", "would free") } else { ("", "freed") };
    format!(
        "{} {would}removed, {} {would}written anew ({} copied), {} kept; {frees} {}, {} stay unused\n",
        counted(plan.remove.len() as u64, "pack"),
        plan.repack.len(),
        bytes(plan.copied_bytes),
        plan.kept_packs,
        bytes(plan.freed_bytes()),
        bytes(plan.unused_bytes),
    )
}
