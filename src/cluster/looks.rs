//! Answers the questions of the engine: one request each, and of what comes back only what a decision reads.

use std::time::Duration;

use kube::api::ListParams;
use kube::core::Request;
use kube::core::params::GetParams;
use kube::core::request;
use serde_json::{Value, json};

use super::api::Handles;
use super::error::Failure;
use super::exchange::exchange;
use crate::control::engine::look::{Look, Seen};
use crate::install::verbs::Verb;

const READ_TIME_MAX: Duration = Duration::from_secs(10);
/// A namespace with more is looked at in part: no workload of ours has that many.
const ITEMS_MAX: u32 = 5000;

/// What the requests below are.
pub(super) const USES: &[(&str, &str, Verb)] = &[
    ("v1", "secrets", Verb::Get),
    ("v1", "pods", Verb::List),
    ("v1", "persistentvolumeclaims", Verb::List),
    ("v1", "events", Verb::List),
    ("apps/v1", "deployments", Verb::Get),
    ("apps/v1", "statefulsets", Verb::Get),
    ("apps/v1", "daemonsets", Verb::Get),
];

pub async fn look(handles: &Handles, look: &Look) -> Seen {
    match look {
        Look::Secret { namespace, name } => {
            let object = get(handles, "v1", "secrets", namespace, name).await;
            seen(object, |secret| {
                let data = secret.get("data").and_then(Value::as_object);
                data.into_iter().flatten().map(|(key, _)| json!(key)).collect()
            })
        }
        Look::Workload { kind, namespace, name } => {
            let resource = match kind.as_str() {
                "Deployment" => "deployments",
                "StatefulSet" => "statefulsets",
                "DaemonSet" => "daemonsets",
                other => return Seen::Unknown(format!("{other} is no workload that is looked at")),
            };
            seen(get(handles, "apps/v1", resource, namespace, name).await, without_environment)
        }
        Look::Pods { namespace, selector } => {
            let params = selector.iter().fold(ListParams::default(), |params, selector| params.labels(selector));
            list(handles, "pods", namespace, params, pod).await
        }
        Look::Claims { namespace } => {
            let claim = |claim: &Value| {
                json!({"metadata": {"name": claim["metadata"]["name"], "annotations": claim["metadata"]["annotations"]},
                    "spec": {"accessModes": claim["spec"]["accessModes"]}})
            };
            list(handles, "persistentvolumeclaims", namespace, ListParams::default(), claim).await
        }
        Look::Events { namespace, uid } => {
            let params = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
            let event = |event: &Value| json!({"reason": event["reason"], "message": event["message"]});
            list(handles, "events", namespace, params, event).await
        }
    }
}

async fn get(handles: &Handles, version: &str, resource: &str, namespace: &str, name: &str) -> Result<Value, Failure> {
    let request = Request::new(Handles::url(version, resource, namespace)).get(name, &GetParams::default());
    send(handles, request, &format!("read {resource} {namespace}/{name}")).await
}

async fn list(
    handles: &Handles,
    resource: &str,
    namespace: &str,
    params: ListParams,
    part: impl Fn(&Value) -> Value,
) -> Seen {
    let request = Request::new(Handles::url("v1", resource, namespace)).list(&params.limit(ITEMS_MAX));
    let found = send(handles, request, &format!("list {resource} of {namespace}")).await;
    seen(found, |list| list.get("items").and_then(Value::as_array).into_iter().flatten().map(part).collect())
}

async fn send(
    handles: &Handles,
    request: Result<http::Request<Vec<u8>>, request::Error>,
    what: &str,
) -> Result<Value, Failure> {
    let request = request.map_err(|error| Failure::Invalid(format!("{what}: the request cannot be built: {error}")))?;
    Ok(exchange(handles.client(), request, READ_TIME_MAX, what).await?.object)
}

fn seen(found: Result<Value, Failure>, part: impl FnOnce(&Value) -> Value) -> Seen {
    match found {
        Ok(object) => Seen::Found(part(&object)),
        Err(Failure::Missing(_)) => Seen::Missing,
        Err(failure) => Seen::Unknown(failure.to_string()),
    }
}

/// What says where a pod runs, as whom, and with which volumes; never its environment.
fn pod(pod: &Value) -> Value {
    let metadata = &pod["metadata"];
    let spec = &pod["spec"];
    json!({
        "metadata": {"name": metadata["name"], "uid": metadata["uid"], "labels": metadata["labels"]},
        "spec": {
            "nodeName": spec["nodeName"], "volumes": spec["volumes"], "securityContext": spec["securityContext"],
            "containers": containers(spec),
        },
        "status": {"phase": pod["status"]["phase"]},
    })
}

fn containers(spec: &Value) -> Value {
    let containers = spec.get("containers").and_then(Value::as_array).into_iter().flatten();
    containers
        .map(|container| {
            json!({"name": container["name"], "securityContext": container["securityContext"],
                "volumeMounts": container["volumeMounts"]})
        })
        .collect()
}

fn without_environment(workload: &Value) -> Value {
    let spec = &workload["spec"];
    let template = &spec["template"]["spec"];
    let templates: Value = spec
        .get("volumeClaimTemplates")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|claim| json!({"metadata": {"name": claim["metadata"]["name"]}}))
        .collect();
    json!({
        "metadata": {"name": workload["metadata"]["name"], "uid": workload["metadata"]["uid"]},
        "spec": {
            "replicas": spec["replicas"], "ordinals": spec["ordinals"], "selector": spec["selector"],
            "volumeClaimTemplates": templates,
            "template": {"spec": {
                "volumes": template["volumes"], "securityContext": template["securityContext"],
                "containers": containers(template),
            }},
        },
        "status": {"desiredNumberScheduled": workload["status"]["desiredNumberScheduled"]},
    })
}
