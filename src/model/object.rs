//! Kinds and keys of the objects that Holdfast writes and of the targets that it protects.

use std::fmt;

use serde::{Serialize, Serializer};

/// Kinds that the GitOps loop writes, in the order in which a plan creates them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Repository,
    Function,
    Task,
    BackupConfiguration,
    BackupBatch,
}

impl Kind {
    pub const ALL: [Kind; 5] =
        [Kind::Repository, Kind::Function, Kind::Task, Kind::BackupConfiguration, Kind::BackupBatch];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Repository => "Repository",
            Kind::Function => "Function",
            Kind::Task => "Task",
            Kind::BackupConfiguration => "BackupConfiguration",
            Kind::BackupBatch => "BackupBatch",
        }
    }

    pub fn api_version(self) -> &'static str {
        match self {
            Kind::Repository => "stash.appscode.com/v1alpha1",
            Kind::Function | Kind::Task | Kind::BackupConfiguration | Kind::BackupBatch => "stash.appscode.com/v1beta1",
        }
    }

    pub fn namespaced(self) -> bool {
        match self {
            Kind::Repository | Kind::BackupConfiguration | Kind::BackupBatch => true,
            Kind::Function | Kind::Task => false,
        }
    }

    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == kind && k.api_version() == api_version)
    }
}

/// Key of an object that Holdfast writes; the namespace of a cluster-scoped kind is empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
}

impl ObjectKey {
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// `namespace/name`, or the bare name of a cluster-scoped object.
    pub fn short(&self) -> String {
        if self.namespace.is_empty() { self.name.clone() } else { format!("{}/{}", self.namespace, self.name) }
    }
}

/// `apiVersion/kind/namespace/name`; a cluster-scoped object has no namespace part.
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind.api_version(), self.kind.as_str(), self.short())
    }
}

impl Serialize for ObjectKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Kinds that can be a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetKind {
    AppBinding,
    DaemonSet,
    Deployment,
    PersistentVolumeClaim,
    ReplicaSet,
    ReplicationController,
    StatefulSet,
}

impl TargetKind {
    pub const ALL: [TargetKind; 7] = [
        TargetKind::AppBinding,
        TargetKind::DaemonSet,
        TargetKind::Deployment,
        TargetKind::PersistentVolumeClaim,
        TargetKind::ReplicaSet,
        TargetKind::ReplicationController,
        TargetKind::StatefulSet,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            TargetKind::AppBinding => "AppBinding",
            TargetKind::DaemonSet => "DaemonSet",
            TargetKind::Deployment => "Deployment",
            TargetKind::PersistentVolumeClaim => "PersistentVolumeClaim",
            TargetKind::ReplicaSet => "ReplicaSet",
            TargetKind::ReplicationController => "ReplicationController",
            TargetKind::StatefulSet => "StatefulSet",
        }
    }

    pub fn group(self) -> &'static str {
        match self {
            TargetKind::AppBinding => "appcatalog.appscode.com",
            TargetKind::DaemonSet | TargetKind::Deployment | TargetKind::ReplicaSet | TargetKind::StatefulSet => "apps",
            TargetKind::PersistentVolumeClaim | TargetKind::ReplicationController => "",
        }
    }

    pub fn api_version(self) -> &'static str {
        match self {
            TargetKind::AppBinding => "appcatalog.appscode.com/v1alpha1",
            TargetKind::DaemonSet | TargetKind::Deployment | TargetKind::ReplicaSet | TargetKind::StatefulSet => {
                "apps/v1"
            }
            TargetKind::PersistentVolumeClaim | TargetKind::ReplicationController => "v1",
        }
    }

    /// Plural resource name, the value of `TARGET_RESOURCE`.
    pub fn resource(self) -> &'static str {
        match self {
            TargetKind::AppBinding => "appbindings",
            TargetKind::DaemonSet => "daemonsets",
            TargetKind::Deployment => "deployments",
            TargetKind::PersistentVolumeClaim => "persistentvolumeclaims",
            TargetKind::ReplicaSet => "replicasets",
            TargetKind::ReplicationController => "replicationcontrollers",
            TargetKind::StatefulSet => "statefulsets",
        }
    }

    /// Whether pods run from it, so that paths and mounts must be named.
    pub fn is_workload(self) -> bool {
        match self {
            TargetKind::DaemonSet
            | TargetKind::Deployment
            | TargetKind::ReplicaSet
            | TargetKind::ReplicationController
            | TargetKind::StatefulSet => true,
            TargetKind::AppBinding | TargetKind::PersistentVolumeClaim => false,
        }
    }

    /// First part of generated names: `app` for an `AppBinding`, else the lower-case kind.
    pub fn name_prefix(self) -> String {
        match self {
            TargetKind::AppBinding => "app".to_owned(),
            other => other.as_str().to_ascii_lowercase(),
        }
    }

    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == kind && k.api_version() == api_version)
    }
}

/// Key of a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetKey {
    pub namespace: String,
    pub kind: TargetKind,
    pub name: String,
}

impl TargetKey {
    /// `<group>/<Kind>/<namespace>/<name>`: stable over versions; the core group is empty.
    pub fn identity(&self) -> String {
        format!("{}/{}/{}/{}", self.kind.group(), self.kind.as_str(), self.namespace, self.name)
    }

    /// Reads what [`TargetKey::identity`] wrote.
    pub fn from_identity(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (group, kind, namespace, name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let kind = TargetKind::ALL.into_iter().find(|k| k.group() == group && k.as_str() == kind)?;
        if parts.next().is_some() {
            return None;
        }
        Some(Self { namespace: namespace.to_owned(), kind, name: name.to_owned() })
    }

    /// `Kind namespace/name`, as sentences name it.
    pub fn spoken(&self) -> String {
        format!("{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}

/// `apiVersion/kind/namespace/name`.
impl fmt::Display for TargetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.kind.api_version(), self.kind.as_str(), self.namespace, self.name)
    }
}

impl Serialize for TargetKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
