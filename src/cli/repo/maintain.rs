//! Init, check, tags, keys and locks.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::args::{CheckArgs, InitArgs, KeyCommand, TagArgs, UnlockArgs};
use super::exit;
use super::list::{selected, short};
use super::secret;
use super::session::{Session, maker};
use super::show::{counted, progress, while_working};
use crate::cli::output::print;
use crate::clock;
use crate::repository::{self, Cancel, Depth, FileKind, Mode, Snapshots, TagChange, Version, keys};

pub(super) fn init(session: &Session<'_>, args: &InitArgs) -> anyhow::Result<ExitCode> {
    let store = session.store(&session.address()?, Cancel::default())?;
    let version = if args.repository_version == 1 { Version::V1 } else { Version::V2 };
    repository::init(&*store, &session.password()?, version, &maker())?;
    let text = if session.args.json {
        format!("{}\n", json!({ "message_type": "initialized", "repository": store.location() }))
    } else {
        format!("repository made at {}; without its password nothing can be restored from it\n", store.location())
    };
    session.report(&text)
}

pub(super) fn check(session: &Session<'_>, args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let depth = match &args.read_data_subset {
        None if args.read_data => Depth::All,
        None => Depth::Structure,
        Some(part) => depth(part)?,
    };
    let repository = session.open_uncached()?;
    let _lock = session.lock(&repository, Mode::Exclusive)?;
    let progress = progress(session.args);
    let checked = while_working(session.args, &progress, || {
        repository::check(&repository.opened, depth, &progress, &session.cancel)
    })?;
    if session.cancel.is_cancelled() {
        bail!("it was cancelled");
    }
    let text = if session.args.json {
        let findings: Vec<Value> =
            checked.findings.iter().map(|one| json!({ "error": one.is_error(), "message": one.to_string() })).collect();
        let summary = json!({
            "message_type": "summary",
            "sound": checked.is_sound(),
            "snapshots": checked.snapshots,
            "packs": checked.packs,
            "packs_read": checked.packs_read,
            "findings": findings,
        });
        format!("{summary}\n")
    } else {
        let mut text = String::new();
        for finding in &checked.findings {
            let level = if finding.is_error() { "error" } else { "note" };
            let _ = writeln!(text, "{level}: {finding}");
        }
        let verdict = if checked.is_sound() { "no errors were found" } else { "the repository is damaged" };
        let _ = writeln!(
            text,
            "{}, {}, {} of them read",
            counted(checked.snapshots, "snapshot"),
            counted(checked.packs, "pack"),
            checked.packs_read
        );
        let _ = writeln!(text, "{verdict}");
        text
    };
    if checked.is_sound() {
        return session.report(&text);
    }
    print(&text)?;
    Ok(ExitCode::from(exit::FAILED))
}

/// `2/7` or `10%`.
fn depth(text: &str) -> anyhow::Result<Depth> {
    let seed = u64::try_from(clock::now().as_nanosecond() & i128::from(u64::MAX)).unwrap_or_default();
    if let Some(percent) = text.strip_suffix('%') {
        let percent = percent.parse().ok().filter(|percent| (1..=100).contains(percent));
        let percent = percent.with_context(|| format!("{text:?} is no part: give 1% to 100%"))?;
        return Ok(Depth::Percent { percent, seed });
    }
    let parts = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
    match parts {
        Some((part, of)) if (1..=of).contains(&part) && of <= 256 => Ok(Depth::Part { part, of }),
        Some(_) | None => bail!("{text:?} is no part: give 2/7 for the second of seven (256 at most), or 10%"),
    }
}

pub(super) fn tag(session: &Session<'_>, args: &TagArgs) -> anyhow::Result<ExitCode> {
    let set = |tags: &[String]| tags.iter().filter(|tag| !tag.is_empty()).cloned().collect();
    let change = TagChange { set: args.set.as_deref().map(set), add: set(&args.add), remove: set(&args.remove) };
    if change.set.is_none() && change.add.is_empty() && change.remove.is_empty() {
        bail!("no change: give --set, --add or --remove");
    }
    let repository = session.open()?;
    let lock = session.lock(&repository, Mode::Exclusive)?;
    let all = Snapshots::read(&repository.opened)?;
    let mut changed = 0;
    for snapshot in selected(&all, &args.snapshots, &args.select)? {
        if let Some(new) = repository::tag(&repository.opened, &lock, snapshot, &change)? {
            changed += 1;
            if !session.args.json {
                session.report(&format!("snapshot {} is {} now\n", short(snapshot.id), short(new)))?;
            }
        }
    }
    session.report(&if session.args.json {
        format!("{}\n", json!({ "message_type": "summary", "changed": changed }))
    } else {
        format!("{} changed\n", counted(changed, "snapshot"))
    })
}

pub(super) fn key(session: &Session<'_>, command: &KeyCommand) -> anyhow::Result<ExitCode> {
    let repository = session.open()?;
    let opened = &repository.opened;
    let (added, removed) = match command {
        KeyCommand::List => return list_keys(session, &keys::list(opened)?),
        KeyCommand::Add(args) => {
            let lock = session.lock(&repository, Mode::Shared)?;
            (Some(keys::add(opened, &lock, &secret::text(&args.new_password_file)?, &maker())?), None)
        }
        KeyCommand::Remove { key } => {
            let _lock = session.lock(&repository, Mode::Exclusive)?;
            (None, Some(keys::remove(opened, key)?))
        }
        KeyCommand::Passwd(args) => {
            let lock = session.lock(&repository, Mode::Exclusive)?;
            let id = keys::change(opened, &lock, &secret::text(&args.new_password_file)?, &maker())?;
            (Some(id), Some(opened.key))
        }
    };
    if session.args.json {
        let summary = json!({ "message_type": "summary", "added": added, "removed": removed });
        return session.report(&format!("{summary}\n"));
    }
    let mut text = String::new();
    for (key, word) in [(added, "added"), (removed, "removed")] {
        if let Some(key) = key {
            let _ = writeln!(text, "key {} {word}", short(key));
        }
    }
    session.report(&text)
}

fn list_keys(session: &Session<'_>, keys: &[keys::KeyFacts]) -> anyhow::Result<ExitCode> {
    if session.args.json {
        let list: Vec<Value> = keys
            .iter()
            .map(|key| {
                json!({ "current": key.own, "id": key.id, "userName": key.username, "hostName": key.hostname, "created": key.created })
            })
            .collect();
        return print(&format!("{}\n", Value::from(list)));
    }
    let mut text = String::new();
    for key in keys {
        let mark = if key.own { '*' } else { ' ' };
        let created = key.created.map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default();
        let _ = writeln!(text, "{mark}{}  {}@{}  {created}", short(key.id), key.username, key.hostname);
    }
    print(&text)
}

pub(super) fn unlock(session: &Session<'_>, args: &UnlockArgs) -> anyhow::Result<ExitCode> {
    let repository = session.open()?;
    let now = clock::now();
    let mut removed = 0;
    if args.remove_all {
        // Also those that nobody can read.
        for (id, _) in repository.opened.store().list(FileKind::Lock)? {
            repository.locks.remove(id)?;
            removed += 1;
        }
    } else {
        for (id, lock) in repository.locks.list()? {
            if lock.is_stale(now) {
                repository.locks.remove(id)?;
                removed += 1;
            } else {
                eprintln!("holdfast: left: {}", lock.spoken(now));
            }
        }
    }
    session.report(&if session.args.json {
        format!("{}\n", json!({ "message_type": "summary", "removed": removed }))
    } else {
        format!("{} removed\n", counted(removed, "lock"))
    })
}
