//! Which hosts a restore has: those of its target, or one for each replica of the claims it makes.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::look::{Look, Questions, Seen};
use super::session_hosts::{self, Hosts as TargetHosts};
use super::world::{World, text};
use crate::build::Fault;
use crate::build::security::Identity;
use crate::build::variables::{self, Variables};
use crate::build::workload::{self, Access, Host};
use crate::model::invoker::Restore;

/// More replicas than this are no restore of one workload.
const REPLICAS_MAX: u32 = 1000;
/// On a claim: the UID of the `RestoreSession` that made it.
pub(super) const RESTORED_BY: &str = "holdfast.dev/restored-by";

pub(super) enum Hosts {
    /// Something has to be looked at first.
    Wait,
    /// The target may still come.
    Pending(String),
    Known(Vec<Host>),
    Fault(Fault),
}

pub(super) fn hosts(world: &World<'_>, restore: &Restore, questions: &mut Questions<'_>, since: Timestamp) -> Hosts {
    if !restore.claims.is_empty() {
        return made(restore, questions, since);
    }
    let Some(target) = &restore.member.target else {
        return Hosts::Fault(Fault::new(
            "NoTarget",
            "spec.target.ref is missing, and there are no volumeClaimTemplates",
        ));
    };
    if target.namespace != restore.name.namespace && (workload::is_workload(target) || workload::is_claim(target)) {
        let message = format!("{} lies in another namespace than its RestoreSession", target.spoken());
        return Hosts::Fault(Fault::new("TargetElsewhere", message));
    }
    if workload::is_workload(target)
        && restore.member.task.is_none()
        && let Some(fault) = session_hosts::needs_sidecar(world, target)
    {
        return Hosts::Fault(fault);
    }
    match session_hosts::of_target(target, &restore.member, questions, since, Access::Write) {
        TargetHosts::Wait => Hosts::Wait,
        TargetHosts::Known(hosts) => Hosts::Known(hosts),
        TargetHosts::Fault(fault) if fault.reason == "TargetNotAvailable" => Hosts::Pending(fault.message),
        TargetHosts::Fault(fault) => Hosts::Fault(fault),
    }
}

/// Claims of the same name that are there already hold data of somebody else.
fn made(restore: &Restore, questions: &mut Questions<'_>, since: Timestamp) -> Hosts {
    let look = Look::Claims { namespace: restore.name.namespace.clone() };
    let there = match questions.ask(look, since) {
        None | Some(Seen::Unknown(_)) => return Hosts::Wait,
        Some(Seen::Missing) => &Value::Null,
        Some(Seen::Found(claims)) => claims,
    };
    let hosts = match of_claims(restore) {
        Ok(hosts) => hosts,
        Err(fault) => return Hosts::Fault(fault),
    };
    let names: Vec<&str> = hosts
        .iter()
        .flat_map(|host| &host.volumes)
        .filter_map(|volume| volume.pointer("/persistentVolumeClaim/claimName").and_then(Value::as_str))
        .collect();
    let foreign = there.as_array().into_iter().flatten().find_map(|claim| {
        let name = claim.pointer("/metadata/name").and_then(Value::as_str)?;
        let by = claim.pointer("/metadata/annotations").and_then(|all| all.get(RESTORED_BY)).and_then(Value::as_str);
        (names.contains(&name) && by != Some(restore.uid.as_str())).then_some(name)
    });
    match foreign {
        Some(name) => {
            let message =
                format!("claim {name} is there already, and may hold data: delete it, or restore under another name");
            Hosts::Fault(Fault::new("ClaimExists", message))
        }
        None => Hosts::Known(hosts),
    }
}

/// One host for each replica, with all claims of it: however many templates there are.
fn of_claims(restore: &Restore) -> Result<Vec<Host>, Fault> {
    let replicas = restore.replicas.unwrap_or(1);
    if !(1..=REPLICAS_MAX).contains(&replicas) {
        let message = format!("spec.target.replicas is {replicas}; it must be 1 to {REPLICAS_MAX}");
        return Err(Fault::new("BadReplicas", message));
    }
    let prefix = restore.member.alias.as_deref();
    (0..replicas)
        .map(|ordinal| {
            let name = match (restore.replicas, prefix) {
                (Some(_), prefix) => format!("{}-{ordinal}", prefix.unwrap_or("host")),
                (None, prefix) => prefix.unwrap_or("host-0").to_owned(),
            };
            let mut volumes = Vec::new();
            for template in filled(restore, ordinal)? {
                let claim = template.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
                let volume = claim.strip_suffix(&format!("-{ordinal}")).unwrap_or(&claim);
                volumes.push(json!({"name": volume, "persistentVolumeClaim": {"claimName": claim}}));
            }
            Ok(Host { name, node: None, volumes, mounts: restore.member.mounts.clone(), identity: Identity::default() })
        })
        .collect()
}

fn filled(restore: &Restore, ordinal: u32) -> Result<Vec<Value>, Fault> {
    let variables = Variables::from([("POD_ORDINAL".to_owned(), ordinal.to_string())]);
    let templates = restore.claims.iter().map(|template| {
        let value = serde_json::to_value(template).unwrap_or_default();
        if template.metadata.get().is_none_or(|metadata| text(&metadata.name).is_empty()) {
            return Err(Fault::new("BadClaim", "an entry of spec.target.volumeClaimTemplates has no metadata.name"));
        }
        variables::fill(&value, &variables, "spec.target.volumeClaimTemplates")
    });
    templates.collect()
}

/// The claims that a host is restored into, to be made if they are not there.
pub(super) fn claims(restore: &Restore, host: &Host) -> Vec<Value> {
    if restore.claims.is_empty() {
        return Vec::new();
    }
    let ordinal = host.name.rsplit_once('-').and_then(|(_, ordinal)| ordinal.parse().ok()).unwrap_or(0);
    let claims = filled(restore, ordinal).unwrap_or_default().into_iter().map(|template| {
        let metadata = template.get("metadata").unwrap_or(&Value::Null);
        // Without an owner: the data stays when the RestoreSession goes.
        let mut own = json!({"name": metadata["name"], "namespace": restore.name.namespace});
        let labels = metadata.get("labels").cloned().unwrap_or_else(|| json!({}));
        own["labels"] = labels;
        own["annotations"] = json!({RESTORED_BY: restore.uid});
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": own, "spec": template.get("spec").cloned().unwrap_or_default()})
    });
    claims.collect()
}
