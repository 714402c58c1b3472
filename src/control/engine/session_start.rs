//! Whether a session may go on: whose it is, whether it is its turn, and what it needs besides.

use jiff::Timestamp;

use super::look::Questions;
use super::session::{Session, is_final};
use super::why::Why;
use super::world::{Found, World, text};
use crate::api::BackupConfiguration;
use crate::model::facts::{Fact, FactKey, FactKind};
use crate::model::invoker::{Driver, Invoker};
use crate::model::run;

pub(super) enum Start {
    Wait,
    /// With the reason, for people.
    Skip(String),
    Fail(Why),
    Go(Box<(Invoker, Found)>),
}

pub(super) fn decide(world: &World<'_>, session: &Session<'_>, questions: &mut Questions<'_>) -> Start {
    let namespace = &session.key.namespace;
    let name = session.invoker_name();
    let kind = session.spec.invoker.get().map_or("", |invoker| text(&invoker.kind));
    if kind != "BackupConfiguration" {
        return Start::Skip(format!("{kind} is no invoker that this version runs"));
    }
    let Some(invoker) = world.invoker(namespace, name) else {
        return Start::Skip(format!("BackupConfiguration {namespace}/{name} does not exist"));
    };
    let invoker = match invoker {
        Ok(invoker) => invoker,
        Err(error) => return Start::Skip(format!("BackupConfiguration {namespace}/{name} is Invalid: {error}")),
    };
    if session.hosts().is_none()
        && let Some(start) = not_its_turn(world, session, &invoker)
    {
        return start;
    }
    let failed = |reason: &str, message: String| Start::Fail(Why { reason: reason.to_owned(), message });
    if invoker.driver == Driver::VolumeSnapshotter {
        return failed("DriverMissing", "spec.driver VolumeSnapshotter is no part of this version yet".to_owned());
    }
    if invoker.member.has_hooks {
        return failed("HooksMissing", "spec.hooks are no part of this version yet".to_owned());
    }
    let Some(repository) = &invoker.repository else {
        return failed("NoRepository", "it names no Repository".to_owned());
    };
    let cache = !invoker.member.scratch.disable_caching.get().copied().unwrap_or(false);
    match world.repository(repository, cache) {
        None => {
            let message = format!("Repository {}/{} does not exist", repository.namespace, repository.name);
            failed("RepositoryNotAvailable", message)
        }
        Some(Err(fault)) => failed(fault.reason, fault.message),
        Some(Ok(found)) => match world.may_use(&found, repository, namespace) {
            Err(message) => failed("ResourceValidationFailed", message),
            Ok(()) => go_on(world, session, invoker, found, questions),
        },
    }
}

fn go_on(
    world: &World<'_>,
    session: &Session<'_>,
    invoker: Invoker,
    found: Found,
    questions: &mut Questions<'_>,
) -> Start {
    let Some(repository) = &invoker.repository else { return Start::Wait };
    if session.hosts().is_some() {
        // From here on its pods find out.
        return Start::Go(Box::new((invoker, found)));
    }
    let since = session.created(world);
    match world.secret(questions, &repository.namespace, &found.place.secret, since) {
        None => Start::Wait,
        Some(Err(message)) => Start::Fail(Why { reason: "BackendSecretNotAvailable".to_owned(), message }),
        Some(Ok(_)) => Start::Go(Box::new((invoker, found))),
    }
}

/// Why a session that has not begun does not begin now.
fn not_its_turn(world: &World<'_>, session: &Session<'_>, invoker: &Invoker) -> Option<Start> {
    let (namespace, name) = (&invoker.name.namespace, &invoker.name.name);
    let whose = format!("BackupConfiguration {namespace}/{name}");
    if invoker.paused {
        return Some(Start::Skip(format!("{whose} is paused")));
    }
    let fact = world.facts.find(FactKind::BackupConfiguration, namespace, name)?;
    let status = serde_json::from_value::<BackupConfiguration>(fact.value()).ok()?.status;
    let status = status.get().cloned().unwrap_or_default();
    let generation = fact.value().pointer("/metadata/generation").and_then(serde_json::Value::as_i64);
    if status.observed_generation.get().copied() != generation {
        return Some(Start::Wait);
    }
    match text(&status.phase) {
        "Ready" => {}
        phase => {
            let why = status.conditions.get().into_iter().flatten().find(|condition| {
                text(&condition.status) != "True"
                    && !matches!(
                        text(&condition.r#type),
                        "Ready" | "LastBackupSucceeded" | "BackupOverdue" | "Reconciling" | "Stalled"
                    )
            });
            let why = why.map_or("", |condition| text(&condition.message));
            return Some(Start::Skip(format!("{whose} is {phase}: {why}")));
        }
    }
    if let Some(restore) = restore_of_target(world, invoker) {
        return Some(Start::Skip(format!("RestoreHold: its target is being restored by {restore}")));
    }
    for (other, fact) in world.facts.belonging(FactKind::BackupSession, namespace, name) {
        if *other == session.key || is_final(&fact.phase) {
            continue;
        }
        if has_begun(fact) {
            return Some(Start::Skip(format!("BackupSession {} is still running", other.name)));
        }
        // Of those that wait only the newest is of use.
        if is_newer(other, fact, &session.key, session.fact) {
            return Some(Start::Skip(format!("BackupSession {} is newer", other.name)));
        }
    }
    None
}

fn has_begun(fact: &Fact) -> bool {
    fact.mentions(super::session::HOSTS)
}

fn is_newer(key: &FactKey, fact: &Fact, than_key: &FactKey, than: &Fact) -> bool {
    (fact.created, &key.name) > (than.created, &than_key.name)
}

/// A restore that has not ended and writes where this backup would read.
fn restore_of_target(world: &World<'_>, invoker: &Invoker) -> Option<String> {
    let target = invoker.member.target.as_ref()?;
    let found = world.facts.of_kind(FactKind::RestoreSession).find(|(_, fact)| {
        !super::restore::is_final(&fact.phase)
            && fact.mentions(&target.name)
            && super::restore::target(fact).as_ref() == Some(target)
    });
    found.map(|(key, _)| key.spoken())
}

/// The slot of a session, or when it was made by hand.
pub(super) fn slot(key: &FactKey, fact: &Fact, now: Timestamp) -> Timestamp {
    run::slot(&key.name).or(fact.created).unwrap_or(now)
}
