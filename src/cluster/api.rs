//! The only place that makes API handles, and only for what the table of verbs allows.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client, Config};

use super::item::{Extent, Item, Whole};
use crate::install::verbs::{Verb, allows};
use crate::model::facts::FactKind;
use crate::model::object::{Kind, ObjectKey};
use crate::model::observed::Watched;

/// The library has no limit for an answer that never begins. Longer than a quiet watch, which ends before five minutes.
const READ_TIME_MAX: Duration = Duration::from_mins(5);

/// Handles to what the daemon may touch. Cheap to clone.
#[derive(Clone)]
pub struct Handles {
    client: Client,
    namespace: String,
}

/// A use in this program that the table of verbs lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the table of verbs lacks {verb:?} of {resource}.{group}: this is a bug, please report it")]
pub struct MissingRight {
    group: String,
    resource: &'static str,
    verb: Verb,
}

impl Handles {
    /// Connects by a kubeconfig, or by the environment where none is named (`KUBECONFIG`, then the pod's own account).
    /// `namespace` is that of the Lease and the `ConfigMap`; without it, the connection's own.
    pub async fn connect(
        kubeconfig: Option<&Path>,
        context: Option<&str>,
        namespace: Option<&str>,
    ) -> anyhow::Result<Self> {
        let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
        // These errors tell their causes themselves: as a chain each would be said twice.
        let mut config = match kubeconfig {
            Some(path) => {
                let file = Kubeconfig::read_from(path).map_err(|error| anyhow!("{error}"))?;
                let config = Config::from_custom_kubeconfig(file, &options).await;
                config.map_err(|error| anyhow!("{} cannot be used: {error}", path.display()))?
            }
            None if context.is_some() => {
                let config = Config::from_kubeconfig(&options).await;
                config.map_err(|error| anyhow!("the kubeconfig cannot be used: {error}"))?
            }
            None => {
                let config = Config::infer().await;
                config.map_err(|error| anyhow!("no cluster: give --kubeconfig, or run inside a pod ({error})"))?
            }
        };
        // Retries would hide for minutes what a plan must know, and repeat writes whose right has ended meanwhile.
        config.default_retry = false;
        config.read_timeout = Some(READ_TIME_MAX);
        let namespace = namespace.map_or_else(|| config.default_namespace.clone(), str::to_owned);
        let client = Client::try_from(config).context("the connection to the cluster cannot be set up")?;
        Ok(Self::new(client, &namespace)?)
    }

    /// Handles over an existing client, for which retries should be off.
    pub fn new(client: Client, namespace: &str) -> Result<Self, MissingRight> {
        for (group, resource, verb) in uses() {
            if !allows(&group, resource, verb) {
                return Err(MissingRight { group, resource, verb });
            }
        }
        Ok(Self { client, namespace: namespace.to_owned() })
    }

    /// Namespace of the Lease and the `ConfigMap`.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// All objects of a collection, in all namespaces.
    pub(super) fn collection<P: Extent>(&self, watched: Watched) -> Api<Item<P>> {
        Api::all_with(self.client.clone(), &resource_of(watched))
    }

    /// All objects of a kind that the engine follows.
    pub(super) fn facts(&self, kind: FactKind) -> Api<Item<Whole>> {
        Api::all_with(self.client.clone(), &fact_resource(kind))
    }

    /// Address of a collection in a namespace, or of a cluster-scoped one; of what the table of verbs has only.
    pub(super) fn url(api_version: &str, resource: &str, namespace: &str) -> String {
        let (group, version) = split(api_version);
        let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        if namespace.is_empty() {
            format!("{root}/{resource}")
        } else {
            format!("{root}/namespaces/{namespace}/{resource}")
        }
    }

    /// Objects of a kind that we write, in the namespace of the key.
    pub(super) fn managed(&self, key: &ObjectKey) -> Api<DynamicObject> {
        let resource = resource_of(Watched::Managed(key.kind));
        if key.kind.namespaced() {
            Api::namespaced_with(self.client.clone(), &key.namespace, &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        }
    }

    /// Whether objects of the kind may ever be deleted.
    pub(super) fn may_delete(kind: Kind) -> bool {
        let watched = Watched::Managed(kind);
        allows(&group_of(watched), watched.resource(), Verb::Delete)
    }

    pub(super) fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(super) fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(super) fn events(&self, namespace: &str) -> Api<Event> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// Everything that the handles above are used for; deletes are asked for one by one.
fn uses() -> Vec<(String, &'static str, Verb)> {
    let mut uses = Vec::new();
    for watched in Watched::all() {
        uses.extend([Verb::List, Verb::Watch].map(|verb| (group_of(watched), watched.resource(), verb)));
    }
    for kind in FactKind::ALL {
        let group = split(kind.api_version()).0;
        uses.extend([Verb::List, Verb::Watch].map(|verb| (group.to_owned(), kind.resource(), verb)));
    }
    for (api_version, resource, verb) in super::deeds::USES.iter().chain(super::looks::USES) {
        uses.push((split(api_version).0.to_owned(), resource, *verb));
    }
    for watched in Kind::ALL.map(Watched::Managed) {
        uses.extend([Verb::Get, Verb::Create, Verb::Patch].map(|verb| (group_of(watched), watched.resource(), verb)));
    }
    let leases = [Verb::Get, Verb::Create, Verb::Update].map(|verb| ("coordination.k8s.io".to_owned(), "leases", verb));
    let state = [Verb::Get, Verb::Create, Verb::Patch].map(|verb| (String::new(), "configmaps", verb));
    uses.extend(leases);
    uses.extend(state);
    uses.push(("events.k8s.io".to_owned(), "events", Verb::Create));
    uses
}

fn resource_of(watched: Watched) -> ApiResource {
    let (group, version) = split(watched.api_version());
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, watched.kind()), watched.resource())
}

fn fact_resource(kind: FactKind) -> ApiResource {
    let (group, version) = split(kind.api_version());
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind.as_str()), kind.resource())
}

fn group_of(watched: Watched) -> String {
    split(watched.api_version()).0.to_owned()
}

/// Group (empty for the core group) and version.
fn split(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::verbs::rights;

    #[test]
    fn the_table_has_every_use_and_no_right_is_unused() {
        let mut used = uses();
        for kind in Kind::ALL.into_iter().filter(|kind| Handles::may_delete(*kind)) {
            let watched = Watched::Managed(kind);
            used.push((group_of(watched), watched.resource(), Verb::Delete));
        }
        for (group, resource, verb) in &used {
            assert!(allows(group, resource, *verb), "{group} {resource} {verb:?}");
        }
        for right in rights() {
            // A role is bound by no handle of ours, but by the API server that sees a binding made.
            for verb in right.verbs.iter().filter(|verb| **verb != Verb::Bind) {
                let granted = (right.group.to_owned(), right.resource, *verb);
                assert!(used.contains(&granted), "{granted:?} is granted and not used");
            }
        }
        assert!(!Handles::may_delete(Kind::Repository));
    }
}
