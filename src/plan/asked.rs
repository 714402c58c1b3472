//! What one annotation of one target comes to: a pair of objects with their names, a fault, or nothing.

use super::judge::{Verdict, judge};
use super::naming::Names;
use super::policies;
use super::wanted::{Wanted, manifests};
use super::world::{Existing, Found, Identity, World, repository_of};
use crate::blueprint::fault::Fault;
use crate::blueprint::request::Request;
use crate::blueprint::{resolve, variables};
use crate::model::address::Address;
use crate::model::desired::Blueprint;
use crate::model::finding::RefusalCode;
use crate::model::json::text;
use crate::model::object::{ObjectKey, TargetKey};
use crate::model::observed::Target;
use crate::policy::Decision;
use crate::schema;

/// What a target asks for by one blueprint.
pub(super) enum Outcome<'a> {
    Wanted(Box<Wanted<'a>>),
    Refused(Fault),
    /// The policies refuse the blueprint itself.
    Denied(&'a [Decision]),
    /// Nothing changes for want of knowledge; a fault only where something was asked for that does not exist yet.
    Held(Option<Fault>),
    /// What exists loses its cause.
    Gone,
}

/// Follows one name of a blueprint in the annotation of a target.
pub(super) fn want<'a>(world: &'a World, identity: &Identity, target: &Target, names: &mut Names) -> Outcome<'a> {
    let (key, name) = identity;
    let existing = world.existing.get(identity).cloned().unwrap_or_default();
    let in_force = existing.configuration.is_some();
    let refused = |code, message: String| Outcome::Refused(Fault::new(code, message));
    let blueprint = match world.blueprint(name) {
        Found::Usable(blueprint) => blueprint,
        Found::InBothPlaces(blueprint) => {
            let message = format!("BackupBlueprint {name} is in Git and in the cluster: remove one of them");
            let at = blueprint.at.clone();
            return Outcome::Refused(Fault { at, ..Fault::new(RefusalCode::BlueprintInBothPlaces, message) });
        }
        Found::Broken(error) => {
            return refused(RefusalCode::BlueprintHeld, format!("BackupBlueprint {name} in the cluster: {error}"));
        }
        Found::Held(_) | Found::Unknown if in_force => return Outcome::Held(None),
        Found::Held(held) => {
            let message = format!("blueprint {name} cannot be used while {} is held: {}", held.at, held.message);
            let fault = Fault { at: Some(held.at.clone()), ..Fault::new(RefusalCode::BlueprintHeld, message) };
            return Outcome::Held(Some(fault));
        }
        Found::Missing if in_force => return Outcome::Gone,
        Found::Missing | Found::Unknown => {
            let message = format!("no blueprint {name} is in Git or in the cluster: push it, or name another");
            return refused(RefusalCode::BlueprintMissing, message);
        }
    };
    let denied = world.blueprint_decisions.get(name);
    if let Some(decisions) = denied.filter(|list| list.iter().any(|one| one.action.refusal().is_some())) {
        return Outcome::Denied(decisions);
    }
    let request = match Request::parse(key, &target.annotations) {
        Ok(request) => request,
        Err(fault) => return Outcome::Refused(fault),
    };
    let resolved = variables::of(key, target, &request.variables)
        .and_then(|variables| resolve::resolve(blueprint, key, &request, &variables));
    match resolved {
        Ok(resolved) => place(world, identity, blueprint, resolved, existing, names),
        Err(fault) => Outcome::Refused(fault),
    }
}

/// Decides the names, and whether somebody else's configuration stands in the way or is taken over.
fn place<'a>(
    world: &'a World,
    identity: &Identity,
    blueprint: &'a Blueprint,
    resolved: resolve::Resolved,
    existing: Existing,
    names: &mut Names,
) -> Outcome<'a> {
    let target = identity.0.clone();
    let mut adopted = None;
    if existing.configuration.is_none() {
        match rival(world, &target, &resolved) {
            Rival::None => {}
            Rival::Adopt(configuration, repository) => adopted = Some((configuration, repository)),
            Rival::Refused(fault) => return Outcome::Refused(fault),
        }
    }
    let adopts = adopted.is_some();
    let (configuration, repository) = match adopted {
        Some((configuration, repository)) => (Some(configuration), Some(repository)),
        None => (existing.configuration.clone(), existing.repository.clone()),
    };
    if let Some(fault) = moved(blueprint, repository.as_ref(), configuration.as_ref(), &resolved) {
        return Outcome::Refused(fault);
    }
    let (repository, configuration) = names.pair(
        (repository, &resolved.repository_namespace),
        (configuration, &resolved.configuration_namespace),
        identity,
    );
    let (address, schedule) = (resolved.address.clone(), resolved.schedule.clone());
    let schedule_annotation = resolved.schedule_annotation;
    let [first, second] = manifests(&target, blueprint, resolved, &repository, &configuration);
    let decide = |key, manifest| policies::of_object(world, key, manifest, Some(&target), Some(blueprint));
    let decisions = [decide(&repository, &first), decide(&configuration, &second)];
    let verdict = |key: &ObjectKey, manifest| match misfit(key, &manifest, blueprint) {
        Some((code, message)) => Verdict::Refused { code, message },
        None => judge(world, key, manifest, adopts),
    };
    let verdicts = [verdict(&repository, first), verdict(&configuration, second)];
    Outcome::Wanted(Box::new(Wanted {
        target,
        blueprint,
        address,
        schedule,
        schedule_annotation,
        repository,
        configuration,
        verdicts,
        decisions,
        existing,
        adopts,
    }))
}

/// An object cannot change its namespace, and a spec that was made for another one means something else where the object
/// is: a reference without a namespace names a target, a claim or a Secret beside it.
fn moved(
    blueprint: &Blueprint,
    repository: Option<&ObjectKey>,
    configuration: Option<&ObjectKey>,
    resolved: &resolve::Resolved,
) -> Option<Fault> {
    let repository = repository.map(|key| (key, &resolved.repository_namespace, "repoNamespace"));
    let configuration = configuration.map(|key| (key, &resolved.configuration_namespace, "backupNamespace"));
    let (key, namespace, field) =
        [configuration, repository].into_iter().flatten().find(|(key, namespace, _)| key.namespace != **namespace)?;
    let message = format!(
        "blueprint {} would move {} {} to namespace {namespace}: set {field} back to {}, or remove that object by hand to have it made anew (the snapshots of a Repository stay if wipeOut is not set)",
        blueprint.name,
        key.kind.as_str(),
        key.short(),
        key.namespace
    );
    Some(Fault { at: blueprint.at.clone(), ..Fault::new(RefusalCode::NamespaceMoved, message) })
}

/// What the schema says against a resolved object; the blueprint's own text was judged when it was parsed.
fn misfit(key: &ObjectKey, manifest: &serde_json::Value, blueprint: &Blueprint) -> Option<(RefusalCode, String)> {
    let crd = schema::shipped(key.kind.api_version(), key.kind.as_str())?;
    let issue = crd.check(manifest).into_iter().find(|issue| match issue.kind {
        schema::IssueKind::UnknownField => false,
        schema::IssueKind::WrongType
        | schema::IssueKind::NotInEnum
        | schema::IssueKind::Required
        | schema::IssueKind::NullValue
        | schema::IssueKind::Format
        | schema::IssueKind::OutOfRange => true,
    })?;
    let message =
        format!("blueprint {} gives a {} that does not fit: {}", blueprint.name, key.kind.as_str(), issue.message);
    Some((RefusalCode::InvalidResult, message))
}

/// A configuration of somebody else for the same target.
enum Rival {
    None,
    Adopt(ObjectKey, ObjectKey),
    Refused(Fault),
}

fn rival(world: &World, target: &TargetKey, resolved: &resolve::Resolved) -> Rival {
    let Some(other) = world.claims.get(target).and_then(|claims| claims.first()) else { return Rival::None };
    let taken = |difference: &str| {
        let message = format!(
            "BackupConfiguration {} already backs up {}{difference}: remove it or the annotation, so that one target has one backup",
            other.short(),
            target.spoken()
        );
        Rival::Refused(Fault::new(RefusalCode::TargetTaken, message))
    };
    let Some(live) = world.live(other).filter(|_| !world.desired.documents.contains_key(other)) else {
        return taken(" (it is in Git)");
    };
    let spec = live.spec();
    let Some(repository) = repository_of(other, &spec) else { return taken(" without a Repository") };
    let address =
        world.live(&repository).and_then(|live| Address::of(&live.spec()["backend"], &repository.namespace).ok());
    let place = address.as_ref().map_or_else(|| "an unknown place".to_owned(), Address::to_string);
    if address.as_ref() != Some(&resolved.address) {
        return taken(&format!(" to {place}, not to {}", resolved.address));
    }
    let same_namespace =
        other.namespace == resolved.configuration_namespace && repository.namespace == resolved.repository_namespace;
    if same_namespace && (world.settings.adopt_stash || live.is_handed_over()) {
        return Rival::Adopt(other.clone(), repository);
    }
    let schedule = text(&spec, "schedule").unwrap_or("none");
    taken(&format!(
        " to the same place, schedule {schedule:?} against {:?} (--adopt=stash takes it over)",
        resolved.schedule
    ))
}
