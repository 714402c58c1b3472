//! Repository and BackupConfiguration of everything that annotated targets ask for.

use super::addresses::Addresses;
use super::documents::is_paused;
use super::draft::Draft;
use super::judge::{Danger, Verdict, Why, dotted, judge};
use super::naming::Names;
use super::wanted::Wanted;
use super::world::{Existing, Found, Identity, World, repository_of};
use crate::blueprint::fault::Fault;
use crate::blueprint::request::{self, Request};
use crate::blueprint::{resolve, variables};
use crate::model::acknowledge::Digest;
use crate::model::address::Address;
use crate::model::desired::Blueprint;
use crate::model::finding::{ReasonCode, RefusalCode};
use crate::model::json::text;
use crate::model::object::{ObjectKey, TargetKey};
use crate::model::observed::Target;
use crate::model::plan::{Action, Group, Protection, Reason, Refusal, Standing, Step};
use crate::schema;

pub(super) fn plan(world: &World, draft: &mut Draft) {
    let mut names = Names::new(world);
    let mut wanted = Vec::new();
    for (key, target) in &world.observed.targets {
        match request::blueprints(&target.annotations) {
            None => {}
            Some(Err(fault)) => refuse_all(world, key, &fault, draft),
            Some(Ok(blueprints)) => {
                for name in blueprints {
                    let identity = (key.clone(), name.to_owned());
                    match want(world, &identity, target, &mut names) {
                        Outcome::Wanted(one) => wanted.push(*one),
                        Outcome::Refused(fault) => stay(world, &identity, Standing::Refused, Some(fault), draft),
                        Outcome::Held(fault) => stay(world, &identity, Standing::Held, fault, draft),
                        Outcome::Gone => {}
                    }
                }
            }
        }
    }
    let addresses = Addresses::new(world, &wanted);
    for one in &wanted {
        emit(world, one, &addresses, draft);
    }
}

enum Outcome<'a> {
    Wanted(Box<Wanted<'a>>),
    Refused(Fault),
    /// Nothing changes for want of knowledge; a fault only where something was asked for that does not exist yet.
    Held(Option<Fault>),
    /// What exists loses its cause.
    Gone,
}

fn want<'a>(world: &'a World, identity: &Identity, target: &Target, names: &mut Names) -> Outcome<'a> {
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
    let (repository, configuration) = names.pair(
        (repository, &resolved.repository_namespace),
        (configuration, &resolved.configuration_namespace),
        identity,
    );
    Outcome::Wanted(Box::new(Wanted { target, blueprint, resolved, repository, configuration, existing, adopts }))
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
    let address = world
        .live(&repository)
        .and_then(|repository| Address::of(&repository.spec()["backend"], &other.namespace).ok());
    let place = address.as_ref().map_or_else(|| "an unknown place".to_owned(), Address::to_string);
    if address.as_ref() != Some(&resolved.address) {
        return taken(&format!(" to {place}, not to {}", resolved.address));
    }
    let same_namespace = other.namespace == resolved.configuration_namespace;
    if same_namespace && (world.settings.adopt_stash || live.is_handed_over()) {
        return Rival::Adopt(other.clone(), repository);
    }
    let schedule = text(&spec, "schedule").unwrap_or("none");
    taken(&format!(
        " to the same place, schedule {schedule:?} against {:?} (--adopt=stash takes it over)",
        resolved.schedule
    ))
}

/// Turns a pair into steps; both objects stand or fall together.
fn emit(world: &World, one: &Wanted, addresses: &Addresses, draft: &mut Draft) {
    let identity = (one.target.clone(), one.blueprint.name.clone());
    let mut refusals = Vec::new();
    let mut refuse = |fault: Fault, object: Option<&ObjectKey>, digest: Option<Digest>| {
        let at = fault.at.or_else(|| one.blueprint.at.clone());
        refusals.push(Refusal {
            code: fault.code,
            object: object.cloned(),
            target: Some(one.target.clone()),
            at,
            message: fault.message,
            acknowledge: digest,
        });
    };
    let mut steps = Vec::new();
    let mut dangers: Vec<Danger> = renamed(world, one).into_iter().collect();
    let mut refused = false;
    if let Some(other) = addresses.conflict(world, one) {
        let message = format!(
            "{} is the place of Repository {} or nests with it: put ${{TARGET_NAMESPACE}}, ${{TARGET_KIND}} and ${{TARGET_NAME}} into the blueprint's prefix",
            one.resolved.address,
            other.short()
        );
        refuse(Fault::new(RefusalCode::AddressInUse, message), Some(&one.repository), None);
        refused = true;
    }
    for (key, manifest) in one.objects() {
        if let Some(fault) = misfit(key, &manifest, one) {
            refuse(fault, Some(key), None);
            refused = true;
            continue;
        }
        match judge(world, key, manifest, one.adopts) {
            Verdict::Unchanged | Verdict::Waiting => {}
            Verdict::Refused { code, message } => {
                refuse(Fault::new(code, message), Some(key), None);
                refused = true;
            }
            Verdict::Step { action, why, danger } => {
                dangers.extend(danger);
                steps.push(step(one, key, action, &why));
            }
        }
    }
    match accept(world, one, dangers, &mut refuse) {
        Accepted::Nothing => {}
        Accepted::By(digest) => drop(draft.acknowledged.insert(digest)),
        Accepted::No => refused = true,
    }
    draft.refusals.extend(refusals);
    draft.keep([one.repository.clone(), one.configuration.clone()]);
    protect(world, one, if refused { Standing::Refused } else { Standing::Wanted }, draft);
    if refused {
        stay(world, &identity, Standing::Refused, None, draft);
    } else {
        draft.steps.extend(steps);
    }
}

/// Whether dangerous parts are allowed.
enum Accepted {
    /// There are none.
    Nothing,
    By(Digest),
    No,
}

/// Whether a person allowed every dangerous part; one digest covers all of them.
fn accept(
    world: &World,
    one: &Wanted,
    dangers: Vec<Danger>,
    refuse: &mut impl FnMut(Fault, Option<&ObjectKey>, Option<Digest>),
) -> Accepted {
    if dangers.is_empty() {
        return Accepted::Nothing;
    }
    let digest = Digest::of(dangers.iter().map(|danger| danger.fact.clone()));
    if world.acknowledged(Some(&one.target), digest.as_str()) {
        return Accepted::By(digest);
    }
    for danger in dangers {
        refuse(Fault::new(danger.code, danger.phrase), None, Some(digest.clone()));
    }
    Accepted::No
}

/// The target names this blueprint where it named another: the other's snapshots would get no more company.
fn renamed(world: &World, one: &Wanted) -> Option<Danger> {
    if one.existing.configuration.is_some() || one.existing.repository.is_some() || one.adopts {
        return None;
    }
    let asked =
        world.observed.targets.get(&one.target).and_then(|target| request::blueprints(&target.annotations))?.ok()?;
    let (identity, existing) = world
        .existing
        .range((one.target.clone(), String::new())..)
        .take_while(|((target, _), _)| *target == one.target)
        .find(|((_, blueprint), existing)| existing.configuration.is_some() && !asked.contains(&blueprint.as_str()))?;
    let repository = existing.repository.as_ref().map_or_else(|| "its Repository".to_owned(), ObjectKey::short);
    let uid = existing.configuration.as_ref().and_then(|key| world.live(key)).map_or("", |live| live.uid.as_str());
    Some(Danger {
        code: RefusalCode::BlueprintRenamed,
        phrase: format!(
            "{} moves from blueprint {} to {}; the snapshots in Repository {repository} would be orphaned",
            one.target.spoken(),
            identity.1,
            one.blueprint.name
        ),
        fact: format!("rename {} {} {} {uid}", one.target, identity.1, one.blueprint.name),
    })
}

/// What the schema says against a resolved object; the blueprint's own text was judged when it was parsed.
fn misfit(key: &ObjectKey, manifest: &serde_json::Value, one: &Wanted) -> Option<Fault> {
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
        format!("blueprint {} gives a {} that does not fit: {}", one.blueprint.name, key.kind.as_str(), issue.message);
    Some(Fault::new(RefusalCode::InvalidResult, message))
}

fn step(one: &Wanted, key: &ObjectKey, action: Action, why: &Why) -> Step {
    let blueprint = &one.blueprint.name;
    let place = one.blueprint.at.as_ref().map_or("in the cluster".to_owned(), |at| format!("{}:{}", at.path, at.line));
    let spoken = one.target.spoken();
    let by_annotation = one.resolved.schedule_annotation.filter(|_| match why {
        Why::Changed(fields) => fields.iter().any(|field| field == "/spec/schedule"),
        Why::New | Why::Adopted | Why::Drifted { .. } | Why::CauseBack => false,
    });
    let (code, message) = match why {
        Why::New => (ReasonCode::TargetAnnotated, format!("{spoken} asks for blueprint {blueprint} ({place})")),
        Why::Adopted => (
            ReasonCode::Adopted,
            format!("{} is taken over for {spoken}, blueprint {blueprint} ({place})", key.short()),
        ),
        Why::Changed(fields) => match by_annotation {
            Some(annotation) => (
                ReasonCode::TargetAnnotated,
                format!("{}: annotation {annotation} of {spoken} overrides blueprint {blueprint}", dotted(fields)),
            ),
            None => (
                ReasonCode::TargetAnnotated,
                format!("{}: blueprint {blueprint} ({place}) or {spoken} changed", dotted(fields)),
            ),
        },
        Why::Drifted { manager, fields } => (
            ReasonCode::Drift,
            format!("{manager} changed {}, which blueprint {blueprint} ({place}) sets: it is set back", dotted(fields)),
        ),
        Why::CauseBack => (ReasonCode::CauseBack, format!("{spoken} asks for blueprint {blueprint} again ({place})")),
    };
    Step {
        object: key.clone(),
        group: Group::Generated { target: one.target.clone(), blueprint: blueprint.clone() },
        reason: Reason {
            code,
            at: one.blueprint.at.clone(),
            blueprint: Some(blueprint.clone()),
            target: Some(one.target.clone()),
            annotation: by_annotation.map(str::to_owned),
            message,
        },
        action,
    }
}

fn protect(world: &World, one: &Wanted, standing: Standing, draft: &mut Draft) {
    draft.protections.push(Protection {
        target: one.target.clone(),
        blueprint: Some(one.blueprint.name.clone()),
        source: one.blueprint.source.clone(),
        configuration: Some(one.configuration.clone()),
        repository: Some(one.repository.clone()),
        schedule: Some(one.resolved.schedule.clone()),
        paused: world.live(&one.configuration).is_some_and(is_paused),
        standing,
    });
}

/// The target's annotation cannot be read: everything that exists for it stays.
fn refuse_all(world: &World, target: &TargetKey, fault: &Fault, draft: &mut Draft) {
    let known: Vec<Identity> = world
        .existing
        .range((target.clone(), String::new())..)
        .take_while(|((key, _), _)| key == target)
        .map(|(identity, _)| identity.clone())
        .collect();
    refuse(target, fault.clone(), draft);
    for identity in &known {
        stay(world, identity, Standing::Refused, None, draft);
    }
    if known.is_empty() {
        draft.protections.push(unresolved(target, None, Standing::Refused));
    }
}

/// What exists of an identity stays as it is; and if it was a target that moved, so does what it moved from.
fn stay(world: &World, identity: &Identity, standing: Standing, fault: Option<Fault>, draft: &mut Draft) {
    if let Some(fault) = fault {
        refuse(&identity.0, fault, draft);
    }
    let range = world.existing.range((identity.0.clone(), String::new())..);
    for ((_, blueprint), existing) in range.take_while(|((target, _), _)| *target == identity.0) {
        let asked_for = *blueprint == identity.1;
        if asked_for || standing == Standing::Refused {
            draft.keep(existing.repository.iter().chain(&existing.configuration).cloned());
        }
    }
    let known = draft.protections.iter().rev().any(|protection| {
        protection.target == identity.0 && protection.blueprint.as_deref() == Some(identity.1.as_str())
    });
    if !known {
        let existing = world.existing.get(identity);
        let live = existing.and_then(|existing| existing.configuration.as_ref()).and_then(|key| world.live(key));
        let spec = live.map(crate::model::observed::Live::spec).unwrap_or_default();
        draft.protections.push(Protection {
            configuration: existing.and_then(|existing| existing.configuration.clone()),
            repository: existing.and_then(|existing| existing.repository.clone()),
            schedule: text(&spec, "schedule").map(str::to_owned),
            paused: live.is_some_and(is_paused),
            source: live.and_then(|live| live.annotations.get(crate::model::keys::SOURCE).cloned()).unwrap_or_default(),
            ..unresolved(&identity.0, Some(identity.1.clone()), standing)
        });
    }
}

fn unresolved(target: &TargetKey, blueprint: Option<String>, standing: Standing) -> Protection {
    Protection {
        target: target.clone(),
        blueprint,
        source: String::new(),
        configuration: None,
        repository: None,
        schedule: None,
        paused: false,
        standing,
    }
}

fn refuse(target: &TargetKey, fault: Fault, draft: &mut Draft) {
    draft.refusals.push(Refusal {
        code: fault.code,
        object: None,
        target: Some(target.clone()),
        at: fault.at,
        message: format!("{}: {}", target.spoken(), fault.message),
        acknowledge: None,
    });
}
