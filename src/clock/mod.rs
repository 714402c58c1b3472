//! The only reader of the wall clock.

use jiff::Timestamp;

/// Now, in UTC.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock; everything else takes `now`")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
