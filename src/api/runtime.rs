//! How the pods of a session run.

use serde_json::Value;

use super::field::Texts;

wire! {
    RuntimeSettings {
        pod: PodSettings,
        container: ContainerSettings,
    }

    /// Fields of Kubernetes' `PodSpec`.
    PodSettings {
        pod_labels: Texts,
        pod_annotations: Texts,
        node_selector: Texts,
        service_account_name: String,
        service_account_annotations: Texts,
        automount_service_account_token: bool,
        node_name: String,
        security_context: Value,
        image_pull_secrets: Vec<Value>,
        affinity: Value,
        scheduler_name: String,
        tolerations: Vec<Value>,
        priority_class_name: String,
        priority: i32,
        readiness_gates: Vec<Value>,
        runtime_class_name: String,
        enable_service_links: bool,
        topology_spread_constraints: Vec<Value>,
    }

    /// Fields of Kubernetes' `Container`, and the priority of the process.
    ContainerSettings {
        resources: Value,
        liveness_probe: Value,
        readiness_probe: Value,
        lifecycle: Value,
        security_context: Value,
        nice: Nice,
        ionice: IoNice,
        env_from: Vec<Value>,
        env: Vec<Value>,
    }

    Nice {
        adjustment: i32,
    }

    IoNice {
        class: i32,
        class_data: i32,
    }

    /// The scratch volume; `sizeLimit` is a quantity.
    TempDir {
        medium: String,
        size_limit: Value,
        disable_caching: bool,
    }
}
