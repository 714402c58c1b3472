//! Exit codes, which are restic's.

use crate::repository::{
    BackupError, BlobError, CopyError, DumpError, Fault, LockError, OpenError, PruneError, RestoreError, StoreError,
};

pub(super) const FAILED: u8 = 1;
/// A snapshot was made, and something is not in it.
pub(super) const INCOMPLETE: u8 = 3;
const NO_REPOSITORY: u8 = 10;
const LOCKED: u8 = 11;
const WRONG_PASSWORD: u8 = 12;
pub(super) const CANCELLED: u8 = 130;

/// For the reference.
pub(in crate::cli) const MEANINGS: [(u8, &str); 8] = [
    (0, "done"),
    (FAILED, "it failed; also where `check` found damage, and where `restore` could not give back everything"),
    (2, "the command line is not understood"),
    (INCOMPLETE, "a snapshot was made, and what could not be read is not in it: it is tagged `holdfast-incomplete`"),
    (NO_REPOSITORY, "there is no repository at the address"),
    (LOCKED, "somebody else holds a lock: wait (`--retry-lock`), or see whether they still run (`unlock`)"),
    (WRONG_PASSWORD, "the password opens no key"),
    (CANCELLED, "it was ended by a signal; locks are given back"),
];

pub(super) fn code(error: &anyhow::Error) -> u8 {
    let cancelled = error.chain().any(|cause| {
        matches!(cause.downcast_ref(), Some(StoreError { fault: Fault::Cancelled, .. }))
            || matches!(cause.downcast_ref(), Some(BackupError::Cancelled))
            || matches!(cause.downcast_ref(), Some(RestoreError::Cancelled { .. }))
            || matches!(cause.downcast_ref(), Some(DumpError::Cancelled))
            || matches!(cause.downcast_ref(), Some(PruneError::Cancelled))
            || matches!(cause.downcast_ref(), Some(CopyError::Cancelled))
            || matches!(cause.downcast_ref(), Some(BlobError::Cancelled))
    });
    match (cancelled, error.downcast_ref::<OpenError>(), error.downcast_ref::<LockError>()) {
        (true, _, _) => CANCELLED,
        (_, Some(OpenError::NoRepository { .. }), _) => NO_REPOSITORY,
        (_, Some(OpenError::WrongPassword { .. }), _) => WRONG_PASSWORD,
        (_, _, Some(LockError::Locked(_))) => LOCKED,
        (false, Some(OpenError::NoKey { .. } | OpenError::Store(_) | OpenError::Broken { .. }) | None, _) => FAILED,
    }
}
