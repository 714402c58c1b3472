//! Git over libgit2, with bare clones only: reads a source, and writes the status branch by compare-and-swap.

mod bounded;
mod branches;
mod certificate;
mod clone;
mod credentials;
mod edit;
mod error;
mod folder;
mod known_hosts;
mod pack;
mod process;
mod push;
mod read;
mod redact;
mod rotate;
mod sign;
mod sort;
mod transport;
mod url;
mod walk;
mod write;

pub use branches::branches;
pub use credentials::CredentialsError;
pub use error::{Class, CloneError, ReadError, TransportError, WriteError};
pub use folder::{FolderError, read_folder};
pub use push::Rejection;
pub use read::{Source, SourceSettings};
pub use rotate::Rotated;
pub use sign::{SigningError, SigningKey};
pub use transport::{EXCHANGE_TIMEOUT, Endpoint};
pub use url::{GitUrl, Scheme, UrlError};
pub use write::{Changes, CommitText, Pushed, StatusBranch, Tip};
