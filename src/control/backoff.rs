//! How long to wait after a failure: doubling, capped, jittered by a hash so that a crash gives the same answer.

use jiff::{SignedDuration, Timestamp};

use crate::model::applied::FailureClass;
use crate::model::names::hash_hex;

/// The first wait after a failure that may pass by itself.
const FIRST: SignedDuration = SignedDuration::from_secs(1);
/// No wait is longer than a full pass, which tries everything anyway.
const LONGEST: SignedDuration = SignedDuration::from_mins(10);

/// Failures of one thing in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    pub attempts: u32,
    pub until: Timestamp,
}

impl Failing {
    /// The state after one more failure at `now`.
    pub fn again(known: Option<&Failing>, class: FailureClass, key: &str, now: Timestamp) -> Self {
        let attempts = known.map_or(0, |known| known.attempts).saturating_add(1);
        Self { attempts, until: now.saturating_add(delay(class, attempts, key)).unwrap_or(Timestamp::MAX) }
    }

    /// A clock that was set back makes no wait longer than the longest.
    pub fn bound(&mut self, now: Timestamp) {
        self.until = self.until.min(now.saturating_add(LONGEST).unwrap_or(Timestamp::MAX));
    }
}

/// Wait after the `attempts`-th failure in a row (1 for the first).
pub fn delay(class: FailureClass, attempts: u32, key: &str) -> SignedDuration {
    match class {
        // Waits for a change, which ends the wait; the full pass is the net below.
        FailureClass::Invalid | FailureClass::Denied => LONGEST,
        FailureClass::Conflict | FailureClass::Transient => {
            let doubled =
                FIRST.saturating_mul(1_i32.checked_shl(attempts.saturating_sub(1).min(20)).unwrap_or(i32::MAX));
            let capped = doubled.min(LONGEST);
            // Half to whole of the wait, so that many keys that failed together do not come back together.
            let share = i64::from_str_radix(&hash_hex(&format!("{key} {attempts}"), 4), 16).unwrap_or(0);
            let half = capped.as_millis() / 2;
            let jitter = half * i128::from(share) / 0xffff;
            SignedDuration::from_millis(i64::try_from(half + jitter).unwrap_or(i64::MAX))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_stay_within_bounds_and_differ_by_key() {
        for attempts in 1..40 {
            let wait = delay(FailureClass::Transient, attempts, "a");
            let whole = SignedDuration::from_secs(1 << (attempts - 1).min(20)).min(LONGEST);
            assert!(wait <= whole && wait * 2 >= whole - SignedDuration::from_millis(2), "{attempts}: {wait:?}");
        }
        assert_ne!(delay(FailureClass::Transient, 5, "a"), delay(FailureClass::Transient, 5, "b"));
    }
}
