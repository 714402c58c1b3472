//! Time zones: from the wall clock, on which Quartz schedules are read, to instants and back.
//!
//! A zone is a row of segments with one offset each. Within a segment wall clock and instant differ by a constant, so a wall
//! time that is in no segment is skipped and one that is in two runs twice, with no case of its own.

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike, Utc};
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::{Error, SEARCH_YEARS_MAX, shown};

/// Prefixes of a zone, as in robfig: only at the very start and ended by a blank.
const ZONE_PREFIXES: [&str; 2] = ["TZ=", "CRON_TZ="];

/// The years crate `cron` knows. Asked about others it takes a negative year for a far one and mixes months of two years.
const QUARTZ_YEARS: RangeInclusive<i32> = 1970..=2100;

/// Whether this is the name of a time zone, in IANA's spelling and case (which Kubernetes demands too).
pub fn zone_exists(name: &str) -> bool {
    zone(name).is_some()
}

/// Looks a zone up in the data compiled in: no file of the machine changes the answer.
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    let zone = TimeZoneDatabase::bundled().get(name).ok()?;
    // The lookup ignores case, and knows one name that says it is no zone.
    (zone.iana_name() == Some(name) && !zone.is_unknown()).then_some(zone)
}

/// Splits a zone prefix off: the zone's name and what follows it.
pub(super) fn split_zone(text: &str) -> Result<Option<(&str, &str)>, Error> {
    for prefix in ZONE_PREFIXES {
        let Some(after) = text.strip_prefix(prefix) else {
            continue;
        };
        let Some((name, rest)) = after.split_once(' ') else {
            return Err(Error::new(
                text.chars().count() + 1,
                format!("write a blank and a schedule after the zone, such as {prefix}Etc/UTC 0 3 * * *"),
            ));
        };
        if !zone_exists(name) {
            return Err(Error::new(
                prefix.len() + 1,
                format!(
                    "{} is no time zone: write an IANA name in its exact case, such as Europe/Berlin or Etc/UTC",
                    shown(name)
                ),
            ));
        }
        return Ok(Some((name, rest)));
    }
    Ok(None)
}

/// The first instant after a time at which the wall clock matches one of the schedules; all in seconds since the epoch.
pub(super) fn next(quartz: &[cron::Schedule], zone: &TimeZone, after_seconds: i64) -> Option<i64> {
    let start = Timestamp::from_second(after_seconds).ok()?;
    let mut offset_seconds = offset_at(zone, start);
    let mut from_seconds = after_seconds;
    let year_last = year(after_seconds + offset_seconds)? + i32::from(SEARCH_YEARS_MAX);
    let mut transitions = zone.following(start);
    loop {
        let from = wall_clock(from_seconds + offset_seconds)?;
        let wall = quartz.iter().filter_map(|schedule| schedule.after(&from).next()).min()?;
        if wall.year() > year_last {
            return None;
        }
        let found = wall.timestamp() - offset_seconds;
        let Some(transition) = transitions.next() else {
            return Some(found);
        };
        let segment_end = transition.timestamp().as_second();
        if found < segment_end {
            return Some(found);
        }
        offset_seconds = i64::from(transition.offset().seconds());
        from_seconds = segment_end - 1;
    }
}

/// The last instant at or before a time at which the wall clock matches one of the schedules; all in seconds since the epoch.
pub(super) fn previous(quartz: &[cron::Schedule], zone: &TimeZone, until_seconds: i64) -> Option<i64> {
    let mut until = until_seconds;
    // A transition at the very end begins the segment the search starts in, so it must be among the preceding ones.
    let beyond = Timestamp::from_second(until_seconds.checked_add(1)?).ok()?;
    let start = Timestamp::from_second(until_seconds).ok()?;
    let mut offset_seconds = offset_at(zone, start);
    let year_first = year(until_seconds + offset_seconds)? - i32::from(SEARCH_YEARS_MAX);
    let mut transitions = zone.preceding(beyond);
    loop {
        let before = wall_clock(until + offset_seconds + 1)?;
        let wall = quartz.iter().filter_map(|schedule| schedule.after(&before).next_back()).max()?;
        if wall.year() < year_first {
            return None;
        }
        let found = wall.timestamp() - offset_seconds;
        let Some(transition) = transitions.next() else {
            return Some(found);
        };
        let segment_start = transition.timestamp().as_second();
        if found >= segment_start {
            return Some(found);
        }
        until = segment_start - 1;
        offset_seconds = offset_at(zone, Timestamp::from_second(until).ok()?);
    }
}

fn offset_at(zone: &TimeZone, t: Timestamp) -> i64 {
    i64::from(zone.to_offset(t).seconds())
}

/// The wall clock as Quartz schedules take it: seconds since the epoch that already contain the offset, dressed as UTC.
fn wall_clock(wall_seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(wall_seconds, 0).filter(|wall| QUARTZ_YEARS.contains(&wall.year()))
}

fn year(wall_seconds: i64) -> Option<i32> {
    wall_clock(wall_seconds).map(|wall| wall.year())
}
