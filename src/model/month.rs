//! A month of the calendar in UTC, written `yyyy-mm`.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    /// 0 to 9999: four digits.
    year: i16,
    /// 1 to 12.
    month: i8,
}

impl Month {
    /// The month of a moment; of one before our era the first that can be written.
    pub fn of(time: Timestamp) -> Self {
        let date = time.to_zoned(TimeZone::UTC).date();
        if date.year() < 0 { Self { year: 0, month: 1 } } else { Self { year: date.year(), month: date.month() } }
    }

    /// The month before it; the first that can be written has none but itself.
    #[must_use]
    pub fn before(self) -> Self {
        match self {
            Self { year: 0, month: 1 } => self,
            Self { year, month: 1 } => Self { year: year - 1, month: 12 },
            Self { year, month } => Self { year, month: month - 1 },
        }
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let parts = text
            .split_once('-')
            .filter(|(year, month)| (year.len(), month.len()) == (4, 2) && digits(year) && digits(month));
        let month = parts.and_then(|(year, month)| Some(Self { year: year.parse().ok()?, month: month.parse().ok()? }));
        month.filter(|month| (1..=12).contains(&month.month)).ok_or_else(|| "a month is yyyy-mm".to_owned())
    }
}

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_read_as_they_are_written_and_follow_each_other() {
        let of = |time: &str| Month::of(time.parse().unwrap());
        assert_eq!(of("2026-11-30T23:59:59Z").to_string(), "2026-11");
        assert_eq!(of("2026-11-30T23:59:59-02:00").to_string(), "2026-12");
        assert_eq!(of("2026-01-01T00:00:00Z").before(), of("2025-12-31T23:00:00Z"));
        assert!(of("2025-12-01T00:00:00Z") < of("2026-01-01T00:00:00Z"));
        for text in ["2026-11", "0000-01", "9999-12"] {
            assert_eq!(text.parse::<Month>().unwrap().to_string(), text);
        }
        for text in ["", "2026", "2026-13", "2026-00", "2026-1", "26-11", "+026-11", "2026-11-01", "2026-११"] {
            assert!(text.parse::<Month>().is_err(), "{text}");
        }
        let first: Month = "0000-01".parse().unwrap();
        assert_eq!((Month::of(Timestamp::MIN), first.before()), (first, first));
    }
}
