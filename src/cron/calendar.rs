//! A parsed calendar schedule: Kubernetes' five fields, the Quartz schedules that mean the same, and the spread of nicknames.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::fields::Fields;

/// What part of its time a nickname leaves to us; the day it names always stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    MinuteOfHour,
    MinuteOfDay,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Calendar {
    fields: Fields,
    spread: Option<Spread>,
    quartz: Vec<cron::Schedule>,
}

impl Calendar {
    pub(super) fn new(fields: Fields, spread: Option<Spread>) -> Calendar {
        Calendar { quartz: fields.quartz(), fields, spread }
    }

    /// The fields with the time of this key, or None if they do not depend on it.
    pub(super) fn spread_fields(&self, key: &str) -> Option<Fields> {
        if key.is_empty() {
            return None;
        }
        let hash = key_hash(key);
        self.spread.map(|spread| match spread {
            Spread::MinuteOfHour => self.fields.at_minute(hash % 60),
            Spread::MinuteOfDay => {
                let minute_of_day = hash % (24 * 60);
                self.fields.at_minute(minute_of_day % 60).at_hour(minute_of_day / 60)
            }
        })
    }

    /// The schedules whose union this is for the key.
    pub(super) fn quartz(&self, key: &str) -> Cow<'_, [cron::Schedule]> {
        self.spread_fields(key)
            .map_or_else(|| Cow::Borrowed(self.quartz.as_slice()), |fields| Cow::Owned(fields.quartz()))
    }
}

/// The first eight bytes of the key's SHA-256, big-endian. Never to change: slots and session names follow from it.
fn key_hash(key: &str) -> u64 {
    Sha256::digest(key.as_bytes()).iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}
