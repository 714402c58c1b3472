//! From a plan and what became of it to the files of the status branch and the message of their commit: pure.

mod backup;
mod days;
mod escape;
mod files;
mod findings;
pub mod fleet;
mod history;
mod index;
mod memory;
mod message;
mod namespace;
mod overview;
mod past;
mod runs;
mod table;
mod target;

pub use files::{Files, Input, files};
pub use history::{History, Rotation, RotationRefused};
pub use memory::{ClusterFile, ClusterName, Condition, Ended, Memory, TargetMemory};
pub use message::{Commit, message};
pub use runs::Runs;
