//! Why a file is refused, and where.

use super::Position;

/// What sort of rule a file breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorKind {
    /// Not YAML, or YAML that cannot be a JSON value.
    Syntax,
    /// A key stands twice in one mapping.
    DuplicateKey,
    /// One of [`Limits`](super::Limits) is exceeded.
    Limit,
    /// An anchor, an alias or a merge key.
    Alias,
    /// Not UTF-8, or a character that has no place in a manifest.
    Encoding,
}

/// The first fault of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub kind: ErrorKind,
    /// The token or character that is at fault.
    pub at: Position,
    /// Lower case, without the place; says what to do where that is not obvious.
    pub message: String,
}

impl Error {
    pub(super) fn new(kind: ErrorKind, at: Position, message: impl Into<String>) -> Self {
        Self { kind, at, message: message.into() }
    }

    pub(super) fn syntax(at: Position, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Syntax, at, message)
    }
}
