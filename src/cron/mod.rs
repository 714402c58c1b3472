//! Kubernetes' cron dialect (robfig/cron v3 as kube-controller-manager uses it) in front of crate `cron`, which speaks Quartz.
//!
//! Accepted is what Kubernetes accepts, less what can only be a slip: empty list items (`1,,2`), a range behind a star
//! (`*-5`), a nameless or `Local` zone and an `@every` below one second, all of which robfig reads as something else.
//!
//! A schedule runs at every instant whose wall clock in the zone matches. So a time that a clock change skips is skipped,
//! and a time it repeats runs twice, as in Kubernetes. Robfig loses its way where a clock change is no whole hour
//! (Lord Howe) or skips midnight (Santiago, Havana, Cairo): there it misses a run or runs on a wrong day, and we do not.

mod calendar;
mod every;
mod fields;
mod list;
mod nickname;
mod wall;

use std::fmt;

use jiff::Timestamp;

use self::calendar::Calendar;
use self::fields::Fields;

pub use self::wall::zone_exists;

/// A Go duration (`1h30m`) in whole seconds, rounded up; zero is one.
pub fn duration_seconds(text: &str) -> Result<i64, Error> {
    every::seconds(text)
}

/// Longest schedule that is read, in characters. A list of all sixty minutes has 169 and the longest zone name 32; more is
/// no schedule, and the text of a hostile one must not be walked or echoed.
const TEXT_CHARACTERS_MAX: usize = 256;

/// How far the search for an activation goes, in calendar years, as in robfig: beyond it a schedule counts as never.
const SEARCH_YEARS_MAX: i16 = 5;

/// Longest part of a refused text that a message repeats, in characters, so that it fits one line of a status.
const SHOWN_CHARACTERS_MAX: usize = 32;

/// A schedule of a backup, parsed and known to be well-formed (though it may never come, as `0 0 31 2 *`).
///
/// Two schedules are equal if their texts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    zone: Option<String>,
    expression: String,
    rule: Rule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// Seconds between two activations, at least one.
    Every(i64),
    Calendar(Calendar),
}

/// Why a text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What is wrong and what to write instead; one line.
    pub message: String,
    /// Where in the text as given, in characters from 1; one past the end if something is missing there.
    pub column: usize,
}

impl Error {
    fn new(column: usize, message: impl Into<String>) -> Error {
        Error { message: message.into(), column }
    }
}

impl Schedule {
    /// Reads five fields, a nickname (`@daily`) or `@every <Go duration>`, each with an optional `TZ=<zone> ` before it.
    pub fn parse(text: &str) -> Result<Schedule, Error> {
        if text.chars().nth(TEXT_CHARACTERS_MAX).is_some() {
            return Err(Error::new(
                TEXT_CHARACTERS_MAX + 1,
                format!("the schedule is too long: write at most {TEXT_CHARACTERS_MAX} characters"),
            ));
        }
        let (zone, expression, column) = match wall::split_zone(text)? {
            Some((zone, rest)) => {
                let expression = rest.trim();
                let before = &text[..text.len() - rest.trim_start().len()];
                (Some(zone.to_owned()), expression, before.chars().count() + 1)
            }
            None => (None, text, 1),
        };
        Ok(Schedule {
            rule: Rule::parse(expression, column)?,
            text: text.to_owned(),
            zone,
            expression: expression.trim().to_owned(),
        })
    }

    /// The IANA name of the zone in a `TZ=` or `CRON_TZ=` prefix.
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// The schedule without its zone and without blanks around it.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// What a `CronJob` must carry in `schedule` so that Kubernetes fires at the slots computed here: `@daily` and its like as
    /// five fields spread by the key, anything else as it is.
    pub fn spread_expression(&self, spread_key: &str) -> String {
        match &self.rule {
            Rule::Every(_) => self.expression.clone(),
            Rule::Calendar(calendar) => {
                calendar.spread_fields(spread_key).map_or_else(|| self.expression.clone(), |fields| fields.to_string())
            }
        }
    }

    /// The first activation strictly after `t`, on a whole second.
    ///
    /// `default_zone` is an IANA name and counts if the schedule names no zone. `@hourly`, `@daily`, `@weekly` and `@monthly`
    /// fire at a minute of their hour or day that is a hash of `spread_key`, the same for ever; an empty key means minute 0 as
    /// in Kubernetes. `@every` counts from the Unix epoch in UTC, so it needs no state (Kubernetes counts from the last run).
    ///
    /// None if there is none by the end of the fifth year after `t`, outside of the years 1970 to 2100 (`@every` has only the
    /// first limit), or if `default_zone` is needed and does not exist (see [`zone_exists`]).
    pub fn next_after(&self, t: Timestamp, default_zone: &str, spread_key: &str) -> Option<Timestamp> {
        let after_seconds = floor_seconds(t);
        let found = match &self.rule {
            Rule::Every(period_seconds) => every::next(*period_seconds, after_seconds),
            Rule::Calendar(calendar) => {
                let zone = wall::zone(self.zone().unwrap_or(default_zone))?;
                wall::next(&calendar.quartz(spread_key), &zone, after_seconds)
            }
        };
        Timestamp::from_second(found?).ok()
    }

    /// The last activation at or before `t`, by the rules and limits of [`Schedule::next_after`] turned round.
    pub fn previous_at_or_before(&self, t: Timestamp, default_zone: &str, spread_key: &str) -> Option<Timestamp> {
        let until_seconds = floor_seconds(t);
        let found = match &self.rule {
            Rule::Every(period_seconds) => every::previous(*period_seconds, until_seconds),
            Rule::Calendar(calendar) => {
                let zone = wall::zone(self.zone().unwrap_or(default_zone))?;
                wall::previous(&calendar.quartz(spread_key), &zone, until_seconds)
            }
        };
        Timestamp::from_second(found?).ok()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Rule {
    /// Reads an expression whose first character stands at `column` of the text.
    fn parse(expression: &str, column: usize) -> Result<Rule, Error> {
        if let Some(duration) = expression.strip_prefix(every::PREFIX) {
            let column = column + every::PREFIX.chars().count();
            Ok(Rule::Every(every::parse(duration, column)?))
        } else if expression.starts_with('@') {
            Ok(Rule::Calendar(nickname::parse(expression, column)?))
        } else {
            let fields = Fields::parse(expression, column)?;
            Ok(Rule::Calendar(Calendar::new(fields, None)))
        }
    }
}

/// Whole seconds since the epoch, rounded down also before it.
fn floor_seconds(t: Timestamp) -> i64 {
    if t.subsec_nanosecond() < 0 { t.as_second() - 1 } else { t.as_second() }
}

/// A refused piece of text as a message shows it: quoted, cut, and without control characters.
fn shown(text: &str) -> String {
    if text.chars().nth(SHOWN_CHARACTERS_MAX).is_none() {
        return format!("{text:?}");
    }
    let cut: String = text.chars().take(SHOWN_CHARACTERS_MAX).collect();
    format!("{:?}", cut + "…")
}
