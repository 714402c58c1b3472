//! Retention of one target: what goes is decided while others work, and again when nobody does.

use std::collections::BTreeSet;
use std::sync::Arc;

use indicatif::HumanBytes;

use super::complaint::complaint;
use super::site::{PATIENCE, Repository, Site};
use crate::model::step::{Complaint, FinishWork, Removed, RetentionRules};
use crate::repository::retention::{Counted, Decided, Decision, Hold, Keep, Own, Scope, TagList, Untagged, decide};
use crate::repository::{FileId, Mode, Prune, Snapshots, forget};

/// As in restic.
const UNUSED_PERCENT: u64 = 5;

pub(super) fn run(site: &Site<'_>, repository: &Repository<'_>, work: &FinishWork) -> Result<Removed, Complaint> {
    let rules = &work.retention;
    let own = Own {
        target: site.target()?,
        untagged: if work.untagged_are_ours { Untagged::Join } else { Untagged::Hold },
        acknowledged: BTreeSet::new(),
    };
    let (keep, scope) = (keep(rules), Scope::Own(own));
    let first = Verdict::of(repository, &keep, &scope)?;
    if rules.trial {
        first.tell("would be removed");
        return Ok(first.removed());
    }
    if first.gone.is_empty() && !rules.prune {
        tracing::info!(kept = first.kept, "no snapshot is to be removed");
        return Ok(first.removed());
    }
    let lock = repository.lock(Mode::Exclusive, PATIENCE)?;
    let verdict = Verdict::of(repository, &keep, &scope)?;
    verdict.tell("removed");
    forget(&repository.opened, &lock, &verdict.gone)?;
    if rules.prune {
        let pruned = Prune::plan(&repository.opened, Arc::clone(&lock), UNUSED_PERCENT, site.cancel())
            .and_then(|prune| prune.run(site.cancel()))
            .map_err(|error| {
                let failed = Complaint::from(error);
                let count = verdict.gone.len();
                complaint(
                    failed.reason,
                    format_args!("{count} snapshots removed, but no room made: {}", failed.message),
                )
            })?;
        tracing::info!(freed = %HumanBytes(pruned.freed_bytes()), "room is given back");
    }
    Ok(verdict.removed())
}

fn keep(rules: &RetentionRules) -> Keep {
    let RetentionRules { last, hourly, daily, weekly, monthly, yearly, tags, prune: _, trial: _ } = rules;
    let counts = [
        (Counted::Last, *last),
        (Counted::Hourly, *hourly),
        (Counted::Daily, *daily),
        (Counted::Weekly, *weekly),
        (Counted::Monthly, *monthly),
        (Counted::Yearly, *yearly),
    ];
    let counts = counts.map(|(counted, count)| (counted, i64::from(count)));
    Keep::new(counts, tags.iter().map(|tags| TagList::parse(tags)))
}

/// What the rules say of all snapshots that are the target's.
struct Verdict {
    kept: u64,
    gone: Vec<FileId>,
}

impl Verdict {
    fn of(repository: &Repository<'_>, keep: &Keep, scope: &Scope) -> Result<Self, Complaint> {
        let snapshots = Snapshots::read(&repository.opened)?;
        let mut verdict = Self { kept: 0, gone: Vec::new() };
        for group in decide(&snapshots.all, keep, scope) {
            for shrunk in &group.shrunk {
                tracing::warn!("the data shrank {shrunk}: what was there before is kept");
            }
            group.decided.iter().for_each(|one| verdict.add(one));
        }
        Ok(verdict)
    }

    fn add(&mut self, decided: &Decided) {
        match &decided.decision {
            Decision::Remove => self.gone.push(decided.snapshot),
            Decision::Hold(Hold::OtherTarget(_) | Hold::Untagged) => {}
            Decision::Keep(_)
            | Decision::Hold(
                Hold::Incomplete | Hold::Newest | Hold::BeforeDrop(_) | Hold::AfterDrop(_) | Hold::Acknowledged,
            ) => self.kept += 1,
        }
    }

    fn tell(&self, what: &str) {
        for snapshot in &self.gone {
            tracing::info!(%snapshot, "{what}");
        }
        tracing::info!(kept = self.kept, count = self.gone.len(), "{what}");
    }

    fn removed(&self) -> Removed {
        Removed { kept: self.kept, removed: self.gone.len() as u64 }
    }
}
