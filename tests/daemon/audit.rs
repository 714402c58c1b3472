//! What a daemon did at the API server, as the server's audit log has it.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::install::verbs::RIGHTS;

use crate::harness::audit::AuditEntry;

/// Verb, group and resource.
pub(crate) type Use = (String, String, String);

/// What the entries needed a right for; an apply that made an object needed `create` too.
pub(crate) fn used(entries: &[AuditEntry]) -> BTreeSet<Use> {
    let mut used = BTreeSet::new();
    for entry in entries {
        let made = entry.verb == "patch" && entry.code == 201;
        for verb in [Some(entry.verb.as_str()), made.then_some("create")].into_iter().flatten() {
            used.insert((verb.to_owned(), entry.group.clone(), entry.resource.clone()));
        }
    }
    used
}

/// To a daemon that runs nothing; `tests/cluster` shows what runs need.
pub(crate) fn granted() -> BTreeSet<Use> {
    let pairs = RIGHTS.iter().flat_map(|right| right.verbs.iter().map(move |verb| (right, verb)));
    pairs.map(|(right, verb)| (verb.as_str().to_owned(), right.group.to_owned(), right.resource.to_owned())).collect()
}

/// Requests that change something, but for renewals of the Lease.
pub(crate) fn writes(entries: &[AuditEntry]) -> Vec<&AuditEntry> {
    let writes = |entry: &&AuditEntry| !matches!(entry.verb.as_str(), "get" | "list" | "watch");
    entries.iter().filter(writes).filter(|entry| entry.resource != "leases").collect()
}

pub(crate) fn lists(entries: &[AuditEntry]) -> usize {
    entries.iter().filter(|entry| entry.verb == "list").count()
}

/// How often each object was made, and how often it was deleted.
pub(crate) fn made(entries: &[AuditEntry]) -> BTreeMap<(String, String, String), (usize, usize)> {
    let mut counts: BTreeMap<_, (usize, usize)> = BTreeMap::new();
    for entry in entries {
        let count = counts.entry((entry.resource.clone(), entry.namespace.clone(), entry.name.clone())).or_default();
        count.0 += usize::from(entry.code == 201);
        count.1 += usize::from(entry.verb == "delete" && entry.code == 200);
    }
    counts.retain(|_, count| *count != (0, 0));
    counts
}

/// Objects that were made although they were there.
pub(crate) fn made_twice(entries: &[AuditEntry]) -> Vec<(String, String, String)> {
    let twice = made(entries).into_iter().filter(|(_, (made, deleted))| *made > deleted + 1);
    twice.map(|(object, _)| object).collect()
}
