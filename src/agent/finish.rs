//! What is done for a repository after all hosts of a session have ended: retention, a check, its size. One that fails keeps no
//! other from being tried.

use jiff::SignedDuration;

use super::answer::Answer;
use super::complaint::complaint;
use super::site::{PATIENCE, Repository, Site};
use super::{retention, settle};
use crate::model::finding::StepReason;
use crate::model::step::{Complaint, FinishWork, Nothing, RepositoryOutcome, Size, Step};
use crate::repository::{Cancel, Depth, Mode, Progress, Reader, Snapshots, check, stats};

/// Of the findings of a check.
const SHOWN_MAX: usize = 100;

pub(super) fn run(site: &Site<'_>, work: &FinishWork, answer: &Answer) -> Result<(), Complaint> {
    let repository = site.open()?;
    if !work.unsettled.is_empty() {
        settle::run(site, &repository, work, answer)?;
    }
    let retention = step(retention::run(site, &repository, work))?;
    repository.release();
    let is_locked = |failed: &Complaint| failed.reason == StepReason::RepositoryLocked;
    let waited = matches!(&retention, Step::Failed(failed) if is_locked(failed));
    note(answer, |repository| repository.retention = Some(retention));
    // Whoever had the lock all the time has it now too, or never stood in the way of this.
    let patience = if waited { SignedDuration::ZERO } else { PATIENCE };
    let (check, counts) = match repository.lock(Mode::Shared, patience) {
        Ok(_lock) => (step(checked(&repository, site.cancel()))?, step(counted(&repository, site.cancel()))?),
        Err(failed) => (Step::Failed(failed.clone()), Step::Failed(failed)),
    };
    note(answer, |repository| {
        repository.check = Some(check);
        repository.size = Some(counts);
    });
    Ok(())
}

/// Whoever is told to end begins nothing more.
fn step<T>(result: Result<T, Complaint>) -> Result<Step<T>, Complaint> {
    match result {
        Ok(done) => Ok(Step::Done(done)),
        Err(failed) if failed.reason == StepReason::Cancelled => Err(failed),
        Err(failed) => {
            tracing::error!(reason = failed.reason.as_str(), "{}", failed.message);
            Ok(Step::Failed(failed))
        }
    }
}

fn note(answer: &Answer, change: impl FnOnce(&mut RepositoryOutcome)) {
    answer.note(|outcome| change(outcome.repository.get_or_insert_default()));
}

/// What is read is read where it lies, and not from a cache.
fn checked(repository: &Repository<'_>, cancel: &Cancel) -> Result<Nothing, Complaint> {
    tracing::info!("checking");
    let checked = check(&repository.bare, Depth::Structure, &Progress::default(), cancel)?;
    for finding in checked.findings.iter().take(SHOWN_MAX) {
        if finding.is_error() {
            tracing::error!("{finding}");
        } else {
            tracing::info!("{finding}");
        }
    }
    let mut errors = checked.findings.iter().filter(|finding| finding.is_error());
    let Some(first) = errors.next() else {
        tracing::info!(snapshots = checked.snapshots, packs = checked.packs, "no errors were found");
        return Ok(Nothing {});
    };
    let others = match errors.count() {
        0 => String::new(),
        count => format!(" (and {count} more)"),
    };
    let message = format!("the repository is damaged: {first}{others}; run `holdfast repo check`");
    Err(complaint(StepReason::RepositoryDamaged, message))
}

fn counted(repository: &Repository<'_>, cancel: &Cancel) -> Result<Size, Complaint> {
    let snapshots = Snapshots::read(&repository.opened)?;
    let reader = Reader::new(&repository.opened)?;
    let all: Vec<_> = snapshots.all.iter().collect();
    let stats = stats(&reader, &all, cancel)?;
    tracing::info!(snapshots = stats.snapshots, bytes = stats.stored_bytes, "counted");
    Ok(Size { bytes: stats.stored_bytes, snapshots: stats.snapshots })
}
