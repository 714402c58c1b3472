//! The hosts of a target in the job model: which volumes of which pod, on which node, as which user.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::fault::Fault;
use super::security::Identity;
use crate::model::invoker::{Member, Target};
use crate::model::json::text;

/// More hosts than this are no backup of one target in one session.
const HOSTS_MAX: usize = 1000;

/// One host: what a Job of it mounts, and where it may run.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    pub name: String,
    /// Where its volumes are in use, if they cannot be used elsewhere.
    pub node: Option<String>,
    pub volumes: Vec<Value>,
    pub mounts: Vec<Value>,
    pub identity: Identity,
}

/// What is known of a target when its hosts are worked out.
pub struct Known<'a> {
    /// The workload itself; none for a claim.
    pub workload: Option<&'a Value>,
    /// Its pods; for a claim all of the namespace.
    pub pods: &'a [Value],
    /// Claims of the namespace.
    pub claims: &'a [Value],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// Whether a target of this kind has pods of its own.
pub fn is_workload(target: &Target) -> bool {
    matches!(
        (target.api_version.as_str(), target.kind.as_str()),
        ("apps/v1", "Deployment" | "StatefulSet" | "DaemonSet")
    )
}

pub fn is_claim(target: &Target) -> bool {
    (target.api_version.as_str(), target.kind.as_str()) == ("v1", "PersistentVolumeClaim")
}

/// The hosts of a workload; one that runs nothing has none, which is a fault.
pub fn hosts(target: &Target, member: &Member, known: &Known<'_>, access: Access) -> Result<Vec<Host>, Fault> {
    let workload = known.workload.unwrap_or(&Value::Null);
    let template = workload.pointer("/spec/template/spec").unwrap_or(&Value::Null);
    let prefix = member.alias.as_deref();
    if member.mounts.is_empty() {
        let message =
            format!("{}: spec.target.volumeMounts is empty; name the volumes that hold its data", target.spoken());
        return Err(Fault::new("NoVolumeMounts", message));
    }
    let build = |name: String, pod: Option<&Value>, ordinal: Option<u64>| {
        host(name, target, member, template, workload, known, pod, ordinal, access)
    };
    let hosts: Vec<Host> = match target.kind.as_str() {
        "StatefulSet" => {
            let replicas = workload.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
            let start = workload.pointer("/spec/ordinals/start").and_then(Value::as_u64).unwrap_or(0);
            let ordinals = (start..start + replicas).take(HOSTS_MAX + 1);
            let host = |ordinal: u64| {
                let pod = pod_named(known.pods, &format!("{}-{ordinal}", target.name));
                build(format!("{}-{ordinal}", prefix.unwrap_or("host")), pod, Some(ordinal))
            };
            ordinals.map(host).collect::<Result<_, _>>()?
        }
        "DaemonSet" => {
            let host = |pod: &Value| {
                let node = pod.pointer("/spec/nodeName").and_then(Value::as_str)?;
                let name = prefix.map_or_else(|| node.to_owned(), |prefix| format!("{prefix}-{node}"));
                Some(build(name, Some(pod), None))
            };
            known.pods.iter().filter(|pod| runs(pod)).filter_map(host).take(HOSTS_MAX + 1).collect::<Result<_, _>>()?
        }
        _ => {
            let pod = known.pods.iter().find(|pod| runs(pod));
            vec![build(prefix.unwrap_or("host-0").to_owned(), pod, None)?]
        }
    };
    match hosts.len() {
        0 => Err(Fault::new("NoHosts", format!("{} runs no pod, so it has nothing to back up", target.spoken()))),
        count if count > HOSTS_MAX => {
            Err(Fault::new("TooManyHosts", format!("{} has more than {HOSTS_MAX} hosts", target.spoken())))
        }
        _ => Ok(hosts),
    }
}

/// The one host of a claim: its volume comes from the Task.
pub fn claim_host(target: &Target, member: &Member, known: &Known<'_>) -> Host {
    let user = known.pods.iter().find(|pod| runs(pod) && uses_claim(pod, &target.name));
    let volumes: BTreeSet<String> = user.map(|pod| volumes_of_claim(pod, &target.name)).unwrap_or_default();
    let node = user.filter(|_| is_bound_to_node(known.claims, &target.name)).and_then(node_of);
    Host {
        name: member.alias.clone().unwrap_or_else(|| "host-0".to_owned()),
        node,
        volumes: Vec::new(),
        mounts: Vec::new(),
        identity: user.map(|pod| Identity::of(&pod["spec"], &volumes)).unwrap_or_default(),
    }
}

#[expect(clippy::too_many_arguments, reason = "facts that are looked at together, once for each host")]
fn host(
    name: String,
    target: &Target,
    member: &Member,
    template: &Value,
    workload: &Value,
    known: &Known<'_>,
    pod: Option<&Value>,
    ordinal: Option<u64>,
    access: Access,
) -> Result<Host, Fault> {
    let (mut volumes, mut mounts, mut is_bound) = (Vec::new(), Vec::new(), false);
    let mut names = BTreeSet::new();
    for mount in &member.mounts {
        let wanted = text(mount, "name").unwrap_or_default();
        let (volume, bound) = volume(target, template, workload, known, wanted, ordinal)?;
        is_bound |= bound;
        if names.insert(wanted.to_owned()) {
            volumes.push(volume);
        }
        let mut mount = mount.clone();
        mount["readOnly"] = json!(access == Access::Read);
        // A mount of the application may be seen on the host; one of a copy never.
        mount.as_object_mut().map(|fields| fields.remove("mountPropagation"));
        mounts.push(mount);
    }
    let spec = pod.map_or(template, |pod| &pod["spec"]);
    Ok(Host {
        name,
        node: pod.filter(|_| is_bound || target.kind == "DaemonSet").and_then(node_of),
        volumes,
        mounts,
        identity: Identity::of(spec, &names),
    })
}

/// The volume of that name, and whether it is of use on one node only.
fn volume(
    target: &Target,
    template: &Value,
    workload: &Value,
    known: &Known<'_>,
    name: &str,
    ordinal: Option<u64>,
) -> Result<(Value, bool), Fault> {
    let whose = target.spoken();
    let templates = workload.pointer("/spec/volumeClaimTemplates").and_then(Value::as_array).into_iter().flatten();
    let of_template = templates.filter_map(|claim| text(&claim["metadata"], "name")).any(|claim| claim == name);
    if let (true, Some(ordinal)) = (of_template, ordinal) {
        let claim = format!("{name}-{}-{ordinal}", target.name);
        return claim_volume(name, &claim, known.claims, &whose);
    }
    let volumes = template.get("volumes").and_then(Value::as_array).into_iter().flatten();
    let Some(found) = volumes.into_iter().find(|volume| text(volume, "name") == Some(name)) else {
        let message = format!("{whose} has no volume {name:?}, which spec.target.volumeMounts names");
        return Err(Fault::new("VolumeNotFound", message));
    };
    if let Some(claim) = found.pointer("/persistentVolumeClaim/claimName").and_then(Value::as_str) {
        return claim_volume(name, claim, known.claims, &whose);
    }
    if found.get("hostPath").is_some() {
        return Ok((found.clone(), true));
    }
    let elsewhere = ["nfs", "csi", "configMap", "secret", "projected", "downwardAPI", "iscsi", "cephfs", "glusterfs"];
    if elsewhere.iter().any(|kind| found.get(*kind).is_some()) {
        return Ok((found.clone(), false));
    }
    let message = format!(
        "volume {name} of {whose} exists inside of its pod only, so no Job can mount it: it needs the sidecar model"
    );
    Err(Fault::new("NeedsSidecar", message))
}

fn claim_volume(name: &str, claim: &str, claims: &[Value], whose: &str) -> Result<(Value, bool), Fault> {
    let modes = modes(claims, claim);
    if modes.contains(&"ReadWriteOncePod") {
        let message = format!(
            "claim {claim} of {whose} may be used by one pod only (ReadWriteOncePod): it needs the sidecar model"
        );
        return Err(Fault::new("NeedsSidecar", message));
    }
    let volume = json!({"name": name, "persistentVolumeClaim": {"claimName": claim}});
    Ok((volume, is_bound_to_node(claims, claim)))
}

/// A volume that several nodes may use needs no care for where it is in use; what is not known may need it.
fn is_bound_to_node(claims: &[Value], claim: &str) -> bool {
    !modes(claims, claim).iter().any(|mode| matches!(*mode, "ReadWriteMany" | "ReadOnlyMany"))
}

fn modes<'c>(claims: &'c [Value], claim: &str) -> Vec<&'c str> {
    let found = claims.iter().find(|known| text(&known["metadata"], "name") == Some(claim));
    let modes = found.and_then(|known| known.pointer("/spec/accessModes")).and_then(Value::as_array);
    modes.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn pod_named<'p>(pods: &'p [Value], name: &str) -> Option<&'p Value> {
    pods.iter().find(|pod| text(&pod["metadata"], "name") == Some(name) && runs(pod))
}

/// Whether its volumes are in use by it.
fn runs(pod: &Value) -> bool {
    let phase = pod.pointer("/status/phase").and_then(Value::as_str);
    !matches!(phase, Some("Succeeded" | "Failed")) && node_of(pod).is_some()
}

fn node_of(pod: &Value) -> Option<String> {
    pod.pointer("/spec/nodeName").and_then(Value::as_str).filter(|node| !node.is_empty()).map(str::to_owned)
}

fn uses_claim(pod: &Value, claim: &str) -> bool {
    !volumes_of_claim(pod, claim).is_empty()
}

fn volumes_of_claim(pod: &Value, claim: &str) -> BTreeSet<String> {
    let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array).into_iter().flatten();
    let of_claim = volumes
        .filter(|volume| volume.pointer("/persistentVolumeClaim/claimName").and_then(Value::as_str) == Some(claim));
    of_claim.filter_map(|volume| text(volume, "name")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(kind: &str, name: &str) -> Target {
        Target { api_version: "apps/v1".into(), kind: kind.into(), namespace: "shop".into(), name: name.into() }
    }

    fn member(mounts: &Value) -> Member {
        let object = json!({"metadata": {"name": "c", "namespace": "shop"}, "spec":
            {"repository": {"name": "r"}, "target": {"volumeMounts": mounts, "paths": ["/srv"]}}});
        let object = serde_json::from_value(object).unwrap();
        crate::model::invoker::Invoker::parse(&object).unwrap().member
    }

    #[test]
    fn each_replica_of_a_stateful_set_is_a_host_with_its_own_claim() {
        let workload = json!({"spec": {"replicas": 2, "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
            "template": {"spec": {"containers": [{"securityContext": {"runAsUser": 7}, "volumeMounts": [{"name": "data"}]}]}}}});
        let pods = [json!({"metadata": {"name": "db-1"}, "spec": {"nodeName": "n2", "containers": []}})];
        let known = Known { workload: Some(&workload), pods: &pods, claims: &[] };
        let mounts = json!([{"name": "data", "mountPath": "/srv"}]);
        let hosts = hosts(&target("StatefulSet", "db"), &member(&mounts), &known, Access::Read).unwrap();
        let seen: Vec<_> = hosts.iter().map(|host| (host.name.as_str(), host.node.as_deref())).collect();
        assert_eq!(seen, [("host-0", None), ("host-1", Some("n2"))]);
        assert_eq!(hosts[1].volumes[0]["persistentVolumeClaim"]["claimName"], "data-db-1");
        assert_eq!(hosts[0].mounts[0]["readOnly"], true);
        assert_eq!(hosts[0].identity.user, Some(7));
    }

    #[test]
    fn what_lives_inside_of_a_pod_needs_the_sidecar() {
        let workload = json!({"spec": {"template": {"spec": {"volumes": [{"name": "tmp", "emptyDir": {}}]}}}});
        let known = Known { workload: Some(&workload), pods: &[], claims: &[] };
        let fault = hosts(
            &target("Deployment", "web"),
            &member(&json!([{"name": "tmp", "mountPath": "/t"}])),
            &known,
            Access::Read,
        );
        assert_eq!(fault.unwrap_err().reason, "NeedsSidecar");
        let once = [json!({"metadata": {"name": "web"}, "spec": {"accessModes": ["ReadWriteOncePod"]}})];
        let workload = json!({"spec": {"template": {"spec": {"volumes": [{"name": "up", "persistentVolumeClaim": {"claimName": "web"}}]}}}});
        let known = Known { workload: Some(&workload), pods: &[], claims: &once };
        let fault = hosts(
            &target("Deployment", "web"),
            &member(&json!([{"name": "up", "mountPath": "/t"}])),
            &known,
            Access::Read,
        );
        assert_eq!(fault.unwrap_err().reason, "NeedsSidecar");
    }

    #[test]
    fn a_daemon_set_has_a_host_on_each_node() {
        let workload =
            json!({"spec": {"template": {"spec": {"volumes": [{"name": "var", "hostPath": {"path": "/var/x"}}]}}}});
        let pod = |node: &str| json!({"metadata": {"name": node}, "spec": {"nodeName": node}});
        let pods = [pod("n1"), pod("n2")];
        let known = Known { workload: Some(&workload), pods: &pods, claims: &[] };
        let mut member = member(&json!([{"name": "var", "mountPath": "/var/x"}]));
        member.alias = Some("agent".to_owned());
        let hosts = hosts(&target("DaemonSet", "agent"), &member, &known, Access::Read).unwrap();
        let seen: Vec<_> = hosts.iter().map(|host| (host.name.as_str(), host.node.as_deref().unwrap())).collect();
        assert_eq!(seen, [("agent-n1", "n1"), ("agent-n2", "n2")]);
    }
}
