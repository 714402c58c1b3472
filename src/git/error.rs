//! What can go wrong with a repository. Every message says what to do and is free of secrets.

use thiserror::Error;

use super::credentials::CredentialsError;
use super::sign::SigningError;
use crate::model::tree::TreeError;

/// What happens after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The same call fails until the settings or the repository change.
    Invalid,
    /// Rights or trust are missing; somebody has to give them.
    Denied,
    /// It may work the next time.
    Transient,
}

/// Between us and the server. `url` is without user and password.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TransportError {
    #[error("{url}: {error}")]
    Credentials { url: String, error: CredentialsError },
    #[error(
        "{url}: the server wants credentials and there are none: give their folder with --git-credentials, or with --status-credentials for the status branch"
    )]
    NoCredentials { url: String },
    #[error("{url}: the server refuses the credentials: renew them and check that they may reach this repository")]
    Refused { url: String },
    #[error("{url}: {message}")]
    Untrusted { url: String, message: String },
    #[error("{url}: the server forbids it ({message}): check the rights of the credentials")]
    Forbidden { url: String, message: String },
    #[error("{url}: no such repository, or the credentials may not see it ({message})")]
    NotFound { url: String, message: String },
    #[error("{url}: the server redirects elsewhere ({message}), which is not followed: give the new address")]
    Redirected { url: String, message: String },
    #[error("{url}: no end after {seconds} s: check the server and the network")]
    Timeout { url: String, seconds: u64 },
    #[error("{url}: the connection failed: {message}")]
    Failed { url: String, message: String },
    #[error("{url}: {count} earlier connections still hang; no new one until one of them ends")]
    TooManyHanging { url: String, count: usize },
}

/// The local clone; it is thrown away and made anew after this.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the local clone in the cache folder cannot be used: {message}: check the volume's space and rights")]
pub struct CloneError {
    pub message: String,
}

/// Why a source could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error("{url}: the repository has no commits yet: push a branch")]
    Empty { url: String },
    #[error("{url}: there is no branch {branch}: push it or correct --git-ref")]
    BranchMissing { url: String, branch: String },
    #[error("{url}: HEAD of the repository names no branch that exists: give one with --git-ref")]
    NoDefaultBranch { url: String },
    #[error("{0:?} is no branch name: correct --git-ref")]
    BadBranch(String),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error(transparent)]
    Clone(#[from] CloneError),
}

/// Why the status branch could not be read or written. Nothing was sent, but for `NotThere`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WriteError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error("{0:?} is no branch name: correct --status-branch")]
    BadBranch(String),
    #[error("{0:?} is no path of a file in a repository")]
    BadPath(String),
    #[error("{path} on the status branch has {bytes} bytes, more than Holdfast ever writes: remove it there")]
    FileTooLarge { path: String, bytes: u64 },
    #[error(transparent)]
    Limit(#[from] TreeError),
    #[error("{0:?} is no name and address of an author")]
    BadAuthor(String),
    #[error(transparent)]
    Signing(#[from] SigningError),
    #[error("{path} read back from the object database is not what was written")]
    ReadBack { path: String },
    #[error("the server accepted {branch} at {sent} and then lists {listed}: a hook or another writer moved it")]
    NotThere { branch: String, sent: String, listed: String },
    #[error(transparent)]
    Clone(#[from] CloneError),
}

impl TransportError {
    pub fn class(&self) -> Class {
        match self {
            Self::Credentials { .. } | Self::NotFound { .. } | Self::Redirected { .. } => Class::Invalid,
            Self::NoCredentials { .. } | Self::Refused { .. } | Self::Untrusted { .. } | Self::Forbidden { .. } => {
                Class::Denied
            }
            Self::Timeout { .. } | Self::Failed { .. } | Self::TooManyHanging { .. } => Class::Transient,
        }
    }
}

impl ReadError {
    pub fn class(&self) -> Class {
        match self {
            Self::Transport(error) => error.class(),
            Self::Empty { .. }
            | Self::BranchMissing { .. }
            | Self::NoDefaultBranch { .. }
            | Self::BadBranch(_)
            | Self::Tree(_) => Class::Invalid,
            Self::Clone(_) => Class::Transient,
        }
    }
}

impl WriteError {
    pub fn class(&self) -> Class {
        match self {
            Self::Transport(error) => error.class(),
            Self::BadBranch(_)
            | Self::BadPath(_)
            | Self::BadAuthor(_)
            | Self::FileTooLarge { .. }
            | Self::Limit(_)
            | Self::Signing(_) => Class::Invalid,
            Self::ReadBack { .. } | Self::NotThere { .. } | Self::Clone(_) => Class::Transient,
        }
    }
}

/// What one exchange with a server ends in, before it becomes an error of reading or of writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Transport(TransportError),
    Limit(TreeError),
    Clone(CloneError),
}

impl Failure {
    pub(super) fn clone(message: impl Into<String>) -> Self {
        Self::Clone(CloneError { message: message.into() })
    }
}

impl From<TreeError> for Failure {
    fn from(error: TreeError) -> Self {
        Self::Limit(error)
    }
}

impl From<Failure> for ReadError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Transport(error) => Self::Transport(error),
            Failure::Limit(error) => Self::Tree(error),
            Failure::Clone(error) => Self::Clone(error),
        }
    }
}

impl From<Failure> for WriteError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Transport(error) => Self::Transport(error),
            Failure::Limit(error) => Self::Limit(error),
            Failure::Clone(error) => Self::Clone(error),
        }
    }
}
