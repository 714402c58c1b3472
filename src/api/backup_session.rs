//! `BackupSession`: one run of an invoker.

use super::condition::Condition;
use super::metadata::Metadata;
use super::target::TargetRef;

wire! {
    BackupSession {
        api_version: String,
        kind: String,
        metadata: Metadata,
        spec: BackupSessionSpec,
        status: BackupSessionStatus,
    }

    BackupSessionSpec {
        invoker: Invoker,
        retry_left: i32,
    }

    /// A `BackupConfiguration` or `BackupBatch` of the same namespace.
    Invoker {
        api_group: String,
        kind: String,
        name: String,
    }

    /// Times are RFC 3339, the duration is Go's.
    BackupSessionStatus {
        phase: String,
        session_duration: String,
        targets: Vec<BackupTargetStatus>,
        conditions: Vec<Condition>,
        session_deadline: String,
        retried: bool,
        next_retry: String,
    }

    BackupTargetStatus {
        r#ref as "ref": TargetRef,
        total_hosts: i32,
        phase: String,
        stats: Vec<HostBackupStats>,
        pre_backup_actions: Vec<String>,
        post_backup_actions: Vec<String>,
        conditions: Vec<Condition>,
    }

    HostBackupStats {
        hostname: String,
        phase: String,
        snapshots: Vec<SnapshotStats>,
        duration: String,
        error: String,
    }

    /// Sizes and times are texts for people, as restic's numbers are shown by Stash.
    SnapshotStats {
        name: String,
        path: String,
        total_size: String,
        uploaded: String,
        processing_time: String,
        file_stats: FileStats,
    }

    FileStats {
        total_files: i64,
        new_files: i64,
        modified_files: i64,
        unmodified_files: i64,
    }
}
