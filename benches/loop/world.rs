//! A world of any size: blueprints, annotated targets that a real API server takes, and objects as it gives them back.

use std::fs;
use std::path::Path;

use holdfast::model::keys::FIELD_MANAGER;
use holdfast::model::plan::{Action, Step};
use serde_json::{Map, Value, json};

/// As design and issue have it.
pub(crate) const BLUEPRINTS: usize = 20;

/// As the issue has it, at least: those that are shipped, and more that say what must be covered.
const POLICIES_MIN: usize = 20;

const KINDS: [(&str, &str); 4] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("v1", "PersistentVolumeClaim"),
    ("appcatalog.appscode.com/v1alpha1", "AppBinding"),
];

/// The documents of all blueprints: path and text. `minute` is part of every schedule, so another one changes every target.
pub(crate) fn blueprints(minute: usize) -> Vec<(String, String)> {
    (0..BLUEPRINTS).map(|number| (format!("blueprints/b{number:02}.yaml"), blueprint(number, minute))).collect()
}

/// The documents as files below `tree` of a folder.
pub(crate) fn write_tree(folder: &Path, minute: usize) {
    for (path, text) in blueprints(minute) {
        let path = folder.join("tree").join(path);
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("folder made");
        fs::write(path, text).expect("file written");
    }
}

/// The shipped policies, and so many about coverage that there are [`POLICIES_MIN`].
pub(crate) fn write_policies(folder: &Path) {
    let to = folder.join("tree/policies");
    fs::create_dir_all(&to).expect("folder made");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let names = fs::read_dir(shipped).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    let mut count = 0;
    for policy in names.filter(|path| path.is_dir()) {
        let name = policy.file_name().expect("it has a name").to_string_lossy().into_owned();
        fs::copy(policy.join("policy.yaml"), to.join(format!("{name}.yaml"))).expect("policy copied");
        count += 1;
    }
    for number in count..POLICIES_MIN {
        let text = format!(
            "apiVersion: holdfast.dev/v1alpha1\nkind: BackupPolicy\nmetadata:\n  name: cover-{number}\nspec:\n  \
             match:\n    namespaces: ['team-0*', 'team-{number:03}']\n  coverage:\n    \
             kinds: [StatefulSet, Deployment, PersistentVolumeClaim, AppBinding]\n    rpo: 26h\n    copies: 1\n"
        );
        fs::write(to.join(format!("cover-{number}.yaml")), text).expect("file written");
    }
}

/// Each serves one kind of target, as [`target`] asks for it.
fn blueprint(number: usize, minute: usize) -> String {
    let task = match KINDS[number % KINDS.len()].1 {
        "PersistentVolumeClaim" => "  task:\n    name: pvc-backup\n",
        "AppBinding" => "  task:\n    name: ${TARGET_APP_RESOURCE}-backup-${TARGET_APP_VERSION}\n",
        _ => "",
    };
    format!(
        "apiVersion: stash.appscode.com/v1beta1\nkind: BackupBlueprint\nmetadata:\n  name: b{number:02}\nspec:\n  \
         backend:\n    s3:\n      endpoint: s3.example.com\n      region: eu-central-1\n      bucket: backups\n      \
         prefix: b{number:02}/${{TARGET_NAMESPACE}}/${{TARGET_KIND}}/${{TARGET_NAME}}\n    \
         storageSecretName: backup-storage\n{task}  schedule: {minute} {hour} * * *\n  runtimeSettings:\n    \
         container:\n      resources:\n        requests:\n          cpu: 100m\n          memory: 128Mi\n  \
         retentionPolicy:\n    name: keep-{number:02}\n    keepLast: 5\n    keepDaily: 7\n    keepMonthly: 12\n    \
         prune: true\n",
        hour = number % 24,
    )
}

/// Target `number`: small, and nothing runs for it.
pub(crate) fn target(namespace: &str, number: usize) -> Value {
    let (api_version, kind) = KINDS[number % KINDS.len()];
    let name = format!("app-{number:05}");
    let mut annotations = json!({"stash.appscode.com/backup-blueprint": format!("b{:02}", number % BLUEPRINTS)});
    let labels = json!({"app": name});
    let pods =
        json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "localhost/app"}]}});
    let spec = match kind {
        // A claim of a volume that is not there: the controllers leave it alone.
        "PersistentVolumeClaim" => {
            json!({"accessModes": ["ReadWriteOnce"], "volumeName": "none", "storageClassName": "",
            "resources": {"requests": {"storage": "1Gi"}}})
        }
        "AppBinding" => {
            json!({"type": "kubedb.com/postgres", "version": "14.2", "clientConfig": {"url": "postgres://db"}})
        }
        _ => json!({"replicas": 0, "selector": {"matchLabels": labels}, "template": pods}),
    };
    if kind == "Deployment" || kind == "StatefulSet" {
        annotations["stash.appscode.com/target-paths"] = json!("/data");
        annotations["stash.appscode.com/volume-mounts"] = json!("data:/data");
    }
    let mut object = json!({"apiVersion": api_version, "kind": kind, "spec": spec,
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations}});
    if kind == "Deployment" {
        let claim = json!({"name": "data", "persistentVolumeClaim": {"claimName": name}});
        object["spec"]["template"]["spec"]["volumes"] = json!([claim]);
    }
    if kind == "StatefulSet" {
        object["spec"]["serviceName"] = json!("none");
        let claim = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
        object["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": claim}]);
    }
    object
}

/// Gives one target a schedule of its own, as its owner would.
pub(crate) fn reschedule(target: &mut Value) {
    target["metadata"]["annotations"]["stash.appscode.com/schedule"] = json!("*/15 * * * *");
}

/// A namespace as the server lists it; `kube-system` says which cluster it is.
pub(crate) fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "uid": uid(name)}})
}

/// What the server makes of a step that creates: the manifest, with all that it adds.
pub(crate) fn created(step: &Step) -> Value {
    let Action::Create { manifest } = &step.action else { panic!("{} is not created", step.object) };
    let mut object = manifest.clone();
    let fields = json!({"f:metadata": {"f:annotations": fields(&manifest["metadata"]["annotations"]),
        "f:labels": fields(&manifest["metadata"]["labels"])}, "f:spec": fields(&manifest["spec"])});
    if object["kind"] == "BackupConfiguration" {
        // The one default of the definition that every configuration gets.
        object["spec"]["driver"] = json!("Restic");
    }
    let metadata = &mut object["metadata"];
    metadata["uid"] = json!(uid(&step.object.to_string()));
    metadata["resourceVersion"] = json!("1000");
    metadata["generation"] = json!(1);
    metadata["creationTimestamp"] = json!("2026-11-21T08:00:00Z");
    metadata["managedFields"] = json!([{"manager": FIELD_MANAGER, "operation": "Apply", "fieldsType": "FieldsV1",
        "apiVersion": manifest["apiVersion"], "time": "2026-11-21T08:00:00Z", "fieldsV1": fields}]);
    object
}

/// Whether a path of the status branch is that of one target.
pub(crate) fn is_status_file(path: &str) -> bool {
    path.strip_prefix("targets/").is_some_and(|path| path.strip_suffix(".yaml").is_some())
}

fn fields(value: &Value) -> Value {
    let Some(map) = value.as_object() else { return json!({}) };
    map.iter().map(|(key, value)| (format!("f:{key}"), fields(value))).collect::<Map<String, Value>>().into()
}

fn uid(name: &str) -> String {
    let hash = holdfast::model::names::hash_hex(name, 32);
    format!("{}-{}-{}-{}-{}", &hash[..8], &hash[8..12], &hash[12..16], &hash[16..20], &hash[20..])
}
