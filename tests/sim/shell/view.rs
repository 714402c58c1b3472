//! The cluster as one daemon's watches have it: late, broken for a while, or refused.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::model::observed::{Observed, Watched};
use jiff::{SignedDuration, Timestamp};

use crate::bug::Bug;
use crate::env::Env;

#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    /// How much of the history has come.
    cursor: usize,
    answered: bool,
    /// When the collection is listed anew, and brings nothing before.
    relist_at: Option<Timestamp>,
    /// Whether it brings events meanwhile, some of which are lost.
    leaks: bool,
}

#[derive(Default)]
pub(crate) struct View {
    pub observed: Observed,
    streams: BTreeMap<Watched, Stream>,
}

/// What a look at the watches brought.
pub(crate) struct Brought {
    pub changed: bool,
    /// Every collection was listed or refused once, with this look.
    pub listed: bool,
    /// Milliseconds until there is more.
    pub again: Option<usize>,
}

impl View {
    pub(crate) fn new() -> Self {
        let streams =
            Watched::all().map(|watched| (watched, Stream { relist_at: Some(Timestamp::MIN), ..Stream::default() }));
        Self { observed: Observed::default(), streams: streams.collect() }
    }

    pub(crate) fn look(&mut self, daemon: usize, env: &mut Env) -> Brought {
        let was_listed = self.is_listed();
        let mut changed = false;
        let mut again: Option<usize> = None;
        for (watched, stream) in &mut self.streams {
            changed |= stream.look(daemon, *watched, &mut self.observed, env);
            let wait = match stream.relist_at {
                Some(at) => Some(usize::try_from(at.duration_since(env.time).as_millis().max(1)).unwrap_or(1)),
                None => (stream.cursor < env.cluster.history(*watched).len()).then_some(150),
            };
            again = again.into_iter().chain(wait).min();
        }
        Brought { changed, listed: !was_listed && self.is_listed(), again }
    }

    /// Every trouble ends, and what was missed comes.
    pub(crate) fn heal(&mut self, now: Timestamp) {
        for stream in self.streams.values_mut() {
            stream.relist_at = Some(now);
        }
    }

    fn is_listed(&self) -> bool {
        self.streams.values().all(|stream| stream.answered)
    }
}

impl Stream {
    fn look(&mut self, daemon: usize, watched: Watched, observed: &mut Observed, env: &mut Env) -> bool {
        if self.relist_at.is_some_and(|at| at <= env.time) {
            return self.list(daemon, watched, observed, env);
        }
        if self.relist_at.is_some() && !self.leaks {
            return false;
        }
        let mut changed = false;
        while self.cursor < env.cluster.history(watched).len() {
            if env.fault("watch late", 80) {
                break;
            }
            if self.relist_at.is_none() && env.fault("watch stalled", 10) {
                self.trouble(env, 100, false);
                break;
            }
            let change = env.cluster.history(watched)[self.cursor].clone();
            self.cursor += 1;
            if env.fault("watch event lost", 8) {
                self.trouble(env, 60, true);
                continue;
            }
            let mut take = || match &change.object {
                Some(object) => observed.upsert(object),
                None => observed.remove(watched, &change.namespace, &change.name),
            };
            changed |= take();
            if env.fault("watch event twice", 30) {
                changed |= take();
            }
        }
        changed
    }

    fn list(&mut self, daemon: usize, watched: Watched, observed: &mut Observed, env: &mut Env) -> bool {
        if env.fault("kind refused", 25) {
            env.oracle.listed(daemon, watched, false);
            // Mostly a server that starts; now and then a definition that is gone for a while.
            let tries = if env.rng.chance(150) { env.rng.between(10, 80) } else { 1 };
            self.relist_at = Some(env.time + SignedDuration::from_secs(15 * i64::try_from(tries).unwrap_or(1)));
            self.leaks = false;
            self.answered = true;
            if env.has(Bug::TakesUnlistedForEmpty) {
                observed.complete.insert(watched);
                return observed.retain(watched, &BTreeSet::new());
            }
            return observed.complete.remove(&watched);
        }
        env.oracle.listed(daemon, watched, true);
        let items = env.cluster.list(watched);
        let mut listed = BTreeSet::new();
        let mut changed = false;
        for item in &items {
            let text = |field: &str| item["metadata"][field].as_str().unwrap_or_default().to_owned();
            listed.insert((text("namespace"), text("name")));
            changed |= observed.upsert(item);
        }
        changed |= observed.retain(watched, &listed);
        changed |= observed.complete.insert(watched);
        *self = Self { cursor: env.cluster.history(watched).len(), answered: true, relist_at: None, leaks: false };
        changed
    }

    fn trouble(&mut self, env: &mut Env, seconds: usize, leaks: bool) {
        let wait = i64::try_from(env.rng.between(2, seconds)).unwrap_or(2);
        self.relist_at = Some(env.time + SignedDuration::from_secs(wait));
        self.leaks = leaks;
    }
}
