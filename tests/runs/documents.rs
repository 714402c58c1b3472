//! Documents that many tests begin with.

use std::fmt::Write as _;

use crate::restic::PASSWORD;

/// Never within the time of a test.
pub(crate) const NEVER: &str = "0 0 1 1 *";

/// Secret, claim `backups` and Repository `repo` in it.
pub(crate) fn repository() -> String {
    format!(
        "{}---\n{}---\n{}",
        secret("storage", PASSWORD),
        claim("backups"),
        "apiVersion: stash.appscode.com/v1alpha1
kind: Repository
metadata: {name: repo}
spec:
  backend:
    storageSecretName: storage
    local: {mountPath: /safe/data, persistentVolumeClaim: {claimName: backups}}
"
    )
}

pub(crate) fn secret(name: &str, password: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{RESTIC_PASSWORD: {password}}}\n")
}

pub(crate) fn claim(name: &str) -> String {
    format!(
        "apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}}}
spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
"
    )
}

/// A Deployment that mounts the claim of its name at `/srv/<name>`, and does nothing.
pub(crate) fn deployment(name: &str) -> String {
    let pod = pod(name, &format!("volumes: [{{name: data, persistentVolumeClaim: {{claimName: {name}}}}}]"));
    format!(
        "{}---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  replicas: 1\n{pod}",
        claim(name)
    )
}

/// Selector and template of a workload.
pub(crate) fn pod(name: &str, volumes: &str) -> String {
    format!(
        "  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: main
        image: localhost/busybox:1
        command: [sleep, '100000']
        volumeMounts: [{{name: data, mountPath: /srv/{name}}}]
      {volumes}
"
    )
}

/// What a test says of a BackupConfiguration; the rest is the same in all.
pub(crate) struct Configuration<'a> {
    pub(crate) name: &'a str,
    /// Kind and name.
    pub(crate) target: (&'a str, &'a str),
    pub(crate) schedule: &'a str,
    /// More of `spec`, two spaces in.
    pub(crate) more: &'a str,
    /// More of `spec.target`, four spaces in.
    pub(crate) of_target: &'a str,
    pub(crate) keep: u32,
}

impl<'a> Configuration<'a> {
    pub(crate) fn new(name: &'a str, kind: &'a str, target: &'a str) -> Self {
        Self { name, target: (kind, target), schedule: NEVER, more: "", of_target: "", keep: 9 }
    }

    pub(crate) fn yaml(&self) -> String {
        let Self { name, target: (kind, target), schedule, more, of_target, keep } = self;
        let mut yaml = format!(
            "apiVersion: stash.appscode.com/v1beta1
kind: BackupConfiguration
metadata: {{name: {name}}}
spec:
  schedule: '{schedule}'
  retentionPolicy: {{name: keep-last-{keep}, keepLast: {keep}, prune: true}}
"
        );
        if !more.contains("repository:") {
            yaml.push_str("  repository: {name: repo}\n");
        }
        let version = if *kind == "PersistentVolumeClaim" { "v1" } else { "apps/v1" };
        yaml.push_str(more);
        let _ = write!(yaml, "  target:\n    ref: {{apiVersion: {version}, kind: {kind}, name: {target}}}\n");
        if *kind == "PersistentVolumeClaim" {
            if !more.contains("task:") {
                yaml.push_str("  task: {name: pvc-backup}\n");
            }
        } else {
            let path = format!("/srv/{target}");
            let _ = write!(yaml, "    paths: [{path}]\n    volumeMounts: [{{name: data, mountPath: {path}}}]\n");
        }
        // `target` is the last of the mapping but for `task`, which no target with more has.
        if !of_target.is_empty() {
            assert!(yaml.ends_with("}]\n"), "more is said of a workload only");
            yaml.push_str(of_target);
        }
        yaml
    }
}
