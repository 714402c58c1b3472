//! From a blueprint and an annotated target to the Repository and BackupConfiguration that protect it.

pub mod fault;
pub mod request;
pub mod resolve;
pub mod variables;
