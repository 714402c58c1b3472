//! What was measured, as one table for people.

use std::fmt::Write as _;

/// One line of the table.
pub(crate) struct Row {
    what: String,
    value: String,
    aim: String,
    ratio: String,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, value: impl Into<String>) -> Self {
        Self { what: what.into(), value: value.into(), aim: String::new(), ratio: String::new() }
    }

    /// The aim in words, and whether it is met.
    pub(crate) fn aim(self, aim: &str, met: bool) -> Self {
        let verdict = if met { "met" } else { "**missed**" };
        Self { aim: format!("{aim}: {verdict}"), ..self }
    }

    /// `value` over `other`, both of this run; `to` says what the other is.
    pub(crate) fn ratio(self, value: f64, other: f64, to: &str) -> Self {
        Self { ratio: format!("{:.2} of {to}", value / other), ..self }
    }
}

/// The table in Markdown.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut out = "| measurement | value | aim | ratio, in this run |\n|---|---|---|---|\n".to_owned();
    for Row { what, value, aim, ratio } in rows {
        let _ = writeln!(out, "| {what} | {value} | {aim} | {ratio} |");
    }
    out
}

/// Seconds as people read them.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.2} s") }
}

pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.0} MiB", to_f64(bytes) / f64::from(1 << 20))
}

#[expect(clippy::cast_precision_loss, reason = "numbers for people: three digits are shown")]
pub(crate) fn to_f64(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}
