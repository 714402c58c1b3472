//! `BackupBlueprint`: what the Repository and configuration of an annotated target are made of.

use super::backend::Backend;
use super::claim::ClaimTemplate;
use super::hooks::BackupHooks;
use super::metadata::Metadata;
use super::repository::UsagePolicy;
use super::retention::{RetentionPolicy, RetryConfig};
use super::runtime::{RuntimeSettings, TempDir};
use super::task::TaskRef;

wire! {
    BackupBlueprint {
        api_version: String,
        kind: String,
        metadata: Metadata,
        spec: BackupBlueprintSpec,
    }

    /// Texts may hold variables. `timeOut` is a Go duration.
    BackupBlueprintSpec {
        backend: Backend,
        wipe_out: bool,
        usage_policy: UsagePolicy,
        backup_namespace: String,
        repo_namespace: String,
        schedule: String,
        task: TaskRef,
        retention_policy: RetentionPolicy,
        runtime_settings: RuntimeSettings,
        temp_dir: TempDir,
        interim_volume_template: ClaimTemplate,
        hooks: BackupHooks,
        backup_history_limit: i32,
        time_out: String,
        retry_config: RetryConfig,
    }
}
