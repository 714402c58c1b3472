//! Makes the repository where it is proven that there is none. That it is there already is a success, if the password opens it.

use super::answer::Answer;
use super::site::Site;
use crate::model::step::{Complaint, RepositoryOutcome};
use crate::repository::{Cancel, InitError, OpenError, Version, init};

pub(super) fn run(site: &Site<'_>, answer: &Answer) -> Result<(), Complaint> {
    let made = match site.try_open()? {
        Ok(_) => false,
        Err(OpenError::NoRepository { .. }) => make(site)?,
        Err(
            error @ (OpenError::WrongPassword { .. }
            | OpenError::NoKey { .. }
            | OpenError::Store(_)
            | OpenError::Broken { .. }),
        ) => return Err(error.into()),
    };
    tracing::info!(made, "the repository is there");
    answer.note(|outcome| outcome.repository = Some(RepositoryOutcome { made, ..RepositoryOutcome::default() }));
    Ok(())
}

/// Whether it was made here, and not by somebody else at the same time.
fn make(site: &Site<'_>) -> Result<bool, Complaint> {
    // To be cut off in the middle would leave no more than a key, and yet it takes but a moment.
    let store = site.store(Cancel::default())?;
    match init(&*store, &site.password()?, Version::V2, &site.maker()) {
        Ok(()) => Ok(true),
        Err(InitError::Exists { .. }) => site.open().map(|_| false),
        Err(
            error @ (InitError::NotEmpty { .. }
            | InitError::Begun { .. }
            | InitError::Unlike { .. }
            | InitError::Store(_)
            | InitError::Unmade(_)),
        ) => Err(error.into()),
    }
}
