//! `ObjectMeta` of Kubernetes.

use serde_json::Value;

use super::field::Texts;

wire! {
    /// What every object carries. Times are RFC 3339.
    Metadata {
        name: String,
        generate_name: String,
        namespace: String,
        labels: Texts,
        annotations: Texts,
        finalizers: Vec<String>,
        owner_references: Vec<Value>,
        uid: String,
        resource_version: String,
        generation: i64,
        creation_timestamp: String,
        deletion_timestamp: String,
        deletion_grace_period_seconds: i64,
        self_link: String,
        managed_fields: Vec<Value>,
    }
}
