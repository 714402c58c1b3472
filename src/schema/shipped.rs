//! The table of shipped definitions, and their compilation on first use.

use std::sync::OnceLock;

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
            .get_or_init(|| self.compile().expect("a shipped definition compiles: it is part of the binary and tested"))
    }

    fn compile(&self) -> Result<Node, String> {
        let documents = yaml::parse(self.yaml.as_bytes(), &Limits::default()).map_err(|error| error.message)?;
        let schema = documents
            .first()
            .and_then(|document| document.value.pointer("/spec/versions/0/schema/openAPIV3Schema"))
            .ok_or("no schema in it")?;
        let root = Node::compile(schema)?;
        Ok(with_envelope(root, &format!("{}/{}", self.group, self.version), self.kind))
    }
}
