//! What went wrong in a repository, as a word for a condition and a message for people.

use std::fmt::Display;

use crate::model::finding::StepReason;
use crate::model::redact;
use crate::model::step::Complaint;
use crate::repository::retention::BadTarget;
use crate::repository::{
    AddressError, BackupError, BadPattern, BlobError, ConnectError, EditError, Fault, InitError, LockError, OpenError,
    PathError, PruneError, RestoreError, SelectError, StoreError, WriteError,
};

pub(super) fn complaint(reason: StepReason, message: impl Display) -> Complaint {
    Complaint { reason, message: redact::message(&message.to_string()) }
}

/// Whether what comes after it in the same step would fail too.
pub(super) fn ends_the_step(reason: StepReason) -> bool {
    reason.is_passing() || matches!(reason, StepReason::StoreDenied | StepReason::StoreFull)
}

pub(super) trait Failure: Display {
    fn reason(&self) -> StepReason;
}

impl<F: Failure> From<F> for Complaint {
    fn from(failure: F) -> Self {
        complaint(failure.reason(), failure)
    }
}

impl Failure for StoreError {
    fn reason(&self) -> StepReason {
        match &self.fault {
            Fault::Missing => StepReason::RepositoryDamaged,
            Fault::Exists | Fault::Broken(_) => StepReason::StoreFailed,
            Fault::Denied(_) => StepReason::StoreDenied,
            Fault::Full => StepReason::StoreFull,
            Fault::Short { .. } | Fault::Unavailable(_) => StepReason::StoreUnavailable,
            Fault::Memory(_) => StepReason::TooLittleMemory,
            Fault::Cancelled => StepReason::Cancelled,
        }
    }
}

impl Failure for ConnectError {
    fn reason(&self) -> StepReason {
        match self {
            ConnectError::Missing { .. } | ConnectError::Http(_) => StepReason::StorageIncomplete,
            ConnectError::Threads(_) => StepReason::Internal,
        }
    }
}

impl Failure for AddressError {
    fn reason(&self) -> StepReason {
        StepReason::InvalidInput
    }
}

impl Failure for BadPattern {
    fn reason(&self) -> StepReason {
        StepReason::InvalidInput
    }
}

impl Failure for BadTarget {
    fn reason(&self) -> StepReason {
        StepReason::InvalidInput
    }
}

impl Failure for OpenError {
    fn reason(&self) -> StepReason {
        match self {
            OpenError::NoRepository { .. } => StepReason::RepositoryMissing,
            OpenError::WrongPassword { .. } => StepReason::WrongPassword,
            OpenError::NoKey { .. } | OpenError::Broken { .. } => StepReason::RepositoryDamaged,
            OpenError::Store(error) => error.reason(),
        }
    }
}

impl Failure for InitError {
    fn reason(&self) -> StepReason {
        match self {
            // Of two that make it one is told so, and opens what the other has made.
            InitError::Exists { .. } | InitError::NotEmpty { .. } | InitError::Begun { .. } => StepReason::PlaceTaken,
            InitError::Unlike { .. } => StepReason::StoreFailed,
            InitError::Store(error) => error.reason(),
            InitError::Unmade(_) => StepReason::Internal,
        }
    }
}

impl Failure for LockError {
    fn reason(&self) -> StepReason {
        match self {
            LockError::Locked(_) => StepReason::RepositoryLocked,
            LockError::Unreadable { .. } | LockError::NoLock { .. } => StepReason::RepositoryDamaged,
            LockError::Store(error) => error.reason(),
            LockError::Unwritten(_) => StepReason::Internal,
        }
    }
}

impl Failure for WriteError {
    fn reason(&self) -> StepReason {
        match self {
            WriteError::Store(error) => error.reason(),
            WriteError::LockLost(_) => StepReason::LockLost,
            WriteError::Seal(_) | WriteError::TooLong(_) | WriteError::Ended => StepReason::Internal,
        }
    }
}

impl Failure for BackupError {
    fn reason(&self) -> StepReason {
        match self {
            BackupError::NoSource { .. } | BackupError::Stream(_) => StepReason::NoSource,
            BackupError::Name(_) => StepReason::InvalidInput,
            BackupError::Store(error) => error.reason(),
            BackupError::Write(error) => error.reason(),
            BackupError::Index { .. } | BackupError::Polynomial => StepReason::RepositoryDamaged,
            BackupError::Cancelled => StepReason::Cancelled,
        }
    }
}

impl Failure for BlobError {
    fn reason(&self) -> StepReason {
        match self {
            BlobError::Store { error, .. } => error.reason(),
            BlobError::Cancelled => StepReason::Cancelled,
            BlobError::Unknown(_) | BlobError::Sealed { .. } | BlobError::Other { .. } | BlobError::NoTree { .. } => {
                StepReason::RepositoryDamaged
            }
        }
    }
}

impl Failure for RestoreError {
    fn reason(&self) -> StepReason {
        match self {
            RestoreError::NotEmpty(_) => StepReason::TargetNotEmpty,
            RestoreError::PartWithDelete => StepReason::InvalidInput,
            RestoreError::Target { .. } => StepReason::RestoreFailed,
            RestoreError::Path(PathError::Blob { error, .. }) | RestoreError::Blob(error) => error.reason(),
            RestoreError::Path(PathError::Missing(_) | PathError::Bad(_)) => StepReason::SnapshotNotFound,
            RestoreError::Cancelled { .. } => StepReason::Cancelled,
        }
    }
}

impl Failure for SelectError {
    fn reason(&self) -> StepReason {
        match self {
            SelectError::None(_) | SelectError::OnlyIncomplete => StepReason::SnapshotNotFound,
            SelectError::NoName(_) => StepReason::InvalidInput,
            SelectError::Several { .. } => StepReason::AmbiguousSnapshot,
        }
    }
}

impl Failure for EditError {
    fn reason(&self) -> StepReason {
        match self {
            EditError::Store(error) => error.reason(),
            EditError::Write(error) => error.reason(),
            EditError::Sealed { .. } | EditError::NoSnapshot(_) => StepReason::RepositoryDamaged,
        }
    }
}

impl Failure for PruneError {
    fn reason(&self) -> StepReason {
        match self {
            PruneError::Store(error) => error.reason(),
            PruneError::Write(error) => error.reason(),
            PruneError::Blob(error) => error.reason(),
            PruneError::Damaged { .. } | PruneError::Lost { .. } => StepReason::RepositoryDamaged,
            PruneError::Changed => StepReason::StoreFailed,
            PruneError::Cancelled => StepReason::Cancelled,
        }
    }
}
