//! The daemon's own objects: namespace, rights and deployment, as YAML that `kubectl apply` takes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::rbac::{ACCOUNT, rbac};
use crate::yaml;

/// What an installation has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub namespace: String,
    pub image: String,
    pub cluster_name: String,
    pub git_url: String,
    /// Secret of the namespace that holds the credentials for Git; without it the daemon only reads a public source.
    pub git_credentials: Option<String>,
    /// Secret with other credentials, for the repository of the status branch.
    pub status_credentials: Option<String>,
    /// Secret whose key `identity` signs the status branch.
    pub signing_key: Option<String>,
    /// More flags of the daemon.
    pub flags: Vec<String>,
    /// By resource, as a container has them.
    pub requests: BTreeMap<String, String>,
    pub limits: BTreeMap<String, String>,
}

/// Where an installation goes that names no namespace.
pub const NAMESPACE: &str = "holdfast";
/// The image of this version; nothing publishes it, so the name says that it is the machine's own.
pub const IMAGE: &str = concat!("localhost/holdfast:", env!("CARGO_PKG_VERSION"));
/// What starting and listing a mid-sized cluster takes.
const REQUESTS: [(&str, &str); 2] = [("cpu", "50m"), ("memory", "128Mi")];
/// Twice what a plan over 10,000 targets may take (150 MiB), with room for the clone's delta bases. No limit of CPU:
/// it would only make a pass longer.
const LIMITS: [(&str, &str); 1] = [("memory", "512Mi")];

impl Settings {
    /// What must be said, and for the rest what is shipped.
    pub fn new(cluster_name: &str, git_url: &str) -> Self {
        let owned = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(resource, quantity)| ((*resource).to_owned(), (*quantity).to_owned())).collect()
        };
        Self {
            namespace: NAMESPACE.to_owned(),
            image: IMAGE.to_owned(),
            cluster_name: cluster_name.to_owned(),
            git_url: git_url.to_owned(),
            git_credentials: None,
            status_credentials: None,
            signing_key: None,
            flags: Vec::new(),
            requests: owned(&REQUESTS),
            limits: owned(&LIMITS),
        }
    }

    /// The command line of the daemon.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            "daemon".to_owned(),
            format!("--namespace={}", self.namespace),
            format!("--cluster-name={}", self.cluster_name),
            format!("--git-url={}", self.git_url),
            format!("--listen=:{PORT}"),
            format!("--agent-image={}", self.image),
        ];
        arguments.extend(self.secrets().map(|secret| secret.flag.to_owned()));
        arguments.extend(self.flags.iter().cloned());
        arguments
    }

    /// Secrets that are mounted, each for one flag.
    fn secrets(&self) -> impl Iterator<Item = Mounted<'_>> {
        let all = [
            ("git-credentials", &self.git_credentials, "/etc/holdfast/git", "--git-credentials=/etc/holdfast/git"),
            (
                "status-credentials",
                &self.status_credentials,
                "/etc/holdfast/status",
                "--status-credentials=/etc/holdfast/status",
            ),
            (
                "signing-key",
                &self.signing_key,
                "/etc/holdfast/signing",
                "--status-signing-key=/etc/holdfast/signing/identity",
            ),
        ];
        all.into_iter()
            .filter_map(|(name, secret, folder, flag)| Some(Mounted { name, secret: secret.as_deref()?, folder, flag }))
    }
}

/// A Secret in the pod, and the flag that says where it is.
struct Mounted<'a> {
    name: &'static str,
    secret: &'a str,
    folder: &'static str,
    flag: &'static str,
}

/// Port of health checks and metrics.
const PORT: u16 = 8080;
/// Anything but root; an own number keeps files apart from those of other images.
const USER: u32 = 65532;
/// The bare clone lies here: the limit of a fetch (256 MiB), twice, and room for the pack that replaces it.
const CACHE_SIZE: &str = "1Gi";

/// Namespace, `ServiceAccount`, RBAC and Deployment, in the order in which they must be made.
pub fn manifests(settings: &Settings) -> Vec<Value> {
    let labels = json!({"app.kubernetes.io/name": "holdfast"});
    let mut objects = vec![namespace(&settings.namespace, &labels)];
    objects.extend(rbac(&settings.namespace, &labels));
    objects.push(deployment(settings, &labels));
    objects
}

/// Many documents in one text.
pub fn to_yaml(objects: &[Value]) -> String {
    let mut text = String::new();
    for object in objects {
        text.push_str("---\n");
        text.push_str(&yaml::write(object));
    }
    text
}

fn namespace(name: &str, labels: &Value) -> Value {
    let mut labels = labels.clone();
    labels["pod-security.kubernetes.io/enforce"] = json!("restricted");
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

fn deployment(settings: &Settings, labels: &Value) -> Value {
    let mut volumes = vec![json!({"name": "cache", "emptyDir": {"sizeLimit": CACHE_SIZE}})];
    volumes.extend(settings.secrets().map(|one| json!({"name": one.name, "secret": {"secretName": one.secret}})));
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "holdfast", "namespace": settings.namespace, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": ACCOUNT,
                    // They would come as HOLDFAST_..., as the twins of the daemon's flags do.
                    "enableServiceLinks": false,
                    "securityContext": {
                        "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [container(settings)],
                    "volumes": volumes,
                },
            },
        },
    })
}

fn container(settings: &Settings) -> Value {
    let mut mounts = vec![json!({"name": "cache", "mountPath": "/tmp"})];
    let secrets = settings.secrets().map(|one| json!({"name": one.name, "mountPath": one.folder, "readOnly": true}));
    mounts.extend(secrets);
    json!({
        "name": "holdfast",
        "image": settings.image,
        "args": settings.arguments(),
        "ports": [{"name": "http", "containerPort": PORT}],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}},
        "resources": {"requests": settings.requests, "limits": settings.limits},
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let settings = Settings::new("prod-eu1", "https://git.example.com/acme/platform");
        Settings { namespace: "backup".to_owned(), image: "example.org/holdfast:1".to_owned(), ..settings }
    }

    #[test]
    fn everything_lies_in_the_chosen_namespace() {
        let objects = manifests(&settings());
        let kinds: Vec<&str> = objects.iter().filter_map(|object| object["kind"].as_str()).collect();
        assert_eq!(
            kinds,
            [
                "Namespace",
                "ServiceAccount",
                "ClusterRole",
                "ClusterRoleBinding",
                "Role",
                "RoleBinding",
                "ClusterRole",
                "Deployment"
            ]
        );
        for object in &objects {
            if let Some(namespace) = object["metadata"].get("namespace") {
                assert_eq!(namespace, "backup", "{object}");
            }
        }
    }

    #[test]
    fn credentials_are_mounted_only_where_there_are_some() {
        let without = manifests(&settings()).pop().unwrap().to_string();
        let with = Settings { git_credentials: Some("git".to_owned()), ..settings() };
        let with = manifests(&with).pop().unwrap().to_string();
        assert!(!without.contains("credentials"), "{without}");
        assert!(
            with.contains("--git-credentials=/etc/holdfast/git") && with.contains(r#""secretName":"git""#),
            "{with}"
        );
    }

    #[test]
    fn flags_come_last_and_resources_as_they_are_given() {
        let settings = Settings {
            flags: vec!["--git-ref=main".to_owned(), "--read-only".to_owned()],
            requests: BTreeMap::new(),
            limits: BTreeMap::from([("memory".to_owned(), "1Gi".to_owned())]),
            ..settings()
        };
        let deployment = manifests(&settings).pop().unwrap();
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let arguments = container["args"].as_array().unwrap();
        assert_eq!(arguments[arguments.len() - 2..], [json!("--git-ref=main"), json!("--read-only")]);
        assert_eq!(container["resources"], json!({"requests": {}, "limits": {"memory": "1Gi"}}));
    }

    #[test]
    fn the_same_settings_give_the_same_bytes() {
        let text = to_yaml(&manifests(&settings()));
        assert_eq!(text, to_yaml(&manifests(&settings())));
        assert_eq!(text.matches("---\n").count(), 8);
        assert!(text.contains("- --cluster-name=prod-eu1\n"), "{text}");
    }
}
