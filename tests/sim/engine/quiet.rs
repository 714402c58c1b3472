//! What must be true when nothing disturbs any more and all that was begun has ended.

use holdfast::control::engine::is_final;
use holdfast::control::engine::world::Scheduler;
use holdfast::model::keys;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::actors::Configured;
use super::cluster::{Key, at, has_finalizer, is_deleting, key, time_at};
use super::daemon::Daemon;
use super::world::World;

/// A slot so soon after trouble may still feel it.
const SETTLING: SignedDuration = SignedDuration::from_secs(90);
/// Passes that a daemon may need to ask all that it wants to know.
const ROUNDS: usize = 8;

/// The newest session that a slot or a retry has made.
fn newest<'w>(world: &'w World, configured: &Configured) -> Option<(&'w Key, &'w Value)> {
    let own = world.cluster.of_kind("BackupSession").filter(|(key, session)| {
        key.1 == configured.key.1 && at(session, "/spec/invoker/name") == configured.key.2 && !is_deleting(session)
    });
    own.map(|(key, session)| (key, &**session))
        .max_by_key(|(key, session)| (time_at(session, "/metadata/creationTimestamp"), (*key).clone()))
}

/// What is not as it should be, though time may mend it.
fn unrest(world: &World, calm: Timestamp) -> Option<String> {
    for (key, object) in world.cluster.objects() {
        if is_deleting(object) {
            return Some(format!("{} {} is being deleted", key.0, key.2));
        }
        let phase = at(object, "/status/phase");
        let is_open = match key.0.as_str() {
            "BackupSession" => !is_final(phase),
            "RestoreSession" => !matches!(phase, "Succeeded" | "Failed" | "Unknown" | "Invalid"),
            _ => false,
        };
        if is_open || (key.0 != "Pod" && has_finalizer(object, keys::FINALIZER)) {
            return Some(format!("{} {} is {phase:?}", key.0, key.2));
        }
    }
    if let Some(left) = orphan(world).or_else(|| lock(world)) {
        return Some(left);
    }
    if let Some(process) = world.processes.values().find(|process| process.is_alive()) {
        return Some(format!("{} runs", process.pod.2));
    }
    for configured in &world.setup.configured {
        if configured.manifest.pointer("/spec/backupHistoryLimit") == Some(&json!(0)) {
            continue;
        }
        let Some((key, session)) = newest(world, configured) else {
            return Some(format!("{} has no session", configured.key.2));
        };
        let made = time_at(session, "/metadata/creationTimestamp").unwrap_or(calm);
        if made < calm + SETTLING || at(session, "/status/phase") != "Succeeded" {
            return Some(format!("the newest of {} is {}: {}", configured.key.2, key.2, session["status"]));
        }
    }
    // At a full minute a slot may be due that nobody has looked at yet.
    let idle = world.daemon.is_idle(&world.cluster, world.time) && world.time.as_second() % 60 >= 2;
    (!idle).then(|| "the daemon is at work".to_owned())
}

pub(crate) fn is_quiet(world: &World, calm: Timestamp) -> bool {
    world.time >= calm + SETTLING && unrest(world, calm).is_none()
}

pub(crate) fn check(world: &mut World, calm: Timestamp) {
    if let Some(unrest) = unrest(world, calm) {
        return world.oracle.broken(format!("it never becomes quiet: {unrest}"));
    }
    configurations(world);
    history(world);
    steady(world);
    if world.oracle.failures.is_empty() {
        // A daemon that was just started finds nothing to do either.
        world.daemon = Daemon::new(world.daemon.life + 1, &world.cluster, &world.settings, world.time);
        steady(world);
    }
}

fn configurations(world: &mut World) {
    let mut broken = Vec::new();
    let all = world.cluster.of_kind("BackupConfiguration");
    for (key, live) in all {
        let conditions = live.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_true =
            |kind: &str| conditions.iter().any(|one| at(one, "/type") == kind && at(one, "/status") == "True");
        let seen = live.pointer("/status/observedGeneration") == live.pointer("/metadata/generation");
        if at(live, "/status/phase") != "Ready" || !is_true("Ready") || !seen {
            broken.push(format!("{} is not Ready: {}", key.2, live["status"]));
        }
        if is_true("Stalled") || is_true("Reconciling") || is_true("BackupOverdue") {
            broken.push(format!("{} says what is not true: {}", key.2, live["status"]));
        }
    }
    let namespaces: std::collections::BTreeSet<&String> = world.setup.configured.iter().map(|one| &one.key.1).collect();
    for configured in &world.setup.configured {
        let name = format!("stash-trigger-{}", configured.key.2);
        let is_there = world.cluster.get(&key("CronJob", &configured.key.1, &name)).is_some();
        if is_there != (world.settings.scheduler == Scheduler::CronJob) {
            broken.push(format!("CronJob {name}: {is_there}"));
        }
    }
    if world.settings.scheduler == Scheduler::CronJob {
        for namespace in namespaces {
            for kind in ["ServiceAccount", "RoleBinding"] {
                if world.cluster.get(&key(kind, namespace, "holdfast-trigger")).is_none() {
                    broken.push(format!("{kind} of {namespace} is gone"));
                }
            }
        }
    }
    world.oracle.failures.extend(broken);
}

/// Everything that has an owner has it still.
fn orphan(world: &World) -> Option<String> {
    world.cluster.objects().find_map(|(child, object)| {
        let mut owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten();
        let lost = owners.find(|owner| {
            let parent = key(at(owner, "/kind"), &child.1, at(owner, "/name"));
            world.cluster.get(&parent).is_none_or(|live| at(live, "/metadata/uid") != at(owner, "/uid"))
        })?;
        Some(format!("{} {} has lost its {}", child.0, child.2, at(lost, "/kind")))
    })
}

/// Nobody who is gone keeps others out.
fn lock(world: &World) -> Option<String> {
    world.stores.iter().find_map(|(address, store)| {
        let holder = store.locks.keys().next()?;
        let whose = world.processes.get(holder).map_or(holder.as_str(), |process| &process.pod.2);
        Some(format!("{address} has a lock of {whose} ({holder})"))
    })
}

fn history(world: &mut World) {
    let mut broken = Vec::new();
    for configured in &world.setup.configured {
        let own = world.cluster.of_kind("BackupSession").filter(|(key, session)| {
            key.1 == configured.key.1 && at(session, "/spec/invoker/name") == configured.key.2
        });
        let count = own.count();
        let limit = configured.manifest.pointer("/spec/backupHistoryLimit").and_then(Value::as_u64).unwrap_or(1);
        // One that says how a backup went is kept beside those that were skipped, and one may wait to be tried again.
        if u64::try_from(count).unwrap_or(u64::MAX) > limit + 2 {
            broken.push(format!("{} keeps {count} sessions of {limit}", configured.key.2));
        }
    }
    world.oracle.failures.extend(broken);
}

/// Whoever looks at all again does nothing, and soon has nothing to ask.
fn steady(world: &mut World) {
    let mut asks = true;
    for _ in 0..ROUNDS {
        let now = world.time;
        let daemon = &mut world.daemon;
        daemon.engine.everything_changed(now);
        let pass = daemon.engine.pass(&daemon.facts, &daemon.observed, now);
        if let Some(deed) = pass.deeds.first() {
            let deed = format!("{deed:?}");
            return world.oracle.broken(format!("{} deeds though all is done: {deed}", pass.deeds.len()));
        }
        asks = !pass.looks.is_empty();
        for look in pass.looks {
            let seen = world.see(&look);
            world.daemon.engine.seen(look, seen, now);
        }
    }
    if asks {
        world.oracle.broken("it never stops to ask".to_owned());
    }
}
