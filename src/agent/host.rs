//! The outcome of one host while its snapshots are made or restored, one after the other.

use std::ops::ControlFlow;

use jiff::Timestamp;

use super::answer::Answer;
use super::complaint::ends_the_step;
use super::working::seconds;
use crate::clock;
use crate::model::finding::StepReason;
use crate::model::step::{Complaint, HostOutcome, SnapshotOutcome};

/// What became of one snapshot, and what is wrong with it; or why there is none.
pub(super) type One = Result<(SnapshotOutcome, Option<Complaint>), Complaint>;

pub(super) struct Host<'a> {
    answer: &'a Answer,
    number: usize,
    begun: Timestamp,
}

impl<'a> Host<'a> {
    pub(super) fn begin(answer: &'a Answer, name: &str) -> Self {
        let host = HostOutcome { host: name.to_owned(), ..HostOutcome::default() };
        let number = answer.note(|outcome| {
            outcome.hosts.push(host);
            outcome.hosts.len() - 1
        });
        Self { answer, number, begun: clock::now() }
    }

    /// Whether what comes next is tried. The first error is the host's.
    pub(super) fn add(&self, path: &str, one: One) -> Result<ControlFlow<()>, Complaint> {
        let (snapshot, failed) = match one {
            Ok((snapshot, failed)) => (Some(snapshot), failed),
            Err(failed) if failed.reason == StepReason::Cancelled => return Err(failed),
            Err(failed) => (None, Some(failed)),
        };
        let goes_on = failed.as_ref().is_none_or(|failed| !ends_the_step(failed.reason));
        if let Some(failed) = &failed {
            tracing::error!(path, reason = failed.reason.as_str(), "{}", failed.message);
        }
        self.note(|host| {
            host.snapshots.extend(snapshot);
            host.error = host.error.take().or(failed);
        });
        Ok(if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    }

    fn note(&self, change: impl FnOnce(&mut HostOutcome)) {
        self.answer.note(|outcome| {
            if let Some(host) = outcome.hosts.get_mut(self.number) {
                host.seconds = seconds(self.begun);
                change(host);
            }
        });
    }
}
