//! The `CronJob` of an invoker: its pod creates the session of its slot and ends.

use serde_json::{Value, json};

use super::labels::{self, Component};
use super::names;
use super::rights::TRIGGER;
use crate::api::runtime::PodSettings;
use crate::cron::Schedule;
use crate::model::invoker::Invoker;
use crate::model::keys;

/// A slot that is later than this is missed.
pub const STARTING_DEADLINE_SECONDS: i64 = 300;
/// The trigger asks the API server once, and then again until this.
const ACTIVE_DEADLINE_SECONDS: i64 = 240;

pub fn cron_job(invoker: &Invoker, schedule: &Schedule, default_zone: &str, image: &str) -> Value {
    let elsewhere = invoker.member.target.as_ref().is_some_and(|target| target.namespace != invoker.name.namespace);
    let labels = labels::run(Component::Backup, &invoker.name.name);
    let none = PodSettings::default();
    let settings = invoker.member.runtime.pod.get().unwrap_or(&none);
    let container = invoker.member.runtime.container.get();
    let job = json!({"name": "holdfast-trigger", "image": image, "imagePullPolicy": "IfNotPresent",
        "args": ["trigger", invoker.name.name],
        "env": [
            {"name": "HOLDFAST_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "HOLDFAST_SLOT_JOB", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/job-name']"}}},
        ],
        "resources": container.and_then(|container| container.resources.get()).cloned().filter(Value::is_object)
            .unwrap_or_else(|| json!({"requests": {"memory": "32Mi", "cpu": "10m"}, "limits": {"memory": "128Mi"}})),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
    });
    let mut pod = json!({
        "restartPolicy": "Never",
        "serviceAccountName": TRIGGER,
        "enableServiceLinks": false,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [job],
    });
    for (key, value) in [
        ("nodeSelector", settings.node_selector.get().map(|value| json!(value))),
        ("tolerations", settings.tolerations.get().map(|value| json!(value))),
        ("imagePullSecrets", settings.image_pull_secrets.get().map(|value| json!(value))),
        (
            "priorityClassName",
            settings.priority_class_name.get().filter(|name| !name.is_empty()).map(|value| json!(value)),
        ),
    ] {
        if let Some(value) = value {
            pod[key] = value;
        }
    }
    json!({
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {
            "name": names::cron_job(&invoker.name, elsewhere),
            "namespace": invoker.name.namespace,
            "labels": labels,
            "ownerReferences": [{
                "apiVersion": "stash.appscode.com/v1beta1", "kind": "BackupConfiguration", "name": invoker.name.name,
                "uid": invoker.uid, "controller": true, "blockOwnerDeletion": false,
            }],
        },
        "spec": {
            "schedule": schedule.spread_expression(&invoker.uid),
            "timeZone": schedule.zone().unwrap_or(default_zone),
            "suspend": invoker.paused,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": STARTING_DEADLINE_SECONDS,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {
                "metadata": {"labels": labels},
                "spec": {
                    "backoffLimit": 2,
                    "activeDeadlineSeconds": ACTIVE_DEADLINE_SECONDS,
                    "template": {
                        "metadata": {"labels": labels, "annotations": {"sidecar.istio.io/inject": "false", "linkerd.io/inject": "disabled"}},
                        "spec": pod,
                    },
                },
            },
        },
    })
}

/// Whether a label says that an object is ours.
pub fn is_ours(object: &Value) -> bool {
    object.pointer("/metadata/labels").and_then(|labels| labels.get(keys::MANAGED_BY)).and_then(Value::as_str)
        == Some(keys::MANAGED_BY_US)
}
