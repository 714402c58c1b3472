//! Many worlds of the engine. `SIM_SEEDS` and `SIM_SEED` as for the others.

use std::sync::Mutex;

use super::world;
use crate::counts::Counts;
use crate::{FAILED_MAX, SEEDS, TRACE_LINES, number, over};

/// Worlds of a plain run: one takes a second of the processor. `SIM_SEEDS=2000` runs as many as of the others.
const WORLDS: u64 = 60;
/// Worlds that are run twice.
const TWICE: u64 = 5;
/// So often at least each fault in a run of [`SEEDS`].
const AT_LEAST: u64 = 50;
/// Everything that a full run must have done.
const DEMANDED: &[(&str, &[&str])] = &[
    (
        "fault",
        &[
            "CronJob deleted",
            "Job deleted",
            "Repository deleted",
            "RoleBinding deleted",
            "Secret deleted",
            "ServiceAccount deleted",
            "answer lost",
            "bad image name",
            "clock back",
            "clock forward",
            "configuration deleted",
            "configuration paused",
            "conflict",
            "crash after a deed",
            "crash before a deed",
            "drift",
            "evicted",
            "image missing",
            "look failed",
            "node lost",
            "out of memory",
            "outcome cut",
            "outcome missing",
            "pod deleted",
            "quota",
            "repository locked",
            "request lost",
            "restore",
            "restore deleted",
            "server error",
            "session deleted",
            "unschedulable",
            "watch late",
            "wrong password",
        ],
    ),
    ("effect", &["apply", "create", "delete", "look", "mark", "pass", "project", "status"]),
    ("ended", &["restore Failed", "restore Succeeded", "session Failed", "session Skipped", "session Succeeded"]),
    ("kept", &["removed", "untagged removed"]),
];

/// Runs a failed seed again, with its trace.
fn explain(seed: u64) -> String {
    let ended = world::run(seed, true);
    let lines = ended.trace.lines.unwrap_or_default();
    let skipped = lines.len().saturating_sub(TRACE_LINES);
    format!(
        "seed {seed} fails:\n{}\ntrace (SIM_SEED={seed} runs it alone):\n{}",
        ended.failures.join("\n"),
        lines[skipped..].join("\n")
    )
}

#[test]
fn runs_hold_together() {
    if let Some(seed) = number("SIM_SEED") {
        let ended = world::run(seed, true);
        println!("{}\n{}", ended.trace.lines.unwrap_or_default().join("\n"), ended.counts);
        assert!(ended.failures.is_empty(), "seed {seed}: {}", ended.failures.join("\n"));
        return;
    }
    let count = number("SIM_SEEDS").unwrap_or(WORLDS);
    let total = Mutex::new((Counts::default(), Vec::new()));
    over(&(0..count).collect::<Vec<_>>(), |seed| {
        let ended = world::run(seed, false);
        let mut total = total.lock().expect("nobody panics with it");
        total.0.add(&ended.counts);
        if !ended.failures.is_empty() {
            println!("seed {seed}: {}", ended.failures[0]);
            total.1.push(seed);
        }
        total.1.len() < FAILED_MAX
    });
    let (counts, failed) = total.into_inner().expect("nobody panicked");
    println!("{counts}");
    assert!(failed.is_empty(), "seeds {failed:?} fail\n{}", explain(failed[0]));
    if count >= SEEDS {
        for (sort, names) in DEMANDED {
            for name in *names {
                let times = counts.of(sort, name);
                assert!(times >= AT_LEAST, "{sort} {name:?} happened {times} times, which proves little");
            }
        }
    }
}

#[test]
fn a_world_of_runs_is_decided_by_its_seed() {
    over(&(0..TWICE).collect::<Vec<_>>(), |seed| {
        let (first, second) = (world::run(seed, false), world::run(seed, false));
        assert_eq!(first.trace.hash, second.trace.hash, "seed {seed} goes two ways");
        true
    });
}
