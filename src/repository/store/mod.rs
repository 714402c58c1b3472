//! The files of a repository as restic lays them out. Every backend offers the same few operations, and says of each failure
//! whether trying again can help.

mod access;
mod answer;
mod buckets;
mod cached;
mod connect;
mod driver;
mod folder;
mod http;
mod keys;
mod limited;
mod object;
mod pace;
mod rest;
mod retried;
mod s3;
mod shelf;
mod swift;
mod token;
mod transport;

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::memory::TooLittle;
pub use cached::Cached;
pub use connect::{Access, ConnectError, connect};
pub use folder::Folder;
pub use http::{HttpError, Patience, Trust};
pub use limited::Limited;
pub use retried::Retried;
pub use s3::Lookup;

/// Kinds of files that there are many of; each has a folder of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    Key,
    Lock,
    Snapshot,
    Index,
    /// Packs of blobs.
    Data,
}

impl FileKind {
    pub const ALL: [FileKind; 5] = [FileKind::Key, FileKind::Lock, FileKind::Snapshot, FileKind::Index, FileKind::Data];

    pub fn folder(self) -> &'static str {
        match self {
            FileKind::Key => "keys",
            FileKind::Lock => "locks",
            FileKind::Snapshot => "snapshots",
            FileKind::Index => "index",
            FileKind::Data => "data",
        }
    }
}

/// What is wrong with a file that has the name of another.
pub(super) const OTHER_CONTENT: &str = "its content is not what its name says";

/// SHA-256 of a file's bytes, by which it is named.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub [u8; 32]);

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for FileId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FileId {
    pub fn of(content: &[Bytes]) -> Self {
        let mut sum = Sha256::new();
        for part in content {
            sum.update(part);
        }
        Self(sum.finalize().into())
    }

    /// Whether it is the name of this content.
    pub(super) fn names(self, content: &[u8]) -> bool {
        Sha256::digest(content).as_slice() == self.0
    }
}

/// Not 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not the name of a file in a repository")]
pub struct BadId;

impl FromStr for FileId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let digit = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(BadId),
        };
        let mut id = [0; 32];
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(BadId) };
        if pairs.len() != id.len() {
            return Err(BadId);
        }
        for (byte, [high, low]) in id.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(id))
    }
}

impl<'de> Deserialize<'de> for FileId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not borrowed: the text may hold escapes.
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// One file of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileName {
    Config,
    Of(FileKind, FileId),
}

/// The path below the repository.
impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileName::Config => f.write_str("config"),
            FileName::Of(FileKind::Data, id) => write!(f, "data/{:02x}/{id}", id.0[0]),
            FileName::Of(kind, id) => write!(f, "{}/{id}", kind.folder()),
        }
    }
}

/// What went wrong with one file, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{location}: {file}: {fault}")]
pub struct StoreError {
    /// Of the repository, without secrets.
    pub location: String,
    /// Of the file, or the folder that was listed.
    pub file: String,
    pub fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    #[error("it is not there")]
    Missing,
    #[error("it exists already")]
    Exists,
    #[error("access is denied ({0}): give the account the rights to list, read, write and delete there")]
    Denied(String),
    #[error("there is no space left")]
    Full,
    /// Fewer bytes than the store itself said.
    #[error("{got} of {wanted} bytes came")]
    Short { wanted: u64, got: u64 },
    /// Trying again can help.
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Broken(String),
    /// It is too much for this process, which has done nothing yet that would be lost.
    #[error(transparent)]
    Memory(#[from] TooLittle),
    /// Whoever asked for it wants no more of it.
    #[error("it was cancelled")]
    Cancelled,
}

impl Fault {
    /// Whether the same request may succeed later.
    pub fn is_passing(&self) -> bool {
        match self {
            Fault::Unavailable(_) | Fault::Short { .. } => true,
            Fault::Missing
            | Fault::Exists
            | Fault::Denied(_)
            | Fault::Full
            | Fault::Broken(_)
            | Fault::Memory(_)
            | Fault::Cancelled => false,
        }
    }
}

/// A place that holds one repository.
pub trait Store: Send + Sync + fmt::Debug {
    /// For people, without secrets.
    fn location(&self) -> String;

    /// All files of a kind with their sizes, in no order. A folder that is not there holds none.
    fn list(&self, kind: FileKind) -> Result<Vec<(FileId, u64)>, StoreError>;

    /// The size, or [`Fault::Missing`] if the store says that there is no such file: any other answer proves nothing.
    fn size(&self, file: FileName) -> Result<u64, StoreError>;

    fn read(&self, file: FileName) -> Result<Bytes, StoreError>;

    /// Exactly so many bytes.
    fn read_part(&self, file: FileName, offset: u64, length: u64) -> Result<Bytes, StoreError>;

    /// The same of a file that will be read again, such as a pack of trees: worth a place in a cache.
    fn read_part_again(&self, file: FileName, offset: u64, length: u64) -> Result<Bytes, StoreError> {
        self.read_part(file, offset, length)
    }

    /// Writes a whole file or none, for good when this returns; never in the place of another.
    fn create(&self, file: FileName, content: &[Bytes]) -> Result<(), StoreError>;

    /// A file that is gone already is no error.
    fn remove(&self, file: FileName) -> Result<(), StoreError>;

    /// Removes what is left of writes that were cut off, where that takes room and no listing shows it. Nobody may be writing.
    fn remove_unfinished(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
