//! Backs up folders of this machine. A snapshot is seen by others only when everything that it names is in the repository.

mod watched;

use std::path::Path;
use std::sync::Arc;

use jiff::Zoned;
use rustic_core::repofile::SnapshotFile;
use rustic_core::{
    BackupOptions, Excludes, LocalSource, LocalSourceFilterOptions, LocalSourceSaveOptions, RusticError,
    SnapshotOptions, StringList,
};
use thiserror::Error;

use super::engine::Snapshots;
use super::lock::Held;
use super::open::{OpenError, Opened};
use super::store::{FileId, StoreError};
pub use watched::Unread;
use watched::Watched;

/// On snapshots that lack something; no keep rule counts them.
pub const INCOMPLETE: &str = "holdfast-incomplete";

/// Whose backup it is: restic groups and finds snapshots by these.
#[derive(Clone, Debug)]
pub struct Labels {
    pub host: String,
    pub tags: Vec<String>,
    pub time: Zoned,
}

/// What was stored.
#[derive(Clone, Debug)]
pub struct Stored {
    pub snapshot: FileId,
    pub files: u64,
    pub bytes: u64,
    /// What is not in it; with any of that the snapshot has the tag [`INCOMPLETE`].
    pub unread: Unread,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BackupError {
    #[error("{path} cannot be read: {reason}")]
    NoSource { path: String, reason: String },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("nothing was stored: {0}")]
    Store(#[from] StoreError),
    #[error("nothing was stored: {0}")]
    Failed(String),
}

/// Backs up one folder or file. `lock` is a shared one at least.
pub fn backup(opened: &Opened, lock: Arc<Held>, path: &Path, labels: &Labels) -> Result<Stored, BackupError> {
    let failed = |error: Box<RusticError>| BackupError::Failed(error.display_log());
    std::fs::symlink_metadata(path)
        .map_err(|error| BackupError::NoSource { path: path.display().to_string(), reason: error.to_string() })?;
    let (engine, repository) = opened.work(Some(lock), Snapshots::WhenReleased)?;
    let repository = repository.to_indexed_ids().map_err(failed)?;
    let paths = [path.to_owned()];
    let source = LocalSource::new(
        LocalSourceSaveOptions::default(),
        &Excludes::default(),
        &LocalSourceFilterOptions::default(),
        &paths,
    );
    let source = Watched::new(source.map_err(failed)?);
    let options = BackupOptions::default().no_scan(true);
    let archived = repository.archive(&options, &source, labelled(labels).map_err(failed)?, &paths);
    let snapshot = archived.map_err(failed)?;
    let unread = source.unread();
    let summary = snapshot.summary.clone().unwrap_or_default();
    if unread.count > 0 {
        engine.discard();
        let mut incomplete = snapshot;
        incomplete.tags.add(INCOMPLETE.to_owned());
        repository.save_snapshots(vec![incomplete]).map_err(failed)?;
    }
    let released = engine.release()?;
    let snapshot = released.first().copied().ok_or_else(|| BackupError::Failed("no snapshot was made".to_owned()))?;
    Ok(Stored { snapshot, files: summary.total_files_processed, bytes: summary.total_bytes_processed, unread })
}

fn labelled(labels: &Labels) -> Result<SnapshotFile, Box<RusticError>> {
    let tags: Vec<StringList> = labels.tags.iter().filter_map(|tag| tag.parse().ok()).collect();
    SnapshotFile::from_options(
        &SnapshotOptions::default().host(labels.host.clone()).time(labels.time.clone()).tags(tags),
    )
}
