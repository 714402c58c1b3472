//! The Jobs of a run, each watched to its end: one that cannot start is given up after a while, and one whose end is written down
//! is let go.

use jiff::{SignedDuration, Timestamp};

use super::deed::{Propagation, Write};
use super::job_state::{self, HOPELESS, JobState};
use super::look::{Look, Questions, Seen};
use super::why::Why;
use super::world::{Wanted, World};
use crate::model::facts::{FactKey, FactKind};
use crate::model::json::text;
use crate::model::keys;

/// Volumes that are not attached after this have a reason that Events name.
const ATTACH_EXPECTED: SignedDuration = SignedDuration::from_secs(10);

/// The state of a Job; one that will never start is ended here.
pub(super) fn watch(
    world: &World<'_>,
    questions: &mut Questions<'_>,
    wanted: &mut Wanted,
    of: &FactKey,
    job: &FactKey,
    start_timeout: SignedDuration,
) -> JobState {
    let state = job_state::of(world.facts, job, questions, world.now);
    let JobState::Starting { since, obstacle } = state else {
        if state == JobState::Ending {
            insist(world, wanted, of, job);
        }
        return state;
    };
    let obstacle = obstacle.or_else(|| detached(world, questions, job, since));
    let hopeless = obstacle.as_ref().is_some_and(|complaint| HOPELESS.contains(&complaint.reason.as_str()));
    let end = since.saturating_add(start_timeout).unwrap_or(since);
    if hopeless || end <= world.now {
        let complaint = obstacle.unwrap_or_else(|| Why {
            reason: "StartTimeout".to_owned(),
            message: format!("its pod did not start within {} s", start_timeout.as_secs()),
        });
        end_job(world, wanted, of, job, &complaint);
        return JobState::Ending;
    }
    wanted.wake(end);
    // Its Events are no part of what is followed.
    wanted.wake(world.now.saturating_add(SignedDuration::from_secs(5)).unwrap_or(end));
    JobState::Starting { since, obstacle }
}

/// Why a pod that has a node does not start, if Events tell.
fn detached(world: &World<'_>, questions: &mut Questions<'_>, job: &FactKey, since: Timestamp) -> Option<Why> {
    if world.now.duration_since(since) < ATTACH_EXPECTED {
        return None;
    }
    let uid = &world.facts.get(job)?.uid;
    let (_, pod) = world.facts.in_namespace(FactKind::Pod, &job.namespace).find(|(_, pod)| pod.mentions(uid))?;
    let fresh = world.now.saturating_sub(SignedDuration::from_secs(5)).unwrap_or(world.now);
    let look = Look::Events { namespace: job.namespace.clone(), uid: pod.uid.clone() };
    let Some(Seen::Found(events)) = questions.ask_or_last(look, fresh) else { return None };
    let failed = events.as_array()?.iter().rev().find(|event| {
        matches!(text(event, "reason"), Some("FailedMount" | "FailedAttachVolume" | "FailedCreatePodSandBox"))
    })?;
    let message = text(failed, "message").or_else(|| text(failed, "note")).unwrap_or_default();
    Some(Why { reason: text(failed, "reason").unwrap_or_default().to_owned(), message: message.to_owned() })
}

/// Pods that were cut off while they worked at an address, whosever they were: the next that works there removes their locks.
pub(super) fn gone_pods(world: &World<'_>, questions: &mut Questions<'_>, address: &str) -> Vec<String> {
    let jobs = world.facts.of_kind(FactKind::Job).filter(|(_, job)| job.mentions(address));
    let mut gone: Vec<String> = jobs
        .flat_map(|(key, _)| match job_state::of(world.facts, key, questions, world.now) {
            JobState::Ended(ended) => ended.cut_off,
            JobState::Absent | JobState::Starting { .. } | JobState::Running { .. } | JobState::Ending => Vec::new(),
        })
        .collect();
    gone.sort_unstable();
    gone
}

/// Ends a Job before its time. The reason is written down first, so that it outlives us.
pub(super) fn end_job(world: &World<'_>, wanted: &mut Wanted, of: &FactKey, job: &FactKey, why: &Why) {
    let Some(fact) = world.facts.get(job) else { return };
    if fact.deleting {
        return;
    }
    let has_reason = fact.mentions(keys::ENDED);
    if !has_reason {
        wanted.push(
            of,
            Write::Mark {
                key: job.clone(),
                resource_version: fact.resource_version.clone(),
                finalizers: None,
                annotations: vec![(keys::ENDED.to_owned(), format!("{}: {}", why.reason, why.message))],
            },
        );
    }
    wanted.push(of, Write::Delete { key: job.clone(), uid: fact.uid.clone(), propagation: Propagation::Foreground });
}

/// A Job that was given up is deleted, however often that has failed.
pub(super) fn insist(world: &World<'_>, wanted: &mut Wanted, of: &FactKey, job: &FactKey) {
    let Some(fact) = world.facts.get(job) else { return };
    if !fact.deleting && fact.mentions(keys::ENDED) {
        wanted
            .push(of, Write::Delete { key: job.clone(), uid: fact.uid.clone(), propagation: Propagation::Foreground });
    }
}

/// Takes our finalizer off a Job whose end is written down.
pub(super) fn release(world: &World<'_>, wanted: &mut Wanted, of: &FactKey, job: &FactKey) {
    let Some(fact) = world.facts.get(job) else { return };
    unmark(wanted, of, job, &fact.value(), &fact.resource_version, Vec::new());
}

/// Takes our finalizer off an object, where it has it.
pub(super) fn unmark(
    wanted: &mut Wanted,
    of: &FactKey,
    key: &FactKey,
    object: &serde_json::Value,
    resource_version: &str,
    annotations: Vec<(String, String)>,
) {
    let finalizers = object.pointer("/metadata/finalizers").and_then(serde_json::Value::as_array);
    let finalizers: Vec<String> =
        finalizers.into_iter().flatten().filter_map(|one| Some(one.as_str()?.to_owned())).collect();
    if !finalizers.iter().any(|finalizer| finalizer == keys::FINALIZER) {
        return;
    }
    let left = finalizers.into_iter().filter(|finalizer| finalizer != keys::FINALIZER).collect();
    wanted.push(
        of,
        Write::Mark {
            key: key.clone(),
            resource_version: resource_version.to_owned(),
            finalizers: Some(left),
            annotations,
        },
    );
}
