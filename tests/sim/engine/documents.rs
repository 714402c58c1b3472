//! The objects of people in a simulated cluster.

use serde_json::{Value, json};

pub(crate) const NAMESPACES: [&str; 2] = ["shop", "market"];
/// Where a Repository lies that others may use.
pub(crate) const CENTRAL: &str = "central";
pub(crate) const SECRET: &str = "storage";
pub(crate) const PASSWORD: &str = "right";

pub(crate) fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "uid": format!("uid-of-{name}")}})
}

pub(crate) fn secret(namespace: &str, password: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET, "namespace": namespace},
        "data": {"RESTIC_PASSWORD": password}})
}

pub(crate) fn repository(namespace: &str, name: &str, bucket: &str) -> Value {
    json!({"apiVersion": "stash.appscode.com/v1alpha1", "kind": "Repository",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"backend": {"s3": {"endpoint": "http://minio:9000", "bucket": bucket}, "storageSecretName": SECRET},
            "usagePolicy": {"allowedNamespaces": {"from": "All"}}}})
}

pub(crate) fn claim(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteMany"]}})
}

pub(crate) fn stateful_set(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "db",
                "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}}}})
}

/// What is backed up.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub namespace: String,
    pub name: String,
    pub stateful: bool,
}

impl Target {
    pub(crate) fn reference(&self) -> Value {
        if self.stateful {
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": self.name})
        } else {
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": self.name})
        }
    }

    /// `spec.target`.
    pub(crate) fn spec(&self) -> Value {
        let mut target = json!({"ref": self.reference()});
        if self.stateful {
            target["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
            target["paths"] = json!(["/data"]);
        }
        target
    }

    pub(crate) fn restored(&self) -> Value {
        let mut target = self.spec();
        if let Some(fields) = target.as_object_mut() {
            fields.remove("paths");
        }
        target["rules"] = json!([{"snapshots": ["latest"]}]);
        target
    }
}

/// A Repository: namespace, name and bucket.
pub(crate) type Where = (String, String, String);

pub(crate) fn restore(namespace: &str, name: &str, repository: &Where, target: &Target) -> Value {
    json!({"apiVersion": "stash.appscode.com/v1beta1", "kind": "RestoreSession",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"repository": {"name": repository.1, "namespace": repository.0}, "target": target.restored()}})
}
