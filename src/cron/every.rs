//! `@every`: Go's durations, and the slots that follow from the Unix epoch.

use super::{Error, SEARCH_YEARS_MAX, shown};

pub(super) const PREFIX: &str = "@every ";

const NANOSECONDS_PER_SECOND: i128 = 1_000_000_000;

/// Longest search in seconds, with every year a leap year.
const SEARCH_SECONDS_MAX: i64 = SEARCH_YEARS_MAX as i64 * 366 * 86_400;

/// Digits behind the point that count. More are below a nanosecond in every unit.
const FRACTION_DIGITS_MAX: u32 = 18;

/// Go's units with their lengths in nanoseconds, longer names before those that begin alike. Micro comes with both signs.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", NANOSECONDS_PER_SECOND),
    ("m", 60 * NANOSECONDS_PER_SECOND),
    ("h", 3600 * NANOSECONDS_PER_SECOND),
];

/// Reads a Go duration that stands at `column` and gives its whole seconds, at least one.
pub(super) fn parse(text: &str, column: usize) -> Result<i64, Error> {
    match i64::try_from(nanoseconds(text, column)? / NANOSECONDS_PER_SECOND) {
        Ok(seconds @ 1..) => Ok(seconds),
        Ok(_) | Err(_) => Err(Error::new(column, "the duration is shorter than a second: write at least 1s")),
    }
}

/// A Go duration in whole seconds, rounded up: what is asked for must not become nothing.
pub(super) fn seconds(text: &str) -> Result<i64, Error> {
    let seconds = (nanoseconds(text, 1)? + NANOSECONDS_PER_SECOND - 1) / NANOSECONDS_PER_SECOND;
    i64::try_from(seconds).map_err(|_| Error::new(1, not_a_duration(text)))
}

fn nanoseconds(text: &str, column: usize) -> Result<i128, Error> {
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    // Go takes a bare zero, and writes it.
    let mut rest = unsigned.strip_prefix('0').filter(|rest| rest.is_empty()).unwrap_or(unsigned);
    let mut nanoseconds: i128 = 0;
    while !rest.is_empty() {
        let column = column + text[..text.len() - rest.len()].chars().count();
        let (part, after) = component(rest).ok_or_else(|| Error::new(column, not_a_duration(text)))?;
        nanoseconds += part;
        rest = after;
        // Go counts in 64 bits; the check in every round keeps the sum far from the end of 128.
        if nanoseconds > i128::from(i64::MAX) {
            return Err(Error::new(column, "the duration is too long: write at most 2562047h"));
        }
    }
    if unsigned.is_empty() {
        return Err(Error::new(column, not_a_duration(text)));
    }
    Ok(nanoseconds)
}

/// The first slot after a time, both in seconds since the epoch.
pub(super) fn next(period_seconds: i64, after_seconds: i64) -> Option<i64> {
    let slot = after_seconds.div_euclid(period_seconds).checked_add(1)?.checked_mul(period_seconds)?;
    (slot - after_seconds <= SEARCH_SECONDS_MAX).then_some(slot)
}

/// The last slot at or before a time, both in seconds since the epoch.
pub(super) fn previous(period_seconds: i64, until_seconds: i64) -> Option<i64> {
    let slot = until_seconds - until_seconds.rem_euclid(period_seconds);
    (until_seconds - slot <= SEARCH_SECONDS_MAX).then_some(slot)
}

/// One number with its unit, in nanoseconds, and what follows it.
fn component(text: &str) -> Option<(i128, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (rest, unit) = UNITS.iter().find_map(|(name, length)| Some((rest.strip_prefix(name)?, *length)))?;
    let whole: i128 = number(whole)?;
    let fraction = &fraction[..fraction.len().min(FRACTION_DIGITS_MAX as usize)];
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let nanoseconds = whole.checked_mul(unit)? + number(fraction)? * unit / scale;
    Some((nanoseconds, rest))
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

fn number(digits: &str) -> Option<i128> {
    if digits.is_empty() {
        return Some(0);
    }
    digits.parse::<i64>().ok().map(i128::from)
}

fn not_a_duration(text: &str) -> String {
    format!("{} is no duration: write numbers with units h, m or s, such as 1h30m", shown(text))
}
