//! Backs up the paths of one host, each into a snapshot of its own. A pod may be started twice: what an earlier one of the same
//! session has stored is not stored again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::HumanBytes;
use jiff::tz::TimeZone;

use super::answer::Answer;
use super::complaint::complaint;
use super::host::{Host, One};
use super::site::{PATIENCE, Repository, Site, USERNAME};
use super::working::{counted, seconds, tell, while_working};
use crate::clock;
use crate::model::finding::StepReason;
use crate::model::step::{BackupWork, Complaint, SESSION_TAG, SnapshotOutcome};
use crate::repository::{Backup, Filter, Held, Labels, Mode, Pattern, Progress, Snapshot, Snapshots, Stored, absolute};

/// Tags that begin so say whose snapshot it is; nobody else may.
const OURS: &str = "holdfast-";

pub(super) fn run(site: &Site<'_>, work: &BackupWork, answer: &Answer) -> Result<(), Complaint> {
    let host = Host::begin(answer, &work.host);
    let order = Order::read(site, work)?;
    let repository = site.open()?;
    let lock = repository.lock(Mode::Shared, PATIENCE)?;
    let before = Snapshots::read(&repository.opened)?;
    for path in &work.paths {
        let one = match order.earlier(&before, path) {
            Some(snapshot) => Ok((found(snapshot, path), None)),
            None => order.store(site, &repository, &lock, path),
        };
        if host.add(path, one)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// On every snapshot of this session and target.
pub(super) fn own_tags(site: &Site<'_>) -> Result<BTreeSet<String>, Complaint> {
    Ok(BTreeSet::from([format!("{SESSION_TAG}{}", site.input.session), site.target()?.to_string()]))
}

/// What is the same for all paths.
struct Order<'a> {
    work: &'a BackupWork,
    exclude: Vec<Pattern>,
    /// Say which session and whose data: a batch has one session for several targets.
    own_tags: BTreeSet<String>,
}

impl<'a> Order<'a> {
    fn read(site: &Site<'_>, work: &'a BackupWork) -> Result<Self, Complaint> {
        let invalid = |message: String| complaint(StepReason::InvalidInput, message);
        if work.paths.is_empty() {
            return Err(invalid("no path is to be backed up".to_owned()));
        }
        if let Some(tag) = work.tags.iter().find(|tag| tag.starts_with(OURS)) {
            return Err(invalid(format!("the tag {tag} is not for users: none may begin with {OURS}")));
        }
        let exclude: Result<Vec<Pattern>, _> = work.exclude.iter().map(|text| text.parse()).collect();
        Ok(Self { work, exclude: exclude?, own_tags: own_tags(site)? })
    }

    /// What this session has stored already. One that lacks something is tried again.
    fn earlier<'s>(&self, before: &'s Snapshots, path: &str) -> Option<&'s Snapshot> {
        let path = absolute(Path::new(path)).ok()?.display().to_string();
        let filter = Filter {
            hosts: BTreeSet::from([self.work.host.clone()]),
            tags: vec![self.own_tags.clone()],
            paths: BTreeSet::from([path]),
        };
        before.select("latest", &filter).ok()
    }

    /// The snapshot, and what is wrong with it.
    fn store(&self, site: &Site<'_>, repository: &Repository<'_>, lock: &Arc<Held>, path: &str) -> One {
        if !path.starts_with('/') {
            return Err(complaint(StepReason::InvalidInput, format_args!("{path:?} does not begin with `/`")));
        }
        tracing::info!(path, host = self.work.host, "backing up");
        let begun = clock::now();
        let labels = Labels {
            host: self.work.host.clone(),
            username: USERNAME.to_owned(),
            tags: self.own_tags.iter().chain(&self.work.tags).cloned().collect(),
            time: begun.to_zoned(TimeZone::system()),
            clock: clock::now,
        };
        let (progress, lock) = (Progress::default(), Arc::clone(lock));
        let backup =
            Backup { opened: &repository.opened, lock, labels: &labels, progress: &progress, cancel: site.cancel() };
        let stored = while_working(path, &progress, || backup.paths(&[PathBuf::from(path)], &self.exclude))?;
        tell(&stored.unread, "not stored");
        let outcome = told(&stored, path, seconds(begun));
        let incomplete = (stored.unread.count > 0).then(|| {
            let message = format!("{path}: not stored: {}", counted(&stored.unread));
            complaint(StepReason::BackupIncomplete, message)
        });
        Ok((outcome, incomplete.filter(|_| !self.work.incomplete_succeeds)))
    }
}

fn told(stored: &Stored, path: &str, seconds: u64) -> SnapshotOutcome {
    let (counts, added) = (stored.counts, stored.added);
    tracing::info!(
        path,
        snapshot = %stored.snapshot,
        files = counts.files(),
        new = counts.files_new,
        changed = counts.files_changed,
        unread = stored.unread.count,
        read = %HumanBytes(counts.bytes),
        added = %HumanBytes(added.bytes),
        seconds,
        "snapshot saved"
    );
    SnapshotOutcome {
        id: stored.snapshot.to_string(),
        path: path.to_owned(),
        files: counts.files(),
        new: counts.files_new,
        changed: counts.files_changed,
        bytes: counts.bytes,
        added: added.bytes,
        unread: stored.unread.count,
        seconds,
    }
}

/// Of a snapshot that is there, as far as it says it itself.
pub(super) fn found(snapshot: &Snapshot, path: &str) -> SnapshotOutcome {
    tracing::info!(path, snapshot = %snapshot.id, "this session has stored it before");
    SnapshotOutcome {
        id: snapshot.id.to_string(),
        path: path.to_owned(),
        files: snapshot.files.unwrap_or_default(),
        new: snapshot.summary.files_new,
        changed: snapshot.summary.files_changed,
        bytes: snapshot.bytes.unwrap_or_default(),
        added: snapshot.summary.bytes_added,
        unread: 0,
        seconds: snapshot.summary.seconds,
    }
}
