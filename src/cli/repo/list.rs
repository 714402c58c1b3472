//! Snapshots as a table or as restic's JSON, and what they take.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::args::{SelectArgs, StatsArgs, StatsMode};
use super::session::Session;
use super::show::{bytes, counted};
use crate::cli::output::print;
use crate::repository::{FileId, Filter, Mode, Reader, Snapshot, Snapshots, absolute, restore_size, stats as count};

/// Digits of a name that are enough for people.
const SHORT: usize = 8;

pub(super) fn filter(args: &SelectArgs) -> anyhow::Result<Filter> {
    let tags = |text: &String| text.split(',').map(|tag| tag.trim().to_owned()).collect();
    Ok(Filter {
        hosts: args.host.iter().cloned().collect(),
        tags: args.tag.iter().map(tags).collect(),
        paths: args.path.iter().map(|path| named(path)).collect::<anyhow::Result<_>>()?,
    })
}

/// As the snapshot names it. What was backed up on Windows has names that are no paths here.
fn named(path: &str) -> anyhow::Result<String> {
    if path.starts_with("\\\\") || path.get(1..3).is_some_and(|drive| matches!(drive, ":\\" | ":/")) {
        return Ok(path.to_owned());
    }
    let named = absolute(Path::new(path)).with_context(|| format!("{path:?} is no path"))?;
    Ok(named.display().to_string())
}

/// By name, or all that the filter leaves.
pub(super) fn selected<'a>(
    all: &'a Snapshots,
    names: &[String],
    select: &SelectArgs,
) -> anyhow::Result<Vec<&'a Snapshot>> {
    let filter = filter(select)?;
    if names.is_empty() {
        return Ok(all.all.iter().filter(|snapshot| filter.matches(snapshot)).collect());
    }
    names.iter().map(|name| Ok(all.select(name, &filter)?)).collect()
}

pub(super) fn short(id: FileId) -> String {
    id.to_string().chars().take(SHORT).collect()
}

pub(super) fn json_of(snapshot: &Snapshot) -> Value {
    let time = snapshot.time.timestamp().display_with_offset(snapshot.time.offset()).to_string();
    let mut value = json!({
        "id": snapshot.id,
        "short_id": short(snapshot.id),
        "time": time,
        "tree": snapshot.tree,
        "paths": snapshot.paths,
        "hostname": snapshot.host,
        "username": snapshot.username,
    });
    if !snapshot.tags.is_empty() {
        value["tags"] = json!(snapshot.tags);
    }
    if let (Some(files), Some(bytes)) = (snapshot.files, snapshot.bytes) {
        value["summary"] = json!({ "total_files_processed": files, "total_bytes_processed": bytes });
    }
    value
}

pub(super) fn snapshots(session: &Session<'_>, args: &SelectArgs) -> anyhow::Result<ExitCode> {
    let repository = session.open()?;
    let all = Snapshots::read(&repository.opened)?;
    for lost in &all.lost {
        eprintln!("holdfast: {lost}");
    }
    let chosen = selected(&all, &[], args)?;
    if session.args.json {
        let list: Vec<_> = chosen.iter().map(|snapshot| json_of(snapshot)).collect();
        return print(&format!("{}\n", Value::from(list)));
    }
    print(&table(&chosen))
}

fn table(snapshots: &[&Snapshot]) -> String {
    let rows = snapshots.iter().map(|snapshot| {
        let size = snapshot.bytes.map(bytes).unwrap_or_default();
        let time = snapshot.time.strftime("%Y-%m-%d %H:%M:%S").to_string();
        [short(snapshot.id), time, snapshot.host.clone(), size, snapshot.paths.join(", "), snapshot.tags.join(", ")]
    });
    let head = ["ID", "TIME", "HOST", "SIZE", "PATHS", "TAGS"].map(str::to_owned);
    let rows: Vec<_> = [head].into_iter().chain(rows).collect();
    let widths = [0, 1, 2, 3, 4].map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths.into_iter().chain([0])) {
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let _ = writeln!(text, "{}", counted(snapshots.len() as u64, "snapshot"));
    text
}

pub(super) fn stats(session: &Session<'_>, args: &StatsArgs) -> anyhow::Result<ExitCode> {
    let repository = session.open()?;
    let lock = session.lock(&repository, Mode::Shared)?;
    let all = Snapshots::read(&repository.opened)?;
    let names: Vec<_> = args.snapshot.iter().cloned().collect();
    let chosen = selected(&all, &names, &args.select)?;
    let reader = Reader::new(&repository.opened)?;
    let value = match args.mode {
        StatsMode::RawData => {
            let stats = count(&reader, &chosen, &session.cancel)?;
            json!({
                "total_size": stats.stored_bytes,
                "total_uncompressed_size": stats.plain_bytes,
                "total_blob_count": stats.blobs,
                "snapshots_count": stats.snapshots,
            })
        }
        StatsMode::RestoreSize => {
            let sizes: Result<Vec<_>, _> = chosen.iter().map(|snapshot| restore_size(&reader, snapshot)).collect();
            let sizes = sizes.context("a snapshot cannot be counted")?;
            json!({
                "total_size": sizes.iter().map(|size| size.bytes).sum::<u64>(),
                "total_file_count": sizes.iter().map(|size| size.files).sum::<u64>(),
                "snapshots_count": chosen.len(),
            })
        }
    };
    drop(lock);
    if session.args.json {
        return print(&format!("{value}\n"));
    }
    let size = value["total_size"].as_u64().map(bytes).unwrap_or_default();
    print(&format!("{}, {size} in all\n", counted(chosen.len() as u64, "snapshot")))
}
