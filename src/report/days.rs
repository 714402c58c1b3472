//! Thirty days of results as the status branch keeps them: one character a day, the worst of it, the last day named.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::model::run::RunResult;

/// What a picture shows at a glance.
pub(super) const DAYS_MAX: usize = 30;

/// What a day was, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Nothing,
    Succeeded,
    Skipped,
    Missed,
    Failed,
}

impl Mark {
    pub(super) const ALL: [Mark; 5] = [Mark::Nothing, Mark::Succeeded, Mark::Skipped, Mark::Missed, Mark::Failed];

    fn letter(self) -> char {
        match self {
            Mark::Nothing => '.',
            Mark::Succeeded => 's',
            Mark::Skipped => 'k',
            Mark::Missed => 'm',
            Mark::Failed => 'f',
        }
    }

    /// None while it is not known how it ends.
    pub(super) fn of(result: RunResult) -> Option<Self> {
        match result {
            RunResult::Succeeded => Some(Mark::Succeeded),
            RunResult::Skipped => Some(Mark::Skipped),
            RunResult::Failed => Some(Mark::Failed),
            RunResult::Running | RunResult::Waiting => None,
        }
    }
}

/// Never empty; its first day is the first that anything is known of, or 29 days before the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub(super) struct Days {
    last: Date,
    marks: Vec<Mark>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    last_day: Date,
    days: String,
}

impl Days {
    pub(super) fn new(at: Timestamp, mark: Mark) -> Self {
        Self { last: day(at), marks: vec![mark] }
    }

    pub(super) fn last(&self) -> Date {
        self.last
    }

    /// The worst of the day and the mark. What lies before the first of thirty days is forgotten.
    pub(super) fn mark(&mut self, at: Timestamp, mark: Mark) {
        self.mark_day(day(at), mark);
    }

    pub(super) fn merge(&mut self, other: &Days) {
        for (back, mark) in other.marks.iter().rev().enumerate() {
            let back = i32::try_from(back).unwrap_or(0);
            if let Ok(day) = other.last.checked_sub(jiff::Span::new().days(back)) {
                self.mark_day(day, *mark);
            }
        }
    }

    fn mark_day(&mut self, day: Date, mark: Mark) {
        let ahead = days_from(self.last, day);
        if ahead > 0 {
            let new = usize::try_from(ahead).unwrap_or(DAYS_MAX).min(DAYS_MAX);
            self.marks.extend(std::iter::repeat_n(Mark::Nothing, new));
            let surplus = self.marks.len().saturating_sub(DAYS_MAX);
            self.marks.drain(..surplus);
            self.last = day;
        }
        let Some(back) = self.back_to(day) else { return };
        if back >= self.marks.len() {
            if mark == Mark::Nothing {
                return;
            }
            let missing = back + 1 - self.marks.len();
            self.marks.splice(0..0, std::iter::repeat_n(Mark::Nothing, missing));
        }
        let index = self.marks.len() - 1 - back;
        self.marks[index] = self.marks[index].max(mark);
    }

    /// How many days before the last one, if that is within the thirty.
    fn back_to(&self, day: Date) -> Option<usize> {
        usize::try_from(days_from(day, self.last)).ok().filter(|back| *back < DAYS_MAX)
    }

    pub(super) fn get(&self, day: Date) -> Mark {
        let index = self.back_to(day).and_then(|back| self.marks.len().checked_sub(back + 1));
        index.and_then(|index| self.marks.get(index)).copied().unwrap_or(Mark::Nothing)
    }
}

impl From<Days> for Written {
    fn from(days: Days) -> Self {
        Self { last_day: days.last, days: days.marks.iter().map(|mark| mark.letter()).collect() }
    }
}

impl TryFrom<Written> for Days {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let mark = |letter: char| Mark::ALL.into_iter().find(|mark| mark.letter() == letter);
        let marks: Option<Vec<Mark>> = written.days.chars().map(mark).collect();
        match marks {
            Some(marks) if (1..=DAYS_MAX).contains(&marks.len()) => Ok(Self { last: written.last_day, marks }),
            Some(_) | None => Err("no days of ours"),
        }
    }
}

fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

fn days_from(one: Date, other: Date) -> i64 {
    one.until(other).map_or(0, |span| i64::from(span.get_days()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: &str) -> Timestamp {
        format!("{day}T12:00:00Z").parse().unwrap()
    }

    fn text(days: &Days) -> String {
        Written::from(days.clone()).days
    }

    #[test]
    fn a_day_is_the_worst_of_it() {
        let mut days = Days::new(at("2026-11-20"), Mark::Succeeded);
        days.mark(at("2026-11-20"), Mark::Failed);
        days.mark(at("2026-11-20"), Mark::Succeeded);
        days.mark(at("2026-11-23"), Mark::Skipped);
        days.mark(at("2026-11-18"), Mark::Missed);
        assert_eq!((text(&days).as_str(), days.last.to_string().as_str()), ("m.f..k", "2026-11-23"));
        let before = days.clone();
        days.mark(at("2026-11-20"), Mark::Succeeded);
        days.mark(at("2026-10-01"), Mark::Failed);
        assert_eq!(days, before, "what is known, or too old, changes nothing");
        assert_eq!((days.get(day(at("2026-11-20"))), days.get(day(at("2026-10-20")))), (Mark::Failed, Mark::Nothing));
    }

    #[test]
    fn thirty_days_are_kept_however_long_it_goes_on() {
        let first = at("2026-01-01");
        let mut days = Days::new(first, Mark::Failed);
        for number in 0..200_i64 {
            days.mark(first + jiff::SignedDuration::from_hours(24 * number), Mark::Succeeded);
            assert!(text(&days).len() <= DAYS_MAX);
        }
        assert_eq!(text(&days), "s".repeat(30));
        days.mark(at("2027-06-01"), Mark::Missed);
        assert_eq!(text(&days), format!("{}m", ".".repeat(29)), "a long pause");
    }

    #[test]
    fn merging_is_marking() {
        let mut one = Days::new(at("2026-11-20"), Mark::Succeeded);
        let mut other = Days::new(at("2026-11-22"), Mark::Failed);
        other.mark(at("2026-11-20"), Mark::Skipped);
        one.merge(&other);
        assert_eq!(text(&one), "k.f");
        one.merge(&other);
        assert_eq!(text(&one), "k.f");
    }

    #[test]
    fn only_our_own_days_are_read_back() {
        let read = |days: &str| serde_json::from_str::<Days>(&format!(r#"{{"lastDay":"2026-11-21","days":"{days}"}}"#));
        assert_eq!(text(&read("..sfkm").unwrap()), "..sfkm");
        for bad in ["", "x", &"s".repeat(31)] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
