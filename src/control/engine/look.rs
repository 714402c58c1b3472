//! What a decision needs to know beyond what is followed: asked for when it is needed, and kept with the time it was seen.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Answers that nobody asked for again for so long are forgotten.
const KEPT: SignedDuration = SignedDuration::from_mins(15);
/// A question that could not be answered is asked again after this.
const AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// A question to the API server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    /// The names of the keys of a Secret; never a value.
    Secret { namespace: String, name: String },
    /// A Deployment, StatefulSet or DaemonSet, without the environment of its containers.
    Workload { kind: String, namespace: String, name: String },
    /// Pods of a namespace, those of a selector or all: nodes, volumes, users.
    Pods { namespace: String, selector: Option<String> },
    /// Claims of a namespace.
    Claims { namespace: String },
    /// Why a Job has no pod: what Events say about it.
    Events { namespace: String, uid: String },
}

/// What the API server said.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// One object, or a list of them as an array.
    Found(Value),
    /// The object does not exist.
    Missing,
    /// It could not be found out.
    Unknown(String),
}

/// The answers so far.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    answers: BTreeMap<Look, (Timestamp, Seen)>,
}

impl Looked {
    pub fn note(&mut self, look: Look, seen: Seen, now: Timestamp) {
        self.answers.retain(|_, (at, _)| now.duration_since(*at) < KEPT);
        self.answers.insert(look, (now, seen));
    }

    /// What was seen is not so any more.
    pub fn forget(&mut self, look: &Look) {
        self.answers.remove(look);
    }

    /// An answer that is not older than `since`. What could not be found out is known for a few seconds only.
    fn get(&self, look: &Look, since: Timestamp, now: Timestamp) -> Option<&Seen> {
        let (at, seen) = self.answers.get(look)?;
        let fresh = match seen {
            Seen::Found(_) | Seen::Missing => *at >= since,
            Seen::Unknown(_) => now.duration_since(*at) < AGAIN,
        };
        fresh.then_some(seen)
    }
}

/// Asks, and notes what has to be looked at first.
#[derive(Debug)]
pub struct Questions<'l> {
    looked: &'l Looked,
    now: Timestamp,
    pub wanted: BTreeSet<Look>,
    /// Questions that have no answer yet, however often the same was asked.
    pub open: usize,
    /// When something that is not known yet is looked at again.
    pub again: Option<Timestamp>,
}

impl<'l> Questions<'l> {
    pub fn new(looked: &'l Looked, now: Timestamp) -> Self {
        Self { looked, now, wanted: BTreeSet::new(), open: 0, again: None }
    }

    /// Time alone may answer.
    pub fn look_again(&mut self, at: Timestamp) {
        self.again = Some(self.again.map_or(at, |known| known.min(at)));
    }

    /// As [`Questions::ask`]; until there is a newer answer the last one, which is better than none.
    pub fn ask_or_last(&mut self, look: Look, since: Timestamp) -> Option<&'l Seen> {
        let looked = self.looked;
        let last = looked.answers.get(&look).map(|(_, seen)| seen);
        self.ask(look, since).or(last)
    }

    /// None: it is not known yet, and will be looked at.
    pub fn ask(&mut self, look: Look, since: Timestamp) -> Option<&'l Seen> {
        let seen = self.looked.get(&look, since, self.now);
        match seen {
            None => {
                self.wanted.insert(look);
                self.open += 1;
            }
            Some(Seen::Unknown(_)) => {
                self.look_again(self.now.saturating_add(AGAIN).unwrap_or(self.now));
            }
            Some(Seen::Found(_) | Seen::Missing) => {}
        }
        seen
    }
}
