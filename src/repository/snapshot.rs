//! A snapshot: when, of what and by whom, and the tree that holds it.

use bytes::Bytes;
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Deserializer, de};
use thiserror::Error;

use super::blob::BlobId;
use super::sealed::{Seal, SealError};
use super::store::{FileId, OTHER_CONTENT};

/// What restic and we need of a snapshot file; it may hold more.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub id: FileId,
    /// With the offset that was the machine's: days and months of retention are its own.
    pub time: Zoned,
    pub host: String,
    pub username: String,
    pub paths: Vec<String>,
    pub tags: Vec<String>,
    pub tree: BlobId,
    /// Of all files in it; programs before restic 0.17 do not write it.
    pub bytes: Option<u64>,
    pub files: Option<u64>,
    /// What it was made of, when its tags were changed or it was copied.
    pub original: Option<FileId>,
    pub summary: Summary,
}

/// What the program that made a snapshot says about that; zero where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub files_new: u64,
    pub files_changed: u64,
    /// Stored anew, before compression.
    pub bytes_added: u64,
    pub seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SnapshotError {
    #[error("snapshot {id}: {error}")]
    Sealed { id: FileId, error: SealError },
    #[error("snapshot {id} is no snapshot: {reason}")]
    NoSnapshot { id: FileId, reason: String },
}

impl SnapshotError {
    pub fn id(&self) -> FileId {
        match self {
            SnapshotError::Sealed { id, .. } | SnapshotError::NoSnapshot { id, .. } => *id,
        }
    }
}

#[derive(Deserialize)]
struct Written {
    #[serde(deserialize_with = "zoned")]
    time: Zoned,
    tree: BlobId,
    #[serde(default)]
    paths: Option<Vec<String>>,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    summary: Option<WrittenSummary>,
    #[serde(default)]
    original: Option<FileId>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WrittenSummary {
    total_bytes_processed: Option<u64>,
    total_files_processed: Option<u64>,
    files_new: Option<u64>,
    files_changed: Option<u64>,
    data_added: Option<u64>,
    backup_start: Option<String>,
    backup_end: Option<String>,
}

impl WrittenSummary {
    fn read(&self) -> Summary {
        let time = |text: &Option<String>| text.as_ref()?.parse::<Timestamp>().ok();
        let took = time(&self.backup_end).zip(time(&self.backup_start)).map(|(end, start)| end.duration_since(start));
        Summary {
            files_new: self.files_new.unwrap_or_default(),
            files_changed: self.files_changed.unwrap_or_default(),
            bytes_added: self.data_added.unwrap_or_default(),
            seconds: took.and_then(|took| u64::try_from(took.as_secs()).ok()).unwrap_or_default(),
        }
    }
}

impl Snapshot {
    pub fn read(id: FileId, sealed: &Bytes, seal: &Seal) -> Result<Self, SnapshotError> {
        if !id.names(sealed) {
            return Err(SnapshotError::NoSnapshot { id, reason: OTHER_CONTENT.to_owned() });
        }
        let plain = seal.open(sealed).map_err(|error| SnapshotError::Sealed { id, error })?;
        Self::parse(id, &plain)
    }

    pub fn parse(id: FileId, plain: &[u8]) -> Result<Self, SnapshotError> {
        let written: Written = serde_json::from_slice(plain)
            .map_err(|error| SnapshotError::NoSnapshot { id, reason: error.to_string() })?;
        let summary = written.summary.unwrap_or_default();
        Ok(Self {
            id,
            time: written.time,
            host: written.hostname,
            username: written.username,
            paths: written.paths.unwrap_or_default(),
            tags: written.tags.unwrap_or_default(),
            tree: written.tree,
            bytes: summary.total_bytes_processed,
            files: summary.total_files_processed,
            original: written.original,
            summary: summary.read(),
        })
    }
}

/// As Go writes it, which keeps an offset and no name of a zone; or as rustic does, with one.
fn zoned<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zoned, D::Error> {
    let text = String::deserialize(deserializer)?;
    if let Ok(zoned) = text.parse() {
        return Ok(zoned);
    }
    let pieces = Pieces::parse(&text).map_err(de::Error::custom)?;
    let time = pieces.time().ok_or_else(|| de::Error::custom("a time of day is missing"))?;
    let zone = pieces.to_numeric_offset().map_or(TimeZone::UTC, TimeZone::fixed);
    pieces.date().to_datetime(time).to_zoned(zone).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_offset() {
        for (written, expected) in [
            ("2026-11-21T19:21:47.123456789+05:30", "2026-11-21T19:21:47.123456789+05:30[+05:30]"),
            ("2026-11-21T19:21:47Z", "2026-11-21T19:21:47+00:00[UTC]"),
            ("2026-11-21T20:21:47+01:00[Europe/Berlin]", "2026-11-21T20:21:47+01:00[Europe/Berlin]"),
        ] {
            let text = format!(r#"{{"time":"{written}","tree":"{:064}","tags":null,"later":1}}"#, 7);
            let snapshot = Snapshot::parse(FileId([0; 32]), text.as_bytes()).unwrap();
            assert_eq!(snapshot.time.to_string(), expected);
        }
    }

    #[test]
    fn what_a_program_says_of_its_backup_is_read() {
        let parse = |summary: &str| {
            let text =
                format!(r#"{{"time":"2026-11-21T19:21:47Z","tree":"{:064}","paths":["/a"],"summary":{summary}}}"#, 7);
            Snapshot::parse(FileId([0; 32]), text.as_bytes()).unwrap().summary
        };
        let written = r#"{"backup_start":"2026-11-21T20:21:47.9+01:00","backup_end":"2026-11-21T19:22:50Z","files_new":3,
            "files_changed":2,"files_unmodified":1,"data_added":77,"later":true}"#;
        assert_eq!(parse(written), Summary { files_new: 3, files_changed: 2, bytes_added: 77, seconds: 62 });
        for nothing in ["null", "{}", r#"{"backup_start":"now","backup_end":"2026-11-21T19:22:50Z"}"#] {
            assert_eq!(parse(nothing), Summary::default(), "{nothing}");
        }
    }

    #[test]
    fn what_is_no_snapshot_says_so() {
        for text in ["", "{}", r#"{"time":"yesterday"}"#] {
            let error = Snapshot::parse(FileId([0; 32]), text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("is no snapshot"), "{error}");
        }
    }
}
