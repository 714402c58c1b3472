//! The history of the status branch goes aside: its tip to an archive, then a new root in its place. After a crash between
//! the two the same call goes on where it was.

use std::path::Path;

use super::edit::Onto;
use super::error::WriteError;
use super::push::{Ended, Rejection, Step};
use super::write::{Changes, CommitText, Pushed, StatusBranch, Tip};

/// What became of a rotation.
#[derive(Debug)]
#[must_use]
pub enum Rotated {
    /// Either both refs are as they shall be, or the branch did not move and it can be tried again.
    Pushed(Pushed),
    /// The server does not keep the archive; the branch is as it was.
    ArchiveRefused { message: String },
    /// The archive holds another commit; it and the branch are as they were.
    ArchiveTaken { commit: String },
    /// The archive holds the tip, but the server does not let the branch be replaced.
    ReplacementRefused { message: String },
}

impl StatusBranch {
    /// Keeps `tip` as `archive` (a full ref name, never overwritten), and replaces the branch by a commit without a parent
    /// that has its files with `changes`.
    pub fn rotate(
        &mut self,
        tip: &Tip,
        archive: &str,
        changes: &Changes,
        text: &CommitText,
    ) -> Result<Rotated, WriteError> {
        let from = tip.commit;
        let path = match self.clone_with(Some(from))? {
            Ok(path) => path,
            Err(rejection) => return Ok(Rotated::Pushed(Pushed::Rejected(rejection))),
        };
        // Before anything is sent: a key that cannot sign leaves no archive behind.
        let Some(root) = self.make(&path, Onto::FilesOf(from), changes, text)? else {
            return Ok(Rotated::Pushed(Pushed::Unchanged));
        };
        if let Some(refused) = self.keep(&path, archive, tip)? {
            return Ok(refused);
        }
        let pushed = match self.push(&path, Step::Replace { from }, root) {
            Err(error @ WriteError::NotThere { .. }) if self.is_at(tip)? => {
                return Ok(Rotated::ReplacementRefused { message: error.to_string() });
            }
            pushed => pushed?,
        };
        match pushed {
            Pushed::Rejected(Rejection::Refused { message }) => Ok(Rotated::ReplacementRefused { message }),
            // Words of a race, and nobody was there: it would be so the next time.
            Pushed::Rejected(Rejection::Stale { found: None }) if self.is_at(tip)? => {
                Ok(Rotated::ReplacementRefused { message: "it says that the branch has moved".to_owned() })
            }
            pushed => Ok(Rotated::Pushed(pushed)),
        }
    }

    /// Makes sure that the archive holds the tip, or says why it does not. Nobody else writes there, so no answer is a
    /// race: one that came again and again would keep the status from being written.
    fn keep(&mut self, path: &Path, archive: &str, tip: &Tip) -> Result<Option<Rotated>, WriteError> {
        let wanted = tip.commit();
        let message = match self.push_beside(path, archive, tip.commit)? {
            Ended::Listed(Some(listed)) if listed == wanted => return Ok(None),
            Ended::Listed(Some(listed)) => format!("it accepts the push and then lists {listed}"),
            Ended::Listed(None) => "it accepts the push and then lists no such ref".to_owned(),
            Ended::Rejected(Rejection::Stale { found: Some(found) }) if found == wanted => return Ok(None),
            Ended::Rejected(Rejection::Stale { found: Some(commit) }) => {
                return Ok(Some(Rotated::ArchiveTaken { commit }));
            }
            Ended::Rejected(Rejection::Stale { found: None }) => "it cannot write the ref".to_owned(),
            Ended::Rejected(Rejection::Refused { message }) => message,
        };
        Ok(Some(Rotated::ArchiveRefused { message }))
    }

    fn is_at(&mut self, tip: &Tip) -> Result<bool, WriteError> {
        Ok(self.tip()?.is_some_and(|now| now.commit == tip.commit))
    }
}
