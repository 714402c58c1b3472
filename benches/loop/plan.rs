//! One full plan of 10,000 targets and 20 blueprints: time and memory, in a process of its own so that its memory is that of the plan.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::process::Command;

use holdfast::git::read_folder;
use holdfast::model::desired::Desired;
use holdfast::model::observed::{Observed, Watched};
use holdfast::model::tree::InputPaths;
use holdfast::plan::{Settings, plan};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::process::{memory, thread_seconds};
use crate::table::{Row, mebibytes, seconds};
use crate::world;

pub(crate) const TARGETS: usize = 10_000;
const NAMESPACES: usize = 100;
/// The best of these is the one least disturbed.
const ROUNDS: usize = 9;
/// First argument of the process that plans.
pub(crate) const CHILD: &str = "--child-plan";
const EMPTY: &str = "empty";
const IN_PLACE: &str = "in-place";
/// Given to the child, it plans under policies too.
const POLICIES: &str = "policies";

const TIME_SECONDS_MAX: f64 = 0.3;
const TIME_WITH_POLICIES_SECONDS_MAX: f64 = 1.0;
const MEMORY_BYTES_MAX: u64 = 150 << 20;

pub(crate) fn measure() -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    lay_out(folder.path());
    let mut rows = Vec::new();
    let [empty, in_place] = [EMPTY, IN_PLACE].map(|cluster| child(folder.path(), cluster, ""));
    let judged = child(folder.path(), IN_PLACE, POLICIES);
    for (cluster, told) in [("nothing exists yet", &empty), ("all is in place", &in_place)] {
        let (time, parse) = (number(told, "plan"), number(told, "parse"));
        let what =
            format!("plan of {TARGETS} targets, {} blueprints: {cluster} ({} steps)", world::BLUEPRINTS, told["steps"]);
        let row = Row::new(what, seconds(time)).aim("under 0.3 s of one core", time < TIME_SECONDS_MAX);
        rows.push(row.ratio(time, parse, "reading the JSON of the cluster by serde_json"));
        let peak = told["peak"].as_u64().expect("a number");
        let row = Row::new("– its memory, with the view of the cluster and the plan before it", mebibytes(peak));
        let row = row.aim("under 150 MiB", peak < MEMORY_BYTES_MAX);
        rows.push(row.ratio(crate::table::to_f64(peak), number(told, "bytes"), "the JSON of the cluster"));
    }
    let (time, without) = (number(&judged, "plan"), number(&in_place, "plan"));
    let what = format!(
        "the same, all in place, under {} policies: {} decisions, {} of {TARGETS} targets uncovered",
        judged["policies"], judged["decisions"], judged["uncovered"]
    );
    let row = Row::new(what, seconds(time)).aim("under 1.0 s of one core", time < TIME_WITH_POLICIES_SECONDS_MAX);
    rows.push(row.ratio(time, without, "the plan without policies"));
    let peak = judged["peak"].as_u64().expect("a number");
    let row = Row::new("– its memory", mebibytes(peak)).aim("under 150 MiB", peak < MEMORY_BYTES_MAX);
    rows.push(row.ratio(crate::table::to_f64(peak), number(&in_place, "peak"), "without policies"));
    rows
}

/// Blueprints as files, and two clusters with an object a line: before the first plan and after it.
fn lay_out(folder: &Path) {
    world::write_tree(folder, 30);
    let objects = objects();
    let mut empty = lines(&folder.join(EMPTY));
    let mut in_place = lines(&folder.join(IN_PLACE));
    let observed = observe(&objects);
    let plan = plan(&desired(folder), &observed, &Settings::default(), now());
    assert!(plan.refusals.is_empty(), "{:?}", plan.refusals.first());
    assert_eq!(plan.steps.len(), 2 * TARGETS);
    for object in &objects {
        for file in [&mut empty, &mut in_place] {
            writeln!(file, "{object}").expect("line written");
        }
    }
    for step in &plan.steps {
        writeln!(in_place, "{}", world::created(step)).expect("line written");
    }
}

/// Namespaces and targets.
pub(crate) fn objects() -> Vec<Value> {
    let name = |number: usize| format!("team-{:03}", number % NAMESPACES);
    let namespaces = (0..NAMESPACES).map(|number| world::namespace(&name(number)));
    let targets = (0..TARGETS).map(|number| world::target(&name(number), number));
    namespaces.chain([world::namespace("kube-system")]).chain(targets).collect()
}

pub(crate) fn observe<'a>(objects: impl IntoIterator<Item = &'a Value>) -> Observed {
    let mut observed = Observed { complete: Watched::all().collect(), ..Observed::default() };
    for object in objects {
        observed.upsert(object);
    }
    observed
}

fn lines(path: &Path) -> BufWriter<File> {
    BufWriter::new(File::create(path).expect("file made"))
}

/// What the files below `tree` ask for.
pub(crate) fn parse(folder: &Path) -> Desired {
    let tree = read_folder(&folder.join("tree"), InputPaths::default()).expect("the tree is read");
    Desired::parse(&tree).expect("the tree is within limits")
}

/// The blueprints of the world.
pub(crate) fn desired(folder: &Path) -> Desired {
    let desired = parse(folder);
    assert_eq!(desired.blueprints.len(), world::BLUEPRINTS, "{:?}", desired.held);
    desired
}

/// Every plan of one run is for the same moment.
pub(crate) fn now() -> Timestamp {
    "2026-11-21T09:00:00Z".parse().expect("a time")
}

fn child(folder: &Path, cluster: &str, policies: &str) -> Value {
    let binary = std::env::current_exe().expect("this program has a path");
    let output = Command::new(binary)
        .args([CHILD.as_ref(), folder.as_os_str(), cluster.as_ref(), policies.as_ref()])
        .output()
        .expect("it can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the child prints JSON")
}

fn number(told: &Value, name: &str) -> f64 {
    told[name].as_f64().expect("a number")
}

/// Fed object by object, as the watches do it; prints what was measured.
pub(crate) fn run_child(folder: &Path, cluster: &str, policies: &str) {
    if policies == POLICIES {
        world::write_policies(folder);
    }
    let desired = desired(folder);
    let mut observed = observe([]);
    let file = || BufReader::new(File::open(folder.join(cluster)).expect("the parent wrote it")).lines();
    for line in file() {
        observed.upsert(&serde_json::from_str(&line.expect("it is UTF-8")).expect("a line is JSON"));
    }
    let mut best = f64::INFINITY;
    let mut last = None;
    for _ in 0..ROUNDS {
        let start = thread_seconds();
        let next = plan(&desired, &observed, &Settings::default(), now());
        best = best.min(thread_seconds() - start);
        // The daemon too keeps the plan before until it has compared the two.
        last = Some(next);
    }
    let last = last.expect("there are rounds");
    let other = last.refusals.iter().find(|refusal| refusal.policy.is_none());
    assert!(other.is_none(), "{other:?}");
    let decisions = last.refusals.len() + last.warnings.iter().filter(|warning| warning.policy.is_some()).count();
    let peak = memory(std::process::id()).peak_bytes;
    // Only now: all lines at once would count as memory.
    let lines: Vec<String> = file().map(|line| line.expect("it is UTF-8")).collect();
    let bytes: usize = lines.iter().map(String::len).sum();
    let start = thread_seconds();
    for line in &lines {
        std::hint::black_box(serde_json::from_str::<Value>(line).expect("a line is JSON"));
    }
    let parse = thread_seconds() - start;
    println!(
        "{}",
        json!({"plan": best, "parse": parse, "bytes": bytes, "peak": peak, "steps": last.steps.len(),
            "decisions": decisions, "policies": desired.policies.len(), "uncovered": last.uncovered.len()})
    );
}
