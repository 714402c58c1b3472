//! `Repository`: a restic repository and who may use it.

use serde_json::Value;

use super::backend::Backend;
use super::metadata::Metadata;
use super::reference::TypedObjectReference;

wire! {
    Repository {
        api_version: String,
        kind: String,
        metadata: Metadata,
        spec: RepositorySpec,
        status: RepositoryStatus,
    }

    RepositorySpec {
        backend: Backend,
        wipe_out: bool,
        usage_policy: UsagePolicy,
    }

    /// Which namespaces may reference the Repository.
    UsagePolicy {
        allowed_namespaces: AllowedNamespaces,
    }

    /// `from` is `All`, `Selector` or `Same`; `selector` is a `LabelSelector`.
    AllowedNamespaces {
        from: String,
        selector: Value,
    }

    /// Times are RFC 3339.
    RepositoryStatus {
        observed_generation: i64,
        first_backup_time: String,
        last_backup_time: String,
        integrity: bool,
        total_size: String,
        snapshot_count: i64,
        snapshots_removed_on_last_cleanup: i64,
        references: Vec<TypedObjectReference>,
    }
}
