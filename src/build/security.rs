//! As whom a pod works: as the application whose data it is, and with no right more than that needs.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::workload::Access;
use crate::model::json::text;

/// A user that owns nothing, where neither the application's is known nor root allowed.
const NOBODY: i64 = 65532;

/// What the namespace enforces on its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PodSecurity {
    Restricted,
    /// Baseline, or nothing at all.
    RootAllowed,
}

impl PodSecurity {
    /// Of the label of a namespace.
    pub fn of(enforced: Option<&str>) -> Self {
        if enforced == Some("restricted") { PodSecurity::Restricted } else { PodSecurity::RootAllowed }
    }
}

/// User, groups and label of an application's process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub user: Option<i64>,
    pub group: Option<i64>,
    /// With the group of its volumes: its files may be readable for that one only.
    pub groups: BTreeSet<i64>,
    pub selinux: Option<Value>,
}

impl Identity {
    /// Of the first container that mounts one of the volumes.
    pub(super) fn of(pod: &Value, volumes: &BTreeSet<String>) -> Self {
        let mounts = |container: &&Value| {
            let mounts = container.get("volumeMounts").and_then(Value::as_array).into_iter().flatten();
            mounts.filter_map(|mount| text(mount, "name")).any(|name| volumes.contains(name))
        };
        let containers = pod.get("containers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let own = containers.iter().find(mounts).and_then(|container| container.get("securityContext"));
        let shared = pod.get("securityContext");
        let first = |field: &str| {
            let value = own.and_then(|own| own.get(field)).or_else(|| shared?.get(field));
            value.filter(|value| !value.is_null())
        };
        let number = |field: &str| first(field).and_then(Value::as_i64);
        let supplemental = shared.and_then(|shared| shared.get("supplementalGroups")).and_then(Value::as_array);
        let mut groups: BTreeSet<i64> = supplemental.into_iter().flatten().filter_map(Value::as_i64).collect();
        groups.extend(shared.and_then(|shared| shared.get("fsGroup")).and_then(Value::as_i64));
        Self {
            user: number("runAsUser"),
            group: number("runAsGroup"),
            groups,
            selinux: first("seLinuxOptions").cloned(),
        }
    }
}

/// The security contexts of a pod and of its containers.
pub fn contexts(identity: &Identity, level: PodSecurity, access: Access) -> (Value, Value) {
    let restricted = level == PodSecurity::Restricted;
    let user = match access {
        Access::Read => identity.user.unwrap_or(if restricted { NOBODY } else { 0 }),
        // Files get back their owners, which only root can give them.
        Access::Write if restricted => identity.user.filter(|user| *user != 0).unwrap_or(NOBODY),
        Access::Write => 0,
    };
    let user = if restricted && user == 0 { NOBODY } else { user };
    let mut pod = json!({"runAsUser": user, "runAsNonRoot": user != 0, "seccompProfile": {"type": "RuntimeDefault"}});
    if let Some(group) = identity.group.or((user == 0).then_some(0)) {
        pod["runAsGroup"] = json!(group);
    }
    if !identity.groups.is_empty() {
        pod["supplementalGroups"] = json!(identity.groups);
    }
    if let Some(selinux) = &identity.selinux {
        pod["seLinuxOptions"] = selinux.clone();
    }
    let added: &[&str] = match (user, access) {
        (0, Access::Read) => &["DAC_OVERRIDE"],
        (0, Access::Write) => &["CHOWN", "DAC_OVERRIDE", "FOWNER"],
        _ => &[],
    };
    let mut capabilities = json!({"drop": ["ALL"]});
    if !added.is_empty() {
        capabilities["add"] = json!(added);
    }
    let container =
        json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": capabilities});
    (pod, container)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_works_as_the_application_does() {
        let pod = json!({"securityContext": {"runAsUser": 1, "fsGroup": 9, "supplementalGroups": [5]}, "containers": [
            {"name": "proxy", "securityContext": {"runAsUser": 3}},
            {"name": "db", "securityContext": {"runAsUser": 2, "runAsGroup": 4}, "volumeMounts": [{"name": "data"}]}]});
        let identity = Identity::of(&pod, &BTreeSet::from(["data".to_owned()]));
        let (pod, container) = contexts(&identity, PodSecurity::RootAllowed, Access::Read);
        assert_eq!((pod["runAsUser"].as_i64(), pod["runAsGroup"].as_i64()), (Some(2), Some(4)));
        assert_eq!(pod["supplementalGroups"], json!([5, 9]));
        assert!(pod.get("fsGroup").is_none(), "the kubelet would change a volume in use");
        assert_eq!(container["capabilities"], json!({"drop": ["ALL"]}));
    }

    #[test]
    fn who_is_not_known_is_root_with_one_right_or_nobody() {
        let nobody = Identity::default();
        let (pod, container) = contexts(&nobody, PodSecurity::RootAllowed, Access::Read);
        assert_eq!((pod["runAsUser"].as_i64(), &container["capabilities"]["add"]), (Some(0), &json!(["DAC_OVERRIDE"])));
        for access in [Access::Read, Access::Write] {
            let (pod, container) = contexts(&nobody, PodSecurity::Restricted, access);
            assert_eq!((pod["runAsNonRoot"].as_bool(), container["capabilities"].get("add")), (Some(true), None));
        }
        let (_, container) = contexts(&nobody, PodSecurity::RootAllowed, Access::Write);
        assert_eq!(container["capabilities"]["add"], json!(["CHOWN", "DAC_OVERRIDE", "FOWNER"]));
    }
}
