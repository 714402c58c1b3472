//! What became of hosts, repository and session, as Stash's status says it.

use jiff::{SignedDuration, Timestamp};

use super::conditions::{self, Verdict};
use super::deed::Write;
use super::job_state::{self, Ended, JobState};
use super::look::Questions;
use super::session::Session;
use super::why::Why;
use super::world::{Wanted, World, text};
use crate::api::backup_session::{FileStats, HostBackupStats, SnapshotStats};
use crate::api::field::Field;
use crate::api::target::TargetRef;
use crate::build::names;
pub use crate::build::session::new_session;
use crate::model::facts::{FactKey, FactKind};
use crate::model::human;
use crate::model::invoker::Target;
use crate::model::step::{HostOutcome, SnapshotOutcome, Step};

/// Digits of a snapshot's name that people see, as restic shows them.
const SHORT: usize = 8;
const LOCKED: &str = "RepositoryLocked";

pub(super) fn skip(session: &mut Session<'_>, message: &str, now: Timestamp) {
    session.set("BackupSkipped", Verdict::True, "SkippedTakingNewBackup", message, now);
    close(session, "Skipped", now);
}

/// Nothing was begun, so nothing is to be cleaned up.
pub(super) fn fail_to_start(session: &mut Session<'_>, why: &Why, now: Timestamp) {
    executor(session, Verdict::False, &format!("{}: {}", why.reason, why.message), now);
    session.target(|target| target.phase = Field::Value("Failed".to_owned()));
    close(session, "Failed", now);
}

/// Whether what works on the target is there.
pub(super) fn executor(session: &mut Session<'_>, verdict: Verdict, message: &str, now: Timestamp) {
    let reason = match verdict {
        Verdict::True => "SuccessfullyEnsuredBackupExecutor",
        Verdict::False | Verdict::Unknown => "FailedToEnsureBackupExecutor",
    };
    session.target(|target| {
        let mut list = target.conditions.get().cloned().unwrap_or_default();
        conditions::set(&mut list, "BackupExecutorEnsured", verdict, reason, message, now);
        target.conditions = Field::Value(list);
    });
}

pub(super) fn target_ref(target: &Target) -> TargetRef {
    TargetRef {
        api_version: Field::Value(target.api_version.clone()),
        kind: Field::Value(target.kind.clone()),
        name: Field::Value(target.name.clone()),
        namespace: Field::Value(target.namespace.clone()),
        ..TargetRef::default()
    }
}

/// The host has ended: with what its Job said, or with what became of its Job.
pub(super) fn settle_host(session: &mut Session<'_>, host: &str, ended: &Ended) {
    let said = ended.outcome.hosts.iter().find(|known| known.host == host);
    let stats = stats(host, said, ended.trouble(said).as_ref(), ended);
    add_stats(session, stats);
}

fn stats(host: &str, said: Option<&HostOutcome>, error: Option<&Why>, ended: &Ended) -> HostBackupStats {
    let snapshots: Vec<SnapshotStats> =
        said.map(|said| said.snapshots.iter().map(snapshot).collect()).unwrap_or_default();
    let seconds = ended.seconds().or_else(|| i64::try_from(said?.seconds).ok()).unwrap_or(0);
    HostBackupStats {
        hostname: Field::Value(host.to_owned()),
        phase: Field::Value(if error.is_some() { "Failed" } else { "Succeeded" }.to_owned()),
        duration: Field::Value(human::go_duration(seconds)),
        error: error.map_or(Field::Absent, |error| Field::Value(format!("{}: {}", error.reason, error.message))),
        snapshots: if snapshots.is_empty() { Field::Absent } else { Field::Value(snapshots) },
        ..HostBackupStats::default()
    }
}

fn snapshot(said: &SnapshotOutcome) -> SnapshotStats {
    let count = |value: u64| Field::Value(i64::try_from(value).unwrap_or(i64::MAX));
    SnapshotStats {
        name: Field::Value(said.id.chars().take(SHORT).collect()),
        path: Field::Value(said.path.clone()),
        total_size: Field::Value(human::size(said.bytes)),
        uploaded: Field::Value(human::size(said.added)),
        processing_time: Field::Value(human::clock(said.seconds)),
        file_stats: Field::Value(FileStats {
            total_files: count(said.files),
            new_files: count(said.new),
            modified_files: count(said.changed),
            unmodified_files: count(said.files.saturating_sub(said.new + said.changed)),
            ..FileStats::default()
        }),
        ..SnapshotStats::default()
    }
}

fn add_stats(session: &mut Session<'_>, new: HostBackupStats) {
    session.target(|target| {
        let mut list = target.stats.get().cloned().unwrap_or_default();
        list.retain(|known| known.hostname != new.hostname);
        list.push(new);
        target.stats = Field::Value(list);
    });
}

pub(super) fn fail_host(session: &mut Session<'_>, host: &str, why: &Why) {
    let nothing = Ended::before_it_began(why.clone());
    let failed = stats(host, None, Some(why), &nothing);
    add_stats(session, failed);
}

/// All hosts that have not ended.
pub(super) fn fail_all(session: &mut Session<'_>, hosts: &[String], why: &Why) {
    for host in hosts {
        if !session.has_ended(host) {
            fail_host(session, host, why);
        }
    }
}

/// Hosts whose Job did not say what it stored: the repository may know more.
pub(super) fn unsettled(world: &World<'_>, session: &Session<'_>, questions: &mut Questions<'_>) -> Vec<String> {
    let hosts = session.hosts().unwrap_or_default();
    let alone = hosts.len() == 1;
    let mut open = Vec::new();
    for host in hosts {
        let part = names::Part::Host { host: host.clone(), alone };
        let job = FactKey::new(FactKind::Job, &session.key.namespace, &names::backup_job(&session.key.name, &part));
        if let JobState::Ended(ended) = job_state::of(world.facts, &job, questions, world.now) {
            let said = ended.outcome.hosts.iter().find(|known| known.host == host);
            let is_cut = said.is_none_or(|said| said.omitted > 0);
            if is_cut && ended.from.is_some() {
                open.push(host);
            }
        }
    }
    open
}

/// Retention, check and sizes; and what the repository knows of hosts that did not say it themselves.
pub(super) fn settle_repository(session: &mut Session<'_>, ended: &Ended, now: Timestamp) {
    let failure = ended.trouble_of_all();
    let said = ended.outcome.repository.clone().unwrap_or_default();
    let done = |step: Option<Result<(), Why>>| {
        step.unwrap_or_else(|| match &failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        })
    };
    let retention = done(said.retention.map(|step| match step {
        Step::Done(_) => Ok(()),
        Step::Failed(complaint) => Err(Why::from(&complaint)),
    }));
    let check = done(said.check.map(|step| match step {
        Step::Done(_) => Ok(()),
        Step::Failed(complaint) => Err(Why::from(&complaint)),
    }));
    let told = |error: &Why| format!("{}: {}", error.reason, error.message);
    match &retention {
        Ok(()) => session.set("RetentionPolicyApplied", Verdict::True, "SuccessfullyAppliedRetentionPolicy", "", now),
        // The next session tries again: nothing is lost by waiting.
        Err(error) if error.reason == LOCKED => {
            session.set("RetentionPolicyApplied", Verdict::Unknown, "Deferred", &told(error), now);
        }
        Err(error) => {
            session.set("RetentionPolicyApplied", Verdict::False, "FailedToApplyRetentionPolicy", &told(error), now);
        }
    }
    match &check {
        Ok(()) => {
            session.set(
                "RepositoryIntegrityVerified",
                Verdict::True,
                "SuccessfullyVerifiedRepositoryIntegrity",
                "",
                now,
            );
        }
        Err(error) => {
            let reason = "FailedToVerifyRepositoryIntegrity";
            session.set("RepositoryIntegrityVerified", Verdict::False, reason, &told(error), now);
        }
    }
    for found in ended.outcome.hosts.iter().filter(|found| !found.snapshots.is_empty()) {
        complete(session, found);
    }
}

/// What was stored belongs to the host. If it is all that was asked for, the host has succeeded, whatever became of its Job.
fn complete(session: &mut Session<'_>, found: &HostOutcome) {
    session.target(|target| {
        let Field::Value(list) = &mut target.stats else { return };
        let Some(known) = list.iter_mut().find(|known| text(&known.hostname) == found.host) else { return };
        let said = known.snapshots.get().map_or(0, Vec::len);
        // This answer may be cut too.
        if found.snapshots.len() >= said {
            known.snapshots = Field::Value(found.snapshots.iter().map(snapshot).collect());
        }
        if found.error.is_none() {
            known.phase = Field::Value("Succeeded".to_owned());
            known.error = Field::Absent;
        }
    });
}

/// Retention would only look at what was there before.
pub(super) fn nothing_stored(session: &mut Session<'_>, now: Timestamp) {
    session.set("RetentionPolicyApplied", Verdict::Unknown, "NothingStored", "No host stored anything.", now);
}

/// Every part has ended.
pub(super) fn conclude(session: &mut Session<'_>, now: Timestamp) {
    let failed_host = session.stats().iter().any(|host| text(&host.phase) == "Failed");
    let list = session.status.conditions.get().cloned().unwrap_or_default();
    let broken = ["RetentionPolicyApplied", "RepositoryIntegrityVerified", "BackendRepositoryInitialized"];
    let failed = failed_host || broken.iter().any(|kind| conditions::is_false(&list, kind));
    session.target(|target| target.phase = Field::Value(if failed_host { "Failed" } else { "Succeeded" }.to_owned()));
    close(session, if failed { "Failed" } else { "Succeeded" }, now);
}

fn close(session: &mut Session<'_>, phase: &str, now: Timestamp) {
    let created = session.fact.created.unwrap_or(now);
    session.status.phase = Field::Value(phase.to_owned());
    session.status.session_duration = Field::Value(human::go_duration(now.duration_since(created).as_secs()));
}

/// What all Jobs of a session stored anew: exact, where the status has texts for people.
pub(super) fn added_bytes(world: &World<'_>, jobs: &[FactKey], questions: &mut Questions<'_>) -> u64 {
    let ended = jobs.iter().filter_map(|job| match job_state::of(world.facts, job, questions, world.now) {
        JobState::Ended(ended) => Some(ended),
        JobState::Absent | JobState::Starting { .. } | JobState::Running { .. } | JobState::Ending => None,
    });
    ended.flat_map(|ended| ended.outcome.hosts).flat_map(|host| host.snapshots).map(|snapshot| snapshot.added).sum()
}

/// A session that failed is tried again as often as its invoker says.
pub(super) fn retry(world: &World<'_>, session: &Session<'_>, wanted: &mut Wanted) {
    let left = session.spec.retry_left.get().copied().unwrap_or(0);
    let tried = session.status.retried.get().copied().unwrap_or(false);
    if text(&session.status.phase) != "Failed" || left <= 0 || tried {
        return;
    }
    let Some(Ok(invoker)) = world.invoker(&session.key.namespace, session.invoker_name()) else { return };
    let Some(retry) = invoker.retry else { return };
    let mut status = session.status.clone();
    let known = session.status.next_retry.get().and_then(|time| time.parse::<Timestamp>().ok());
    let Some(next) = known else {
        let next = world.now.saturating_add(retry.delay).unwrap_or(world.now);
        status.next_retry = Field::Value(conditions::time(next));
        let status = serde_json::to_value(&status).unwrap_or_default();
        return wanted.status(&session.key, &session.fact.uid, &session.fact.resource_version, &status);
    };
    if world.now < next {
        return wanted.wake(next);
    }
    wanted.push(&session.key, Write::Create(new_session(&invoker, next, left - 1)));
    status.retried = Field::Value(true);
    let status = serde_json::to_value(&status).unwrap_or_default();
    wanted.status(&session.key, &session.fact.uid, &session.fact.resource_version, &status);
}

/// How long after its slot a session that nobody made counts as missed.
pub(super) const MISSED_AFTER: SignedDuration =
    SignedDuration::from_secs(crate::build::cron_job::STARTING_DEADLINE_SECONDS + 60);
