//! The five fields: parsing as robfig/cron does, and the Quartz text that means the same.

use std::fmt;

use super::list::{self, Field, Unit, Word};
use super::{Error, shown};

const UNITS: [Unit; 5] = [
    unit("minute", 0, 59, &[]),
    unit("hour", 0, 23, &[]),
    unit("day of the month", 1, 31, &[]),
    unit("month", 1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    unit("weekday", 0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

const fn unit(noun: &'static str, min: u32, max: u32, names: &'static [&'static str]) -> Unit {
    Unit { noun, min, max, names }
}

/// Five fields of the dialect in the order of the units, known to be within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields([Field; 5]);

impl Fields {
    /// Reads an expression whose first character stands at `column`.
    pub(super) fn parse(expression: &str, column: usize) -> Result<Fields, Error> {
        let words = split(expression, column);
        let &[minute, hour, day, month, weekday] = words.as_slice() else {
            return Err(wrong_count(expression, column, &words));
        };
        let [minutes, hours, days, months, weekdays] = &UNITS;
        Ok(Fields([
            list::parse(minute, minutes)?,
            list::parse(hour, hours)?,
            list::parse(day, days)?,
            list::parse(month, months)?,
            list::parse(weekday, weekdays)?,
        ]))
    }

    /// The same days and hours, at one minute.
    pub(super) fn at_minute(self, minute: u64) -> Fields {
        let Fields([_, hour, day, month, weekday]) = self;
        Fields([Field::only(minute), hour, day, month, weekday])
    }

    /// The same days and minutes, at one hour.
    pub(super) fn at_hour(self, hour: u64) -> Fields {
        let Fields([minute, _, day, month, weekday]) = self;
        Fields([minute, Field::only(hour), day, month, weekday])
    }

    /// The Quartz schedules whose union this is. Two if both day fields restrict: here either may match, in Quartz both must.
    pub(super) fn quartz(&self) -> Vec<cron::Schedule> {
        // Quartz counts weekdays from Sunday = 1.
        let [minute, hour, day, month, weekday] = self.lists([0, 0, 0, 0, 1]);
        let Fields([_, _, days, _, weekdays]) = self;
        let texts = if days.star || weekdays.star {
            vec![format!("0 {minute} {hour} {day} {month} {weekday}")]
        } else {
            vec![format!("0 {minute} {hour} {day} {month} *"), format!("0 {minute} {hour} * {month} {weekday}")]
        };
        texts.iter().map(|text| text.parse().expect("lists of values within bounds are Quartz too")).collect()
    }

    /// Each field as a list of its values, raised by `shifts`.
    fn lists(&self, shifts: [u32; 5]) -> [String; 5] {
        let Fields(fields) = self;
        std::array::from_fn(|index| fields[index].list(&UNITS[index], shifts[index]))
    }
}

impl fmt::Display for Fields {
    /// Writes the five fields in Kubernetes' dialect.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lists([0; 5]).join(" "))
    }
}

impl Field {
    fn only(value: u64) -> Field {
        Field { bits: 1 << value, star: false }
    }

    /// The values as a comma-separated list, each raised by `shift`. A star only for a star: all values of a day in a list
    /// combine otherwise with the other day field.
    fn list(self, unit: &Unit, shift: u32) -> String {
        if self.star {
            return "*".to_owned();
        }
        let values: Vec<String> = unit
            .values()
            .filter(|value| self.bits & (1 << value) != 0)
            .map(|value| (value + shift).to_string())
            .collect();
        values.join(",")
    }
}

impl Unit {
    pub(super) fn values(&self) -> std::ops::RangeInclusive<u32> {
        self.min..=self.max
    }

    /// What may be written, for messages.
    pub(super) fn range(&self) -> String {
        match (self.names.first(), self.names.last()) {
            (Some(first), Some(last)) => {
                let names = format!("{first}-{last}").to_uppercase();
                format!("{}-{} or {names}", self.min, self.max)
            }
            _ => format!("{}-{}", self.min, self.max),
        }
    }
}

/// Splits at white space.
fn split(expression: &str, column: usize) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut column = column;
    for text in expression.split(char::is_whitespace) {
        if !text.is_empty() {
            words.push(Word { text, column });
        }
        column += text.chars().count() + 1;
    }
    words
}

fn wrong_count(expression: &str, column: usize, words: &[Word<'_>]) -> Error {
    const FIELDS: &str = "minute, hour, day of the month, month, weekday";
    let end = column + expression.chars().count();
    match words {
        [] => Error::new(end, format!("the schedule is empty: write five fields ({FIELDS}) or @daily")),
        [first, ..] if ['@', '='].iter().any(|mark| first.text.contains(*mark)) => Error::new(
            first.column,
            format!(
                "{} must stand at the very start, with nothing before it, and TZ= in capitals and once",
                shown(first.text)
            ),
        ),
        [_, _, _, _, _, extra, ..] => Error::new(
            extra.column,
            format!("{} fields are too many: write five ({FIELDS}), without seconds and year", words.len()),
        ),
        _ => Error::new(end, format!("{} of five fields: write {FIELDS}", words.len())),
    }
}
