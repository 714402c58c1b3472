//! How often each fault, effect and act happened: a simulation that never does something proves nothing about it.

use std::collections::BTreeMap;
use std::fmt;

#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(BTreeMap<(&'static str, &'static str), u64>);

impl Counts {
    pub(crate) fn fault(&mut self, name: &'static str) {
        self.one("fault", name);
    }

    pub(crate) fn effect(&mut self, name: &'static str) {
        self.one("effect", name);
    }

    pub(crate) fn act(&mut self, name: &'static str) {
        self.one("act", name);
    }

    pub(crate) fn one(&mut self, sort: &'static str, name: &'static str) {
        *self.0.entry((sort, name)).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Counts) {
        for (key, count) in &other.0 {
            *self.0.entry(*key).or_default() += count;
        }
    }

    pub(crate) fn of(&self, sort: &'static str, name: &'static str) -> u64 {
        self.0.get(&(sort, name)).copied().unwrap_or(0)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((sort, name), count) in &self.0 {
            writeln!(f, "{sort:<8} {name:<28} {count:>9}")?;
        }
        Ok(())
    }
}

/// Everything that a full run must have done.
pub(crate) const DEMANDED: &[(&str, &[&str])] = &[
    (
        "fault",
        &[
            "request lost",
            "answer lost",
            "throttled",
            "server error",
            "conflict",
            "denied",
            "watch late",
            "watch stalled",
            "watch event lost",
            "watch event twice",
            "kind refused",
            "fetch failed",
            "push rejected",
            "push not there",
            "push unclear",
            "push lost",
            "archive refused",
            "rotation interrupted",
            "replacement refused",
            "fetch of status failed",
            "branch vanished",
            "branch set back",
            "foreign commit",
            "source rewound",
            "crash",
            "pause",
            "lease lost",
            "clock forward",
            "clock back",
        ],
    ),
    (
        "effect",
        &[
            "probe",
            "read",
            "pass",
            "record",
            "get",
            "create",
            "update",
            "delete",
            "write log",
            "commit",
            "rotation",
            "leader",
            "refusal",
            "mark",
            "cause back",
            "adopted",
        ],
    ),
    (
        "act",
        &[
            "annotate",
            "unannotate",
            "edit annotation",
            "create target",
            "delete target",
            "delete namespace",
            "create namespace",
            "drift",
            "pause backup",
            "foreign object",
            "swap",
            "hand over",
            "delete generated",
            "hold by finalizer",
            "push blueprint",
            "remove blueprint",
            "break blueprint",
            "push document",
            "remove document",
            "acknowledge",
            "cluster blueprint",
        ],
    ),
];
