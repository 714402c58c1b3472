//! A pair of objects that an annotated target asks for, each held against its live twin.

use serde_json::{Map, Value, json};

use super::judge::Verdict;
use super::world::Existing;
use crate::blueprint::resolve::Resolved;
use crate::model::address::Address;
use crate::model::desired::Blueprint;
use crate::model::keys;
use crate::model::object::{ObjectKey, TargetKey};
use crate::policy::Decision;

/// Without the specs: ten thousand of these are alive at once, and most objects are as they should be.
pub(super) struct Wanted<'a> {
    pub target: TargetKey,
    pub blueprint: &'a Blueprint,
    pub address: Address,
    pub schedule: String,
    /// The annotation that decided the schedule, if one did.
    pub schedule_annotation: Option<&'static str>,
    pub repository: ObjectKey,
    pub configuration: ObjectKey,
    /// Of the Repository and of the configuration, the order in which they are written.
    pub verdicts: [Verdict; 2],
    /// What the policies say of both, in the same order.
    pub decisions: [Vec<Decision>; 2],
    pub existing: Existing,
    /// A configuration that somebody else made for this target is taken over.
    pub adopts: bool,
}

/// Repository and BackupConfiguration as they are sent.
pub(super) fn manifests(
    target: &TargetKey,
    blueprint: &Blueprint,
    resolved: Resolved,
    repository: &ObjectKey,
    configuration: &ObjectKey,
) -> [Value; 2] {
    let mut reference = Map::new();
    reference.insert("name".to_owned(), repository.name.clone().into());
    if repository.namespace != configuration.namespace {
        reference.insert("namespace".to_owned(), repository.namespace.clone().into());
    }
    let mut spec = resolved.configuration_spec;
    spec.insert("repository".to_owned(), Value::Object(reference));
    [
        manifest(target, blueprint, repository, resolved.repository_spec),
        manifest(target, blueprint, configuration, Value::Object(spec)),
    ]
}

fn manifest(target: &TargetKey, blueprint: &Blueprint, key: &ObjectKey, spec: Value) -> Value {
    let mut labels = Map::new();
    labels.insert(keys::MANAGED_BY.to_owned(), keys::MANAGED_BY_US.into());
    if blueprint.name.len() <= LABEL_LENGTH_MAX {
        labels.insert(keys::BLUEPRINT.to_owned(), blueprint.name.clone().into());
    }
    let mut manifest = json!({
        "apiVersion": key.kind.api_version(),
        "kind": key.kind.as_str(),
        "metadata": {
            "annotations": {
                keys::BLUEPRINT: blueprint.name,
                keys::SOURCE: blueprint.source,
                keys::TARGET: target.identity(),
            },
            "name": key.name,
            "namespace": key.namespace,
        },
    });
    // Moved, where the macro would make a copy.
    manifest["metadata"]["labels"] = Value::Object(labels);
    manifest["spec"] = spec;
    manifest
}

/// Longest value of a label in Kubernetes.
const LABEL_LENGTH_MAX: usize = 63;
