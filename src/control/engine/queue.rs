//! Who may start a Job now: so many at a time in all, so many on one repository, and alone where nobody else may be.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::facts::{FactKind, Facts};
use crate::model::keys;

/// How many Jobs may run at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub all: usize,
    pub per_repository: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    shared: usize,
    exclusive: bool,
}

/// Places that are taken. Asked in the order of age, so that nobody is passed over for ever.
#[derive(Debug)]
pub(super) struct Queue {
    limits: Limits,
    running: usize,
    by_repository: BTreeMap<String, Taken>,
    /// Repositories that somebody waits to have alone: nobody else begins there.
    wanted_alone: BTreeSet<String>,
    pub waiting: usize,
}

impl Queue {
    /// Of the Jobs that have not ended.
    pub(super) fn of(facts: &Facts, limits: Limits) -> Self {
        let mut queue =
            Self { limits, running: 0, by_repository: BTreeMap::new(), wanted_alone: BTreeSet::new(), waiting: 0 };
        // A Job keeps its finalizer, and so its place, until its end is written down.
        let jobs = facts.of_kind(FactKind::Job).filter(|(_, fact)| fact.mentions(keys::FINALIZER));
        for (_, fact) in jobs {
            let job = fact.value();
            let annotation = |key: &str| {
                job.pointer("/metadata/annotations")
                    .and_then(|all| all.get(key))
                    .and_then(|value| value.as_str())
                    .map(str::to_owned)
            };
            if let Some(repository) = annotation(keys::ADDRESS) {
                queue.take(&repository, annotation(keys::EXCLUSIVE).is_some());
            }
        }
        queue
    }

    fn take(&mut self, repository: &str, exclusive: bool) {
        self.running += 1;
        let taken = self.by_repository.entry(repository.to_owned()).or_default();
        if exclusive {
            taken.exclusive = true;
        } else {
            taken.shared += 1;
        }
    }

    /// Whether a Job may start; if so, its place is taken.
    pub(super) fn admit(&mut self, repository: &str, exclusive: bool) -> bool {
        let taken = self.by_repository.get(repository).copied().unwrap_or_default();
        let there_is_room = self.running < self.limits.all;
        let may = if exclusive {
            let free = taken.shared == 0 && !taken.exclusive;
            if !(free && there_is_room) {
                self.wanted_alone.insert(repository.to_owned());
            }
            free
        } else {
            !taken.exclusive && taken.shared < self.limits.per_repository && !self.wanted_alone.contains(repository)
        };
        if may && there_is_room {
            self.take(repository, exclusive);
            return true;
        }
        self.waiting += 1;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(all: usize, per_repository: usize) -> Queue {
        Queue::of(&Facts::default(), Limits { all, per_repository })
    }

    #[test]
    fn limits_hold_in_all_and_for_each_repository() {
        let mut queue = queue(3, 2);
        assert!(queue.admit("a", false) && queue.admit("a", false) && !queue.admit("a", false));
        assert!(queue.admit("b", false) && !queue.admit("c", false));
        assert_eq!(queue.waiting, 2);
    }

    #[test]
    fn who_wants_to_be_alone_waits_for_those_before_and_keeps_others_from_beginning() {
        let mut queue = queue(10, 5);
        assert!(queue.admit("a", false) && !queue.admit("a", true) && !queue.admit("a", false));
        assert!(queue.admit("b", true) && !queue.admit("b", true) && !queue.admit("b", false));
    }
}
