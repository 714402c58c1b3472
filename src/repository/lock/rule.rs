//! Which locks stand in the way of which work.

use jiff::Timestamp;

use super::{Lock, Mode};
use crate::repository::store::FileId;

/// The lock that somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    pub id: FileId,
    pub lock: Lock,
    /// Nobody has refreshed it for longer than anybody who is alive would.
    pub stale: bool,
}

/// The first of the others' locks beside which the work may not begin: of two shared ones none is.
/// A stale lock counts like any other. Who holds it may hang and go on, and only whoever knows better removes it.
pub(super) fn conflict(wanted: Mode, others: &[(FileId, Lock)], now: Timestamp) -> Option<Conflict> {
    let stands_in_the_way = |lock: &Lock| wanted == Mode::Exclusive || lock.mode() == Mode::Exclusive;
    let mut found: Vec<_> = others.iter().filter(|(_, lock)| stands_in_the_way(lock)).collect();
    // Who is alive is worth waiting for, so it is named first; then the oldest.
    found.sort_by_key(|(id, lock)| (lock.is_stale(now), lock.time, *id));
    found.first().map(|(id, lock)| Conflict { id: *id, lock: lock.clone(), stale: lock.is_stale(now) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(exclusive: bool, minute: i64) -> Lock {
        let time = Timestamp::from_second(minute * 60).unwrap();
        let (hostname, username) = ("host".to_owned(), "user".to_owned());
        Lock { time, exclusive, hostname, username, pid: 7, uid: None, gid: None, holdfast: None }
    }

    #[test]
    fn only_shared_locks_stand_beside_each_other() {
        let now = Timestamp::from_second(100 * 60).unwrap();
        let (shared, alone) = ((FileId([1; 32]), lock(false, 99)), (FileId([2; 32]), lock(true, 99)));
        for (wanted, others, expected) in [
            (Mode::Shared, vec![], None),
            (Mode::Shared, vec![shared.clone()], None),
            (Mode::Shared, vec![shared.clone(), alone.clone()], Some(alone.0)),
            (Mode::Exclusive, vec![], None),
            (Mode::Exclusive, vec![shared.clone()], Some(shared.0)),
            (Mode::Exclusive, vec![alone.clone()], Some(alone.0)),
        ] {
            assert_eq!(conflict(wanted, &others, now).map(|conflict| conflict.id), expected, "{wanted:?} {others:?}");
        }
    }

    #[test]
    fn a_stale_lock_still_counts_and_a_live_one_is_named_first() {
        let now = Timestamp::from_second(100 * 60).unwrap();
        let (old, new) = ((FileId([1; 32]), lock(true, 69)), (FileId([2; 32]), lock(true, 99)));
        let found = conflict(Mode::Shared, std::slice::from_ref(&old), now).unwrap();
        assert!(found.stale);
        assert_eq!(conflict(Mode::Shared, &[old, new.clone()], now).unwrap().id, new.0);
    }
}
