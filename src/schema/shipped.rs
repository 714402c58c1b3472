//! The table of shipped definitions, and their compilation on first use.

use std::sync::OnceLock;

use serde_json::Value;

use super::metadata::with_envelope;
use super::node::Node;
use super::{Crd, Scope};
use crate::yaml::{self, Limits};

macro_rules! crd {
    ($group:literal, $version:literal, $kind:literal, $plural:literal, $scope:ident) => {
        Crd {
            group: $group,
            version: $version,
            kind: $kind,
            plural: $plural,
            scope: Scope::$scope,
            yaml: include_str!(concat!("../install/crds/", $group, "_", $plural, ".yaml")),
            root: OnceLock::new(),
        }
    };
}

macro_rules! own {
    ($kind:literal, $plural:literal, $file:literal) => {
        Crd {
            group: "holdfast.dev",
            version: "v1alpha1",
            kind: $kind,
            plural: $plural,
            scope: Scope::Cluster,
            yaml: include_str!(concat!("own/", $file, ".yaml")),
            root: OnceLock::new(),
        }
    };
}

/// Kinds that exist in Git only; their texts are bare schemas.
pub(super) static OWN: [Crd; 3] = [
    own!("BackupPolicy", "backuppolicies", "backuppolicy"),
    own!("PolicyCase", "policycases", "policycase"),
    own!("RestoreRequest", "restorerequests", "restorerequest"),
];

/// Kinds that Holdfast writes and nobody sends to it.
pub(super) static WRITTEN: [Crd; 4] = [
    own!("ClusterStatus", "clusterstatuses", "clusterstatus"),
    own!("Findings", "findings", "findings"),
    own!("Plan", "plans", "plan"),
    own!("TargetStatus", "targetstatuses", "targetstatus"),
];

pub(super) static CRDS: [Crd; 10] = [
    crd!("stash.appscode.com", "v1alpha1", "Repository", "repositories", Namespaced),
    crd!("stash.appscode.com", "v1beta1", "BackupBatch", "backupbatches", Namespaced),
    crd!("stash.appscode.com", "v1beta1", "BackupBlueprint", "backupblueprints", Cluster),
    crd!("stash.appscode.com", "v1beta1", "BackupConfiguration", "backupconfigurations", Namespaced),
    crd!("stash.appscode.com", "v1beta1", "BackupSession", "backupsessions", Namespaced),
    crd!("stash.appscode.com", "v1beta1", "Function", "functions", Cluster),
    crd!("stash.appscode.com", "v1beta1", "RestoreBatch", "restorebatches", Namespaced),
    crd!("stash.appscode.com", "v1beta1", "RestoreSession", "restoresessions", Namespaced),
    crd!("stash.appscode.com", "v1beta1", "Task", "tasks", Cluster),
    crd!("appcatalog.appscode.com", "v1alpha1", "AppBinding", "appbindings", Namespaced),
];

impl Crd {
    /// The compiled schema.
    pub(super) fn root(&self) -> &Node {
        self.root
            .get_or_init(|| self.compile().expect("a shipped schema compiles: it is part of the binary and tested"))
    }

    fn compile(&self) -> Result<Node, String> {
        let root = Node::compile(&self.open_api()?)?;
        Ok(with_envelope(root, &format!("{}/{}", self.group, self.version), self.kind))
    }

    /// The schema as `OpenAPI` v3 has it, without what every object has.
    pub fn open_api(&self) -> Result<Value, String> {
        let documents = yaml::parse(self.yaml.as_bytes(), &Limits::default()).map_err(|error| error.message)?;
        let document = documents.into_iter().next().ok_or("an empty definition")?.value;
        let mut schema = match document.pointer("/spec/versions/0/schema/openAPIV3Schema") {
            Some(schema) => schema.clone(),
            None => document,
        };
        if self.kind == "RestoreRequest" {
            extend_by_restore_session(&mut schema)?;
        }
        Ok(schema)
    }
}

/// A request says of the restore what a RestoreSession says, but for the rules, which a session also takes beside its
/// target, where they are deprecated.
fn extend_by_restore_session(schema: &mut Value) -> Result<(), String> {
    let session = CRDS.iter().find(|crd| crd.kind == "RestoreSession").ok_or("no RestoreSession")?.open_api()?;
    let theirs = session.pointer("/properties/spec/properties").and_then(Value::as_object).ok_or("no spec in it")?;
    let ours = schema.pointer_mut("/properties/spec/properties").and_then(Value::as_object_mut).ok_or("no spec")?;
    for (name, field) in theirs.iter().filter(|(name, _)| name.as_str() != "rules") {
        ours.entry(name).or_insert_with(|| field.clone());
    }
    Ok(())
}
