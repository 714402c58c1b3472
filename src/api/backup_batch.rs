//! `BackupBatch`: targets that are backed up in one session.

use super::claim::ClaimTemplate;
use super::condition::Condition;
use super::hooks::BackupHooks;
use super::metadata::Metadata;
use super::reference::ObjectReference;
use super::retention::{RetentionPolicy, RetryConfig};
use super::runtime::{RuntimeSettings, TempDir};
use super::target::{BackupTarget, TargetRef};
use super::task::TaskRef;

wire! {
    BackupBatch {
        api_version: String,
        kind: String,
        metadata: Metadata,
        spec: BackupBatchSpec,
        status: BackupBatchStatus,
    }

    /// `timeOut` is a Go duration.
    BackupBatchSpec {
        members: Vec<BackupMember>,
        schedule: String,
        driver: String,
        repository: ObjectReference,
        runtime_settings: RuntimeSettings,
        retention_policy: RetentionPolicy,
        hooks: BackupHooks,
        execution_order: String,
        paused: bool,
        backup_history_limit: i32,
        time_out: String,
        retry_config: RetryConfig,
    }

    /// One target of the batch.
    BackupMember {
        task: TaskRef,
        target: BackupTarget,
        runtime_settings: RuntimeSettings,
        temp_dir: TempDir,
        interim_volume_template: ClaimTemplate,
        hooks: BackupHooks,
    }

    BackupBatchStatus {
        observed_generation: i64,
        conditions: Vec<Condition>,
        member_conditions: Vec<MemberConditions>,
        phase: String,
    }

    MemberConditions {
        target: TargetRef,
        conditions: Vec<Condition>,
    }
}
