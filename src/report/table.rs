//! Tables of Markdown that stay readable and within what a forge shows.

use std::fmt::Write as _;

use super::escape::code;
use super::target::{TargetFile, can_exist};
use crate::model::object::TargetKey;

/// A README stays readable, and forges stop rendering long ones.
pub(super) const README_BYTES_MAX: usize = 64 * 1024;
/// Rows of one table of complaints, and bytes of it.
const ROWS_MAX: usize = 100;
const TABLE_BYTES_MAX: usize = 24 * 1024;
/// What complaints leave to the namespaces.
const NAMESPACES_BYTES: usize = 12 * 1024;
/// For the sentence below a table that was cut.
pub(super) const REST_BYTES: usize = 200;

/// As many of the rows as a person reads and a forge shows; the others are counted, and are in `rest`.
pub(super) fn complaints(out: &mut String, rows: impl Iterator<Item = String>, rest: &str) {
    let room = TABLE_BYTES_MAX.min((README_BYTES_MAX - NAMESPACES_BYTES).saturating_sub(out.len()));
    let begin = out.len();
    let (mut shown, mut omitted) = (0, 0);
    for row in rows {
        if omitted > 0 || shown == ROWS_MAX || out.len() - begin + row.len() + REST_BYTES > room {
            omitted += 1;
        } else {
            out.push_str(&row);
            shown += 1;
        }
    }
    if omitted > 0 {
        let _ = writeln!(out, "\n{omitted} more are in [`{rest}`]({rest}).");
    }
    out.push('\n');
}

/// `kind.name`.
pub(super) fn name(target: &TargetKey) -> String {
    format!("{}.{}", target.kind.as_str().to_ascii_lowercase(), target.name)
}

/// `namespace/kind.name`.
pub(super) fn spoken(target: &TargetKey) -> String {
    format!("{}/{}", target.namespace, name(target))
}

/// The text of a link: names of Kubernetes need no escape, all others do.
pub(super) fn shown(target: &TargetKey, text: String) -> String {
    if can_exist(target) { text } else { code(&text) }
}

/// Why a target is as it is.
pub(super) fn why(file: &TargetFile) -> String {
    let refused = file.conditions.iter().map(|condition| condition.message.as_str()).find(|text| !text.is_empty());
    let worst = file.backups.iter().min_by_key(|backup| backup.state());
    let text = refused.or_else(|| worst.and_then(|backup| backup.past.why()));
    text.map_or("–".to_owned(), code)
}

/// `2026-11-21T02:00:00Z` as `2026-11-21 02:00`.
pub(super) fn minute(time: &str) -> String {
    time.get(..16).unwrap_or(time).replace('T', " ")
}
