//! What the loop costs, beside the aims of the project: `cargo bench --bench loop [-- PART-OF-A-NAME...]`.
//!
//! Machines and their load differ, so each number has a ratio to something that is measured in the same run.
#![allow(clippy::disallowed_methods, reason = "a bench reads clocks, files and its arguments")]

#[path = "../../tests/harness/mod.rs"]
mod harness;
#[allow(dead_code, reason = "made for the tests on a cluster; a part of it serves here too")]
#[path = "../../tests/cluster/support.rs"]
mod support;

mod apply;
mod plan;
mod process;
mod push_to_applied;
mod stage;
mod status_commit;
mod table;
mod world;

use std::path::Path;

use table::Row;

type Measure = fn() -> Vec<Row>;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, folder, cluster, policies] = args.as_slice()
        && first == plan::CHILD
    {
        return plan::run_child(Path::new(folder), cluster, policies);
    }
    // Cargo itself adds `--bench`.
    let names: Vec<&str> = args.iter().map(String::as_str).filter(|arg| !arg.starts_with('-')).collect();
    let measurements: [(&str, Measure); 4] = [
        ("plan", plan::measure),
        ("status_commit", status_commit::measure),
        ("apply", || block_on(apply::measure())),
        ("push_to_applied", || block_on(push_to_applied::measure())),
    ];
    let mut rows = Vec::new();
    for (name, measure) in measurements {
        if names.is_empty() || names.iter().any(|wanted| name.contains(wanted)) {
            eprintln!("{name} ...");
            rows.extend(measure());
        }
    }
    print!("{}", table::markdown(&rows));
}

fn block_on<T>(measurement: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime").block_on(measurement)
}
