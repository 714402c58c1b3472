//! What the cluster holds, in the compact form that planning needs: fed by watches or by a dump.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::delete_log::RecentDelete;
use super::json::{text, text_holds, texts};
use super::keys;
use super::object::{Kind, ObjectKey, TargetKey, TargetKind};
use super::owned_fields::OwnedFields;

/// A collection that is listed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Watched {
    Namespace,
    Blueprint,
    Target(TargetKind),
    Managed(Kind),
}

impl Watched {
    pub fn all() -> impl Iterator<Item = Watched> {
        [Watched::Namespace, Watched::Blueprint]
            .into_iter()
            .chain(TargetKind::ALL.into_iter().map(Watched::Target))
            .chain(Kind::ALL.into_iter().map(Watched::Managed))
    }

    pub fn api_version(self) -> &'static str {
        match self {
            Watched::Namespace => "v1",
            Watched::Blueprint => "stash.appscode.com/v1beta1",
            Watched::Target(kind) => kind.api_version(),
            Watched::Managed(kind) => kind.api_version(),
        }
    }

    pub fn kind(self) -> &'static str {
        match self {
            Watched::Namespace => "Namespace",
            Watched::Blueprint => "BackupBlueprint",
            Watched::Target(kind) => kind.as_str(),
            Watched::Managed(kind) => kind.as_str(),
        }
    }

    /// Plural resource name.
    pub fn resource(self) -> &'static str {
        match self {
            Watched::Namespace => "namespaces",
            Watched::Blueprint => "backupblueprints",
            Watched::Target(kind) => kind.resource(),
            Watched::Managed(Kind::Repository) => "repositories",
            Watched::Managed(Kind::Function) => "functions",
            Watched::Managed(Kind::Task) => "tasks",
            Watched::Managed(Kind::BackupConfiguration) => "backupconfigurations",
            Watched::Managed(Kind::BackupBatch) => "backupbatches",
        }
    }

    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        Self::all().find(|watched| watched.api_version() == api_version && watched.kind() == kind)
    }

    /// What planning reads of an object, so that a watch need not carry the rest.
    pub fn part(self) -> Part {
        match self {
            Watched::Namespace | Watched::Target(TargetKind::PersistentVolumeClaim) => Part::Metadata,
            Watched::Target(TargetKind::AppBinding) | Watched::Blueprint | Watched::Managed(_) => Part::Whole,
            Watched::Target(
                TargetKind::DaemonSet
                | TargetKind::Deployment
                | TargetKind::ReplicaSet
                | TargetKind::ReplicationController
                | TargetKind::StatefulSet,
            ) => Part::Volumes,
        }
    }
}

/// How much of an object planning reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Metadata,
    /// Metadata, and which claims a workload mounts.
    Volumes,
    Whole,
}

/// A namespace, as far as planning cares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    pub terminating: bool,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

/// A volume of a workload that holds data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Volume {
    /// The claim of that name.
    Claim(String),
    /// A claim for each pod.
    Template,
}

/// A workload, claim or application that may carry our annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    pub uid: String,
    pub labels: BTreeMap<String, String>,
    /// Only the keys that planning reads.
    pub annotations: BTreeMap<String, String>,
    /// Volumes of a workload that are claims, by name; `None` where only its metadata is known.
    pub volumes: Option<BTreeMap<String, Volume>>,
    /// `spec.type` and `spec.version` of an `AppBinding`.
    pub app_type: Option<String>,
    pub app_version: Option<String>,
}

impl Target {
    /// A workload of which is known that it holds no data.
    pub fn is_stateless(&self, kind: TargetKind) -> bool {
        kind.is_workload() && self.volumes.as_ref().is_some_and(BTreeMap::is_empty)
    }
}

/// An object of a kind that we write, as it is in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    pub uid: String,
    pub resource_version: String,
    pub generation: Option<i64>,
    pub created: Option<Timestamp>,
    pub deleting: bool,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// JSON text of `spec`: twenty thousand parsed trees would not fit the daemon's memory.
    spec: Box<str>,
    /// `None` where a dump carries none.
    pub owned: Option<OwnedFields>,
    /// Of a Repository: when the last backup that succeeded began.
    pub last_success: Option<Timestamp>,
}

impl Live {
    pub fn spec(&self) -> Value {
        serde_json::from_str(&self.spec).unwrap_or(Value::Null)
    }

    /// Whether the spec has everything that `want` has, see [`text_holds`].
    pub fn spec_holds(&self, want: &Value) -> bool {
        text_holds(&self.spec, want)
    }

    /// Whether the text of the spec mentions a field; most do not, and then need not be parsed.
    pub fn spec_mentions(&self, field: &str) -> bool {
        let is_escaped = |character: char| matches!(character, '"' | '\\') || character.is_control();
        field.contains(is_escaped) || self.spec.contains(field)
    }

    /// Proven from the object alone: our label, an origin, and (where the server says who wrote what) our manager.
    pub fn is_ours(&self) -> bool {
        self.labels.get(keys::MANAGED_BY).is_some_and(|by| by == keys::MANAGED_BY_US)
            && self.annotations.contains_key(keys::SOURCE)
            && self.owned.as_ref().is_none_or(OwnedFields::is_ours)
    }

    pub fn is_handed_over(&self) -> bool {
        self.annotations.get(keys::ADOPT).is_some_and(|adopt| adopt == "true")
    }

    /// Target and blueprint of a generated object.
    pub fn identity(&self) -> Option<(TargetKey, &str)> {
        let target = TargetKey::from_identity(self.annotations.get(keys::TARGET)?)?;
        Some((target, self.annotations.get(keys::BLUEPRINT)?))
    }

    /// How often in a row the changes of one manager were undone.
    pub fn undone(&self) -> Option<Undone<'_>> {
        let (count, manager) = self.annotations.get(keys::UNDONE)?.split_once(' ')?;
        let (count, wanted) = count.split_once(':')?;
        Some(Undone { count: count.parse().ok()?, wanted, manager })
    }

    /// Who made it, as far as the object tells.
    pub fn made_by(&self) -> String {
        let managers = self.owned.as_ref().map(OwnedFields::other_managers).unwrap_or_default();
        match managers.first() {
            Some(manager) => manager.clone(),
            None => self.labels.get(keys::MANAGED_BY).cloned().unwrap_or_else(|| "somebody else".to_owned()),
        }
    }
}

/// What the mark [`keys::UNDONE`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undone<'a> {
    pub count: u32,
    /// Stands for what Git asked for then.
    pub wanted: &'a str,
    pub manager: &'a str,
}

/// A `BackupBlueprint` that lives in the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveBlueprint {
    pub spec: Value,
    pub annotations: BTreeMap<String, String>,
}

/// Everything that planning reads from the cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// UID of the namespace `kube-system`.
    pub cluster_uid: Option<String>,
    /// Collections that were listed to their end. Nothing is deleted for want of what was not.
    pub complete: BTreeSet<Watched>,
    pub namespaces: BTreeMap<String, Namespace>,
    pub blueprints: BTreeMap<String, LiveBlueprint>,
    pub targets: BTreeMap<TargetKey, Target>,
    pub objects: BTreeMap<ObjectKey, Live>,
    /// What Holdfast deleted within the last hour, or tried to.
    pub recent_deletes: Vec<RecentDelete>,
}

impl Observed {
    /// Takes in one object as the API server or a dump gives it; true if planning could see a difference.
    /// Kinds that planning does not read are left alone.
    pub fn upsert(&mut self, object: &Value) -> bool {
        let (Some(api_version), Some(kind)) = (text(object, "apiVersion"), text(object, "kind")) else { return false };
        let Some(watched) = Watched::of(api_version, kind) else { return false };
        let metadata = object.get("metadata").unwrap_or(&Value::Null);
        let name = text(metadata, "name").unwrap_or_default();
        let namespace = text(metadata, "namespace").unwrap_or_default();
        match watched {
            Watched::Namespace => {
                if name == "kube-system" {
                    self.cluster_uid = text(metadata, "uid").map(str::to_owned);
                }
                let terminating = metadata.get("deletionTimestamp").is_some();
                let (labels, annotations) = (texts(metadata, "labels"), annotations(metadata));
                changed(&mut self.namespaces, name.to_owned(), Namespace { terminating, labels, annotations })
            }
            Watched::Blueprint => {
                let spec = object.get("spec").cloned().unwrap_or_default();
                changed(
                    &mut self.blueprints,
                    name.to_owned(),
                    LiveBlueprint { spec, annotations: texts(metadata, "annotations") },
                )
            }
            Watched::Target(kind) => {
                let key = TargetKey { namespace: namespace.to_owned(), kind, name: name.to_owned() };
                if kind.is_workload() && has_controller(metadata) {
                    return self.targets.remove(&key).is_some();
                }
                changed(&mut self.targets, key, target(kind, metadata, object))
            }
            Watched::Managed(kind) => {
                changed(&mut self.objects, ObjectKey::new(kind, namespace, name), live(metadata, object))
            }
        }
    }

    /// Forgets one object; true if it was known.
    pub fn remove(&mut self, watched: Watched, namespace: &str, name: &str) -> bool {
        match watched {
            Watched::Namespace => self.namespaces.remove(name).is_some(),
            Watched::Blueprint => self.blueprints.remove(name).is_some(),
            Watched::Target(kind) => self
                .targets
                .remove(&TargetKey { namespace: namespace.to_owned(), kind, name: name.to_owned() })
                .is_some(),
            Watched::Managed(kind) => self.objects.remove(&ObjectKey::new(kind, namespace, name)).is_some(),
        }
    }

    /// Keeps only the named objects of a collection: what a fresh list did not bring is gone.
    pub fn retain(&mut self, watched: Watched, listed: &BTreeSet<(String, String)>) -> bool {
        let gone: Vec<(String, String)> = self.keys_of(watched).filter(|key| !listed.contains(key)).collect();
        for (namespace, name) in &gone {
            self.remove(watched, namespace, name);
        }
        !gone.is_empty()
    }

    fn keys_of(&self, watched: Watched) -> Box<dyn Iterator<Item = (String, String)> + '_> {
        match watched {
            Watched::Namespace => Box::new(self.namespaces.keys().map(|name| (String::new(), name.clone()))),
            Watched::Blueprint => Box::new(self.blueprints.keys().map(|name| (String::new(), name.clone()))),
            Watched::Target(kind) => Box::new(
                self.targets
                    .keys()
                    .filter(move |key| key.kind == kind)
                    .map(|key| (key.namespace.clone(), key.name.clone())),
            ),
            Watched::Managed(kind) => Box::new(
                self.objects
                    .keys()
                    .filter(move |key| key.kind == kind)
                    .map(|key| (key.namespace.clone(), key.name.clone())),
            ),
        }
    }

    /// The collections that were not listed to their end, by `apiVersion/kind`.
    pub fn incomplete(&self) -> Vec<String> {
        Watched::all()
            .filter(|watched| !self.complete.contains(watched))
            .map(|watched| format!("{}/{}", watched.api_version(), watched.kind()))
            .collect()
    }
}

fn changed<K: Ord, V: PartialEq>(map: &mut BTreeMap<K, V>, key: K, value: V) -> bool {
    if map.get(&key) == Some(&value) {
        return false;
    }
    map.insert(key, value);
    true
}

fn target(kind: TargetKind, metadata: &Value, object: &Value) -> Target {
    let mut annotations = texts(metadata, "annotations");
    annotations.retain(|key, _| {
        key.starts_with("stash.appscode.com/")
            || key.starts_with(keys::PARAMS_PREFIX)
            || key.starts_with(keys::VARIABLE_PREFIX)
            || key.starts_with(keys::OUR_PREFIX)
    });
    let spec = object.get("spec").unwrap_or(&Value::Null);
    Target {
        uid: text(metadata, "uid").unwrap_or_default().to_owned(),
        labels: texts(metadata, "labels"),
        annotations,
        volumes: kind.is_workload().then(|| volumes(spec)).flatten(),
        app_type: text(spec, "type").map(str::to_owned),
        app_version: text(spec, "version").map(str::to_owned),
    }
}

fn live(metadata: &Value, object: &Value) -> Live {
    let last_success = object.get("status").and_then(|status| text(status, "lastBackupTime"));
    Live {
        uid: text(metadata, "uid").unwrap_or_default().to_owned(),
        resource_version: text(metadata, "resourceVersion").unwrap_or_default().to_owned(),
        generation: metadata.get("generation").and_then(Value::as_i64),
        created: text(metadata, "creationTimestamp").and_then(|time| time.parse().ok()),
        deleting: metadata.get("deletionTimestamp").is_some(),
        labels: texts(metadata, "labels"),
        annotations: annotations(metadata),
        spec: object.get("spec").unwrap_or(&Value::Object(Map::new())).to_string().into_boxed_str(),
        owned: OwnedFields::parse(metadata.get("managedFields")),
        last_success: last_success.and_then(|time| time.parse().ok()),
    }
}

/// The claims among the volumes of a pod template, and the templates of claims.
fn volumes(spec: &Value) -> Option<BTreeMap<String, Volume>> {
    let template = spec.get("template")?;
    let items =
        |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut volumes = BTreeMap::new();
    for volume in items(template, "/spec/volumes") {
        let claim = volume.get("persistentVolumeClaim").and_then(|claim| text(claim, "claimName"));
        if let (Some(name), Some(claim)) = (text(&volume, "name"), claim) {
            volumes.insert(name.to_owned(), Volume::Claim(claim.to_owned()));
        }
    }
    for claim in items(spec, "/volumeClaimTemplates") {
        if let Some(name) = claim.get("metadata").and_then(|metadata| text(metadata, "name")) {
            volumes.insert(name.to_owned(), Volume::Template);
        }
    }
    Some(volumes)
}

/// Without the copy of the whole object that `kubectl apply` leaves there.
fn annotations(metadata: &Value) -> BTreeMap<String, String> {
    let mut annotations = texts(metadata, "annotations");
    annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    annotations
}

fn has_controller(metadata: &Value) -> bool {
    metadata
        .get("ownerReferences")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .any(|owner| owner.get("controller").and_then(Value::as_bool).unwrap_or(false))
}
