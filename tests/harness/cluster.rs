//! A real API server: namespaces, service accounts and objects for tests.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::{
    api::{
        authentication::v1::{TokenRequest, TokenRequestSpec},
        core::v1::{Namespace, ServiceAccount},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, DynamicObject, GroupVersionKind, ObjectMeta, Patch, PatchParams, PostParams, TypeMeta},
    config::{KubeConfigOptions, Kubeconfig},
    discovery::{self, Scope},
    runtime::{conditions, wait::Condition as _},
};
use serde::Deserialize as _;

use super::{
    audit::AuditLog,
    kubeconfig::ServerAccess,
    lab::{self, Lab},
    wait::eventually,
};

const FIELD_MANAGER: &str = "holdfast-test";
const SOON: Duration = Duration::from_secs(20);
/// Longer than any test runs.
const TOKEN_SECONDS: i64 = 3600;

/// The cluster that all tests share. Made anew in each test: a client belongs to the test's runtime.
pub(crate) struct Cluster {
    /// May do everything.
    pub(crate) admin: Client,
    lab: &'static Lab,
}

/// A namespace of one test; its deletion starts when it is dropped.
pub(crate) struct TestNamespace {
    pub(crate) name: String,
    kubeconfig: PathBuf,
}

impl Cluster {
    /// The cluster, started at the first call; none (and one loud line) where it cannot run:
    /// `let Some(cluster) = Cluster::get().await else { return };`
    pub(crate) async fn get() -> Option<Self> {
        Some(Self::of(lab::lab()?).await)
    }

    /// A started cluster.
    pub(crate) async fn of(lab: &'static Lab) -> Self {
        // It repeats such requests: the server has 429 for objects whose CRD is only just there.
        let admin = Client::try_from(config(&lab.kubeconfig).await).expect("a client");
        Self { admin, lab }
    }

    /// The administrator's kubeconfig file.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.lab.kubeconfig
    }

    /// The log of all requests; only a cluster that the tests started has one.
    pub(crate) fn audit_log(&self) -> Option<AuditLog> {
        Some(AuditLog::new(self.lab.audit_log.clone()?, self.admin.clone()))
    }

    /// Makes a namespace `PREFIX-...` that no other test has, and waits until pods are accepted in it.
    pub(crate) async fn namespace(&self, prefix: &str) -> TestNamespace {
        let metadata = ObjectMeta { generate_name: Some(format!("{prefix}-")), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        let made = Api::all(self.admin.clone()).create(&PostParams::default(), &namespace).await;
        let name = made.expect("namespace made").metadata.name.expect("the server has named it");
        self.service_account_exists(&name, "default").await;
        TestNamespace { name, kubeconfig: self.kubeconfig().to_owned() }
    }

    /// A kubeconfig file with a token of the service account, in the folder that Cargo has for tests.
    /// Waits for the account to exist.
    pub(crate) async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> PathBuf {
        self.service_account_exists(namespace, name).await;
        let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let accounts = Api::<ServiceAccount>::namespaced(self.admin.clone(), namespace);
        let issued = accounts.create_token_request(name, &PostParams::default(), &request).await.expect("token issued");
        let admin = ServerAccess::read(self.kubeconfig());
        let token = issued.status.expect("an issued token has a status").token;
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{namespace}.{name}.kubeconfig"));
        ServerAccess { token, certificate: None, ..admin }.write(&path);
        path
    }

    /// Applies all documents of `yaml` in their order (server-side, with force) and gives what the
    /// server made of them. Objects without a namespace go to `namespace`. A CRD is waited for until
    /// its objects can be made.
    pub(crate) async fn apply_yaml(&self, yaml: &str, namespace: &str) -> Vec<DynamicObject> {
        let mut applied = Vec::new();
        for document in serde_yaml::Deserializer::from_str(yaml) {
            let Some(object) = Option::<DynamicObject>::deserialize(document).expect("a Kubernetes object") else {
                continue;
            };
            applied.push(self.apply(object, namespace).await);
        }
        applied
    }

    async fn apply(&self, object: DynamicObject, namespace: &str) -> DynamicObject {
        let types = object.types.clone().expect("an object has a kind");
        let name = object.metadata.name.clone().expect("an object has a name");
        let api = self.dynamic_api(&types, object.metadata.namespace.as_deref().unwrap_or(namespace)).await;
        let applied = api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&object)).await;
        let applied = applied.unwrap_or_else(|error| panic!("{} {name}: {error}", types.kind));
        if types.kind == "CustomResourceDefinition" {
            self.established(&name).await;
        }
        applied
    }

    /// The API of a kind by its name; waits for the server to offer it.
    async fn dynamic_api(&self, types: &TypeMeta, namespace: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::try_from(types).expect("a well-formed apiVersion");
        let (resource, capabilities) = eventually(SOON, &format!("{} offered", types.kind), async || {
            discovery::pinned_kind(&self.admin, &kind).await
        })
        .await;
        match capabilities.scope {
            Scope::Cluster => Api::all_with(self.admin.clone(), &resource),
            Scope::Namespaced => Api::namespaced_with(self.admin.clone(), namespace, &resource),
        }
    }

    async fn established(&self, name: &str) {
        let definitions = Api::<CustomResourceDefinition>::all(self.admin.clone());
        eventually(SOON, &format!("CRD {name} established"), async || {
            let definition = definitions.get(name).await.map_err(|error| error.to_string())?;
            let ready = conditions::is_crd_established().matches_object(Some(&definition));
            if ready { Ok(()) } else { Err("not yet".to_owned()) }
        })
        .await;
    }

    async fn service_account_exists(&self, namespace: &str, name: &str) {
        let accounts = Api::<ServiceAccount>::namespaced(self.admin.clone(), namespace);
        eventually(SOON, &format!("ServiceAccount {namespace}/{name}"), async || accounts.get(name).await).await;
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        if lab::is_kept() {
            return;
        }
        let (name, kubeconfig) = (self.name.clone(), self.kubeconfig.clone());
        // The test's own runtime cannot be waited for here, so a thread brings one.
        let deleted = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let namespaces = Api::<Namespace>::all(client(&kubeconfig).await);
                tokio::time::timeout(SOON, namespaces.delete(&name, &DeleteParams::background())).await
            })
        });
        // A namespace that stays is no reason to fail a test: its name is used once.
        let _ = deleted.join();
    }
}

/// A client for a kubeconfig file that shows failures as they are: kube repeats requests answered
/// with 429, 503 and 504 unless told otherwise.
pub(crate) async fn client(kubeconfig: &Path) -> Client {
    let mut config = config(kubeconfig).await;
    config.default_retry = false;
    Client::try_from(config).expect("a client")
}

async fn config(kubeconfig: &Path) -> Config {
    let read = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig file");
    Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.expect("a usable kubeconfig")
}
