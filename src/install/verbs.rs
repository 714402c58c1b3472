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
    /// Of a role, to accounts that do not have its rights themselves.
    Bind,
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
            Verb::Bind => "bind",
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

/// The role of the pods of `CronJob`s; in a cluster the namespace of the daemon stands behind it.
pub const TRIGGER_ROLE: &str = "holdfast-trigger";
/// What the role of the trigger may do, in the namespaces that it is bound in.
pub const TRIGGER_RIGHTS: &[Right] = &[
    write(STASH, "backupconfigurations", &[Verb::Get], "whose session it is"),
    write(STASH, "backupsessions", &[Verb::Create], "one for each slot"),
];

/// Everything that the daemon may do without running anything. No wildcard.
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
    follow(STASH, "backupsessions", "the status branch shows every run"),
    follow(STASH, "restoresessions", "the status branch shows every run"),
    follow("batch", "jobs", "the parts of a run"),
    follow("batch", "cronjobs", "they trigger sessions at their slots"),
    follow("", "pods", "what became of a Job; on which node and as which user an application works"),
    follow("", "serviceaccounts", "of the trigger"),
    follow("rbac.authorization.k8s.io", "rolebindings", "of the trigger"),
    write("events.k8s.io", "events", &[Verb::Create], "tells the owner of a target what was refused or undone"),
    own("coordination.k8s.io", "leases", &[Verb::Create], &[], "a create carries no name that RBAC could compare"),
    own("coordination.k8s.io", "leases", &[Verb::Get, Verb::Update], &[LEASE], "one process writes at a time"),
    own("", "configmaps", &[Verb::Get, Verb::Create, Verb::Patch], &[STATE], "recent deletes outlive the process"),
];

/// What an object of ours that lasts needs, and one that goes.
const MAKE: &[Verb] = &[Verb::Create, Verb::Patch];
const RUN: &[Verb] = &[Verb::Get, Verb::Create, Verb::Patch, Verb::Delete];

/// What the daemon may do besides, to run backups and restores. Of Secrets one at a time, and never a list.
pub const RUN_RIGHTS: &[Right] = &[
    write("", "persistentvolumeclaims", &[Verb::Create], "interim volumes, and claims that are restored"),
    write("", "events", &[Verb::List], "why a Job has no pod, or a pod does not start"),
    write(
        "",
        "secrets",
        &[Verb::Get, Verb::Create],
        "whether a storage Secret is there; its copy for a session elsewhere",
    ),
    write("", "serviceaccounts", MAKE, "of the trigger"),
    write("apps", "daemonsets", &[Verb::Get], "its volumes and users, when a run begins"),
    write("apps", "deployments", &[Verb::Get], "its volumes and users, when a run begins"),
    write("apps", "statefulsets", &[Verb::Get], "its volumes and users, when a run begins"),
    write("batch", "jobs", RUN, "the parts of a run"),
    write("batch", "cronjobs", &[Verb::Create, Verb::Patch, Verb::Delete], "trigger sessions at their slots"),
    write(STASH, "backupsessions", RUN, "one run each"),
    write(STASH, "backupsessions/status", &[Verb::Patch], "what became of it"),
    write(STASH, "restoresessions", &[Verb::Patch], "one restore each"),
    write(STASH, "restoresessions/status", &[Verb::Patch], "what became of it"),
    write(STASH, "backupconfigurations/status", &[Verb::Patch], "conditions and phase"),
    write(STASH, "repositories/status", &[Verb::Patch], "what the last session found"),
    write("rbac.authorization.k8s.io", "rolebindings", MAKE, "of the trigger, to the role that is shipped"),
    Right {
        group: "rbac.authorization.k8s.io",
        resource: "clusterroles",
        verbs: &[Verb::Bind],
        scope: Scope::Cluster,
        names: &[TRIGGER_ROLE],
        why: "the trigger gets its rights, and no other role is given to anybody",
    },
];

/// The whole table.
pub fn rights() -> impl Iterator<Item = &'static Right> {
    RIGHTS.iter().chain(RUN_RIGHTS)
}

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
    rights().any(|right| right.group == group && right.resource == resource && right.verbs.contains(&verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wildcard_no_list_of_secrets_and_no_delete_of_repositories() {
        for right in rights() {
            assert!(!right.group.contains('*') && !right.resource.contains('*'), "{right:?}");
            let verbs = |allowed: &[Verb]| right.verbs.iter().all(|verb| allowed.contains(verb));
            assert!(right.resource != "secrets" || verbs(&[Verb::Get, Verb::Create]), "{right:?}");
            assert!(!right.resource.starts_with("pods") || verbs(FOLLOW), "{right:?}");
            assert!(!right.verbs.is_empty() && !right.why.is_empty(), "{right:?}");
        }
        assert!(!allows(STASH, "repositories", Verb::Delete));
        assert!(allows(STASH, "backupconfigurations", Verb::Delete));
    }

    #[test]
    fn no_pair_is_granted_twice() {
        let mut pairs: Vec<_> =
            rights().flat_map(|right| right.verbs.iter().map(|verb| (right.group, right.resource, *verb))).collect();
        let all = pairs.len();
        pairs.sort_unstable();
        pairs.dedup();
        assert_eq!(pairs.len(), all);
    }
}
