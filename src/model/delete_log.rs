//! The deletes of the last hour, as they are written down before they happen. One that is tried again is one delete still.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

/// Deletes count for this long.
const RECENT: SignedDuration = SignedDuration::from_hours(1);
/// UIDs that are kept, some 40 KiB; a delete beyond that counts with each try.
const UIDS_MAX: usize = 1000;

/// One delete of the last hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentDelete {
    pub time: Timestamp,
    /// What was to be deleted, where that is known.
    pub uid: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteLog {
    /// By the time of the plan.
    passes: BTreeMap<Timestamp, Pass>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Pass {
    count: u32,
    /// At most `count`.
    uids: BTreeSet<String>,
}

impl DeleteLog {
    /// Reads what [`DeleteLog::print`] gave, now or in a version that wrote no UIDs.
    pub fn parse(text: &str) -> Option<Self> {
        let passes = text.lines().map(|line| {
            let mut words = line.split_whitespace();
            let time: Timestamp = words.next()?.parse().ok()?;
            let count: u32 = words.next()?.parse().ok()?;
            let uids: BTreeSet<String> = words.map(str::to_owned).collect();
            (uids.len() <= count as usize).then_some((time, Pass { count, uids }))
        });
        Some(Self { passes: passes.collect::<Option<_>>()? })
    }

    /// A line for each pass: its time, how many, and their UIDs.
    pub fn print(&self) -> String {
        let line = |(time, pass): (&Timestamp, &Pass)| {
            let uids: String = pass.uids.iter().flat_map(|uid| [" ", uid]).collect();
            format!("{time} {}{uids}", pass.count)
        };
        self.passes.iter().map(line).collect::<Vec<String>>().join("\n")
    }

    /// What counts at `now`.
    pub fn recent(&self, now: Timestamp) -> Vec<RecentDelete> {
        let mut recent = Vec::new();
        for (time, pass) in self.passes.range(now.saturating_sub(RECENT).unwrap_or(Timestamp::MIN)..) {
            let unknown = (pass.count as usize).saturating_sub(pass.uids.len());
            let uids = pass.uids.iter().cloned().map(Some).chain(std::iter::repeat_n(None, unknown));
            recent.extend(uids.map(|uid| RecentDelete { time: *time, uid }));
        }
        recent
    }

    /// The log once the objects of these UIDs are about to be deleted. What was tried before counts from now on, since
    /// it may happen only now.
    #[must_use]
    pub fn noted(&self, now: Timestamp, uids: &BTreeSet<&str>) -> Self {
        let mut next = self.clone();
        for pass in next.passes.values_mut() {
            let before = pass.uids.len();
            pass.uids.retain(|uid| !uids.contains(uid.as_str()));
            pass.count = pass.count.saturating_sub(u32::try_from(before - pass.uids.len()).unwrap_or(u32::MAX));
        }
        next.passes.retain(|time, pass| pass.count > 0 && now.duration_since(*time) < RECENT);
        let room = UIDS_MAX.saturating_sub(next.passes.values().map(|pass| pass.uids.len()).sum());
        // The log is words, and what is no word only counts.
        let words = uids.iter().filter(|uid| !uid.is_empty() && !uid.contains(char::is_whitespace));
        let pass = next.passes.entry(now).or_default();
        pass.count = pass.count.saturating_add(u32::try_from(uids.len()).unwrap_or(u32::MAX));
        pass.uids.extend(words.take(room).map(|uid| (*uid).to_owned()));
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_795_226_400 + 60 * minutes).unwrap()
    }

    fn noted(log: &DeleteLog, minutes: i64, uids: &[&str]) -> DeleteLog {
        log.noted(at(minutes), &uids.iter().copied().collect())
    }

    #[test]
    fn what_is_printed_is_read_and_counts_for_an_hour() {
        let log = noted(&noted(&DeleteLog::default(), 0, &["a", "b"]), 30, &["c", "no word"]);
        assert_eq!(log.print(), "2026-11-21T02:00:00Z 2 a b\n2026-11-21T02:30:00Z 2 c");
        assert_eq!(DeleteLog::parse(&log.print()), Some(log.clone()));
        assert_eq!(log.recent(at(59)).len(), 4);
        let uids: Vec<_> = log.recent(at(61)).into_iter().map(|delete| delete.uid).collect();
        assert_eq!(uids, [Some("c".to_owned()), None]);
        assert_eq!(noted(&log, 61, &["d"]).print(), "2026-11-21T02:30:00Z 2 c\n2026-11-21T03:01:00Z 1 d");
    }

    #[test]
    fn a_log_without_uids_is_read_and_another_text_is_not() {
        let old = DeleteLog::parse("2026-11-21T02:00:00Z 2\n2026-11-21T02:30:00.25Z 1").unwrap();
        assert_eq!(old.recent(at(40)).iter().filter(|delete| delete.uid.is_none()).count(), 3);
        assert_eq!(noted(&old, 40, &["a"]).recent(at(40)).len(), 4);
        assert_eq!(DeleteLog::parse(""), Some(DeleteLog::default()));
        for wrong in ["soon 3", "2026-11-21T02:00:00Z", "2026-11-21T02:00:00Z a", "2026-11-21T02:00:00Z 1 a b"] {
            assert_eq!(DeleteLog::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_delete_that_is_tried_again_is_one_and_the_newest() {
        let mut log = DeleteLog::default();
        for minutes in 0..50 {
            log = noted(&log, minutes, &["a", "b"]);
        }
        assert_eq!(log.print(), "2026-11-21T02:49:00Z 2 a b");
        log = noted(&log, 49, &["b"]);
        assert_eq!(log.recent(at(49)).len(), 2);
    }

    #[test]
    fn the_log_is_bounded() {
        let uids: Vec<String> = (0..3 * UIDS_MAX).map(|index| format!("uid-{index}")).collect();
        let log = DeleteLog::default().noted(at(0), &uids.iter().map(String::as_str).collect());
        assert_eq!(log.recent(at(0)).len(), uids.len());
        assert_eq!(log.recent(at(0)).iter().filter(|delete| delete.uid.is_some()).count(), UIDS_MAX);
        assert_eq!(noted(&log, 1, &["more"]).recent(at(1)).len(), uids.len() + 1);
    }
}
