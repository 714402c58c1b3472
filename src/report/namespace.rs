//! `targets/<namespace>/README.md`: one row per target. It says nothing that changes with every run, so that it is not written
//! with every run.

use std::fmt::Write as _;

use super::escape::code;
use super::index::Row;
use super::table::{README_BYTES_MAX, REST_BYTES, name, shown, why};

pub(super) fn readme(folder: &str, rows: &[Row]) -> String {
    let namespace = rows.first().map_or("", |row| row.file.target.namespace.as_str());
    let title = rows.first().map_or(String::new(), |row| shown(&row.file.target, namespace.to_owned()));
    let mut out = format!(
        "# Backups of namespace {title}\n\n| target | state | blueprint | schedule | last success | why |\n|---|---|---|---|---|---|\n"
    );
    let mut omitted = 0;
    for row in rows {
        let line = line(folder, row);
        if out.len() + line.len() > README_BYTES_MAX - REST_BYTES { omitted += 1 } else { out.push_str(&line) }
    }
    if omitted > 0 {
        let _ = writeln!(out, "\n{omitted} more targets are files in this folder.");
    }
    out
}

fn line(folder: &str, row: &Row) -> String {
    let relative = row.path.strip_prefix(folder).map_or(row.path, |path| path.trim_start_matches('/'));
    let join = |values: Vec<String>| if values.is_empty() { "–".to_owned() } else { values.join("<br>") };
    let backups = &row.file.backups;
    let day = |time: jiff::Timestamp| time.to_string().chars().take(10).collect();
    format!(
        "| [{}]({relative}) | {} | {} | {} | {} | {} |\n",
        shown(&row.file.target, name(&row.file.target)),
        row.file.state.as_str(),
        join(backups.iter().filter_map(|backup| backup.blueprint.as_deref().map(code)).collect()),
        join(backups.iter().filter_map(|backup| backup.schedule.as_deref().map(code)).collect()),
        join(backups.iter().filter_map(|backup| backup.past.last_success.map(day)).collect()),
        why(row.file),
    )
}
