//! `RestoreBatch`: targets that are restored in one session.

use super::claim::ClaimTemplate;
use super::condition::Condition;
use super::hooks::RestoreHooks;
use super::metadata::Metadata;
use super::reference::ObjectReference;
use super::restore_session::HostRestoreStats;
use super::runtime::{RuntimeSettings, TempDir};
use super::target::{RestoreTarget, TargetRef};
use super::task::TaskRef;

wire! {
    RestoreBatch {
        api_version: String,
        kind: String,
        metadata: Metadata,
        spec: RestoreBatchSpec,
        status: RestoreBatchStatus,
    }

    /// `timeOut` is a Go duration.
    RestoreBatchSpec {
        driver: String,
        repository: ObjectReference,
        members: Vec<RestoreMember>,
        execution_order: String,
        hooks: RestoreHooks,
        time_out: String,
    }

    /// One target of the batch.
    RestoreMember {
        task: TaskRef,
        target: RestoreTarget,
        runtime_settings: RuntimeSettings,
        temp_dir: TempDir,
        interim_volume_template: ClaimTemplate,
        hooks: RestoreHooks,
    }

    /// The deadline is RFC 3339, the duration is Go's.
    RestoreBatchStatus {
        phase: String,
        session_duration: String,
        conditions: Vec<Condition>,
        session_deadline: String,
        members: Vec<RestoreMemberStatus>,
    }

    RestoreMemberStatus {
        r#ref as "ref": TargetRef,
        conditions: Vec<Condition>,
        total_hosts: i32,
        phase: String,
        stats: Vec<HostRestoreStats>,
    }
}
