//! The restic repository: stores, locks, and the work on them.

mod backup;
mod blob;
mod cancel;
mod engine;
mod init;
mod lock;
mod open;
mod sealed;
mod snapshot;
mod store;

pub use backup::{BackupError, INCOMPLETE, Labels, Stored, Unread, backup};
pub use blob::{BlobId, BlobKind};
pub use cancel::Cancel;
pub use engine::{Engine, Snapshots};
pub use init::{InitError, Version, init};
pub use lock::{Conflict, Held, Holder, Lock, LockError, Locks, Mode};
pub use open::{OpenError, Opened};
pub use sealed::{Seal, SealError};
pub use snapshot::{Snapshot, SnapshotError};
pub use store::{Fault, FileId, FileKind, FileName, Folder, Memory, Store, StoreError};
