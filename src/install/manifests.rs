//! The daemon's own objects: namespace, rights and deployment, as YAML that `kubectl apply` takes.

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
}

/// Port of health checks and metrics.
const PORT: u16 = 8080;
/// Anything but root; an own number keeps files apart from those of other images.
const USER: u32 = 65532;
/// The bare clone lies here: the limit of a fetch (256 MiB), twice, and room for the pack that replaces it.
const CACHE_SIZE: &str = "1Gi";
/// Twice what a plan over 10,000 targets may take (150 MiB), with room for the clone's delta bases.
const MEMORY_LIMIT: &str = "512Mi";
const CREDENTIALS: &str = "/etc/holdfast/git";

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
    if let Some(secret) = &settings.git_credentials {
        volumes.push(json!({"name": "git-credentials", "secret": {"secretName": secret}}));
    }
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
    let mut args = vec![
        "daemon".to_owned(),
        format!("--namespace={}", settings.namespace),
        format!("--cluster-name={}", settings.cluster_name),
        format!("--git-url={}", settings.git_url),
        format!("--listen=:{PORT}"),
    ];
    let mut mounts = vec![json!({"name": "cache", "mountPath": "/tmp"})];
    if settings.git_credentials.is_some() {
        args.push(format!("--git-credentials={CREDENTIALS}"));
        mounts.push(json!({"name": "git-credentials", "mountPath": CREDENTIALS, "readOnly": true}));
    }
    json!({
        "name": "holdfast",
        "image": settings.image,
        "args": args,
        "ports": [{"name": "http", "containerPort": PORT}],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}},
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": MEMORY_LIMIT}},
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
        Settings {
            namespace: "backup".to_owned(),
            image: "example.org/holdfast:1".to_owned(),
            cluster_name: "prod-eu1".to_owned(),
            git_url: "https://git.example.com/acme/platform".to_owned(),
            git_credentials: None,
        }
    }

    #[test]
    fn everything_lies_in_the_chosen_namespace() {
        let objects = manifests(&settings());
        let kinds: Vec<&str> = objects.iter().filter_map(|object| object["kind"].as_str()).collect();
        assert_eq!(
            kinds,
            ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Deployment"]
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
    fn the_same_settings_give_the_same_bytes() {
        let text = to_yaml(&manifests(&settings()));
        assert_eq!(text, to_yaml(&manifests(&settings())));
        assert_eq!(text.matches("---\n").count(), 7);
        assert!(text.contains("- --cluster-name=prod-eu1\n"), "{text}");
    }
}
