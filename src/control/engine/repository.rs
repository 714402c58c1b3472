//! The status of a Repository: who uses it, and what the last session found in it.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::conditions;
use super::job_state::Ended;
use super::world::{Wanted, World, text};
use crate::api::Repository;
use crate::api::backup_session::HostBackupStats;
use crate::api::field::Field;
use crate::api::reference::TypedObjectReference;
use crate::api::repository::RepositoryStatus;
use crate::model::facts::{FactKey, FactKind};
use crate::model::human;
use crate::model::invoker::Named;
use crate::model::step::Step;

/// Keeps the list of those who use it.
pub(super) fn step(world: &World<'_>, key: &FactKey, wanted: &mut Wanted) {
    let Some(fact) = world.facts.get(key) else { return };
    if fact.deleting {
        return;
    }
    let object = fact.value();
    let generation = object.pointer("/metadata/generation").and_then(serde_json::Value::as_i64);
    let Ok(typed) = serde_json::from_value::<Repository>(object) else { return };
    let before = typed.status.get().cloned().unwrap_or_default();
    let named = Named { namespace: key.namespace.clone(), name: key.name.clone() };
    let mut status =
        RepositoryStatus { observed_generation: generation.map_or(Field::Absent, Field::Value), ..before.clone() };
    let references = references(world, &named);
    status.references = if references.is_empty() { Field::Absent } else { Field::Value(references) };
    write(world, &named, key, &before, &status, wanted);
}

fn references(world: &World<'_>, repository: &Named) -> Vec<TypedObjectReference> {
    let mut users = BTreeSet::new();
    for (key, fact) in world.facts.of_kind(FactKind::BackupConfiguration) {
        let refers = !fact.deleting
            && fact.mentions(&repository.name)
            && matches!(world.invoker(&key.namespace, &key.name), Some(Ok(invoker)) if invoker.repository.as_ref() == Some(repository));
        if refers {
            users.insert(("BackupConfiguration", key.namespace.clone(), key.name.clone()));
        }
    }
    for (key, fact) in world.facts.of_kind(FactKind::RestoreSession) {
        let is_open = !super::restore::is_final(&fact.phase) && fact.mentions(&repository.name);
        if is_open && super::restore::repository(key, fact).as_ref() == Some(repository) {
            users.insert(("RestoreSession", key.namespace.clone(), key.name.clone()));
        }
    }
    let reference = |(kind, namespace, name): (&str, String, String)| TypedObjectReference {
        kind: Field::Value(kind.to_owned()),
        namespace: Field::Value(namespace),
        name: Field::Value(name),
        ..TypedObjectReference::default()
    };
    users.into_iter().map(reference).collect()
}

/// What the last part of a session found.
pub(super) fn record(
    world: &World<'_>,
    repository: &Named,
    session: &FactKey,
    made: Timestamp,
    ended: &Ended,
    hosts: &[HostBackupStats],
    wanted: &mut Wanted,
) {
    let Some(fact) = world.facts.find(FactKind::Repository, &repository.namespace, &repository.name) else { return };
    let Ok(typed) = serde_json::from_value::<Repository>(fact.value()) else { return };
    let before = typed.status.get().cloned().unwrap_or_default();
    let mut status = before.clone();
    let said = ended.outcome.repository.clone().unwrap_or_default();
    if let Some(check) = &said.check {
        status.integrity = Field::Value(matches!(check, Step::Done(_)));
    }
    if let Some(Step::Done(removed)) = &said.retention {
        status.snapshots_removed_on_last_cleanup = Field::Value(i64::try_from(removed.removed).unwrap_or(i64::MAX));
    }
    if let Some(Step::Done(size)) = &said.size {
        status.total_size = Field::Value(human::size(size.bytes));
        status.snapshot_count = Field::Value(i64::try_from(size.snapshots).unwrap_or(i64::MAX));
    }
    let succeeded = !hosts.is_empty() && hosts.iter().all(|host| text(&host.phase) == "Succeeded");
    if succeeded {
        status.last_backup_time = Field::Value(conditions::time(made));
        if status.first_backup_time.get().is_none() {
            status.first_backup_time = Field::Value(conditions::time(made));
        }
    }
    write(world, repository, session, &before, &status, wanted);
}

/// In the name of the loop `of`: what follows there waits until it is done.
fn write(
    world: &World<'_>,
    repository: &Named,
    of: &FactKey,
    before: &RepositoryStatus,
    status: &RepositoryStatus,
    wanted: &mut Wanted,
) {
    let key = FactKey::new(FactKind::Repository, &repository.namespace, &repository.name);
    let Some(fact) = world.facts.get(&key).filter(|_| before != status) else { return };
    let mut all = Wanted::default();
    all.status(&key, &fact.uid, &fact.resource_version, &serde_json::to_value(status).unwrap_or_default());
    for deed in all.deeds {
        wanted.push(of, deed.write);
    }
}
