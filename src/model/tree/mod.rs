//! The complete set of files that a source holds at one moment, from Git or from a folder.

mod builder;
mod exclude;
mod mention;
mod paths;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

pub use builder::{Slot, TreeBuilder};
pub use exclude::{IGNORE_FILE, IGNORE_FILE_BYTES_MAX};
pub use mention::mentions;
pub use paths::{InputPaths, InputPathsError};

/// Largest file that is parsed. A file of documents that people review is far smaller; it also is the limit of an object
/// in etcd, so a larger one could hold nothing that a cluster takes.
pub const FILE_BYTES_MAX: u64 = 1 << 20;
/// All files that count, together: what the daemon keeps in memory per source.
pub const SOURCE_BYTES_MAX: u64 = 10 << 20;
/// Documents of one source. Every document is planned against the cluster in each pass.
pub const DOCUMENTS_MAX: usize = 5000;
/// Folders above a file. Deeper ones are generated or hostile; people do not nest so far.
pub const FOLDER_DEPTH_MAX: usize = 16;
/// Bytes of one transfer from a Git server: the volume for the clone is sized by it.
pub const FETCH_BYTES_MAX: u64 = 256 << 20;
/// Objects of one transfer from a Git server: the index of a pack takes memory for each.
pub const FETCH_OBJECTS_MAX: usize = 200_000;
/// Names looked at in one reading. A tree may name one folder many times over, so few objects can unfold without end.
pub const ENTRIES_MAX: usize = 1_000_000;
/// A file over [`FILE_BYTES_MAX`] is searched for our groups up to this size; a larger one is taken to mention them,
/// since nobody may fill the daemon's memory with one file.
pub const SEARCHED_BYTES_MAX: u64 = 32 << 20;
/// Notices that only warn; one for each of ten thousand symbolic links would tell nobody more.
pub const WARNINGS_MAX: usize = 200;

/// The groups of which a file must speak to count.
const GROUPS: [&str; 2] = ["stash.appscode.com/", "holdfast.dev/"];

/// A commit and the branch on which it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Short branch name, such as `main`.
    pub reference: String,
    /// 40 hexadecimal digits.
    pub commit: String,
}

impl Revision {
    /// `main@9f3c1e7`: for people.
    pub fn short(&self) -> String {
        format!("{}@{}", self.reference, self.commit.get(..7).unwrap_or(&self.commit))
    }
}

/// `main@sha1:<40 digits>`, as Flux writes it.
impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@sha1:{}", self.reference, self.commit)
    }
}

/// Hash over the paths and contents of the files that count. Commits that change nothing of them keep it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InputsHash(String);

impl fmt::Display for InputsHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha1:{}", self.0)
    }
}

/// Every file of a source that counts. It can be had only from a reading that reached the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// None for a plain folder.
    pub revision: Option<Revision>,
    pub inputs: InputsHash,
    /// In order of their paths.
    pub notices: Vec<PathNotice>,
    files: BTreeMap<String, Arc<[u8]>>,
}

impl Tree {
    /// Path (with `/`, from the root of the source) and content, in order of the paths.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, bytes)| (path.as_str(), &**bytes))
    }
}

/// Something in a source that is not read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathNotice {
    /// With what is not printable replaced.
    pub path: String,
    pub kind: NoticeKind,
}

/// Why a path is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoticeKind {
    /// Could point outside the source.
    Symlink,
    /// Another repository, with other credentials and other reviewers.
    Submodule,
    /// `..`, a backslash or a control character in the name.
    BadName,
    NotUtf8Path,
    /// A file over [`FILE_BYTES_MAX`] that speaks of our groups, so what it describes is unknown.
    TooLarge,
    /// A folder under more than [`FOLDER_DEPTH_MAX`] others; what it describes is unknown.
    TooDeep,
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Symlink => write!(f, "symbolic links are not followed, put the file itself here"),
            Self::Submodule => write!(f, "submodules are not fetched, put the files into this repository"),
            Self::BadName => write!(f, "the name has a `..`, a backslash or a control character, rename it"),
            Self::NotUtf8Path => write!(f, "the name is not UTF-8, rename it"),
            Self::TooLarge => {
                write!(f, "the file is over {FILE_BYTES_MAX} bytes, split it or name it in {IGNORE_FILE}")
            }
            Self::TooDeep => {
                write!(f, "the folder is over {FOLDER_DEPTH_MAX} folders deep, move it up or name it in {IGNORE_FILE}")
            }
        }
    }
}

/// A limit on the source as a whole, or a part that should be there and is not: the last good tree stays in force.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TreeError {
    #[error(
        "the transfer was stopped after {bytes} bytes (limit {FETCH_BYTES_MAX}): remove large files from the \
         branch or use a repository of its own"
    )]
    FetchTooLarge { bytes: u64 },
    #[error(
        "the transfer was stopped: it has {objects} objects (limit {FETCH_OBJECTS_MAX}): use a repository of its own \
         for what Holdfast reads"
    )]
    FetchTooManyObjects { objects: usize },
    #[error("the source has more than {ENTRIES_MAX} files and folders: narrow --git-path or use {IGNORE_FILE}")]
    TooManyEntries,
    #[error(
        "{path} is file number {count} with documents; a source may hold {DOCUMENTS_MAX}: split the source or narrow \
         --git-path"
    )]
    TooManyFiles { path: String, count: usize },
    #[error(
        "with {path} the files that count have {bytes} bytes; a source may hold {SOURCE_BYTES_MAX}: split the source \
         or narrow --git-path"
    )]
    TooManyBytes { path: String, bytes: u64 },
    #[error("--git-path {0} is not in the source: correct the path, or put the folder back with a file in it")]
    PathMissing(String),
    #[error("{path}: {message}: correct the pattern, since without it more files would count")]
    BadIgnoreFile { path: String, message: String },
}

/// Whether a transfer may go on, by what has arrived and what the server announces.
pub fn check_fetch(bytes: u64, objects: usize) -> Result<(), TreeError> {
    if objects > FETCH_OBJECTS_MAX {
        return Err(TreeError::FetchTooManyObjects { objects });
    }
    if bytes > FETCH_BYTES_MAX {
        return Err(TreeError::FetchTooLarge { bytes });
    }
    Ok(())
}
