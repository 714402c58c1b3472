//! When to write the status branch: batched, at once for what is urgent, never more often than the branch can bear.

use jiff::{SignedDuration, Timestamp};

use super::backoff::Failing;
use crate::model::applied::FailureClass;

/// A batch waits for this much quiet …
const QUIET: SignedDuration = SignedDuration::from_secs(10);
/// … but never longer than this from its first change.
const AGE_MAX: SignedDuration = SignedDuration::from_secs(60);
/// Commits are at least this far apart, whatever happens.
const APART: SignedDuration = SignedDuration::from_secs(5);

/// The batch that waits, and how the last push went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorder {
    batch: Option<Batch>,
    last: Option<Timestamp>,
    failing: Option<Failing>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Batch {
    first: Timestamp,
    last: Timestamp,
    urgent: bool,
}

impl Recorder {
    /// Something that the branch should say has changed.
    pub fn changed(&mut self, urgent: bool, now: Timestamp) {
        let known = self.batch.take();
        self.batch = Some(Batch {
            first: known.as_ref().map_or(now, |batch| batch.first),
            last: now,
            urgent: urgent || known.is_some_and(|batch| batch.urgent),
        });
    }

    /// When the batch is to be written; `None` while there is none.
    pub fn due(&self) -> Option<Timestamp> {
        let batch = self.batch.as_ref()?;
        let wait = |from: Timestamp, by: SignedDuration| from.saturating_add(by).unwrap_or(Timestamp::MAX);
        let ready = if batch.urgent { batch.first } else { wait(batch.last, QUIET).min(wait(batch.first, AGE_MAX)) };
        let apart = self.last.map_or(Timestamp::MIN, |last| wait(last, APART));
        let backoff = self.failing.as_ref().map_or(Timestamp::MIN, |failing| failing.until);
        Some(ready.max(apart).max(backoff))
    }

    /// The batch is being written. What changes from now on is another batch.
    pub fn started(&mut self, now: Timestamp) {
        self.batch = None;
        self.last = Some(now);
    }

    /// A clock that was set back makes no wait longer: nothing has happened after `now`.
    pub fn bound(&mut self, now: Timestamp) {
        if let Some(batch) = &mut self.batch {
            batch.first = batch.first.min(now);
            batch.last = batch.last.min(now);
        }
        self.last = self.last.map(|last| last.min(now));
        if let Some(failing) = &mut self.failing {
            failing.bound(now);
        }
    }

    pub fn succeeded(&mut self) {
        self.failing = None;
    }

    /// The batch was not written: it waits, with whatever came since, for the backoff to end.
    pub fn failed(&mut self, class: FailureClass, key: &str, now: Timestamp) {
        self.failing = Some(Failing::again(self.failing.as_ref(), class, key, now));
        self.changed(true, now);
    }

    pub fn failures(&self) -> u32 {
        self.failing.as_ref().map_or(0, |failing| failing.attempts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn batches_wait_for_quiet_but_not_for_ever() {
        let mut recorder = Recorder::default();
        recorder.changed(false, at(0));
        assert_eq!(recorder.due(), Some(at(10)));
        for second in 1..=58 {
            recorder.changed(false, at(second));
        }
        assert_eq!(recorder.due(), Some(at(60)));
    }

    #[test]
    fn urgent_goes_at_once_but_not_twice_in_five_seconds() {
        let mut recorder = Recorder::default();
        recorder.changed(true, at(100));
        assert_eq!(recorder.due(), Some(at(100)));
        recorder.started(at(100));
        assert_eq!(recorder.due(), None);
        recorder.changed(true, at(101));
        assert_eq!(recorder.due(), Some(at(105)));
    }

    #[test]
    fn a_failed_push_is_tried_again_later() {
        let mut recorder = Recorder::default();
        recorder.changed(false, at(0));
        recorder.started(at(10));
        recorder.failed(FailureClass::Transient, "k", at(11));
        assert!(recorder.due().unwrap() >= at(15));
        recorder.started(at(15));
        recorder.succeeded();
        assert_eq!(recorder.due(), None);
    }
}
