//! `BackupConfiguration`: one target, its schedule and its repository.

use super::claim::ClaimTemplate;
use super::condition::Condition;
use super::hooks::BackupHooks;
use super::metadata::Metadata;
use super::reference::ObjectReference;
use super::retention::{RetentionPolicy, RetryConfig};
use super::runtime::{RuntimeSettings, TempDir};
use super::target::BackupTarget;
use super::task::TaskRef;

wire! {
    BackupConfiguration {
        api_version: String,
        kind: String,
        metadata: Metadata,
        spec: BackupConfigurationSpec,
        status: BackupConfigurationStatus,
    }

    /// `timeOut` is a Go duration.
    BackupConfigurationSpec {
        task: TaskRef,
        target: BackupTarget,
        runtime_settings: RuntimeSettings,
        temp_dir: TempDir,
        interim_volume_template: ClaimTemplate,
        hooks: BackupHooks,
        schedule: String,
        driver: String,
        repository: ObjectReference,
        retention_policy: RetentionPolicy,
        paused: bool,
        backup_history_limit: i32,
        time_out: String,
        retry_config: RetryConfig,
    }

    BackupConfigurationStatus {
        observed_generation: i64,
        conditions: Vec<Condition>,
        phase: String,
    }
}
