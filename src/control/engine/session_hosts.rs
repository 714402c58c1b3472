//! Which hosts a target has now.

use jiff::Timestamp;
use serde_json::Value;

use super::look::{Look, Questions, Seen};
use super::selector;
use super::world::{Model, World};
use crate::build::Fault;
use crate::build::security::Identity;
use crate::build::workload::{self, Access, Host, Known};
use crate::model::invoker::{Invoker, Member, Target};
use crate::model::keys;
use crate::model::object::{TargetKey, TargetKind};

pub(super) enum Hosts {
    /// Something has to be looked at first.
    Wait,
    Known(Vec<Host>),
    Fault(Fault),
}

/// Of a backup, from what was seen after `since`.
pub(super) fn hosts(world: &World<'_>, invoker: &Invoker, questions: &mut Questions<'_>, since: Timestamp) -> Hosts {
    let Some(target) = &invoker.member.target else {
        // The Task alone says what is backed up.
        return Hosts::Known(vec![one_host(&invoker.member)]);
    };
    if target.namespace != invoker.name.namespace && (workload::is_workload(target) || workload::is_claim(target)) {
        let message = format!(
            "{} lies in another namespace than its BackupConfiguration, and no pod can mount its volumes from there: move the BackupConfiguration to {}",
            target.spoken(),
            target.namespace
        );
        return Hosts::Fault(Fault::new("TargetElsewhere", message));
    }
    if workload::is_workload(target)
        && invoker.member.task.is_none()
        && let Some(fault) = needs_sidecar(world, target)
    {
        return Hosts::Fault(fault);
    }
    of_target(target, &invoker.member, questions, since, Access::Read)
}

/// Of any target, to read or to write.
pub(super) fn of_target(
    target: &Target,
    member: &Member,
    questions: &mut Questions<'_>,
    since: Timestamp,
    access: Access,
) -> Hosts {
    let namespace = target.namespace.clone();
    if workload::is_claim(target) {
        let claims = list(questions, Look::Claims { namespace: namespace.clone() }, since);
        let pods = list(questions, Look::Pods { namespace, selector: None }, since);
        let (Some(claims), Some(pods)) = (claims, pods) else { return Hosts::Wait };
        if !claims
            .iter()
            .any(|claim| claim.pointer("/metadata/name").and_then(Value::as_str) == Some(target.name.as_str()))
        {
            return Hosts::Fault(Fault::new("TargetNotAvailable", format!("{} does not exist", target.spoken())));
        }
        let known = Known { workload: None, pods: &pods, claims: &claims };
        return Hosts::Known(vec![workload::claim_host(target, member, &known)]);
    }
    if !workload::is_workload(target) || member.task.is_some() {
        return Hosts::Known(vec![one_host(member)]);
    }
    let look = Look::Workload { kind: target.kind.clone(), namespace: namespace.clone(), name: target.name.clone() };
    let found = match questions.ask(look, since) {
        None | Some(Seen::Unknown(_)) => return Hosts::Wait,
        Some(Seen::Missing) => {
            return Hosts::Fault(Fault::new("TargetNotAvailable", format!("{} does not exist", target.spoken())));
        }
        Some(Seen::Found(workload)) => workload,
    };
    let selector = selector::to_query(found.pointer("/spec/selector").unwrap_or(&Value::Null));
    let pods = list(questions, Look::Pods { namespace: namespace.clone(), selector: Some(selector) }, since);
    let claims = list(questions, Look::Claims { namespace }, since);
    let (Some(pods), Some(claims)) = (pods, claims) else { return Hosts::Wait };
    let known = Known { workload: Some(found), pods: &pods, claims: &claims };
    match workload::hosts(target, member, &known, access) {
        Ok(hosts) => Hosts::Known(hosts),
        Err(fault) => Hosts::Fault(fault),
    }
}

fn one_host(member: &Member) -> Host {
    Host {
        name: member.alias.clone().unwrap_or_else(|| "host-0".to_owned()),
        node: None,
        volumes: Vec::new(),
        mounts: Vec::new(),
        identity: Identity::default(),
    }
}

fn list(questions: &mut Questions<'_>, look: Look, since: Timestamp) -> Option<Vec<Value>> {
    match questions.ask(look, since)? {
        Seen::Found(items) => Some(items.as_array().cloned().unwrap_or_default()),
        Seen::Missing => Some(Vec::new()),
        Seen::Unknown(_) => None,
    }
}

/// The model is said by the workload, or else by the operator.
pub(super) fn needs_sidecar(world: &World<'_>, target: &Target) -> Option<Fault> {
    let kind = TargetKind::of(&target.api_version, &target.kind)?;
    let key = TargetKey { namespace: target.namespace.clone(), kind, name: target.name.clone() };
    let said = world.observed.targets.get(&key).and_then(|known| known.annotations.get(keys::MODEL));
    let job = match said.map(String::as_str) {
        Some(said) => said == "job",
        None => world.settings.model == Model::Job,
    };
    (!job).then(|| {
        let message = format!(
            "{} would be backed up by a sidecar, which is no part of this version yet: give it the annotation {}: job, or start the daemon with --workload-model=job",
            target.spoken(),
            keys::MODEL
        );
        Fault::new("NeedsSidecar", message)
    })
}
