//! The pod of a Job: its steps as containers, its volumes, and what `runtimeSettings` say of both.

use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::place::Place;
use super::security::{self, Identity, PodSecurity};
use super::variables::INTERIM_FOLDER;
use super::workload::{Access, Host};
use crate::api::field::{Field, Texts};
use crate::api::runtime::{ContainerSettings, PodSettings};
use crate::model::invoker::Member;
use crate::model::step::{INPUT, POD_NAME, POD_NAMESPACE, POD_UID, SCRATCH_FOLDER, STORAGE_FOLDER, StepInput};

/// The name that Stash gives it; foreign Functions may mount it too.
const SCRATCH: &str = "stash-tmp-dir";
const STORAGE: &str = "holdfast-storage";
const INTERIM: &str = "stash-interim-volume";
/// A repository that needs more says so, with the number.
const MEMORY_LIMIT: &str = "512Mi";
const MEMORY_REQUEST: &str = "128Mi";
const CPU_REQUEST: &str = "50m";
/// The agent gives back its locks within two seconds of a signal.
const GRACE_SECONDS: u32 = 30;

/// One step of a pod.
pub enum Step<'a> {
    /// Of ours: it is told what to do, and has the storage Secret as files.
    Native { input: &'a StepInput },
    /// Of somebody else: container and settings of its Function.
    Foreign { container: &'a Value, settings: &'a ContainerSettings },
}

/// What a pod is made of.
pub struct Order<'a> {
    /// Name and step of each container; the last is the one that the others come before.
    pub steps: &'a [(String, Step<'a>)],
    pub image: &'a str,
    pub member: &'a Member,
    /// None for work on the repository alone.
    pub host: Option<&'a Host>,
    /// As whom it works.
    pub identity: Identity,
    /// Volumes of the Task.
    pub volumes: &'a [Value],
    /// Mounts of the steps that hold the data, where the Functions say them.
    pub mounts: &'a [Value],
    pub place: &'a Place,
    /// Name of the storage Secret in the namespace of the pod.
    pub secret: &'a str,
    pub interim_claim: Option<&'a str>,
    /// Account of foreign steps.
    pub account: Option<&'a str>,
    pub level: PodSecurity,
    pub access: Access,
    pub labels: &'a Value,
}

/// `metadata` and `spec` of the pod template.
pub fn template(order: &Order<'_>) -> Result<Value, Fault> {
    let none = PodSettings::default();
    let settings = order.member.runtime.pod.get().unwrap_or(&none);
    let (pod_context, container_context) = security::contexts(&order.identity, order.level, order.access);
    let mut containers: Vec<Value> = order
        .steps
        .iter()
        .map(|(name, step)| container(order, name, step, &container_context))
        .collect::<Result<_, _>>()?;
    let last = containers.pop().ok_or_else(|| Fault::new("TaskInvalid", "the Task has no step"))?;
    let foreign = order.steps.iter().any(|(_, step)| matches!(step, Step::Foreign { .. }));
    let mut spec = json!({
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "enableServiceLinks": settings.enable_service_links.get().copied().unwrap_or(false),
        "automountServiceAccountToken": foreign && settings.automount_service_account_token.get().copied().unwrap_or(true),
        "securityContext": merged(pod_context, settings.security_context.get()),
        "containers": [last],
        "volumes": volumes(order),
    });
    if !containers.is_empty() {
        spec["initContainers"] = json!(containers);
    }
    let account = settings.service_account_name.get().map(String::as_str).filter(|name| !name.is_empty());
    if let Some(account) = account.or(order.account.filter(|_| foreign)) {
        spec["serviceAccountName"] = json!(account);
    }
    place_pod(&mut spec, settings, order.host.and_then(|host| host.node.as_deref()));
    Ok(json!({"metadata": metadata(order, settings), "spec": spec}))
}

fn metadata(order: &Order<'_>, settings: &PodSettings) -> Value {
    let mut labels = texts(&settings.pod_labels);
    // A proxy beside the agent would keep the pod from ending.
    labels.insert("sidecar.istio.io/inject".to_owned(), json!("false"));
    labels.extend(order.labels.as_object().cloned().unwrap_or_default());
    let mut annotations = texts(&settings.pod_annotations);
    annotations.entry("linkerd.io/inject").or_insert(json!("disabled"));
    annotations.entry("sidecar.istio.io/inject").or_insert(json!("false"));
    json!({"labels": labels, "annotations": annotations})
}

/// Where it may run, and with what share of a node.
fn place_pod(spec: &mut Value, settings: &PodSettings, node: Option<&str>) {
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            spec[key] = value;
        }
    };
    let text = |field: &Field<String>| field.get().filter(|text| !text.is_empty()).map(|text| json!(text));
    put("nodeSelector", settings.node_selector.get().map(|_| Value::Object(texts(&settings.node_selector))));
    put("nodeName", text(&settings.node_name));
    put("imagePullSecrets", settings.image_pull_secrets.get().map(|list| json!(list)));
    put("schedulerName", text(&settings.scheduler_name));
    put("tolerations", settings.tolerations.get().map(|list| json!(list)));
    put("priorityClassName", text(&settings.priority_class_name));
    put("priority", settings.priority.get().map(|priority| json!(priority)));
    put("readinessGates", settings.readiness_gates.get().map(|list| json!(list)));
    put("runtimeClassName", text(&settings.runtime_class_name));
    put("topologySpreadConstraints", settings.topology_spread_constraints.get().map(|list| json!(list)));
    let affinity = settings.affinity.get().cloned().filter(Value::is_object);
    put("affinity", node.map_or(affinity.clone(), |node| Some(with_node(affinity.unwrap_or_else(|| json!({})), node))));
}

/// Of several terms one is enough for the scheduler, so that each has to name the node.
fn with_node(mut affinity: Value, node: &str) -> Value {
    let field = json!({"key": "metadata.name", "operator": "In", "values": [node]});
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let terms = affinity.pointer(&format!("/nodeAffinity/{required}/nodeSelectorTerms")).and_then(Value::as_array);
    let mut terms = terms.cloned().filter(|terms| !terms.is_empty()).unwrap_or_else(|| vec![json!({})]);
    for term in &mut terms {
        match term.get_mut("matchFields").and_then(Value::as_array_mut) {
            Some(fields) => fields.push(field.clone()),
            None => term["matchFields"] = json!([field]),
        }
    }
    affinity["nodeAffinity"][required] = json!({"nodeSelectorTerms": terms});
    affinity
}

fn container(order: &Order<'_>, name: &str, step: &Step<'_>, context: &Value) -> Result<Value, Fault> {
    let none = ContainerSettings::default();
    let own = order.member.runtime.container.get().unwrap_or(&none);
    let (mut container, settings) = match step {
        Step::Native { input } => (native(order, input)?, &none),
        Step::Foreign { container, settings } => ((*container).clone(), *settings),
    };
    container["name"] = json!(name);
    container["imagePullPolicy"] = json!("IfNotPresent");
    container["terminationMessagePolicy"] = json!("FallbackToLogsOnError");
    let mounts = container.get("volumeMounts").and_then(Value::as_array).cloned().unwrap_or_default();
    container["volumeMounts"] = json!([mounts, shared_mounts(order)].concat());
    let defaults =
        json!({"requests": {"memory": MEMORY_REQUEST, "cpu": CPU_REQUEST}, "limits": {"memory": MEMORY_LIMIT}});
    container["resources"] = defaults;
    container["securityContext"] = match step {
        Step::Native { .. } => context.clone(),
        Step::Foreign { .. } => json!({}),
    };
    let mut env = container.get("env").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut env_from = Vec::new();
    for settings in [settings, own] {
        if let Some(resources) = settings.resources.get().filter(|value| value.is_object()) {
            container["resources"] = merged(container["resources"].take(), Some(resources));
        }
        container["securityContext"] = merged(container["securityContext"].take(), settings.security_context.get());
        for (key, probe) in [("lifecycle", &settings.lifecycle), ("livenessProbe", &settings.liveness_probe)] {
            if let Some(probe) = probe.get() {
                container[key] = probe.clone();
            }
        }
        upsert(&mut env, settings.env.get().map(Vec::as_slice).unwrap_or_default());
        upsert(&mut env, &niceness(settings));
        env_from.extend(settings.env_from.get().cloned().unwrap_or_default());
    }
    container["env"] = json!(env);
    if !env_from.is_empty() {
        container["envFrom"] = json!(env_from);
    }
    Ok(container)
}

fn native(order: &Order<'_>, input: &StepInput) -> Result<Value, Fault> {
    let told = serde_json::to_string(input).map_err(|error| Fault::new("TaskInvalid", error.to_string()))?;
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let mut mounts = vec![json!({"name": STORAGE, "mountPath": STORAGE_FOLDER, "readOnly": true})];
    mounts.extend(order.mounts.iter().cloned());
    mounts.extend(order.host.into_iter().flat_map(|host| host.mounts.clone()));
    mounts.extend(order.place.volume.as_ref().map(|(_, mount)| mount.clone()));
    Ok(json!({
        "image": order.image,
        "args": ["agent"],
        "env": [
            {"name": INPUT, "value": told},
            field(POD_NAME, "metadata.name"),
            field(POD_NAMESPACE, "metadata.namespace"),
            field(POD_UID, "metadata.uid"),
        ],
        "volumeMounts": mounts,
    }))
}

fn shared_mounts(order: &Order<'_>) -> Vec<Value> {
    let mut mounts = vec![json!({"name": SCRATCH, "mountPath": SCRATCH_FOLDER})];
    if order.interim_claim.is_some() {
        mounts.push(json!({"name": INTERIM, "mountPath": INTERIM_FOLDER}));
    }
    mounts
}

fn volumes(order: &Order<'_>) -> Vec<Value> {
    let mut scratch = json!({});
    let limits = &order.member.scratch;
    if let Some(medium) = limits.medium.get().filter(|medium| !medium.is_empty()) {
        scratch["medium"] = json!(medium);
    }
    if let Some(limit) = limits.size_limit.get().filter(|limit| !limit.is_null()) {
        scratch["sizeLimit"] = limit.clone();
    }
    let mut volumes = vec![
        json!({"name": SCRATCH, "emptyDir": scratch}),
        json!({"name": STORAGE, "secret": {"secretName": order.secret, "defaultMode": 0o444}}),
    ];
    if let Some(claim) = order.interim_claim {
        volumes.push(json!({"name": INTERIM, "persistentVolumeClaim": {"claimName": claim}}));
    }
    volumes.extend(order.volumes.iter().cloned());
    volumes.extend(order.host.into_iter().flat_map(|host| host.volumes.clone()));
    volumes.extend(order.place.volume.as_ref().map(|(volume, _)| volume.clone()));
    volumes
}

/// Stash's names for the priority of the process.
fn niceness(settings: &ContainerSettings) -> Vec<Value> {
    let nice = settings.nice.get().and_then(|nice| nice.adjustment.get());
    let ionice = settings.ionice.get();
    [
        ("NICE_ADJUSTMENT", nice),
        ("IONICE_CLASS", ionice.and_then(|ionice| ionice.class.get())),
        ("IONICE_CLASS_DATA", ionice.and_then(|ionice| ionice.class_data.get())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(json!({"name": name, "value": value?.to_string()})))
    .collect()
}

/// By name; the later wins.
fn upsert(env: &mut Vec<Value>, more: &[Value]) {
    for variable in more {
        match env.iter_mut().find(|known| known["name"] == variable["name"]) {
            Some(known) => *known = variable.clone(),
            None => env.push(variable.clone()),
        }
    }
}

/// Field by field; what is said expressly wins.
fn merged(mut base: Value, over: Option<&Value>) -> Value {
    let fields = over.and_then(Value::as_object);
    for (key, value) in fields.into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        base[key] = match (base[key].take(), value) {
            (Value::Object(known), Value::Object(_)) if key != "seLinuxOptions" => {
                merged(Value::Object(known), Some(value))
            }
            _ => value.clone(),
        };
    }
    base
}

fn texts(field: &Field<Texts>) -> Map<String, Value> {
    let entries = field.get().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), json!(value.as_ref()?)))).collect()
}
