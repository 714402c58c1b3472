//! Restores snapshots to where their data came from.

use std::path::PathBuf;

use indicatif::HumanBytes;

use super::answer::Answer;
use super::complaint::complaint;
use super::host::{Host, One};
use super::site::{PATIENCE, Site};
use super::wanted::chosen;
use super::working::{counted, seconds, tell, while_working};
use crate::clock;
use crate::model::finding::StepReason;
use crate::model::step::{Complaint, ExistingFiles, RestoreWork, SnapshotOutcome};
use crate::repository::{
    BadPattern, Existing, Holes, Mode, Order, Pattern, Progress, Reader, Snapshot, Snapshots, restore,
};

pub(super) fn run(site: &Site<'_>, work: &RestoreWork, answer: &Answer) -> Result<(), Complaint> {
    let host = Host::begin(answer, &work.host);
    let order = order(work)?;
    let repository = site.open()?;
    let _lock = repository.lock(Mode::Shared, PATIENCE)?;
    let all = Snapshots::read(&repository.opened)?;
    all.lost.iter().for_each(|lost| tracing::warn!("{lost}"));
    let chosen = chosen(&all, &work.wanted, &work.tags)?;
    let reader = Reader::new(&repository.opened)?;
    reader.lost.iter().for_each(|lost| tracing::warn!("a part of the index is lost: {}", lost.reason));
    for snapshot in chosen {
        let path = snapshot.paths.join(", ");
        if host.add(&path, one(site, &reader, snapshot, &order))?.is_break() {
            break;
        }
    }
    Ok(())
}

fn order(work: &RestoreWork) -> Result<Order, Complaint> {
    let patterns =
        |texts: &[String]| -> Result<Vec<Pattern>, BadPattern> { texts.iter().map(|text| text.parse()).collect() };
    Ok(Order {
        from: PathBuf::new(),
        target: PathBuf::from("/"),
        include: patterns(&work.include)?,
        exclude: patterns(&work.exclude)?,
        existing: match work.existing {
            ExistingFiles::Refuse => None,
            ExistingFiles::Keep => Some(Existing::Keep),
            ExistingFiles::Delete => Some(Existing::Delete),
        },
        holes: Holes::Filled,
    })
}

/// What was restored, and what is wrong with it.
fn one(site: &Site<'_>, reader: &Reader, snapshot: &Snapshot, order: &Order) -> One {
    let path = snapshot.paths.join(", ");
    let time = snapshot.time.strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
    tracing::info!(snapshot = %snapshot.id, path, time, host = snapshot.host, "restoring");
    let (begun, progress) = (clock::now(), Progress::default());
    let restored = while_working(&path, &progress, || restore(reader, snapshot, order, &progress, site.cancel()))?;
    tell(&restored.lost, "not restored");
    tell(&restored.unset, "restored without");
    for aside in &restored.aside {
        tracing::warn!("what was there before lies in {}", aside.display());
    }
    let took = seconds(begun);
    tracing::info!(
        path,
        files = restored.files,
        bytes = %HumanBytes(restored.bytes),
        lost = restored.lost.count,
        unset = restored.unset.count,
        seconds = took,
        "restored"
    );
    let incomplete = (restored.lost.count > 0).then(|| {
        let message = format!("{path}: not restored: {}", counted(&restored.lost));
        complaint(StepReason::RestoreIncomplete, message)
    });
    let outcome = SnapshotOutcome {
        id: snapshot.id.to_string(),
        path,
        files: restored.files,
        bytes: restored.bytes,
        unread: restored.lost.count,
        seconds: took,
        ..SnapshotOutcome::default()
    };
    Ok((outcome, incomplete))
}
