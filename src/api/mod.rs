//! Stash's objects as they lie on the wire: every field optional, absent apart from null, unknown fields kept.
//!
//! Read and written again, an object is the same JSON. Enums and durations stay text and embedded Kubernetes core
//! types stay JSON values; what is valid is judged by `schema`, what it means is told by `model`.

#[macro_use]
mod wire;

pub mod app_binding;
pub mod backend;
pub mod backup_batch;
pub mod backup_blueprint;
pub mod backup_configuration;
pub mod backup_session;
pub mod claim;
pub mod condition;
pub mod field;
pub mod function;
pub mod hooks;
pub mod kind;
pub mod metadata;
pub mod reference;
pub mod repository;
pub mod restore_batch;
pub mod restore_session;
pub mod retention;
pub mod runtime;
pub mod target;
pub mod task;

pub use app_binding::AppBinding;
pub use backup_batch::BackupBatch;
pub use backup_blueprint::BackupBlueprint;
pub use backup_configuration::BackupConfiguration;
pub use backup_session::BackupSession;
pub use field::{Field, Leftovers};
pub use function::Function;
pub use kind::{Kind, from_value};
pub use repository::Repository;
pub use restore_batch::RestoreBatch;
pub use restore_session::RestoreSession;
pub use task::Task;
