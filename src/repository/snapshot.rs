//! A snapshot: when, of what and by whom, and the tree that holds it.

use bytes::Bytes;
use jiff::Zoned;
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
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
    summary: Option<Summary>,
    #[serde(default)]
    original: Option<FileId>,
}

#[derive(Deserialize)]
struct Summary {
    #[serde(default)]
    total_bytes_processed: Option<u64>,
    #[serde(default)]
    total_files_processed: Option<u64>,
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
        let summary = written.summary;
        Ok(Self {
            id,
            time: written.time,
            host: written.hostname,
            username: written.username,
            paths: written.paths.unwrap_or_default(),
            tags: written.tags.unwrap_or_default(),
            tree: written.tree,
            bytes: summary.as_ref().and_then(|summary| summary.total_bytes_processed),
            files: summary.and_then(|summary| summary.total_files_processed),
            original: written.original,
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
    fn what_is_no_snapshot_says_so() {
        for text in ["", "{}", r#"{"time":"yesterday"}"#] {
            let error = Snapshot::parse(FileId([0; 32]), text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("is no snapshot"), "{error}");
        }
    }
}
