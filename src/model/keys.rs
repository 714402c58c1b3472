//! Names of annotations, labels and field managers: the vocabulary shared with users, Stash and other tools.

/// Names one blueprint or a comma list of blueprints on a target.
pub const BACKUP_BLUEPRINT: &str = "stash.appscode.com/backup-blueprint";
/// Comma list of absolute paths inside a workload's containers.
pub const TARGET_PATHS: &str = "stash.appscode.com/target-paths";
/// Comma list of `volume:mountPath[:subPath]`.
pub const VOLUME_MOUNTS: &str = "stash.appscode.com/volume-mounts";
/// Cron expression that replaces the blueprint's schedule for one target.
pub const SCHEDULE: &str = "stash.appscode.com/schedule";
/// Prefix of annotations that become Task parameters.
pub const PARAMS_PREFIX: &str = "params.stash.appscode.com/";
/// Prefix of annotations that become variables of the blueprint for one target.
pub const VARIABLE_PREFIX: &str = "blueprint.holdfast.dev/";

/// Group prefix of every annotation and label of ours.
pub const OUR_PREFIX: &str = "holdfast.dev/";
/// `<group>/<Kind>/<namespace>/<name>` of the target that a generated object belongs to.
pub const TARGET: &str = "holdfast.dev/target";
/// Name of the blueprint that a generated object came from (annotation, and label up to 63 characters).
pub const BLUEPRINT: &str = "holdfast.dev/blueprint";
/// `git:<path>` or `cluster`: where the document lives that an object came from.
pub const SOURCE: &str = "holdfast.dev/source";
/// `"true"` on a live object hands it over to Holdfast.
pub const ADOPT: &str = "holdfast.dev/adopt";
/// `"true"` on a Function or Task whose name is built in: it is used, and not ours.
pub const OVERRIDE: &str = "holdfast.dev/override";
/// Comma list of digests of refused steps that a person allows.
pub const ACKNOWLEDGE: &str = "holdfast.dev/acknowledge";
/// When the cause of a generated object was first seen missing, RFC 3339 UTC.
pub const MISSING_SINCE: &str = "holdfast.dev/missing-since";
/// `<count>:<wanted> <manager>`: how often in a row the changes of one manager were undone, and eight hexadecimal digits
/// over what was set back, so that the count ends when Git asks for something else.
pub const UNDONE: &str = "holdfast.dev/undone";

/// Label of what the engine makes: the session or the invoker that it belongs to, cut to 63 characters.
pub const RUN: &str = "holdfast.dev/run";
/// On a Job: which part of its session it is.
pub const PART: &str = "holdfast.dev/part";
/// On a Job that is ended before its time: reason and message, so that a restart knows them.
pub const ENDED: &str = "holdfast.dev/ended";
/// On a Job: stands for the address of its repository; so many at a time may work there.
pub const ADDRESS: &str = "holdfast.dev/address";
/// On a Job: nobody else may work on its repository beside it.
pub const EXCLUSIVE: &str = "holdfast.dev/exclusive";
/// On a `BackupConfiguration`: the last slot that the internal scheduler has handled, RFC 3339.
pub const LAST_SLOT: &str = "holdfast.dev/last-slot";
/// On a `BackupSession`: exact numbers that its status has only as texts for people.
pub const ADDED_BYTES: &str = "holdfast.dev/added-bytes";
/// How the pods of a workload are backed up: `job` or `sidecar`.
pub const MODEL: &str = "holdfast.dev/model";
/// Keeps a session until its pods are gone, and a Job until its outcome is written down.
pub const FINALIZER: &str = "holdfast.dev/engine";
/// Field manager of everything that the engine writes.
pub const ENGINE_MANAGER: &str = "holdfast-engine";

/// Standard label that says who made an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Our value of [`MANAGED_BY`].
pub const MANAGED_BY_US: &str = "holdfast";
/// Field manager of everything that the GitOps loop writes.
pub const FIELD_MANAGER: &str = "holdfast";

/// Tracking keys of other tools: copied onto an object of ours they would make those tools prune or fight over it
/// (exact keys, and prefixes that end in `/`).
const TRACKING: &[&str] = &[
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "argocd.argoproj.io/",
    "client.lifecycle.config.k8s.io/",
    "config.k8s.io/",
    "configmanagement.gke.io/",
    "configsync.gke.io/",
    "fluxcd.io/",
    "helm.sh/",
    "helm.toolkit.fluxcd.io/",
    "kapp.k14s.io/",
    "kubectl.kubernetes.io/last-applied-configuration",
    "kustomize.toolkit.fluxcd.io/",
    "meta.helm.sh/",
    "pulumi.com/",
    "reconcile.fluxcd.io/",
    "sharding.fluxcd.io/",
];

/// Whether a label or annotation key is how another tool marks what it owns.
pub fn is_tracking(key: &str) -> bool {
    TRACKING.iter().any(|mark| match mark.strip_suffix('/') {
        Some(_) => key.starts_with(mark),
        None => key == *mark,
    })
}
