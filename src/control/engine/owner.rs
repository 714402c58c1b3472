//! What a run has made for its pods, and owns: a copy of the storage Secret, and an interim volume.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::deed::Write;
use super::look::{Look, Questions, Seen};
use super::why::Why;
use super::world::{Found, Wanted, World, text};
use crate::api::claim::ClaimTemplate;
use crate::build::labels::{self, Component};
use crate::build::names;
use crate::build::place::secret_keys;
use crate::model::facts::{Fact, FactKey};
use crate::model::invoker::Named;
use crate::model::names::{NAME_LENGTH_MAX, limited};

/// A session of a backup or a restore.
pub(super) struct Owner<'a> {
    key: &'a FactKey,
    uid: &'a str,
    component: Component,
    created: Timestamp,
}

impl<'a> Owner<'a> {
    pub(super) fn of(key: &'a FactKey, fact: &'a Fact, component: Component, created: Timestamp) -> Self {
        Self { key, uid: &fact.uid, component, created }
    }

    /// Name of the storage Secret in the namespace of the run: a copy for its time, if the Repository lies elsewhere. None while
    /// it is being made.
    pub(super) fn secret(
        &self,
        world: &World<'_>,
        repository: &Named,
        found: &Found,
        questions: &mut Questions<'_>,
        wanted: &mut Wanted,
    ) -> Result<Option<String>, Why> {
        let namespace = &self.key.namespace;
        if repository.namespace == *namespace {
            return Ok(Some(found.place.secret.clone()));
        }
        if !world.settings.projection {
            let message = not_copied(repository);
            return Err(Why { reason: "SecretNotReachable".to_owned(), message });
        }
        let name = limited(&format!("{}-storage", self.key.name), NAME_LENGTH_MAX);
        let copy = Look::Secret { namespace: namespace.clone(), name: name.clone() };
        match questions.ask(copy, self.created) {
            Some(Seen::Found(_)) => Ok(Some(name)),
            Some(Seen::Unknown(_)) | None => Ok(None),
            Some(Seen::Missing) => {
                let manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": self.metadata(&name)});
                let from = (repository.namespace.clone(), found.place.secret.clone());
                let keys = secret_keys(found.place.provider);
                wanted.push(self.key, Write::Project { manifest, from, keys });
                Ok(None)
            }
        }
    }

    /// The claim of the interim volume, to be made together with the Job that mounts it.
    pub(super) fn interim(&self, template: &ClaimTemplate) -> Value {
        let name = template.metadata.get().map_or("", |metadata| text(&metadata.name));
        let claim = names::interim_claim(&self.key.name, name);
        json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": self.metadata(&claim),
            "spec": template.spec.get().cloned().unwrap_or_default(),
        })
    }

    fn metadata(&self, name: &str) -> Value {
        json!({
            "name": name, "namespace": self.key.namespace,
            "labels": labels::run(self.component, &self.key.name),
            "ownerReferences": [{
                "apiVersion": self.key.kind.api_version(), "kind": self.key.kind.as_str(), "name": self.key.name,
                "uid": self.uid, "controller": true, "blockOwnerDeletion": false,
            }],
        })
    }
}

pub(super) fn not_copied(repository: &Named) -> String {
    format!(
        "Repository {}/{} lies in another namespace, and its Secret is not copied: start the daemon with --secret-projection",
        repository.namespace, repository.name
    )
}
