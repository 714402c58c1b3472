//! How far back the history of the status branch goes, and where it is put aside: decided from the tip of the branch and
//! the moment alone, so that whoever decides it again after a crash comes to the same.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::memory::{self, ClusterFile, Condition, Memory};
use crate::model::month::Month;

/// Archives of all clusters, each with a folder of its own.
const ARCHIVES: &str = "refs/holdfast/archive";
pub(super) const HISTORY_ROTATED: &str = "HistoryRotated";

/// `history` of `cluster.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The month in which the first commit of the branch was made.
    pub since: Month,
    /// Where the history before that one is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
}

/// A history that has to go aside before the next commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Full name of the ref that keeps it.
    pub archive: String,
    /// What the new branch says.
    pub then: History,
}

/// Why the server did not let the history be rotated; commits are added to it as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationRefused {
    /// The archive is not taken.
    Archive { archive: String, message: String },
    /// There is an archive of that name, of another commit. It is never overwritten.
    Taken { archive: String, commit: String },
    /// The archive is there, but the branch may not be replaced.
    Replacement { message: String },
}

impl History {
    /// Of a branch that begins; `earlier` is what the one before it said.
    pub fn begin(earlier: Option<&History>, now: Timestamp) -> Self {
        Self { since: Month::of(now), archive: earlier.and_then(|earlier| earlier.archive.clone()) }
    }

    /// Of a branch whose `cluster.yaml` says `said` and whose last commit was made at `tip`. Where it says nothing, or a
    /// month that is not there yet, the last commit is what is known to be no older than the first.
    pub fn of_tip(said: Option<&History>, tip: Timestamp, now: Timestamp) -> Self {
        let month = Month::of(now);
        match said.filter(|said| said.since <= month) {
            Some(said) => said.clone(),
            None => Self { since: Month::of(tip).min(month), archive: said.and_then(|said| said.archive.clone()) },
        }
    }

    /// Whose it is apart, `history` of a `cluster.yaml`, also where the rest of it is from another version.
    pub fn of_file(bytes: &[u8]) -> Option<Self> {
        memory::field(bytes, "history")
    }

    /// Due with the first commit of a new month. The archive is named after the month of its last commit, or after the
    /// month before this one where commits were added this month because rotation was refused: always later than the
    /// one before it.
    pub fn rotation(&self, cluster_name: &str, tip: Timestamp, now: Timestamp) -> Option<Rotation> {
        let month = Month::of(now);
        if self.since >= month {
            return None;
        }
        let last = Month::of(tip).clamp(self.since, month.before());
        let archive = format!("{ARCHIVES}/{cluster_name}/{last}");
        Some(Rotation { then: Self { since: month, archive: Some(archive.clone()) }, archive })
    }
}

impl RotationRefused {
    fn reason(&self) -> &'static str {
        match self {
            Self::Archive { .. } => "ArchiveRefused",
            Self::Taken { .. } => "ArchiveTaken",
            Self::Replacement { .. } => "ReplacementRefused",
        }
    }

    pub fn message(&self) -> String {
        match self {
            Self::Archive { archive, message } => format!(
                "the server does not take {archive} ({message}): allow us to push refs below {ARCHIVES}/, then restart or wait for the next month"
            ),
            Self::Taken { archive, commit } => {
                format!(
                    "{archive} is at {commit}, which is not the tip of this branch: it is never overwritten, and the next month has another name"
                )
            }
            Self::Replacement { message } => format!(
                "the server does not let the branch be replaced ({message}): allow us forced pushes to it; tried again next month"
            ),
        }
    }
}

/// What was refused last, until the history is another.
pub(super) fn condition(
    refused: Option<&RotationRefused>,
    history: &History,
    known: Option<&ClusterFile>,
    now: Timestamp,
) -> Option<Condition> {
    let conditions = known.map(|known| &known.conditions);
    if let Some(refused) = refused {
        let new = Condition {
            kind: HISTORY_ROTATED.to_owned(),
            status: "False".to_owned(),
            reason: refused.reason().to_owned(),
            message: refused.message(),
            since: memory::whole_second(now),
        };
        return Some(Memory::since(conditions, new));
    }
    let same = known?.history.as_ref().is_some_and(|known| known.since == history.since);
    conditions?.iter().find(|condition| same && condition.kind == HISTORY_ROTATED).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn since(month: &str) -> History {
        History { since: month.parse().unwrap(), archive: None }
    }

    fn archive(history: &History, tip: &str, now: &str) -> Option<String> {
        history.rotation("prod", at(tip), at(now)).map(|rotation| rotation.archive)
    }

    #[test]
    fn the_first_commit_of_a_month_rotates_and_no_other() {
        let october = since("2026-10");
        assert_eq!(archive(&october, "2026-10-31T23:59:59Z", "2026-10-31T23:59:59Z"), None);
        let rotation = october.rotation("prod", at("2026-10-31T23:59:59Z"), at("2026-11-01T00:00:00Z")).unwrap();
        assert_eq!(rotation.archive, "refs/holdfast/archive/prod/2026-10");
        assert_eq!(rotation.then.archive.as_deref(), Some("refs/holdfast/archive/prod/2026-10"));
        assert_eq!(archive(&rotation.then, "2026-11-01T00:00:00Z", "2026-11-30T00:00:00Z"), None);
        // A clock that was set back.
        assert_eq!(archive(&since("2026-12"), "2026-12-01T00:00:00Z", "2026-11-01T00:00:00Z"), None);
    }

    #[test]
    fn an_archive_has_the_month_of_its_last_commit_and_a_new_name_each_time() {
        let name =
            |history, tip, now| archive(&since(history), tip, now).unwrap().rsplit('/').next().unwrap().to_owned();
        assert_eq!(name("2026-09", "2026-09-12T00:00:00Z", "2026-11-01T00:00:00Z"), "2026-09", "idle for a month");
        assert_eq!(name("2026-09", "2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z"), "2026-10", "refused before");
        // A commit of somebody with an odd clock gives no name that an older archive may have.
        assert_eq!(name("2026-09", "1999-01-01T00:00:00Z", "2026-11-01T00:00:00Z"), "2026-09");
    }

    #[test]
    fn the_tip_says_since_when_and_the_last_commit_where_it_does_not() {
        let (tip, now) = (at("2026-10-20T00:00:00Z"), at("2026-11-02T00:00:00Z"));
        assert_eq!(History::of_tip(Some(&since("2026-09")), tip, now), since("2026-09"));
        assert_eq!(History::of_tip(None, tip, now), since("2026-10"));
        let future = History { archive: Some("a".to_owned()), ..since("2031-01") };
        assert_eq!(
            History::of_tip(Some(&future), tip, now),
            History { archive: Some("a".to_owned()), ..since("2026-10") }
        );
        assert_eq!(History::of_tip(None, at("2031-01-01T00:00:00Z"), now), since("2026-11"));
        assert_eq!(History::begin(Some(&future), now), History { archive: Some("a".to_owned()), ..since("2026-11") });
        let file = b"apiVersion: x\nhistory:\n  since: '2026-10'\nschema: 7\n";
        assert_eq!(History::of_file(file), Some(since("2026-10")));
        assert_eq!(History::of_file(b"history:\n  since: soon\n"), None);
    }
}
