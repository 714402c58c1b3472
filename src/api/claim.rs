//! A claim to be made.

use serde_json::Value;

use super::metadata::Metadata;

wire! {
    /// Template of a `PersistentVolumeClaim`; `spec` and `status` are those of Kubernetes.
    ClaimTemplate {
        api_version: String,
        kind: String,
        metadata: Metadata,
        spec: Value,
        status: Value,
    }
}
