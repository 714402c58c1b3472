//! Carries out what the engine wants: one request for each deed, those of one loop in their order, and only as the leader.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use kube::core::Request;
use kube::core::params::GetParams;
use kube::core::request;
use serde_json::{Map, Value, json};

use super::api::Handles;
use super::error::Failure;
use super::exchange::{Answer, exchange};
use super::lease::{Leader, WRITE_TIME_MAX};
use super::watch::Watches;
use crate::control::engine::deed::{Deed, Propagation, Write};
use crate::install::verbs::Verb;
use crate::model::applied::FailureClass;
use crate::model::facts::{FactKey, FactKind};
use crate::model::json::text;
use crate::model::keys::ENGINE_MANAGER;

/// Loops that are carried out at once: as many as groups of a plan.
const LOOPS_AT_ONCE: usize = 8;
const READ_TIME_MAX: Duration = Duration::from_secs(10);

const STASH: &str = "stash.appscode.com/v1beta1";

/// What the requests below are.
pub(super) const USES: &[(&str, &str, Verb)] = &[
    (STASH, "backupsessions", Verb::Get),
    (STASH, "backupsessions", Verb::Create),
    (STASH, "backupsessions", Verb::Patch),
    (STASH, "backupsessions", Verb::Delete),
    (STASH, "backupsessions/status", Verb::Patch),
    (STASH, "restoresessions", Verb::Patch),
    (STASH, "restoresessions/status", Verb::Patch),
    (STASH, "backupconfigurations/status", Verb::Patch),
    (STASH, "repositories/status", Verb::Patch),
    ("batch/v1", "jobs", Verb::Get),
    ("batch/v1", "jobs", Verb::Create),
    ("batch/v1", "jobs", Verb::Patch),
    ("batch/v1", "jobs", Verb::Delete),
    ("batch/v1", "cronjobs", Verb::Create),
    ("batch/v1", "cronjobs", Verb::Patch),
    ("batch/v1", "cronjobs", Verb::Delete),
    ("v1", "persistentvolumeclaims", Verb::Create),
    ("v1", "secrets", Verb::Get),
    ("v1", "secrets", Verb::Create),
    ("v1", "serviceaccounts", Verb::Create),
    ("v1", "serviceaccounts", Verb::Patch),
    ("rbac.authorization.k8s.io/v1", "rolebindings", Verb::Create),
    ("rbac.authorization.k8s.io/v1", "rolebindings", Verb::Patch),
];

/// What became of the deeds of one loop: all were done, or one failed and those after it were left.
pub struct Done {
    pub of: FactKey,
    pub failure: Option<NotDone>,
}

/// Why a deed was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotDone {
    pub class: FailureClass,
    pub message: String,
    /// An object was to be made, and the API server will not have it as it is.
    pub refused: bool,
}

pub async fn carry_out(handles: &Handles, leader: &Leader, watches: &Watches, deeds: Vec<Deed>) -> Vec<Done> {
    let mut loops: BTreeMap<FactKey, Vec<Write>> = BTreeMap::new();
    for deed in deeds {
        loops.entry(deed.of).or_default().push(deed.write);
    }
    let hand = Hand { handles, leader, watches };
    // The futures are made here: a closure over borrowed parts is not general enough to be sent.
    let all: Vec<_> = loops.into_iter().map(|(of, writes)| hand.all(of, writes)).collect();
    futures::stream::iter(all).buffer_unordered(LOOPS_AT_ONCE).collect().await
}

#[derive(Clone, Copy)]
struct Hand<'a> {
    handles: &'a Handles,
    leader: &'a Leader,
    watches: &'a Watches,
}

impl Hand<'_> {
    async fn all(self, of: FactKey, writes: Vec<Write>) -> Done {
        for write in writes {
            if let Err(failure) = self.one(&write).await {
                let class = class(&failure);
                let will_not = matches!(class, FailureClass::Invalid | FailureClass::Denied);
                let refused = will_not && matches!(write, Write::Create(_));
                return Done { of, failure: Some(NotDone { class, message: failure.to_string(), refused }) };
            }
        }
        Done { of, failure: None }
    }

    async fn one(&self, write: &Write) -> Result<(), Failure> {
        match write {
            Write::Create(manifest) => self.create(manifest).await,
            Write::Apply(manifest) => {
                let (url, name, what) = Self::place(manifest)?;
                let params = PatchParams::apply(ENGINE_MANAGER).force();
                let request = Request::new(url).patch(&name, &params, &Patch::Apply(manifest));
                self.send(request, &format!("apply {what}")).await
            }
            Write::Status(document) => {
                let (url, name, what) = Self::place(document)?;
                let params = PatchParams::apply(ENGINE_MANAGER).force();
                let request = Request::new(url).patch_subresource("status", &name, &params, &Patch::Apply(document));
                self.send(request, &format!("write the status of {what}")).await
            }
            Write::Mark { key, resource_version, finalizers, annotations } => {
                let mut metadata = json!({"resourceVersion": resource_version});
                if let Some(finalizers) = finalizers {
                    metadata["finalizers"] = json!(finalizers);
                }
                if !annotations.is_empty() {
                    metadata["annotations"] = annotations
                        .iter()
                        .map(|(key, value)| (key.clone(), json!(value)))
                        .collect::<Map<_, _>>()
                        .into();
                }
                let patch = json!({"metadata": metadata});
                let params = PatchParams { field_manager: Some(ENGINE_MANAGER.to_owned()), ..PatchParams::default() };
                let request = Request::new(Self::url(key)).patch(&key.name, &params, &Patch::Merge(&patch));
                match self.send(request, &format!("mark {}", key.spoken())).await {
                    // It is gone, and needs no mark any more.
                    Err(Failure::Missing(_)) => Ok(()),
                    other => other,
                }
            }
            Write::Delete { key, uid, propagation } => self.delete(key, uid, *propagation).await,
            Write::Project { manifest, from, keys } => self.project(manifest, from, keys).await,
        }
    }

    async fn create(&self, manifest: &Value) -> Result<(), Failure> {
        let (url, name, what) = Self::place(manifest)?;
        let body = serde_json::to_vec(manifest).map_err(|error| Failure::Invalid(format!("{what}: {error}")))?;
        let params = PostParams { field_manager: Some(ENGINE_MANAGER.to_owned()), ..PostParams::default() };
        let request = Request::new(url.clone()).create(&params, body);
        match self.send(request, &format!("create {what}")).await {
            // Of that name there is one, and it says the same: names are made of what they are for.
            Err(Failure::Conflict(_)) => {
                if FactKey::of(manifest).is_some() {
                    let request = Request::new(url).get(&name, &GetParams::default());
                    self.read(request, &format!("read {what}")).await.map(drop)
                } else {
                    Ok(())
                }
            }
            other => other,
        }
    }

    async fn delete(&self, key: &FactKey, uid: &str, propagation: Propagation) -> Result<(), Failure> {
        let params = DeleteParams {
            propagation_policy: Some(match propagation {
                Propagation::Foreground => PropagationPolicy::Foreground,
                Propagation::Background => PropagationPolicy::Background,
            }),
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteParams::default()
        };
        let request = Request::new(Self::url(key)).delete(&key.name, &params);
        match self.send(request, &format!("delete {}", key.spoken())).await {
            Err(Failure::Missing(_)) => Ok(()),
            other => other,
        }
    }

    /// The values pass through here and are kept nowhere.
    async fn project(&self, manifest: &Value, from: &(String, String), keys: &[&str]) -> Result<(), Failure> {
        let (namespace, name) = from;
        let request = Request::new(Handles::url("v1", "secrets", namespace)).get(name, &GetParams::default());
        let secret = self.read(request, &format!("read Secret {namespace}/{name}")).await?;
        let data = secret.get("data").and_then(Value::as_object).into_iter().flatten();
        let wanted: BTreeSet<&str> = keys.iter().copied().collect();
        let copied: Map<String, Value> = data
            .filter(|(key, _)| wanted.contains(key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let mut copy = manifest.clone();
        copy["data"] = Value::Object(copied);
        copy["type"] = json!("Opaque");
        self.create(&copy).await
    }

    fn url(key: &FactKey) -> String {
        Handles::url(key.kind.api_version(), key.kind.resource(), &key.namespace)
    }

    /// Address of the collection, name, and words for both.
    fn place(manifest: &Value) -> Result<(String, String, String), Failure> {
        let (api_version, kind) =
            (text(manifest, "apiVersion").unwrap_or_default(), text(manifest, "kind").unwrap_or_default());
        let resource = match (FactKind::of(api_version, kind), kind) {
            (Some(kind), _) => kind.resource(),
            (None, "PersistentVolumeClaim") => "persistentvolumeclaims",
            (None, "Secret") => "secrets",
            (None, other) => {
                return Err(Failure::Invalid(format!("{other} is no kind that the engine writes: this is a bug")));
            }
        };
        let metadata = manifest.get("metadata").unwrap_or(&Value::Null);
        let namespace = text(metadata, "namespace").unwrap_or_default();
        let name = text(metadata, "name").unwrap_or_default();
        let url = Handles::url(api_version, resource, namespace);
        Ok((url, name.to_owned(), format!("{kind} {namespace}/{name}")))
    }

    async fn send(&self, request: Result<http::Request<Vec<u8>>, request::Error>, what: &str) -> Result<(), Failure> {
        let request =
            request.map_err(|error| Failure::Invalid(format!("{what}: the request cannot be built: {error}")))?;
        let Some(permit) = self.leader.permit().await else {
            return Err(Failure::Transient(format!("{what}: another process leads now")));
        };
        let answer = exchange(self.handles.client(), request, WRITE_TIME_MAX, what).await;
        drop(permit);
        let Answer { object, .. } = answer?;
        self.watches.written(&object).await;
        tracing::debug!("{what}: done");
        Ok(())
    }

    async fn read(
        &self,
        request: Result<http::Request<Vec<u8>>, request::Error>,
        what: &str,
    ) -> Result<Value, Failure> {
        let request =
            request.map_err(|error| Failure::Invalid(format!("{what}: the request cannot be built: {error}")))?;
        let Answer { object, .. } = exchange(self.handles.client(), request, READ_TIME_MAX, what).await?;
        self.watches.written(&object).await;
        Ok(object)
    }
}

fn class(failure: &Failure) -> FailureClass {
    match failure {
        Failure::Denied(_) => FailureClass::Denied,
        Failure::Invalid(_) | Failure::Missing(_) => FailureClass::Invalid,
        Failure::Conflict(_) => FailureClass::Conflict,
        Failure::Throttled { .. } | Failure::Transient(_) | Failure::Unknown(_) => FailureClass::Transient,
    }
}
