//! The one table of what the daemon does at the API server: its RBAC and its API handles both come from here.

/// Name of the Lease that says which process may write.
pub const LEASE: &str = "holdfast";
/// Name of the `ConfigMap` that keeps what must outlive the process.
pub const STATE: &str = "holdfast-state";

/// A verb of the Kubernetes authorizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Watch => "watch",
            Verb::Create => "create",
            Verb::Update => "update",
            Verb::Patch => "patch",
            Verb::Delete => "delete",
        }
    }
}

/// Where a right holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Cluster,
    /// The namespace that the daemon runs in.
    OwnNamespace,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Right {
    /// API group; the core group is empty.
    pub group: &'static str,
    /// Plural resource name, with `/<subresource>` as RBAC writes it.
    pub resource: &'static str,
    pub verbs: &'static [Verb],
    pub scope: Scope,
    /// The only objects it holds for; empty means all.
    pub names: &'static [&'static str],
    pub why: &'static str,
}

/// What is only followed: nothing of it is ever fetched alone.
const FOLLOW: &[Verb] = &[Verb::List, Verb::Watch];
/// Server-side apply is `patch`, and `create` too where it makes the object; the `get` proves that the name is free.
const KEEP: &[Verb] = &[Verb::Get, Verb::List, Verb::Watch, Verb::Create, Verb::Patch];
const OWN: &[Verb] = &[Verb::Get, Verb::List, Verb::Watch, Verb::Create, Verb::Patch, Verb::Delete];

const STASH: &str = "stash.appscode.com";
const TARGET: &str = "may be a target: its annotations say whether it is backed up";

/// Everything that the daemon may do. No Secret, no wildcard.
pub const RIGHTS: &[Right] = &[
    follow("", "namespaces", "objects are written only into namespaces that exist and stay"),
    follow("", "persistentvolumeclaims", TARGET),
    follow("", "replicationcontrollers", TARGET),
    follow("apps", "daemonsets", TARGET),
    follow("apps", "deployments", TARGET),
    follow("apps", "replicasets", TARGET),
    follow("apps", "statefulsets", TARGET),
    follow("appcatalog.appscode.com", "appbindings", TARGET),
    follow(STASH, "backupblueprints", "blueprints may live in the cluster, put there by another GitOps tool"),
    write(STASH, "repositories", KEEP, "written from Git and blueprints; never deleted, it is the way to the data"),
    write(STASH, "backupconfigurations", OWN, "written from Git and blueprints"),
    write(STASH, "backupbatches", OWN, "written from Git"),
    write(STASH, "functions", OWN, "written from Git"),
    write(STASH, "tasks", OWN, "written from Git"),
    write("events.k8s.io", "events", &[Verb::Create], "tells the owner of a target what was refused or undone"),
    own("coordination.k8s.io", "leases", &[Verb::Create], &[], "a create carries no name that RBAC could compare"),
    own("coordination.k8s.io", "leases", &[Verb::Get, Verb::Update], &[LEASE], "one process writes at a time"),
    own("", "configmaps", &[Verb::Get, Verb::Create, Verb::Patch], &[STATE], "recent deletes outlive the process"),
];

const fn follow(group: &'static str, resource: &'static str, why: &'static str) -> Right {
    write(group, resource, FOLLOW, why)
}

const fn write(group: &'static str, resource: &'static str, verbs: &'static [Verb], why: &'static str) -> Right {
    Right { group, resource, verbs, scope: Scope::Cluster, names: &[], why }
}

const fn own(
    group: &'static str,
    resource: &'static str,
    verbs: &'static [Verb],
    names: &'static [&'static str],
    why: &'static str,
) -> Right {
    Right { group, resource, verbs, scope: Scope::OwnNamespace, names, why }
}

/// Whether the table has the verb for the resource, in any scope.
pub fn allows(group: &str, resource: &str, verb: Verb) -> bool {
    RIGHTS.iter().any(|right| right.group == group && right.resource == resource && right.verbs.contains(&verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_secrets_nor_wildcards_nor_deletes_of_repositories() {
        for right in RIGHTS {
            assert!(!right.group.contains('*') && !right.resource.contains('*'), "{right:?}");
            assert!(right.resource != "secrets" && !right.resource.starts_with("pods"), "{right:?}");
            assert!(!right.verbs.is_empty() && !right.why.is_empty(), "{right:?}");
        }
        assert!(!allows(STASH, "repositories", Verb::Delete));
        assert!(allows(STASH, "backupconfigurations", Verb::Delete));
    }

    #[test]
    fn no_pair_is_granted_twice() {
        let mut pairs: Vec<_> = RIGHTS
            .iter()
            .flat_map(|right| right.verbs.iter().map(|verb| (right.group, right.resource, *verb)))
            .collect();
        let all = pairs.len();
        pairs.sort_unstable();
        pairs.dedup();
        assert_eq!(pairs.len(), all);
    }
}
