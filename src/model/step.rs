//! What a native step of a Job is told, and what it answers: the contract between the daemon and the agent in a pod.
//!
//! The daemon puts a [`StepInput`] as JSON into the environment variable [`INPUT`]. The agent writes an [`Outcome`] as JSON of
//! at most [`OUTCOME_BYTES_MAX`] to its termination message, and the whole of it as one line of its log behind [`LOG_MARK`].

use serde::{Deserialize, Serialize};

use super::finding::StepReason;

/// Environment variable with the [`StepInput`].
pub const INPUT: &str = "HOLDFAST_STEP";
/// Environment variables of the pod, by the downward API.
pub const POD_NAME: &str = "POD_NAME";
pub const POD_UID: &str = "POD_UID";
/// Without it the target's is taken.
pub const POD_NAMESPACE: &str = "POD_NAMESPACE";
/// Where the storage Secret is mounted: one file for each of its keys.
pub const STORAGE_FOLDER: &str = "/etc/holdfast/storage";
/// The scratch volume of every pod, as in Stash.
pub const SCRATCH_FOLDER: &str = "/stash-tmp";
/// Kubernetes cuts at 4 KiB, and all containers of a pod together at 12 KiB.
pub const OUTCOME_BYTES_MAX: usize = 1024;
/// Begins the line of the log with the whole outcome.
pub const LOG_MARK: &str = "holdfast-outcome: ";
/// Tag of every snapshot: the UID of the session that made it.
pub const SESSION_TAG: &str = "holdfast-session=";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepInput {
    pub repository: RepositoryPlace,
    /// UID of the session.
    pub session: String,
    /// Whose data it is.
    pub target: TargetName,
    /// UID of the cluster. With name and UID of the pod ([`POD_NAME`], [`POD_UID`]) it is in our locks.
    pub cluster: String,
    /// UIDs of pods that are proven to be gone: their locks are removed before the work begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone_pods: Vec<String>,
    pub work: Work,
}

/// Where the repository is. What gives access to it lies in [`STORAGE_FOLDER`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RepositoryPlace {
    /// As restic writes it: `s3:http://host/bucket/prefix`, `/path` and so on.
    pub address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub insecure_tls: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Metadata is kept in the scratch volume.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cache: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetName {
    pub namespace: String,
    pub kind: String,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Work {
    /// Makes the repository where it is proven that there is none.
    Initialize,
    /// Nothing but the locks of pods that are gone.
    Unlock,
    Backup(BackupWork),
    Restore(RestoreWork),
    /// Retention, check and sizes, after all hosts have ended.
    Finish(FinishWork),
    /// Turns the `output.json` of a foreign addon into an outcome.
    Report {
        folder: String,
        host: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackupWork {
    pub host: String,
    /// One snapshot each.
    pub paths: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Beside our own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Files that cannot be read do not make the host Failed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub incomplete_succeeds: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestoreWork {
    pub host: String,
    pub wanted: Wanted,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Only snapshots with all of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    pub existing: ExistingFiles,
}

/// Which snapshots are restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Wanted {
    /// These, each to the paths it was made of. A part of an id is enough; `latest` is the newest complete one of the source host.
    Snapshots { source: String, ids: Vec<String> },
    /// The newest complete one of the source host and each path.
    Paths { source: String, paths: Vec<String> },
}

/// What becomes of files that are there and not in the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExistingFiles {
    /// A place that is not empty is refused.
    Refuse,
    Keep,
    Delete,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FinishWork {
    /// Without a rule everything is kept.
    pub retention: RetentionRules,
    /// Snapshots without the tag of a target are this target's: the repository has no other invoker.
    #[serde(default, skip_serializing_if = "is_false")]
    pub untagged_are_ours: bool,
    /// Hosts whose outcome is missing or cut: what the repository holds of this session is the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsettled: Vec<String>,
    /// What each of these hosts was to store. Empty if nobody knows: then any snapshot will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// As [`BackupWork::incomplete_succeeds`], for these hosts.
    #[serde(default, skip_serializing_if = "is_false")]
    pub incomplete_succeeds: bool,
}

/// A `retentionPolicy` that was found sound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RetentionRules {
    pub last: u32,
    pub hourly: u32,
    pub daily: u32,
    pub weekly: u32,
    pub monthly: u32,
    pub yearly: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    pub prune: bool,
    /// Says what would go, and removes nothing.
    pub trial: bool,
}

/// What became of a step. It has succeeded if nothing in it is an error: see [`Outcome::is_success`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Outcome {
    /// Of the step as a whole: what is beside it was done before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Complaint>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostOutcome>,
    /// Hosts that found no room here; the log has them.
    #[serde(skip_serializing_if = "is_zero")]
    pub omitted: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<RepositoryOutcome>,
}

impl Outcome {
    pub fn is_success(&self) -> bool {
        let Self { error, hosts, omitted: _, repository } = self;
        let steps = repository.as_ref().is_none_or(RepositoryOutcome::is_success);
        error.is_none() && hosts.iter().all(|host| host.error.is_none()) && steps
    }
}

/// A failure, for a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Complaint {
    pub reason: StepReason,
    pub message: String,
}

/// What became of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HostOutcome {
    pub host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Complaint>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub snapshots: Vec<SnapshotOutcome>,
    /// Entries that found no room here; the log has them.
    #[serde(skip_serializing_if = "is_zero")]
    pub omitted: u64,
    pub seconds: u64,
}

/// One snapshot that was made or restored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SnapshotOutcome {
    /// All 64 hexadecimal digits; of a foreign addon, as it says it.
    pub id: String,
    pub path: String,
    pub files: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub new: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub changed: u64,
    pub bytes: u64,
    /// Stored anew.
    #[serde(skip_serializing_if = "is_zero")]
    pub added: u64,
    /// Files that are not in it.
    #[serde(skip_serializing_if = "is_zero")]
    pub unread: u64,
    pub seconds: u64,
}

/// What is known of a repository after [`Work::Initialize`] or [`Work::Finish`]. `None` where a step was not reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RepositoryOutcome {
    /// Made just now, and not found.
    #[serde(skip_serializing_if = "is_false")]
    pub made: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Step<Removed>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Step<Nothing>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Step<Size>>,
}

impl RepositoryOutcome {
    fn is_success(&self) -> bool {
        let Self { made: _, retention, check, size } = self;
        retention.as_ref().is_none_or(Step::is_done)
            && check.as_ref().is_none_or(Step::is_done)
            && size.as_ref().is_none_or(Step::is_done)
    }
}

/// Each step of a repository ends by itself: one that failed keeps no other from being tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step<T> {
    Done(T),
    Failed(Complaint),
}

impl<T> Step<T> {
    fn is_done(&self) -> bool {
        matches!(self, Step::Done(_))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    pub kept: u64,
    pub removed: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Of all that is stored.
    pub bytes: u64,
    pub snapshots: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}
