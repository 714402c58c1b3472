//! Repository and BackupConfiguration of everything that annotated targets ask for.

use super::addresses::Addresses;
use super::asked::{Outcome, want};
use super::draft::Draft;
use super::judge::{Danger, Verdict, Why, dotted};
use super::naming::Names;
use super::policies::{self, About};
use super::standing::{keep_moved_from, protect, refuse_all, stay};
use super::wanted::Wanted;
use super::world::World;
use crate::blueprint::fault::Fault;
use crate::blueprint::request;
use crate::model::acknowledge::Digest;
use crate::model::finding::{ReasonCode, RefusalCode};
use crate::model::object::ObjectKey;
use crate::model::plan::{Action, Group, Reason, Refusal, Standing, Step};

pub(super) fn plan(world: &World, draft: &mut Draft) {
    let mut names = Names::new(world);
    let mut wanted = Vec::new();
    for (name, decisions) in &world.blueprint_decisions {
        let spoken = format!("BackupBlueprint {name}");
        policies::put(decisions.clone(), About { spoken: Some(&spoken), ..About::default() }, draft);
    }
    for (key, target) in &world.observed.targets {
        let about = About { target: Some(key), ..About::default() };
        let denied = policies::put(policies::of_target(world, key, target), about, draft);
        match request::blueprints(&target.annotations) {
            None => {}
            Some(Err(fault)) => refuse_all(world, key, &fault, draft),
            Some(Ok(blueprints)) => {
                for name in blueprints {
                    let identity = (key.clone(), name.to_owned());
                    if denied {
                        keep_moved_from(world, key, draft);
                        stay(world, &identity, Standing::Refused, None, draft);
                        continue;
                    }
                    match want(world, &identity, target, &mut names) {
                        Outcome::Wanted(one) => wanted.push(*one),
                        Outcome::Refused(fault) => {
                            keep_moved_from(world, key, draft);
                            stay(world, &identity, Standing::Refused, Some(fault), draft);
                        }
                        Outcome::Denied(decisions) => {
                            let spoken = format!("BackupBlueprint {name}");
                            policies::put(decisions.to_vec(), About { spoken: Some(&spoken), ..about }, draft);
                            keep_moved_from(world, key, draft);
                            stay(world, &identity, Standing::Refused, None, draft);
                        }
                        Outcome::Held(fault) => {
                            if fault.is_some() {
                                keep_moved_from(world, key, draft);
                            }
                            stay(world, &identity, Standing::Held, fault, draft);
                        }
                        Outcome::Gone => keep_moved_from(world, key, draft),
                    }
                }
            }
        }
    }
    let addresses = Addresses::new(world, &wanted);
    for mut one in wanted {
        let verdicts = std::mem::replace(&mut one.verdicts, [Verdict::Unchanged, Verdict::Unchanged]);
        emit(world, &one, verdicts, &addresses, draft);
    }
}

/// Turns a pair into steps; both objects stand or fall together.
fn emit(world: &World, one: &Wanted, verdicts: [Verdict; 2], addresses: &Addresses, draft: &mut Draft) {
    let identity = (one.target.clone(), one.blueprint.name.clone());
    let mut refusals = Vec::new();
    let mut refuse = |fault: Fault, object: Option<&ObjectKey>, digest: Option<Digest>| {
        let at = fault.at.or_else(|| one.blueprint.at.clone());
        refusals.push(Refusal {
            policy: None,
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
    if let Some(other) = addresses.conflict(one) {
        let message = format!(
            "{} is the place of Repository {} or nests with it: put ${{TARGET_NAMESPACE}}, ${{TARGET_KIND}} and ${{TARGET_NAME}} into the blueprint's prefix",
            one.address,
            other.short()
        );
        refuse(Fault::new(RefusalCode::AddressInUse, message), Some(&one.repository), None);
        refused = true;
    }
    for (key, verdict) in [&one.repository, &one.configuration].into_iter().zip(verdicts) {
        match verdict {
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
    for (key, decisions) in [&one.repository, &one.configuration].into_iter().zip(&one.decisions) {
        let about = About { object: Some(key), target: Some(&one.target), spoken: None };
        refused |= policies::put(decisions.clone(), about, draft);
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
        keep_moved_from(world, &one.target, draft);
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

fn step(one: &Wanted, key: &ObjectKey, action: Action, why: &Why) -> Step {
    let blueprint = &one.blueprint.name;
    let place = one.blueprint.at.as_ref().map_or("in the cluster".to_owned(), |at| format!("{}:{}", at.path, at.line));
    let spoken = one.target.spoken();
    let by_annotation = one.schedule_annotation.filter(|_| match why {
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
