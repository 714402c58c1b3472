//! Deterministic simulation of whole worlds: the real loop, planner and report against a model cluster and a model
//! remote, with every fault that the servers, the clocks and other people can bring. `SIM_SEEDS` sets how many worlds,
//! `SIM_SEED` runs one and prints its trace.

#![expect(clippy::disallowed_methods, reason = "which worlds to try is said by the environment")]

mod actors;
mod bug;
mod counts;
mod documents;
mod engine;
mod env;
mod model;
mod oracle;
mod quiet;
mod remote;
mod rng;
mod shell;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bug::Bug;
use counts::{Counts, DEMANDED};

/// Worlds of one run, unless `SIM_SEEDS` says otherwise.
const SEEDS: u64 = 2000;
/// A planted bug must be found within so many worlds.
const SEEDS_PER_BUG: u64 = 300;
const DOUBLE_CHECKED: u64 = 50;
/// So often at least each fault, effect and act in a run of [`SEEDS`].
const AT_LEAST: u64 = 100;
/// Failed worlds after which there is enough to look at.
const FAILED_MAX: usize = 3;
/// The last lines of a trace that a failure prints.
const TRACE_LINES: usize = 400;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Worlds that failed once.
fn regressions() -> Vec<u64> {
    let lines = include_str!("seeds.txt").lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(|line| line.parse().expect("a seed a line")).collect()
}

/// Tries seeds on all cores until `each` says that it is enough.
fn over(seeds: &[u64], each: impl Fn(u64) -> bool + Sync) {
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).expect("few seeds");
                    let Some(seed) = seeds.get(index) else { return };
                    if !each(*seed) {
                        next.store(seeds.len() as u64, Ordering::Relaxed);
                        return;
                    }
                }
            });
        }
    });
}

/// Runs a failed seed again, with its trace.
fn explain(seed: u64) -> String {
    let ended = world::run(seed, None, true);
    let skipped = ended.trace.len().saturating_sub(TRACE_LINES);
    format!(
        "seed {seed} fails:\n{}\ntrace (SIM_SEED={seed} runs it alone):\n{}",
        ended.failures.join("\n"),
        ended.trace[skipped..].join("\n")
    )
}

#[test]
fn worlds_hold_together() {
    if let Some(seed) = number("SIM_SEED") {
        let ended = world::run(seed, None, true);
        println!("{}\n{}", ended.trace.join("\n"), ended.counts);
        assert!(ended.failures.is_empty(), "seed {seed}: {}", ended.failures.join("\n"));
        return;
    }
    let count = number("SIM_SEEDS").unwrap_or(SEEDS);
    let seeds: Vec<u64> = regressions().into_iter().chain(0..count).collect();
    let total = Mutex::new((Counts::default(), Vec::new()));
    over(&seeds, |seed| {
        let ended = world::run(seed, None, false);
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
fn a_world_is_decided_by_its_seed() {
    over(&(0..DOUBLE_CHECKED).collect::<Vec<_>>(), |seed| {
        let (first, second) = (world::run(seed, None, false), world::run(seed, None, false));
        assert_eq!(first.hash, second.hash, "seed {seed} goes two ways");
        true
    });
}

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        let found = Mutex::new(None);
        over(&(0..SEEDS_PER_BUG).collect::<Vec<_>>(), |seed| {
            let ended = world::run(seed, Some(bug), false);
            // A world that fails by itself finds nothing.
            let found_by = ended.failures.first().filter(|_| world::run(seed, None, false).failures.is_empty());
            if let Some(failure) = found_by {
                let mut found = found.lock().expect("nobody panics with it");
                *found = Some((seed, failure.lines().next().unwrap_or_default().to_owned()));
                return false;
            }
            true
        });
        match found.into_inner().expect("nobody panicked") {
            Some((seed, failure)) => println!("{bug:?}: seed {seed}: {failure}"),
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "{missed:?} are not found within {SEEDS_PER_BUG} worlds");
}
