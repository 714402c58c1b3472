//! `RestoreSession`: one restore of one target.

use super::claim::ClaimTemplate;
use super::condition::Condition;
use super::hooks::RestoreHooks;
use super::metadata::Metadata;
use super::reference::ObjectReference;
use super::runtime::{RuntimeSettings, TempDir};
use super::target::{RestoreTarget, Rule};
use super::task::TaskRef;

wire! {
    RestoreSession {
        api_version: String,
        kind: String,
        metadata: Metadata,
        spec: RestoreSessionSpec,
        status: RestoreSessionStatus,
    }

    /// `rules` is the obsolete place of `target.rules`. `timeOut` is a Go duration.
    RestoreSessionSpec {
        task: TaskRef,
        target: RestoreTarget,
        runtime_settings: RuntimeSettings,
        temp_dir: TempDir,
        interim_volume_template: ClaimTemplate,
        hooks: RestoreHooks,
        driver: String,
        repository: ObjectReference,
        rules: Vec<Rule>,
        time_out: String,
    }

    /// The deadline is RFC 3339, the duration is Go's.
    RestoreSessionStatus {
        phase: String,
        total_hosts: i32,
        session_duration: String,
        stats: Vec<HostRestoreStats>,
        conditions: Vec<Condition>,
        session_deadline: String,
    }

    HostRestoreStats {
        hostname: String,
        phase: String,
        duration: String,
        error: String,
    }
}
