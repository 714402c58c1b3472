//! Accounts and bindings that a namespace with backups needs, to roles that are shipped.

use serde_json::{Value, json};

use crate::model::keys;

/// Account of the pods of `CronJob`s, and name of its binding.
pub const TRIGGER: &str = "holdfast-trigger";

/// The account and its binding to the role that is shipped, in this order.
pub fn trigger(namespace: &str, role: &str) -> [Value; 2] {
    let metadata = json!({
        "name": TRIGGER, "namespace": namespace,
        "labels": {keys::MANAGED_BY: keys::MANAGED_BY_US, keys::RUN: TRIGGER},
    });
    [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": TRIGGER, "namespace": namespace}],
        }),
    ]
}
