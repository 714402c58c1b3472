//! One push of one ref: by compare-and-swap, and believed only once the server lists it.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use git2::{ErrorCode, Oid};

use super::clone::open_repository;
use super::error::Failure;
use super::transport::{Listed, Session};

/// So much of what a server prints beside its answer is kept.
const SAID_BYTES_MAX: usize = 4096;

/// Why the server's branch did not move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Somebody else was faster: fetch the tip and build on it. `found` is the commit there, where it is known; none
    /// also stands for a branch that is gone.
    Stale { found: Option<String> },
    /// The server has its own reason.
    Refused { message: String },
}

/// One push, as it is carried to the thread that does it.
pub(super) struct Push {
    pub(super) clone: PathBuf,
    /// Full name.
    pub(super) reference: String,
    pub(super) step: Step,
    pub(super) commit: Oid,
    /// Set just before the first byte goes out that can move the ref.
    pub(super) sent: Arc<AtomicBool>,
}

/// Where the ref must be before, and what the new commit has to do with that.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// On top of it; none if the ref is not there yet.
    Forward { from: Option<Oid> },
    /// In its place, which needs force. Only for a history that is kept elsewhere.
    Replace { from: Oid },
}

pub(super) enum Ended {
    /// Accepted; where the server lists the branch now.
    Listed(Option<String>),
    Rejected(Rejection),
}

impl Push {
    pub(super) fn run(&self, session: &Session) -> Result<Ended, Failure> {
        let clone = open_repository(&self.clone)?;
        let (expected, force) = match self.step {
            Step::Forward { from } => (from.unwrap_or(Oid::ZERO_SHA1), ""),
            Step::Replace { from } => (from, "+"),
        };
        // Set by a branch that is not where we built on.
        let found: Cell<Option<Oid>> = Cell::new(None);
        let refusal: RefCell<Option<String>> = RefCell::new(None);
        let said: RefCell<Vec<u8>> = RefCell::default();
        let mut callbacks = session.callbacks();
        callbacks.sideband_progress(|text| {
            let mut said = said.borrow_mut();
            let room = SAID_BYTES_MAX.saturating_sub(said.len()).min(text.len());
            said.extend_from_slice(&text[..room]);
            session.may_go_on(0, 0)
        });
        callbacks.push_negotiation(|updates| {
            let there = updates.first().map_or(Oid::ZERO_SHA1, git2::PushUpdate::src);
            if there != expected {
                found.set(Some(there));
                return Err(git2::Error::from_str("the ref has moved"));
            }
            self.sent.store(true, Ordering::Release);
            Ok(())
        });
        callbacks.push_update_reference(|_, status| {
            *refusal.borrow_mut() = status.map(str::to_owned);
            Ok(())
        });
        let refspec = format!("{force}{}:{}", self.commit, self.reference);
        let mut options = session.push_options(callbacks);
        let pushed = session.connect(&clone)?.push(&refspec, &mut options);
        drop(options);
        if let Some(found) = found.take() {
            let found = (!found.is_zero()).then(|| found.to_string());
            return Ok(Ended::Rejected(Rejection::Stale { found }));
        }
        if let Some(message) = refusal.take() {
            let said = String::from_utf8_lossy(&said.borrow()).into_owned();
            return Ok(Ended::Rejected(rejection(self.step, &message, |text| session.clean(text), &said)));
        }
        match pushed {
            Ok(()) => {
                let listed = session.connect(&clone)?.list()?;
                Ok(Ended::Listed(find(&listed, &self.reference).map(|head| head.commit.clone())))
            }
            Err(error) if error.code() == ErrorCode::NotFastForward => {
                Ok(Ended::Rejected(Rejection::Stale { found: None }))
            }
            Err(error) if error.message().contains("unpacking the sent packfile failed") => {
                Ok(Ended::Rejected(Rejection::Refused { message: "the server could not store the pack".to_owned() }))
            }
            Err(error) => Err(session.failure(&error)),
        }
    }
}

/// Sorts the server's reason for not moving the ref. These are the words of Git and of its Java twin for a ref that moved
/// between our listing and the server's lock.
fn rejection(step: Step, status: &str, clean: impl Fn(&str) -> String, said: &str) -> Rejection {
    const RACES: [&str; 5] =
        ["failed to update ref", "cannot lock ref", "failed to lock", "lock error", "reference already exists"];
    /// Of a replacement they say that the server allows none.
    const NOT_ON_TOP: [&str; 2] = ["non-fast-forward", "fetch first"];
    let lower = status.to_ascii_lowercase();
    let not_on_top = NOT_ON_TOP.iter().any(|words| lower.contains(words)) && matches!(step, Step::Forward { .. });
    if not_on_top || RACES.iter().any(|race| lower.contains(race)) {
        Rejection::Stale { found: None }
    } else if said.trim().is_empty() {
        Rejection::Refused { message: clean(status) }
    } else {
        // What a hook prints says why; the status only says that there is a hook.
        Rejection::Refused { message: clean(&format!("{status}: {said}")) }
    }
}

pub(super) fn find<'a>(listed: &'a [Listed], reference: &str) -> Option<&'a Listed> {
    listed.iter().find(|head| head.name == reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_race_is_told_from_a_refusal() {
        let forward = Step::Forward { from: None };
        let rejection = |status: &str, said: &str| rejection(forward, status, str::to_owned, said);
        assert_eq!(rejection("failed to update ref", "x"), Rejection::Stale { found: None });
        let refused = |message: &str| Rejection::Refused { message: message.to_owned() };
        assert_eq!(rejection("hook declined", "\n"), refused("hook declined"));
        assert_eq!(rejection("hook declined", "why"), refused("hook declined: why"));
        assert_eq!(rejection("non-fast-forward", ""), Rejection::Stale { found: None });
        let replace = Step::Replace { from: Oid::ZERO_SHA1 };
        assert_eq!(super::rejection(replace, "non-fast-forward", str::to_owned, ""), refused("non-fast-forward"));
    }
}
