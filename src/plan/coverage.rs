//! Which backups there are, for the policies that say what must be protected.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::documents::is_paused;
use super::draft::Draft;
use super::world::{World, repository_of, target_of};
use crate::model::address::Address;
use crate::model::json::text;
use crate::model::object::{Kind, ObjectKey, TargetKey};
use crate::model::plan::{Action, Protection, Standing};
use crate::policy::coverage::{self, Protector, Protectors, State, Success};

pub(super) fn plan(world: &World, draft: &mut Draft) {
    let policies = || world.desired.policies.values().filter(|policy| policy.coverage.is_some());
    if policies().next().is_none() {
        return;
    }
    let copies = policies().filter_map(|policy| policy.coverage.as_ref()?.copies).max();
    let backups = Backups::of(world, draft, copies > Some(1));
    let found = coverage::find(policies(), &world.observed.targets, &backups.protectors(world), world.now);
    draft.uncovered = found.uncovered;
    draft.coverage = found.counted;
    if let Some(at) = found.wake_at {
        draft.wake(at);
    }
}

/// One configuration or batch, as it is or as it is about to be.
struct Backup {
    configuration: ObjectKey,
    repository: Option<ObjectKey>,
    state: State,
    targets: Vec<(TargetKey, Option<BTreeSet<String>>)>,
}

struct Backups {
    all: Vec<Backup>,
    /// Targets that ask for a backup and do not get it.
    refused: BTreeSet<TargetKey>,
    /// How many configurations write to a Repository.
    users: BTreeMap<ObjectKey, usize>,
    /// Whether it matters where the data goes; to tell takes reading every Repository.
    places: bool,
    /// Repositories that are about to be made.
    made: BTreeMap<ObjectKey, String>,
}

impl Backups {
    fn of(world: &World, draft: &Draft, places: bool) -> Self {
        let leaving: BTreeSet<&ObjectKey> = draft
            .protections
            .iter()
            .filter(|one| one.standing == Standing::Leaving)
            .filter_map(|one| one.configuration.as_ref())
            .collect();
        let mut backups =
            Self { all: Vec::new(), refused: BTreeSet::new(), users: BTreeMap::new(), places, made: BTreeMap::new() };
        for (key, live) in world.observed.objects.iter().filter(|(key, _)| is_invoker(key.kind)) {
            let state = if live.deleting || leaving.contains(key) {
                State::Leaving
            } else if is_paused(live) {
                State::Paused
            } else {
                State::Active
            };
            backups.add(key, &live.spec(), state);
        }
        for step in &draft.steps {
            let Action::Create { manifest } = &step.action else { continue };
            let spec = manifest.get("spec").unwrap_or(&Value::Null);
            if is_invoker(step.object.kind) {
                backups.add(&step.object, spec, State::Active);
            } else if step.object.kind == Kind::Repository {
                backups.made.insert(step.object.clone(), place(&step.object, spec));
            }
        }
        let refused = draft.protections.iter().filter(|one| one.standing == Standing::Refused);
        let exists = |one: &&Protection| one.configuration.as_ref().is_some_and(|key| world.live(key).is_some());
        backups.refused = refused.filter(|one| !exists(one)).map(|one| one.target.clone()).collect();
        backups
    }

    fn add(&mut self, key: &ObjectKey, spec: &Value, state: State) {
        let repository = repository_of(key, spec);
        if let Some(repository) = &repository {
            *self.users.entry(repository.clone()).or_default() += 1;
        }
        let mut targets: Vec<_> = target_of(key, spec).map(|target| (target, volumes(spec))).into_iter().collect();
        for member in spec.get("members").and_then(Value::as_array).into_iter().flatten() {
            targets.extend(target_of(key, member).map(|target| (target, volumes(member))));
        }
        self.all.push(Backup { configuration: key.clone(), repository, state, targets });
    }

    fn protectors(&self, world: &World) -> Protectors {
        let mut protectors = Protectors::new();
        let refused = Protector {
            volumes: None,
            state: State::Refused,
            since: None,
            success: Success::None,
            place: String::new(),
        };
        protectors.extend(self.refused.iter().map(|target| (target.clone(), vec![refused.clone()])));
        for backup in &self.all {
            let live = world.live(&backup.configuration);
            let of_one = Protector {
                volumes: None,
                state: backup.state,
                since: live.and_then(|live| live.created),
                success: self.success(world, backup.repository.as_ref()),
                place: self.place(world, backup.repository.as_ref()),
            };
            for (target, volumes) in &backup.targets {
                let protector = Protector { volumes: volumes.clone(), ..of_one.clone() };
                protectors.entry(target.clone()).or_default().push(protector);
            }
        }
        protectors
    }

    fn success(&self, world: &World, repository: Option<&ObjectKey>) -> Success {
        let Some(key) = repository else { return Success::None };
        match world.live(key).and_then(|live| live.last_success) {
            None => Success::None,
            Some(_) if self.users.get(key).is_some_and(|users| *users > 1) => {
                Success::Unknown { repository: key.short() }
            }
            Some(time) => Success::At(time),
        }
    }

    fn place(&self, world: &World, repository: Option<&ObjectKey>) -> String {
        let Some(key) = repository.filter(|_| self.places) else { return String::new() };
        match (self.made.get(key), world.live(key)) {
            (Some(place), _) => place.clone(),
            (None, Some(live)) => place(key, &live.spec()),
            (None, None) => key.short(),
        }
    }
}

fn is_invoker(kind: Kind) -> bool {
    match kind {
        Kind::BackupConfiguration | Kind::BackupBatch => true,
        Kind::Repository | Kind::Function | Kind::Task => false,
    }
}

fn place(key: &ObjectKey, spec: &Value) -> String {
    Address::of(&spec["backend"], &key.namespace).map_or_else(|_| key.short(), |address| address.as_str().to_owned())
}

/// The volumes that a target's backup mounts; without mounts it is backed up as a whole.
fn volumes(holder: &Value) -> Option<BTreeSet<String>> {
    let mounts = holder.pointer("/target/volumeMounts")?.as_array()?;
    Some(mounts.iter().filter_map(|mount| text(mount, "name").map(str::to_owned)).collect())
}
