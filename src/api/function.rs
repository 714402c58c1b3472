//! `Function`: one container.

use serde_json::Value;

use super::metadata::Metadata;
use super::runtime::ContainerSettings;

wire! {
    Function {
        api_version: String,
        kind: String,
        metadata: Metadata,
        spec: FunctionSpec,
    }

    /// Ports, mounts and devices are those of Kubernetes.
    FunctionSpec {
        image: String,
        command: Vec<String>,
        args: Vec<String>,
        working_dir: String,
        ports: Vec<Value>,
        volume_mounts: Vec<Value>,
        volume_devices: Vec<Value>,
        runtime_settings: ContainerSettings,
        pod_security_policy_name: String,
    }
}
