//! Where the status goes, and whether it may go there: never to the source, and never to what may be another's.

use super::Shared;
use super::record::invalid;
use crate::control::gitops::RecordFailure;
use crate::git::{Endpoint, SigningKey};
use crate::model::tree::Revision;
use crate::report::ClusterName;

/// What the command line decides of the status branch.
#[derive(Debug)]
pub struct StatusSettings {
    pub repository: Endpoint,
    pub branch: String,
    pub take_over: Option<String>,
    /// None: commits are not signed.
    pub signing_key: Option<SigningKey>,
}

/// Without a branch in its settings the source is wherever HEAD leads, so only a revision tells.
pub(super) fn check_apart(
    shared: &Shared,
    status: &StatusSettings,
    source: Option<&Revision>,
) -> Result<(), RecordFailure> {
    let same = status.repository.url.is_same_repository(&shared.settings.source.endpoint.url)
        && source.is_some_and(|revision| revision.reference == status.branch);
    if !same {
        return Ok(());
    }
    Err(invalid(format!(
        "the status branch {} is the branch that the documents are read from, so every status would be a new source: give another --status-branch",
        status.branch
    )))
}

/// A branch that does not say whose it is may be anybody's, and below `targets/` everything would be replaced.
pub(super) fn check_owner(
    theirs: Option<&ClusterName>,
    status: &StatusSettings,
    uid: &str,
) -> Result<(), RecordFailure> {
    let branch = &status.branch;
    match theirs {
        Some(theirs) if theirs.uid == uid || status.take_over.as_deref() == Some(&theirs.uid) => Ok(()),
        Some(theirs) => Err(invalid(format!(
            "branch {branch} belongs to cluster {} ({}): give this cluster another --cluster-name, or take the branch over with --take-over {}",
            theirs.name, theirs.uid, theirs.uid
        ))),
        None => Err(invalid(format!(
            "branch {branch} has no cluster.yaml that says which cluster it belongs to: give another --status-branch, or rename or delete that branch"
        ))),
    }
}
