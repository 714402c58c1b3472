//! What a foreign addon says of its work in its `output.json`, as an outcome.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde::Deserialize;

use super::answer::Answer;
use super::complaint::complaint;
use crate::model::finding::StepReason;
use crate::model::step::{HostOutcome, SnapshotOutcome};

/// As Stash names it.
const FILE: &str = "output.json";
/// More than a status of hundreds of hosts takes.
const BYTES_MAX: u64 = 1 << 20;
const SECONDS_PER_MINUTE: u64 = 60;

pub(super) fn run(folder: &str, host: &str, answer: &Answer) {
    let path = Path::new(folder).join(FILE);
    let read = read(&path).map_err(|error| error.to_string()).and_then(|text| hosts(&text, host));
    let hosts = read.unwrap_or_else(|reason| vec![without_result(host, &format!("{}: {reason}", path.display()))]);
    for one in &hosts {
        match &one.error {
            None => tracing::info!(host = one.host, snapshots = one.snapshots.len(), "the addon succeeded"),
            Some(failed) => tracing::error!(host = one.host, reason = failed.reason.as_str(), "{}", failed.message),
        }
    }
    answer.note(|outcome| outcome.hosts = hosts);
}

#[expect(clippy::disallowed_methods, reason = "what another container has written, with a limit on its size")]
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > BYTES_MAX { Err(io::Error::other("it is larger than 1 MiB")) } else { Ok(text) }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    target_status: TargetStatus,
}

/// Of a backup or of a restore, which has no snapshots.
#[derive(Deserialize)]
struct TargetStatus {
    #[serde(default)]
    stats: Option<Vec<HostStats>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HostStats {
    hostname: String,
    phase: String,
    duration: String,
    error: String,
    snapshots: Option<Vec<SnapshotStats>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SnapshotStats {
    name: String,
    path: String,
    total_size: String,
    uploaded: String,
    processing_time: String,
    file_stats: FileStats,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_field_names, reason = "named as they are written")]
struct FileStats {
    total_files: Option<u64>,
    new_files: Option<u64>,
    modified_files: Option<u64>,
}

fn hosts(text: &str, host: &str) -> Result<Vec<HostOutcome>, String> {
    let output: Output = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let stats = output.target_status.stats.unwrap_or_default();
    if stats.is_empty() {
        return Err(format!("it says nothing of host {host}"));
    }
    Ok(stats.into_iter().map(|stats| stats.outcome(host)).collect())
}

fn without_result(host: &str, message: &str) -> HostOutcome {
    let error = Some(complaint(StepReason::NoOutput, message));
    HostOutcome { host: host.to_owned(), error, ..HostOutcome::default() }
}

impl HostStats {
    /// Some addons give no name to the only host.
    fn outcome(self, host: &str) -> HostOutcome {
        let error = match self.phase.as_str() {
            "Succeeded" if self.error.is_empty() => None,
            _ if !self.error.is_empty() => Some(self.error),
            other => Some(format!("the addon gives no reason, and calls its phase {other:?}")),
        };
        HostOutcome {
            host: if self.hostname.is_empty() { host.to_owned() } else { self.hostname },
            error: error.map(|message| complaint(StepReason::AddonFailed, message)),
            snapshots: self.snapshots.into_iter().flatten().map(SnapshotStats::outcome).collect(),
            seconds: seconds(&self.duration).unwrap_or_default(),
            ..HostOutcome::default()
        }
    }
}

impl SnapshotStats {
    fn outcome(self) -> SnapshotOutcome {
        SnapshotOutcome {
            id: self.name,
            path: self.path,
            files: self.file_stats.total_files.unwrap_or_default(),
            new: self.file_stats.new_files.unwrap_or_default(),
            changed: self.file_stats.modified_files.unwrap_or_default(),
            bytes: bytes(&self.total_size).unwrap_or_default(),
            added: bytes(&self.uploaded).unwrap_or_default(),
            unread: 0,
            seconds: seconds(&self.processing_time).unwrap_or_default(),
        }
    }
}

/// `12.345 MiB`, as Stash writes sizes.
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.trim().split_once(' ')?;
    let unit = match unit.trim() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1_u64 << 40,
        _ => return None,
    };
    scaled(number, unit)
}

/// `1h2m3.5s` and `37.19ms` as Go writes durations, or `1:02:03`.
fn seconds(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.contains(':') {
        return text
            .split(':')
            .try_fold(0_u64, |sum, part| sum.checked_mul(SECONDS_PER_MINUTE)?.checked_add(part.parse().ok()?));
    }
    let (mut rest, mut sum) = (text, 0_u64);
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, after) = rest.split_at(end);
        let end = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let seconds = match unit {
            "h" => SECONDS_PER_MINUTE * SECONDS_PER_MINUTE,
            "m" => SECONDS_PER_MINUTE,
            "s" => 1,
            "ms" | "µs" | "us" | "ns" => 0,
            _ => return None,
        };
        sum = sum.checked_add(scaled(number, seconds)?)?;
        rest = after;
    }
    Some(sum)
}

/// A decimal number so many times, without what is behind the point in the end. What no counter holds is no number.
fn scaled(number: &str, times: u64) -> Option<u64> {
    /// More digits than any of these texts has.
    const DIGITS_MAX: usize = 9;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let part = part.get(..part.len().min(DIGITS_MAX))?;
    let tenths = 10_u128.pow(u32::try_from(part.len()).ok()?);
    let part: u128 = if part.is_empty() { 0 } else { part.parse().ok()? };
    let whole = u128::from(whole.parse::<u64>().ok()?).checked_mul(u128::from(times))?;
    u64::try_from(whole.checked_add(part.checked_mul(u128::from(times))? / tenths)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_stash_writes_of_a_backup_is_read() {
        let text = r#"{"targetStatus":{"ref":{"kind":"AppBinding","name":"db"},"stats":[{"hostname":"host-0","phase":"Succeeded",
            "duration":"2m33.7s","snapshots":[{"name":"0a1b2c3d","path":"dump.sql","totalSize":"12.345 MiB","uploaded":"1 KiB",
            "processingTime":"1:02:03","fileStats":{"totalFiles":3,"newFiles":1,"modifiedFiles":2,"unmodifiedFiles":0}}]}],
            "conditions":[]}}"#;
        let host = hosts(text, "host-0").unwrap().remove(0);
        assert_eq!((host.host.as_str(), host.seconds, &host.error), ("host-0", 153, &None));
        let snapshot = &host.snapshots[0];
        assert_eq!((snapshot.id.as_str(), snapshot.path.as_str()), ("0a1b2c3d", "dump.sql"));
        assert_eq!((snapshot.files, snapshot.new, snapshot.changed), (3, 1, 2));
        assert_eq!((snapshot.bytes, snapshot.added, snapshot.seconds), (12_944_670, 1024, 3723));
    }

    #[test]
    fn a_host_without_success_has_an_error() {
        for (stats, message) in [
            (r#"{"hostname":"a","phase":"Failed","error":"no such database"}"#, "no such database"),
            (r#"{"hostname":"a","phase":"Succeeded","error":"half of it"}"#, "half of it"),
            (r#"{"hostname":"a","phase":"Unknown"}"#, "Unknown"),
            (r#"{"hostname":"a"}"#, "no reason"),
        ] {
            let host = hosts(&format!(r#"{{"targetStatus":{{"stats":[{stats}]}}}}"#), "host-0").unwrap().remove(0);
            let error = host.error.unwrap();
            assert!(error.reason == StepReason::AddonFailed && error.message.contains(message), "{stats}: {error:?}");
        }
        let unnamed = r#"{"targetStatus":{"stats":[{"phase":"Succeeded"}]}}"#;
        assert_eq!(hosts(unnamed, "host-0").unwrap()[0].host, "host-0");
        for nothing in ["", "{}", "[]", r#"{"targetStatus":{"stats":null}}"#, r#"{"targetStatus":{"stats":[]}}"#] {
            assert!(hosts(nothing, "host-0").is_err(), "{nothing}");
        }
    }

    #[test]
    fn sizes_and_durations_are_read_as_they_are_written() {
        for (text, expected) in [
            ("0 B", Some(0)),
            ("1023 B", Some(1023)),
            ("1.500 KiB", Some(1536)),
            ("2.000 TiB", Some(2 << 40)),
            ("99999999999 TiB", None),
            ("12 MB", None),
            ("12", None),
            ("", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
        for (text, expected) in [
            ("0s", Some(0)),
            ("37.192988ms", Some(0)),
            ("1h2m3.9s", Some(3723)),
            ("0:07", Some(7)),
            ("1:00:07", Some(3607)),
            ("soon", None),
            ("12", None),
            ("1:x", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in ".{0,60}", numbers in "[0-9.:hms]{0,40}") {
            let _ = (hosts(&text, "host-0"), bytes(&text), seconds(&text), bytes(&format!("{numbers} MiB")), seconds(&numbers));
        }
    }
}
