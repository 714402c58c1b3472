//! Roles and bindings of the daemon, made from the table of verbs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::verbs::{Right, Scope, TRIGGER_RIGHTS, TRIGGER_ROLE, Verb, rights};

/// Name of the `ServiceAccount`, the role and the binding in the namespace. What belongs to no namespace ends in it,
/// so that a second installation neither changes nor takes away the rights of the first.
pub const ACCOUNT: &str = "holdfast";

const API: &str = "rbac.authorization.k8s.io";

/// The role of the trigger of an installation: the daemon binds it in the namespaces of invokers.
pub fn trigger_role(namespace: &str) -> String {
    format!("{TRIGGER_ROLE}-{namespace}")
}

/// `ServiceAccount`, `ClusterRole`, `ClusterRoleBinding`, `Role` and `RoleBinding`, in this order, and the `ClusterRole` of the
/// trigger.
pub fn rbac(namespace: &str, labels: &Value) -> Vec<Value> {
    let subjects = json!([{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}]);
    let object = |api_version: &str, kind: &str, name: &str, own: bool| {
        let mut metadata = json!({"name": name, "labels": labels});
        if own {
            metadata["namespace"] = json!(namespace);
        }
        json!({"apiVersion": api_version, "kind": kind, "metadata": metadata})
    };
    let version = format!("{API}/v1");
    let name = |scope: Scope| match scope {
        Scope::Cluster => format!("{ACCOUNT}-{namespace}"),
        Scope::OwnNamespace => ACCOUNT.to_owned(),
    };
    let role = |kind: &str, scope: Scope| {
        let mut role = object(&version, kind, &name(scope), scope == Scope::OwnNamespace);
        role["rules"] = rules(rights(), scope, namespace);
        role
    };
    let mut trigger = object(&version, "ClusterRole", &trigger_role(namespace), false);
    trigger["rules"] = rules(TRIGGER_RIGHTS.iter(), Scope::Cluster, namespace);
    let binding = |kind: &str, role: &str, scope: Scope| {
        let mut binding = object(&version, kind, &name(scope), scope == Scope::OwnNamespace);
        binding["roleRef"] = json!({"apiGroup": API, "kind": role, "name": name(scope)});
        binding["subjects"] = subjects.clone();
        binding
    };
    vec![
        object("v1", "ServiceAccount", ACCOUNT, true),
        role("ClusterRole", Scope::Cluster),
        binding("ClusterRoleBinding", "ClusterRole", Scope::Cluster),
        role("Role", Scope::OwnNamespace),
        binding("RoleBinding", "Role", Scope::OwnNamespace),
        trigger,
    ]
}

/// Group, verbs and names.
type Rule<'a> = (&'a str, &'a [Verb], &'a [&'a str]);

/// Rules of one scope; resources of a group that share verbs and names share a rule.
fn rules(rights: impl Iterator<Item = &'static Right>, scope: Scope, namespace: &str) -> Value {
    let mut grouped: BTreeMap<Rule<'_>, Vec<&str>> = BTreeMap::new();
    for Right { group, resource, verbs, scope: of, names, why: _ } in rights {
        if *of == scope {
            grouped.entry((group, verbs, names)).or_default().push(resource);
        }
    }
    grouped
        .into_iter()
        .map(|((group, verbs, names), resources)| {
            let verbs: Vec<&str> = verbs.iter().map(|verb| verb.as_str()).collect();
            let mut rule = json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
            if !names.is_empty() {
                let own =
                    |name: &&str| if *name == TRIGGER_ROLE { trigger_role(namespace) } else { (*name).to_owned() };
                rule["resourceNames"] = names.iter().map(own).collect();
            }
            rule
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn roles_grant_exactly_the_table() {
        let objects = rbac("backup", &json!({}));
        let granted: BTreeSet<(String, String, String)> = objects
            .iter()
            .flat_map(|object| object["rules"].as_array().into_iter().flatten())
            .flat_map(|rule| {
                let texts = |key: &str| -> Vec<String> {
                    rule[key].as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
                };
                let (groups, resources, verbs) = (texts("apiGroups"), texts("resources"), texts("verbs"));
                resources
                    .into_iter()
                    .flat_map(move |resource| verbs.clone().into_iter().map(move |verb| (resource.clone(), verb)))
                    .map(move |(resource, verb)| (groups[0].clone(), resource, verb))
            })
            .collect();
        let table: BTreeSet<(String, String, String)> = rights()
            .chain(TRIGGER_RIGHTS)
            .flat_map(|right| {
                right
                    .verbs
                    .iter()
                    .map(|verb| (right.group.to_owned(), right.resource.to_owned(), verb.as_str().to_owned()))
            })
            .collect();
        assert_eq!(granted, table);
    }

    #[test]
    fn two_installations_share_no_object() {
        let names = |namespace: &str| -> BTreeSet<String> {
            let named = |object: &Value| format!("{} {}", object["kind"], object["metadata"]);
            rbac(namespace, &json!({})).iter().map(named).collect()
        };
        assert!(names("one").is_disjoint(&names("two")), "{:?}", names("one"));
        for object in rbac("one", &json!({})).iter().filter(|object| object.get("roleRef").is_some()) {
            assert_eq!(object["roleRef"]["name"], object["metadata"]["name"], "{object}");
        }
    }

    #[test]
    fn only_the_own_namespace_role_touches_leases_and_config_maps() {
        let objects = rbac("backup", &json!({}));
        let kinds: Vec<&str> = objects.iter().filter_map(|object| object["kind"].as_str()).collect();
        assert_eq!(
            kinds,
            ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ClusterRole"]
        );
        let cluster = objects[1]["rules"].to_string();
        assert!(!cluster.contains("leases") && !cluster.contains("configmaps"), "{cluster}");
        assert_eq!(objects[3]["metadata"]["namespace"], "backup");
    }
}
