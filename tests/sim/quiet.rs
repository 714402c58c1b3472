//! What must be true once the trouble is over.

use std::collections::BTreeSet;

use holdfast::blueprint::request;
use holdfast::model::applied::Applied;
use holdfast::model::desired::Desired;
use holdfast::model::keys;
use holdfast::model::object::{Kind, TargetKey};
use holdfast::model::observed::{Observed, Watched};
use holdfast::model::plan::Plan;
use holdfast::model::withheld::Withheld;
use holdfast::plan;
use holdfast::report::{self, Memory};
use jiff::SignedDuration;

use crate::model::cluster::Key;
use crate::shell::pass::Outcome;
use crate::shell::record::{history, input, whole};
use crate::world::World;

/// Delays, backoff and the hour of the delete limit are over long before that.
const CHUNKS_MAX: usize = 16;
/// A batch of the report, and its push.
const BATCH: SignedDuration = SignedDuration::from_mins(3);
const CHUNK: SignedDuration = SignedDuration::from_mins(30);
/// Ten full passes.
const IDLE: SignedDuration = SignedDuration::from_mins(101);

pub(crate) fn check(world: &mut World) {
    let Some((plan, observed)) = settle(world) else { return };
    is_protected(world, &plan, &observed);
    says_so(world, plan, &observed);
    keeps_foreign_commits(world);
    rests(world);
}

/// Waits until nothing is left to do.
fn settle(world: &mut World) -> Option<(Plan, Observed)> {
    for _ in 0..CHUNKS_MAX {
        let end = world.env.time + CHUNK;
        world.until(end);
        if !world.env.oracle.failures.is_empty() {
            return None;
        }
        if !rested(world) {
            continue;
        }
        // The last batch of the report is on its way for a minute at most.
        let end = world.env.time + BATCH;
        world.until(end);
        if rested(world) {
            return Some(truth(world));
        }
    }
    let (plan, _) = truth(world);
    let steps: Vec<String> =
        plan.steps.iter().map(|step| format!("{} {}", step.action.as_str(), step.reason.message)).collect();
    world.env.oracle.fail(format!("no rest after {CHUNKS_MAX} times {CHUNK:#}: wake {:?}, {steps:#?}", plan.wake_at));
    None
}

fn rested(world: &World) -> bool {
    let (plan, _) = truth(world);
    plan.steps.is_empty() && plan.wake_at.is_none() && world.daemons.iter().all(crate::shell::Daemon::is_idle)
}

/// The plan of somebody who sees everything as it is.
fn truth(world: &World) -> (Plan, Observed) {
    let env = &world.env;
    let mut observed = Observed { complete: Watched::all().collect(), ..Observed::default() };
    for watched in Watched::all() {
        for object in env.cluster.list(watched) {
            observed.upsert(&object);
        }
    }
    observed.recent_deletes = env.delete_log.recent(env.clock());
    let desired = Desired::parse(&env.remote.tree()).expect("small sources parse");
    (plan::plan(&desired, &observed, &world.settings, env.clock()), observed)
}

/// Every sound target that asks for a blueprint has its two objects.
fn is_protected(world: &mut World, plan: &Plan, observed: &Observed) {
    let refused: BTreeSet<_> = plan.refusals.iter().filter_map(|refusal| refusal.target.clone()).collect();
    let terminating = |name: &str| observed.namespaces.get(name).is_none_or(|namespace| namespace.terminating);
    let desired = Desired::parse(&world.env.remote.tree()).expect("small sources parse");
    let mut unprotected = Vec::new();
    for (key, _) in world.env.cluster.objects() {
        let Some(target) = target_key(key) else { continue };
        let Some(seen) = observed.targets.get(&target) else { continue };
        let Some(Ok(names)) = request::blueprints(&seen.annotations) else { continue };
        if refused.contains(&target) || terminating(&target.namespace) {
            continue;
        }
        for name in names {
            if !desired.blueprints.contains_key(name) && !observed.blueprints.contains_key(name) {
                continue;
            }
            for kind in [Kind::Repository, Kind::BackupConfiguration] {
                let has = world.env.cluster.objects().any(|((watched, _, _), object)| {
                    *watched == Watched::Managed(kind)
                        && object.annotation(keys::TARGET) == Some(target.identity().as_str())
                        && object.annotation(keys::BLUEPRINT) == Some(name)
                });
                // What is on its way out keeps its name until its finalizers are gone.
                let waits = observed.objects.iter().any(|(key, live)| key.kind == kind && live.deleting);
                if !has && !waits {
                    unprotected.push(format!("{} has no {} of blueprint {name}", target.spoken(), kind.as_str()));
                }
            }
        }
    }
    for what in unprotected {
        world.env.oracle.fail(what);
    }
}

/// The branch says exactly what a report of the present would say.
fn says_so(world: &mut World, plan: Plan, observed: &Observed) {
    let Some(tip) = world.env.remote.tip_files() else {
        world.env.oracle.fail("there is no status branch".to_owned());
        return;
    };
    let on_branch = tip.files.clone();
    let memory = Memory::read(on_branch.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())));
    let outcome = Outcome { plan, applied: Applied::default(), withheld: Withheld::default() };
    let history = history(Some(tip), &memory, world.env.clock());
    let (files, _) = report::files(&input(&outcome, observed, &history, world.env.clock()), &memory);
    let expected = whole(Some(&on_branch), &files);
    let paths: BTreeSet<&String> = expected.keys().chain(on_branch.keys()).collect();
    for path in paths {
        let (want, have) = (expected.get(path), on_branch.get(path));
        if want != have {
            world.env.oracle.fail(format!("the branch is wrong in {path}:\n{}", differences(have, want)));
            return;
        }
    }
}

/// Lines that only one of two files has.
fn differences(have: Option<&Vec<u8>>, want: Option<&Vec<u8>>) -> String {
    let text = |bytes: Option<&Vec<u8>>| {
        bytes.map_or("(no file)".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
    };
    let (have, want) = (text(have), text(want));
    let surplus = have.lines().filter(|line| !want.lines().any(|other| other == *line)).map(|line| format!("- {line}"));
    let missing = want.lines().filter(|line| !have.lines().any(|other| other == *line)).map(|line| format!("+ {line}"));
    surplus.chain(missing).collect::<Vec<_>>().join("\n")
}

fn keeps_foreign_commits(world: &mut World) {
    let reachable = world.env.remote.reachable();
    let lost = world.env.remote.kept.iter().filter(|commit| !reachable.contains(commit)).count();
    if lost > 0 {
        world.env.oracle.fail(format!("{lost} commits of others are no longer on the status branch"));
    }
}

/// Ten more full passes write nothing.
fn rests(world: &mut World) {
    let before = (world.env.oracle.writes, world.env.oracle.commits);
    let end = world.env.time + IDLE;
    world.until(end);
    let after = (world.env.oracle.writes, world.env.oracle.commits);
    if before != after {
        world.env.oracle.fail(format!(
            "ten idle cycles made {} writes and {} commits",
            after.0 - before.0,
            after.1 - before.1
        ));
    }
}

fn target_key(key: &Key) -> Option<TargetKey> {
    match key.0 {
        Watched::Target(kind) => Some(TargetKey { namespace: key.1.clone(), kind, name: key.2.clone() }),
        Watched::Namespace | Watched::Blueprint | Watched::Managed(_) => None,
    }
}
