//! How long one watch may fail before what it has brought counts as out of date, and the pauses between its tries.

use std::time::Duration;

use kube::runtime::utils::Backoff as _;
use kube::runtime::watcher::DefaultBackoff;
use tokio::time::Instant;

/// A watch that began and then lasted this long was a working one: many proxies cut a quiet one, and it resumes.
const LASTED: Duration = Duration::from_secs(10);
/// A quiet watch ends and begins anew every five minutes, and nobody is told. One that could not be begun after a longer
/// silence than that of a request without an answer has therefore worked meanwhile.
const SILENCE_MAX: Duration = Duration::from_secs(330);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Failures of one watch in a row.
pub(super) struct Patience {
    limit: Duration,
    /// Since when nothing is known to have worked.
    since: Option<Instant>,
    pauses: DefaultBackoff,
}

impl Patience {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, since: None, pauses: DefaultBackoff::default() }
    }

    /// A listing begins, and what is known may be out of date until it ends.
    pub(super) fn began(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    pub(super) fn works(&mut self) {
        self.since = None;
        self.pauses.reset();
    }

    /// A try that began at `began` has failed, `within` the watch or before there was one. Gives the pause before the
    /// next try, which is not put off past the end of the patience.
    pub(super) fn failed(&mut self, within: bool, began: Instant, now: Instant) -> Duration {
        let lasted = now.saturating_duration_since(began);
        if lasted >= if within { LASTED } else { SILENCE_MAX } {
            self.works();
        }
        self.began(now);
        let pause = self.pauses.next().unwrap_or(PAUSE_MAX);
        match self.end().map(|end| end.saturating_duration_since(now)) {
            Some(left) if !left.is_zero() => pause.min(left),
            Some(_) | None => pause,
        }
    }

    pub(super) fn end(&self) -> Option<Instant> {
        self.since?.checked_add(self.limit)
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.end().is_some_and(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_mins(1);

    /// Lets tries fail, each after it has lasted for `lasted`, until the patience is over or an hour has gone.
    fn over_after(within: bool, lasted: Duration) -> Option<Duration> {
        let start = Instant::now();
        let (mut patience, mut now) = (Patience::new(LIMIT), start);
        while now < start + Duration::from_hours(1) {
            let began = now;
            now += lasted;
            let pause = patience.failed(within, began, now);
            if patience.is_over(now) {
                return Some(now - start);
            }
            now += pause;
        }
        None
    }

    #[test]
    fn what_never_works_ends_the_patience_in_time() {
        for within in [false, true] {
            let over = over_after(within, Duration::from_secs(1)).unwrap();
            assert!(over >= LIMIT && over <= LIMIT + Duration::from_secs(3), "{over:?}");
        }
        // Without an answer until the client gives up.
        assert!(over_after(false, Duration::from_mins(5)).is_some());
    }

    #[test]
    fn what_works_between_failures_never_does() {
        assert_eq!(over_after(true, Duration::from_secs(15)), None);
        assert_eq!(over_after(false, Duration::from_mins(10)), None);
        let start = Instant::now();
        let mut patience = Patience::new(LIMIT);
        for seconds in (0..600).step_by(20) {
            let now = start + Duration::from_secs(seconds);
            patience.failed(false, now, now);
            assert!(!patience.is_over(now));
            patience.works();
        }
        assert_eq!(patience.end(), None);
    }
}
