//! What people write in these tests: blueprints, documents of each kind, and claims that ask for a backup.

use serde_json::{Value, json};

/// A blueprint for claims.
pub(crate) fn blueprint(name: &str, schedule: &str) -> String {
    format!(
        "apiVersion: stash.appscode.com/v1beta1
kind: BackupBlueprint
metadata:
  name: {name}
spec:
  backend:
    local:
      mountPath: /backups
      subPath: {name}/${{TARGET_NAMESPACE}}/${{TARGET_NAME}}
      persistentVolumeClaim:
        claimName: backups
  task:
    name: pvc-backup
  schedule: '{schedule}'
  retentionPolicy:
    name: keep
    keepLast: 3
    prune: true
"
    )
}

pub(crate) fn repository(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: stash.appscode.com/v1alpha1
kind: Repository
metadata:
  name: {name}
  namespace: {namespace}
spec:
  backend:
    local:
      mountPath: /backups
      subPath: documents/{namespace}/{name}
      persistentVolumeClaim:
        claimName: backups
"
    )
}

/// Backs up the claim of the same name.
pub(crate) fn configuration(namespace: &str, name: &str, repository: &str, schedule: &str) -> String {
    format!(
        "apiVersion: stash.appscode.com/v1beta1
kind: BackupConfiguration
metadata:
  name: {name}
  namespace: {namespace}
spec:
  repository:
    name: {repository}
  schedule: '{schedule}'
  task:
    name: pvc-backup
  target:
    ref:
      apiVersion: v1
      kind: PersistentVolumeClaim
      name: {name}
  retentionPolicy:
    name: keep
    keepLast: 3
    prune: true
"
    )
}

/// A claim that asks for `blueprint`.
pub(crate) fn claim(namespace: &str, name: &str, blueprint: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace,
            "annotations": {"stash.appscode.com/backup-blueprint": blueprint}},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "none",
            "resources": {"requests": {"storage": "1Mi"}}},
    })
}
