//! The nicknames Kubernetes knows, such as `@daily`.

use super::calendar::{Calendar, Spread};
use super::fields::Fields;
use super::{Error, every, shown};

/// Nickname, its five fields, and what of its time is spread. `@midnight` names its minute, so it stays there.
const NICKNAMES: [(&str, &str, Option<Spread>); 7] = [
    ("@hourly", "0 * * * *", Some(Spread::MinuteOfHour)),
    ("@daily", "0 0 * * *", Some(Spread::MinuteOfDay)),
    ("@midnight", "0 0 * * *", None),
    ("@weekly", "0 0 * * 0", Some(Spread::MinuteOfDay)),
    ("@monthly", "0 0 1 * *", Some(Spread::MinuteOfDay)),
    ("@yearly", "0 0 1 1 *", None),
    ("@annually", "0 0 1 1 *", None),
];

pub(super) fn parse(expression: &str, column: usize) -> Result<Calendar, Error> {
    for (nickname, fields, spread) in NICKNAMES {
        if expression == nickname {
            return Ok(Calendar::new(Fields::parse(fields, column)?, spread));
        }
        if expression.trim().eq_ignore_ascii_case(nickname) {
            return Err(Error::new(column, format!("write {nickname}, in lower case and with no blank behind it")));
        }
    }
    if expression.starts_with(every::PREFIX.trim_end()) {
        return Err(Error::new(column, "write @every, one blank and a duration, such as @every 1h30m"));
    }
    let known: Vec<&str> = NICKNAMES.iter().map(|(nickname, ..)| *nickname).collect();
    Err(Error::new(
        column,
        format!(
            "{} is no schedule: write one of {}, @every 1h30m, or five fields",
            shown(expression),
            known.join(", ")
        ),
    ))
}
