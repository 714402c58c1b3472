//! Backup, restore, dump and copy: what moves data.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use jiff::tz::TimeZone;
use serde_json::json;

use super::args::{BackupArgs, CopyArgs, DumpArgs, ExistingFiles, RestoreArgs};
use super::exit;
use super::list::{filter, selected, short};
use super::producer::Producer;
use super::secret;
use super::session::{Session, hostname, username};
use super::show::{bytes, counted, progress, while_working};
use crate::clock;
use crate::repository::{
    self, Backup, Copied, Copying, Existing, Holes, INCOMPLETE, Labels, Mode, Noted, Order, Pattern, Progress, Reader,
    Snapshots, Stored,
};

fn patterns(texts: &[String]) -> anyhow::Result<Vec<Pattern>> {
    texts.iter().map(|text| Ok(text.parse()?)).collect()
}

/// What went wrong with single files, on standard error.
fn tell(noted: &Noted, what: &str) {
    for (path, reason) in &noted.first {
        eprintln!("holdfast: {what}: {}: {reason}", path.display());
    }
    let others = noted.count - noted.first.len() as u64;
    if others > 0 {
        eprintln!("holdfast: {what}: {others} others");
    }
}

pub(super) fn backup(session: &Session<'_>, args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let exclude = patterns(&args.exclude)?;
    let repository = session.open()?;
    let lock = session.lock(&repository, Mode::Shared)?;
    let labels = Labels {
        host: args.host.clone().unwrap_or_else(hostname),
        username: username(),
        tags: args.tags.iter().cloned().collect(),
        time: clock::now().to_zoned(TimeZone::system()),
        clock: clock::now,
    };
    let progress = progress(session.args);
    let backup =
        Backup { opened: &repository.opened, lock, labels: &labels, progress: &progress, cancel: &session.cancel };
    let stored = while_working(session.args, &progress, || {
        if args.stdin {
            return Ok(backup.stream(&args.stdin_filename, io::stdin().lock(), || Ok(()))?);
        }
        if args.stdin_from_command {
            let (mut producer, output) = Producer::start(&args.paths)?;
            return Ok(backup.stream(&args.stdin_filename, output, || producer.ended())?);
        }
        anyhow::Ok(backup.paths(&args.paths, &exclude)?)
    })?;
    tell(&stored.unread, "not stored");
    session.report(&told(session, &stored))?;
    Ok(if stored.unread.count > 0 { ExitCode::from(exit::INCOMPLETE) } else { ExitCode::SUCCESS })
}

fn told(session: &Session<'_>, stored: &Stored) -> String {
    let (counts, added) = (stored.counts, stored.added);
    if session.args.json {
        let summary = json!({
            "message_type": "summary",
            "snapshot_id": stored.snapshot,
            "files_new": counts.files_new,
            "files_changed": counts.files_changed,
            "files_unmodified": counts.files_unmodified,
            "total_files_processed": counts.files(),
            "total_bytes_processed": counts.bytes,
            "data_added": added.bytes,
            "data_added_packed": added.stored_bytes,
            "files_unread": stored.unread.count,
        });
        return format!("{summary}\n");
    }
    let note = if stored.unread.count > 0 { format!(", tagged {INCOMPLETE}") } else { String::new() };
    format!(
        "files: {} new, {} changed, {} unmodified, {} not stored\nread {}, added {} ({} stored)\nsnapshot {} saved{note}\n",
        counts.files_new,
        counts.files_changed,
        counts.files_unmodified,
        stored.unread.count,
        bytes(counts.bytes),
        bytes(added.bytes),
        bytes(added.stored_bytes),
        short(stored.snapshot),
    )
}

pub(super) fn restore(session: &Session<'_>, args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let (name, from) = args.snapshot.split_once(':').unwrap_or((&args.snapshot, ""));
    let order = Order {
        from: PathBuf::from(from.trim_start_matches('/')),
        target: args.target.clone(),
        include: patterns(&args.include)?,
        exclude: patterns(&args.exclude)?,
        existing: args.existing.map(|existing| match existing {
            ExistingFiles::Keep => Existing::Keep,
            ExistingFiles::Delete => Existing::Delete,
        }),
        holes: if args.sparse { Holes::Made } else { Holes::Filled },
    };
    let repository = session.open()?;
    let _lock = session.lock(&repository, Mode::Shared)?;
    let all = Snapshots::read(&repository.opened)?;
    let snapshot = all.select(name, &filter(&args.select)?)?;
    let reader = Reader::new(&repository.opened)?;
    let progress = progress(session.args);
    let restored = while_working(session.args, &progress, || {
        repository::restore(&reader, snapshot, &order, &progress, &session.cancel)
    })?;
    tell(&restored.lost, "not restored");
    tell(&restored.unset, "restored without");
    for aside in &restored.aside {
        eprintln!("holdfast: what was there before lies in {}", aside.display());
    }
    let text = if session.args.json {
        let summary = json!({
            "message_type": "summary",
            "snapshot_id": snapshot.id,
            "files_restored": restored.files,
            "bytes_restored": restored.bytes,
            "files_lost": restored.lost.count,
            "attributes_unset": restored.unset.count,
        });
        format!("{summary}\n")
    } else {
        let (files, size) = (counted(restored.files, "file"), bytes(restored.bytes));
        format!("restored {files}, {size}, of snapshot {} to {}\n", short(snapshot.id), order.target.display())
    };
    session.report(&text)?;
    Ok(if restored.lost.count > 0 { ExitCode::from(exit::FAILED) } else { ExitCode::SUCCESS })
}

pub(super) fn dump(session: &Session<'_>, args: &DumpArgs) -> anyhow::Result<ExitCode> {
    let repository = session.open()?;
    let _lock = session.lock(&repository, Mode::Shared)?;
    let all = Snapshots::read(&repository.opened)?;
    let snapshot = all.select(&args.snapshot, &filter(&args.select)?)?;
    let reader = Reader::new(&repository.opened)?;
    let (progress, out) = (Progress::default(), io::stdout());
    repository::dump(&reader, snapshot, &args.file, &mut out.lock(), &progress, &session.cancel)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn copy(session: &Session<'_>, args: &CopyArgs) -> anyhow::Result<ExitCode> {
    let to = session.open().context("the repository to copy to")?;
    let password = secret::password(args.from_password_file.as_deref(), "RESTIC_FROM_PASSWORD")?;
    let from = session.open_at(&args.from_repo, &password).context("the repository to copy from")?;
    let (lock, _from_lock) = (session.lock(&to, Mode::Shared)?, session.lock(&from, Mode::Shared)?);
    let all = Snapshots::read(&from.opened)?;
    let chosen = selected(&all, &args.snapshots, &args.select)?;
    let reader = Reader::new(&from.opened)?;
    let progress = progress(session.args);
    let copying = Copying::begin((&from.opened, &reader), &to.opened, lock)?;
    for snapshot in chosen {
        let copied = while_working(session.args, &progress, || copying.copy(snapshot, &progress, &session.cancel))?;
        let (id, word) = match copied {
            Copied::New(id) => (id, "copied as"),
            Copied::Known(id) => (id, "is there already as"),
        };
        let text = if session.args.json {
            format!("{}\n", json!({ "message_type": "copied", "from": snapshot.id, "snapshot_id": id }))
        } else {
            format!("snapshot {} {word} {}\n", short(snapshot.id), short(id))
        };
        session.report(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}
