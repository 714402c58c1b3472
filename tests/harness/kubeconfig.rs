//! Kubeconfig files as far as tests need them: one server, one authority, one identity.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

/// How to reach an API server, and as whom.
#[derive(Clone)]
pub(crate) struct ServerAccess {
    pub(crate) server: String,
    /// PEM; none over plain HTTP.
    pub(crate) authority: Option<Vec<u8>>,
    /// Certificate and key, PEM.
    pub(crate) certificate: Option<(Vec<u8>, Vec<u8>)>,
    pub(crate) token: Option<String>,
}

impl ServerAccess {
    /// Reads the current context of a kubeconfig file.
    ///
    /// # Panics
    /// If the file has no usable current context, or logs in by a plugin.
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let config: Value = serde_yaml::from_str(&text).expect("a kubeconfig is YAML");
        let entry = |list: &str, name: &Value| {
            let entries = config[list].as_array().expect("a list");
            entries.iter().find(|entry| &entry["name"] == name).unwrap_or_else(|| panic!("no {name} in {list}")).clone()
        };
        let context = entry("contexts", &config["current-context"])["context"].clone();
        let cluster = entry("clusters", &context["cluster"])["cluster"].clone();
        let user = entry("users", &context["user"])["user"].clone();
        assert!(user.get("exec").is_none(), "{}: log-in by a plugin is not supported by tests", path.display());
        let pem = |object: &Value, key: &str| {
            let inline =
                object[format!("{key}-data")].as_str().map(|data| BASE64_STANDARD.decode(data).expect("base64"));
            inline.or_else(|| object[key].as_str().map(|file| fs::read(file).unwrap_or_else(|e| panic!("{file}: {e}"))))
        };
        Self {
            server: cluster["server"].as_str().expect("a cluster has a server").to_owned(),
            authority: pem(&cluster, "certificate-authority"),
            certificate: pem(&user, "client-certificate").zip(pem(&user, "client-key")),
            token: user["token"].as_str().map(str::to_owned),
        }
    }

    /// Writes a kubeconfig file that only this user may read.
    pub(crate) fn write(&self, path: &Path) {
        let mut cluster = json!({ "server": self.server });
        if let Some(authority) = &self.authority {
            cluster["certificate-authority-data"] = BASE64_STANDARD.encode(authority).into();
        }
        let mut user = json!({});
        if let Some(token) = &self.token {
            user["token"] = token.clone().into();
        }
        if let Some((certificate, key)) = &self.certificate {
            user["client-certificate-data"] = BASE64_STANDARD.encode(certificate).into();
            user["client-key-data"] = BASE64_STANDARD.encode(key).into();
        }
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{ "name": "test", "cluster": cluster }],
            "users": [{ "name": "test", "user": user }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        });
        let mut file = fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        write!(file, "{config:#}").expect("kubeconfig written");
    }
}
