//! Reads the text of one field: values, ranges and steps in a list, with the column of whatever is wrong.

use super::{Error, shown};

/// One of the five fields: what it counts and what it may hold.
pub(super) struct Unit {
    pub(super) noun: &'static str,
    pub(super) min: u32,
    pub(super) max: u32,
    /// Names of the values from `min` on, in lower case; none if there are none.
    pub(super) names: &'static [&'static str],
}

/// The values of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Bit n stands for value n; never empty.
    pub(super) bits: u64,
    /// Whether a plain star (or `*/1`, or `?`) is in the list. It decides how the two day fields combine.
    pub(super) star: bool,
}

/// A piece of the text and the column where it begins.
#[derive(Clone, Copy)]
pub(super) struct Word<'t> {
    pub(super) text: &'t str,
    pub(super) column: usize,
}

impl<'t> Word<'t> {
    /// What stands before and after the first `separator`, if there is one.
    fn split_once(self, separator: char) -> Option<(Word<'t>, Word<'t>)> {
        let (before, after) = self.text.split_once(separator)?;
        let first = Word { text: before, column: self.column };
        let second = Word { text: after, column: self.column + before.chars().count() + 1 };
        Some((first, second))
    }

    fn error(self, message: impl Into<String>) -> Error {
        Error::new(self.column, message)
    }
}

/// Reads a comma-separated list.
pub(super) fn parse(word: Word<'_>, unit: &Unit) -> Result<Field, Error> {
    let mut rest = Some(word);
    let mut field = Field { bits: 0, star: false };
    while let Some(list) = rest {
        let (first, more) = match list.split_once(',') {
            Some((first, more)) => (first, Some(more)),
            None => (list, None),
        };
        let Field { bits, star } = item(first, unit)?;
        field.bits |= bits;
        field.star |= star;
        rest = more;
    }
    Ok(field)
}

/// Reads `*`, `?`, a value or a range, each with an optional step.
fn item(word: Word<'_>, unit: &Unit) -> Result<Field, Error> {
    let (values, step) = match word.split_once('/') {
        Some((values, step)) => (values, Some(step)),
        None => (word, None),
    };
    let (first, last, any) = match values.split_once('-') {
        Some((low, high)) => {
            let (first, last) = range(low, high, unit)?;
            (first, last, false)
        }
        None if matches!(values.text, "*" | "?") => (unit.min, unit.max, true),
        // A single value with a step runs on to the end of the unit.
        None if step.is_some() => (value(values, unit)?, unit.max, false),
        None => {
            let only = value(values, unit)?;
            (only, only, false)
        }
    };
    let step = step.map_or(Ok(1), parse_step)?;
    let bits = (first..=last).step_by(step).fold(0, |bits, value| bits | 1 << value);
    Ok(Field {
        bits,
        // As in robfig: a star with a step above one restricts.
        star: any && step == 1,
    })
}

fn range(low: Word<'_>, high: Word<'_>, unit: &Unit) -> Result<(u32, u32), Error> {
    if matches!(low.text, "*" | "?") {
        let message = format!(
            "{} already means every {}: write it alone, or a range such as {}-{}",
            low.text, unit.noun, unit.min, unit.max
        );
        return Err(low.error(message));
    }
    if high.text.contains('-') {
        let message =
            format!("a range has two ends: write such as {}-{}, and a comma before the next one", unit.min, unit.max);
        return Err(high.error(message));
    }
    let (first, last) = (value(low, unit)?, value(high, unit)?);
    if first > last {
        let message = format!("the range runs backwards: write {first}-{},{}-{last}", unit.max, unit.min);
        return Err(low.error(message));
    }
    Ok((first, last))
}

/// Reads one number or name.
fn value(word: Word<'_>, unit: &Unit) -> Result<u32, Error> {
    let text = word.text;
    if text.is_empty() {
        let message = format!("the {} is missing here: write {}", unit.noun, unit.range());
        return Err(word.error(message));
    }
    let named = (unit.min..).zip(unit.names).find(|(_, name)| name.eq_ignore_ascii_case(text));
    if let Some((value, _)) = named {
        return Ok(value);
    }
    // Go's numbers, which may have leading zeros and a plus; a minus cannot get here.
    let number = text.parse::<i64>().ok();
    match number.and_then(|number| u32::try_from(number).ok()) {
        Some(value) if unit.values().contains(&value) => Ok(value),
        // Only weekdays end at 6.
        Some(7) if unit.max == 6 => Err(word.error("7 is no weekday: write 0 or SUN for Sunday")),
        Some(_) | None => Err(word.error(no_value(text, unit))),
    }
}

fn no_value(text: &str, unit: &Unit) -> String {
    let range = unit.range();
    let noun = unit.noun;
    let quartz = text.to_ascii_uppercase().trim_matches(|c: char| c.is_ascii_digit()).to_owned();
    match quartz.as_str() {
        "L" | "W" | "LW" | "#" => {
            format!("{} is not in Kubernetes' dialect: list each {noun} by number, {range}", shown(text))
        }
        "H" => format!("{} is not in Kubernetes' dialect: write a {noun}, {range}, or @daily", shown(text)),
        _ => format!("{} is no {noun}: write {range}", shown(text)),
    }
}

fn parse_step(word: Word<'_>) -> Result<usize, Error> {
    if word.text.contains('/') {
        return Err(word.error("only one step is possible: write such as */15"));
    }
    match word.text.parse::<i64>().map(usize::try_from) {
        Ok(Ok(step @ 1..)) => Ok(step),
        Ok(_) | Err(_) => {
            Err(word.error(format!("{} is no step: write a whole number from 1, such as */15", shown(word.text))))
        }
    }
}
