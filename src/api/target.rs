//! What is backed up or restored.

use serde_json::Value;

use super::claim::ClaimTemplate;

wire! {
    /// Names a target; an empty namespace is that of the invoker.
    TargetRef {
        api_version: String,
        kind: String,
        name: String,
        namespace: String,
    }

    /// Volume mounts are those of Kubernetes.
    BackupTarget {
        alias: String,
        r#ref as "ref": TargetRef,
        paths: Vec<String>,
        volume_mounts: Vec<Value>,
        replicas: i32,
        snapshot_class_name: String,
        exclude: Vec<String>,
        args: Vec<String>,
    }

    /// Volume mounts are those of Kubernetes.
    RestoreTarget {
        alias: String,
        r#ref as "ref": TargetRef,
        volume_mounts: Vec<Value>,
        replicas: i32,
        volume_claim_templates: Vec<ClaimTemplate>,
        rules: Vec<Rule>,
        args: Vec<String>,
    }

    /// What a host restores.
    Rule {
        target_hosts: Vec<String>,
        source_host: String,
        snapshots: Vec<String>,
        paths: Vec<String>,
        exclude: Vec<String>,
        include: Vec<String>,
    }
}
