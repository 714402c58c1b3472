//! What everybody in a simulated world shares: time, chance, the two servers, the agenda, and the eyes of the oracle.

use std::collections::BTreeMap;

use holdfast::model::delete_log::DeleteLog;
use jiff::{SignedDuration, Timestamp};

use crate::bug::Bug;
use crate::counts::Counts;
use crate::model::cluster::Cluster;
use crate::oracle::Oracle;
use crate::remote::Remote;
use crate::rng::Rng;
use crate::shell::lease::Lease;

/// Something that will happen.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// For one life of one daemon.
    Daemon {
        daemon: usize,
        life: u32,
        what: DaemonEvent,
    },
    /// A request reaches the API server, whatever became of its sender.
    Request {
        daemon: usize,
        life: u32,
        lane: usize,
        call: crate::shell::call::Call,
    },
    Restart(usize),
    Actor,
    /// Somebody replaces an object by one of their own.
    Swap(crate::model::cluster::Key),
    Fault,
    NamespaceEnds(String),
}

#[derive(Clone, Debug)]
pub(crate) enum DaemonEvent {
    Wake,
    Watch,
    Lease,
    Source { probe: bool },
    Answer { lane: usize, reply: crate::shell::call::Reply },
    Resend { lane: usize },
    Settled,
    Look,
    Push,
}

pub(crate) struct Env {
    /// Time that no clock shows and nobody can set.
    pub time: Timestamp,
    /// What clocks show beside that.
    pub skew: SignedDuration,
    /// How far clocks were set back in all.
    pub set_back: SignedDuration,
    pub rng: Rng,
    pub cluster: Cluster,
    pub remote: Remote,
    pub lease: Lease,
    /// The ConfigMap of recent deletes.
    pub delete_log: DeleteLog,
    pub counts: Counts,
    pub oracle: Oracle,
    pub bug: Option<Bug>,
    /// How often something goes wrong, of a thousand; zero once it is quiet.
    pub faults: usize,
    agenda: BTreeMap<(Timestamp, u64), Event>,
    sequence: u64,
    pub trace: Trace,
}

/// A line per thing that happened, or only their hash.
#[derive(Default)]
pub(crate) struct Trace {
    pub lines: Option<Vec<String>>,
    pub hash: u64,
}

impl Env {
    pub(crate) fn new(seed: u64, bug: Option<Bug>, traced: bool) -> Self {
        Self {
            // In every other world a month ends, and with it the history of the status branch.
            time: (if seed % 2 == 1 { "2026-11-30T23:56:00Z" } else { "2026-11-21T00:00:00Z" })
                .parse()
                .expect("a time"),
            skew: SignedDuration::ZERO,
            set_back: SignedDuration::ZERO,
            rng: Rng::new(seed),
            cluster: Cluster::default(),
            remote: Remote::default(),
            lease: Lease::default(),
            delete_log: DeleteLog::default(),
            counts: Counts::default(),
            oracle: Oracle::default(),
            bug,
            faults: 0,
            agenda: BTreeMap::new(),
            sequence: 0,
            trace: Trace { lines: traced.then(Vec::new), hash: 0 },
        }
    }

    /// What clocks show.
    pub(crate) fn clock(&self) -> Timestamp {
        self.time + self.skew
    }

    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub(crate) fn at(&mut self, time: Timestamp, event: Event) {
        self.sequence += 1;
        self.agenda.insert((time.max(self.time), self.sequence), event);
    }

    pub(crate) fn after(&mut self, millis: usize, event: Event) {
        let wait = SignedDuration::from_millis(i64::try_from(millis).expect("a short wait"));
        self.at(self.time + wait, event);
    }

    /// The next event, if it happens before `end`; time moves to it, else to `end`.
    pub(crate) fn next(&mut self, end: Timestamp) -> Option<Event> {
        let first = self.agenda.first_entry().filter(|entry| entry.key().0 <= end);
        let Some(entry) = first else {
            self.time = end;
            return None;
        };
        let ((time, _), event) = entry.remove_entry();
        self.time = time;
        Some(event)
    }

    /// Whether a fault of this sort happens now; counted by name.
    pub(crate) fn fault(&mut self, name: &'static str, of_thousand: usize) -> bool {
        let happens = self.faults > 0 && self.rng.chance(of_thousand * self.faults / 100);
        if happens {
            self.counts.fault(name);
            self.note(|| format!("fault: {name}"));
        }
        happens
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        let line = format!("{} {}", self.time, line());
        self.trace.add(line);
    }
}

impl Trace {
    pub(crate) fn add(&mut self, line: String) {
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
    }
}
