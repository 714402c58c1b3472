//! One table over the status branches of many clusters.

use super::memory::ClusterFile;

/// Rows of the table, one a cluster: name, counts, applied revision; a branch that cannot be read says so.
pub fn table(branches: &[(String, Option<ClusterFile>)]) -> String {
    let mut rows = vec![["CLUSTER", "TARGETS", "WAITING", "PAUSED", "REFUSED", "HELD", "APPLIED"].map(str::to_owned)];
    for (branch, file) in branches {
        rows.push(file.as_ref().map_or_else(|| unreadable(branch), row));
    }
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn unreadable(branch: &str) -> [String; 7] {
    let mut row = [const { String::new() }; 7];
    branch.clone_into(&mut row[0]);
    "cluster.yaml cannot be read".clone_into(&mut row[6]);
    row
}

fn row(file: &ClusterFile) -> [String; 7] {
    let count = |name: &str| file.counts.get(name).copied().unwrap_or(0).to_string();
    let applied = file.source.applied.as_deref().unwrap_or("nothing yet");
    let applied = match applied.split_once("@sha1:") {
        Some((reference, commit)) => format!("{reference}@{}", commit.get(..7).unwrap_or(commit)),
        None => applied.to_owned(),
    };
    [
        file.cluster.name.clone(),
        count("targets"),
        count("waiting"),
        count("paused"),
        count("refused"),
        count("held"),
        applied,
    ]
}
