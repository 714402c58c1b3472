//! What every loop of the engine is given, and what it gives back.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::deed::{Deed, Write};
use super::look::{Look, Questions, Seen};
use super::queue::Limits;
use super::why::Why;
use crate::api::backend::Backend;
use crate::api::field::Field;
use crate::api::{BackupConfiguration, Repository};
use crate::build::security::PodSecurity;
use crate::build::{Fault, place};
use crate::model::address::Address;
use crate::model::facts::{FactKey, FactKind, Facts};
use crate::model::invoker::{BadField, Invoker, Named};
use crate::model::observed::Observed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// Kubernetes' own: a pod for each slot, which works while the daemon does not.
    CronJob,
    /// The daemon's: no pod.
    Internal,
}

/// How volumes of a workload are reached where its annotation does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    Job,
    Sidecar,
}

/// What an operator decides about runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Image of our own steps and of the trigger.
    pub image: String,
    /// Shipped `ClusterRole` of the trigger.
    pub trigger_role: String,
    pub zone: String,
    pub scheduler: Scheduler,
    pub model: Model,
    /// A pod that does not start within this never will.
    pub start_timeout: SignedDuration,
    pub limits: Limits,
    /// Secrets of Repositories may be copied into the namespace of a session, for its time.
    pub projection: bool,
}

/// The cluster at one moment.
#[derive(Clone, Copy)]
pub struct World<'a> {
    pub facts: &'a Facts,
    pub observed: &'a Observed,
    pub settings: &'a Settings,
    /// What the API server says of runs that it will not have an object of.
    pub refusals: &'a BTreeMap<FactKey, String>,
    pub now: Timestamp,
}

/// What a pass wants done.
#[derive(Debug, Default)]
pub struct Wanted {
    pub deeds: Vec<Deed>,
    /// The next moment at which time alone changes a decision.
    pub wake_at: Option<Timestamp>,
}

impl Wanted {
    pub fn push(&mut self, of: &FactKey, write: Write) {
        self.deeds.push(Deed { of: of.clone(), write });
    }

    pub fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }

    /// The whole status of an object, of the version that was read.
    pub fn status(&mut self, key: &FactKey, uid: &str, resource_version: &str, status: &Value) {
        let mut metadata = json!({"name": key.name, "uid": uid, "resourceVersion": resource_version});
        if !key.namespace.is_empty() {
            metadata["namespace"] = json!(key.namespace);
        }
        let document = json!({
            "apiVersion": key.kind.api_version(), "kind": key.kind.as_str(), "metadata": metadata, "status": status,
        });
        self.push(key, Write::Status(document));
    }
}

/// A Repository and where it is.
#[derive(Clone, Debug)]
pub struct Found {
    pub repository: Repository,
    pub uid: String,
    pub place: place::Place,
    pub address: String,
}

impl World<'_> {
    /// Why a run has not what it needs, and will not get it by waiting.
    pub(super) fn refusal(&self, run: &FactKey) -> Option<Why> {
        self.refusals.get(run).map(|message| Why { reason: "Rejected".to_owned(), message: message.clone() })
    }

    pub fn invoker(&self, namespace: &str, name: &str) -> Option<Result<Invoker, BadField>> {
        let fact = self.facts.find(FactKind::BackupConfiguration, namespace, name)?;
        Some(match serde_json::from_value::<BackupConfiguration>(fact.value()) {
            Ok(object) => Invoker::parse(&object),
            Err(error) => Err(BadField { field: "spec", message: error.to_string() }),
        })
    }

    /// None where it does not exist, or is being deleted.
    pub fn repository(&self, name: &Named, cache: bool) -> Option<Result<Found, Fault>> {
        let fact = self.facts.find(FactKind::Repository, &name.namespace, &name.name)?;
        if fact.deleting {
            return None;
        }
        let value = fact.value();
        let backend = value.pointer("/spec/backend").cloned().unwrap_or_default();
        let found = || {
            let bad = |message: String| Fault::new("BadBackend", format!("Repository {}: {message}", name.name));
            let repository: Repository = serde_json::from_value(value).map_err(|error| bad(error.to_string()))?;
            let address = Address::of(&backend, &name.namespace).map_err(|error| bad(error.to_string()))?;
            let none = Backend::default();
            let backend = repository.spec.get().and_then(|spec| spec.backend.get()).unwrap_or(&none);
            let place = place::of(backend, cache)?;
            Ok(Found { place, address: address.as_str().to_owned(), uid: fact.uid.clone(), repository })
        };
        Some(found())
    }

    /// Whether invokers of a namespace may use a Repository; else why not.
    pub fn may_use(&self, repository: &Found, name: &Named, from: &str) -> Result<(), String> {
        if name.namespace == from {
            return Ok(());
        }
        let refused = |why: &str| Err(format!("Repository {}/{} {why}", name.namespace, name.name));
        let policy = repository.repository.spec.get().and_then(|spec| spec.usage_policy.get());
        let Some(allowed) = policy.and_then(|policy| policy.allowed_namespaces.get()) else {
            return refused("has no usagePolicy, so only its own namespace may use it");
        };
        match allowed.from.get().map_or("Same", String::as_str) {
            "All" => Ok(()),
            "Selector" => {
                let labels = self.observed.namespaces.get(from).map(|namespace| &namespace.labels);
                let none = std::collections::BTreeMap::new();
                let selector = allowed.selector.get().cloned().unwrap_or_default();
                match super::selector::matches(&selector, labels.unwrap_or(&none)) {
                    Ok(true) => Ok(()),
                    Ok(false) => refused(&format!("does not allow namespace {from} (usagePolicy, selector)")),
                    Err(message) => refused(&format!("has a bad selector in its usagePolicy: {message}")),
                }
            }
            other => refused(&format!("does not allow namespace {from} (usagePolicy {other})")),
        }
    }

    pub fn pod_security(&self, namespace: &str) -> PodSecurity {
        let labels = self.observed.namespaces.get(namespace).map(|namespace| &namespace.labels);
        PodSecurity::of(labels.and_then(|labels| labels.get("pod-security.kubernetes.io/enforce")).map(String::as_str))
    }

    pub fn cluster(&self) -> &str {
        self.observed.cluster_uid.as_deref().unwrap_or_default()
    }

    /// Whether the storage Secret is there with a password; `None` while it is not known, else why not.
    pub fn secret(
        &self,
        questions: &mut Questions<'_>,
        namespace: &str,
        name: &str,
        since: Timestamp,
    ) -> Option<Result<Vec<String>, String>> {
        let look = Look::Secret { namespace: namespace.to_owned(), name: name.to_owned() };
        Some(match questions.ask(look, since)? {
            Seen::Missing => Err(format!("Backend Secret {namespace}/{name} does not exist.")),
            // Without the right to read it, the pod that mounts it finds out.
            Seen::Unknown(_) => Ok(Vec::new()),
            Seen::Found(keys) => {
                let keys: Vec<String> =
                    keys.as_array().into_iter().flatten().filter_map(|key| Some(key.as_str()?.to_owned())).collect();
                if keys.iter().any(|key| key == "RESTIC_PASSWORD") {
                    Ok(keys)
                } else {
                    Err(format!("Backend Secret {namespace}/{name} has no key RESTIC_PASSWORD."))
                }
            }
        })
    }
}

/// Text of an optional field.
pub fn text(field: &Field<String>) -> &str {
    field.get().map_or("", String::as_str)
}
