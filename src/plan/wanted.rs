//! A pair of objects that an annotated target asks for, before it is held against the cluster.

use serde_json::{Map, Value, json};

use super::world::Existing;
use crate::blueprint::resolve::Resolved;
use crate::model::desired::Blueprint;
use crate::model::keys;
use crate::model::object::{Kind, ObjectKey, TargetKey};

pub(super) struct Wanted<'a> {
    pub target: TargetKey,
    pub blueprint: &'a Blueprint,
    pub resolved: Resolved,
    pub repository: ObjectKey,
    pub configuration: ObjectKey,
    pub existing: Existing,
    /// A configuration that somebody else made for this target is taken over.
    pub adopts: bool,
}

impl Wanted<'_> {
    pub(super) fn repository_manifest(&self) -> Value {
        self.manifest(&self.repository, &self.resolved.repository_spec)
    }

    pub(super) fn configuration_manifest(&self) -> Value {
        let mut spec = self.resolved.configuration_spec.clone();
        let mut reference = Map::new();
        reference.insert("name".to_owned(), self.repository.name.clone().into());
        if self.repository.namespace != self.configuration.namespace {
            reference.insert("namespace".to_owned(), self.repository.namespace.clone().into());
        }
        spec.insert("repository".to_owned(), Value::Object(reference));
        self.manifest(&self.configuration, &Value::Object(spec))
    }

    fn manifest(&self, key: &ObjectKey, spec: &Value) -> Value {
        let mut labels = Map::new();
        labels.insert(keys::MANAGED_BY.to_owned(), keys::MANAGED_BY_US.into());
        if self.blueprint.name.len() <= LABEL_LENGTH_MAX {
            labels.insert(keys::BLUEPRINT.to_owned(), self.blueprint.name.clone().into());
        }
        json!({
            "apiVersion": key.kind.api_version(),
            "kind": key.kind.as_str(),
            "metadata": {
                "annotations": {
                    keys::BLUEPRINT: self.blueprint.name,
                    keys::SOURCE: self.blueprint.source,
                    keys::TARGET: self.target.identity(),
                },
                "labels": labels,
                "name": key.name,
                "namespace": key.namespace,
            },
            "spec": spec,
        })
    }

    /// Both objects, in the order in which they are written.
    pub(super) fn objects(&self) -> [(&ObjectKey, Value); 2] {
        debug_assert!(self.repository.kind == Kind::Repository);
        [(&self.repository, self.repository_manifest()), (&self.configuration, self.configuration_manifest())]
    }
}

/// Longest value of a label in Kubernetes.
const LABEL_LENGTH_MAX: usize = 63;
