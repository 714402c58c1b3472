//! One commit of the status branch: what differs from the tip, who says so, and what the server answers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sha1::{Digest as _, Sha1};

use super::Shared;
use super::record::{Known, Report, VERSION, failure, transient};
use crate::control::gitops::RecordFailure;
use crate::git::{Changes, CommitText, Pushed, Rejection, Rotated, StatusBranch, Tip};
use crate::model::applied::FailureClass;
use crate::model::names::hex;
use crate::report::{self, Commit, Files, Rotation, RotationRefused};

/// What a commit says beside its files.
pub(super) struct About<'a> {
    pub(super) cluster_name: &'a str,
    pub(super) uid: &'a str,
    pub(super) revision: Option<String>,
    pub(super) instance: &'a str,
    pub(super) now: Timestamp,
}

/// Pushes once. If the history was to go aside and could not, nothing is written and the reason is given.
pub(super) fn push(
    shared: &Shared,
    branch: &mut StatusBranch,
    known: &mut Known,
    about: &About,
    report: &Report,
) -> Result<Option<RotationRefused>, RecordFailure> {
    let text = text(about, report, known.tip.as_ref());
    // Fetch and report took their time. What is still under way when the right ends is for compare-and-swap to stop.
    if !shared.leader.is_leader() {
        return Err(transient("this process may not write any more".to_owned()));
    }
    let pushed = match (&known.tip, &report.rotation) {
        (Some(tip), Some(rotation)) => {
            match rotated(branch.rotate(tip, &rotation.archive, &report.changes, &text).map_err(failure)?, rotation) {
                Ok(pushed) => pushed,
                Err(refused) => return Ok(Some(refused)),
            }
        }
        (tip, _) => branch.commit(tip.as_ref(), &report.changes, &text).map_err(failure)?,
    };
    match pushed {
        Pushed::Done(tip) => {
            tracing::info!(commit = tip.commit(), files = report.changes.len(), "wrote the status branch");
            if let Some(rotation) = &report.rotation {
                tracing::info!(
                    archive = rotation.archive,
                    "a new month: the history of the status branch is put aside"
                );
            }
            let ours = report.files.iter().map(|(path, bytes)| (path.clone(), blob_id(bytes)));
            known.files = ours.chain(foreign(known, &report.files)).collect();
            known.history = report.memory.cluster.as_ref().and_then(|cluster| cluster.history.clone());
            known.tip = Some(tip);
            Ok(None)
        }
        Pushed::Unchanged => Ok(None),
        Pushed::Rejected(Rejection::Stale { found }) => {
            let by = found.map_or_else(|| "it is gone".to_owned(), |commit| format!("it is at {commit}"));
            Err(transient(format!("somebody else moved the status branch ({by}): it is read and written again")))
        }
        Pushed::Rejected(Rejection::Refused { message }) => Err(RecordFailure {
            class: FailureClass::Denied,
            message: format!(
                "the server refuses the status branch: {message}: check its protection rules and our rights"
            ),
        }),
        Pushed::Unclear(error) => Err(transient(format!("the answer to the push was lost: {error}"))),
    }
}

fn rotated(rotated: Rotated, rotation: &Rotation) -> Result<Pushed, RotationRefused> {
    let archive = rotation.archive.clone();
    match rotated {
        Rotated::Pushed(pushed) => Ok(pushed),
        Rotated::ArchiveRefused { message } => Err(RotationRefused::Archive { archive, message }),
        Rotated::ArchiveTaken { commit } => Err(RotationRefused::Taken { archive, commit }),
        Rotated::ReplacementRefused { message } => Err(RotationRefused::Replacement { message }),
    }
}

fn text(about: &About, report: &Report, tip: Option<&Tip>) -> CommitText {
    let paths: Vec<&str> = report.changes.keys().map(String::as_str).collect();
    let tip = tip.map(Tip::commit);
    let archive = report.rotation.as_ref().map(|rotation| rotation.archive.as_str());
    let message = report::message(&Commit {
        cluster_name: about.cluster_name,
        cluster_uid: about.uid,
        source_revision: about.revision.as_deref(),
        writer: &format!("{}/{VERSION}", about.instance),
        changed: &paths,
        archived: archive.zip(tip.as_deref()),
        memory: &report.memory,
    });
    CommitText {
        message,
        author_name: "Holdfast".to_owned(),
        author_email: format!("holdfast@{}.invalid", about.cluster_name),
        when: about.now,
    }
}

/// What differs from the tip: new bytes, and files of ours that are no more.
pub(super) fn changes(files: &Files, tip: &BTreeMap<String, String>) -> Changes {
    let mut changes = Changes::new();
    for (path, bytes) in files {
        if tip.get(path) != Some(&blob_id(bytes)) {
            changes.insert(path.clone(), Some(bytes.clone()));
        }
    }
    for path in tip.keys().filter(|path| is_ours(path) && !files.contains_key(*path)) {
        changes.insert(path.clone(), None);
    }
    changes
}

/// Everything below `targets/` is written by us alone.
fn is_ours(path: &str) -> bool {
    path.starts_with("targets/")
}

/// The id that Git gives to a file of these bytes.
fn blob_id(bytes: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", bytes.len()));
    hash.update(bytes);
    hex(&hash.finalize())
}

/// Files of others on the branch, which stay.
fn foreign(known: &Known, files: &Files) -> Vec<(String, String)> {
    let theirs = known.files.iter().filter(|(path, _)| !files.contains_key(*path) && !is_ours(path));
    theirs.map(|(path, id)| (path.clone(), id.clone())).collect()
}
