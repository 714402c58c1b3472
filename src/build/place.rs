//! Where a Repository is, in the words of restic and as a volume of a pod.

use serde_json::{Value, json};

use super::fault::Fault;
use crate::api::backend::{Backend, Bucket, Local};
use crate::api::field::Field;
use crate::model::step::RepositoryPlace;

/// Name of the volume of a Repository that is one.
pub const VOLUME: &str = "holdfast-repository";

/// A place, and what pods need to reach it.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub repository: RepositoryPlace,
    /// Name of the Secret with the password and the credentials, in the namespace of the Repository.
    pub secret: String,
    /// Volume and mount of a Repository in a volume.
    pub volume: Option<(Value, Value)>,
    /// Provider and what the variables of Functions call bucket, prefix and endpoint.
    pub provider: &'static str,
    pub bucket: String,
    pub prefix: String,
    pub endpoint: String,
}

/// The keys of a storage Secret that a provider reads: no other is ever copied.
pub fn secret_keys(provider: &str) -> &'static [&'static str] {
    match provider {
        "s3" => &["RESTIC_PASSWORD", "CA_CERT_DATA", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"],
        "gcs" => &["RESTIC_PASSWORD", "CA_CERT_DATA", "GOOGLE_PROJECT_ID", "GOOGLE_SERVICE_ACCOUNT_JSON_KEY"],
        "azure" => &["RESTIC_PASSWORD", "CA_CERT_DATA", "AZURE_ACCOUNT_NAME", "AZURE_ACCOUNT_KEY", "AZURE_ACCOUNT_SAS"],
        "b2" => &["RESTIC_PASSWORD", "CA_CERT_DATA", "B2_ACCOUNT_ID", "B2_ACCOUNT_KEY"],
        "rest" => &["RESTIC_PASSWORD", "CA_CERT_DATA", "REST_SERVER_USERNAME", "REST_SERVER_PASSWORD"],
        "swift" => SWIFT_KEYS,
        _ => &["RESTIC_PASSWORD"],
    }
}

const SWIFT_KEYS: &[&str] = &[
    "RESTIC_PASSWORD",
    "CA_CERT_DATA",
    "ST_AUTH",
    "ST_USER",
    "ST_KEY",
    "OS_AUTH_URL",
    "OS_REGION_NAME",
    "OS_USERNAME",
    "OS_PASSWORD",
    "OS_TENANT_ID",
    "OS_TENANT_NAME",
    "OS_USER_DOMAIN_NAME",
    "OS_PROJECT_NAME",
    "OS_PROJECT_DOMAIN_NAME",
    "OS_APPLICATION_CREDENTIAL_ID",
    "OS_APPLICATION_CREDENTIAL_NAME",
    "OS_APPLICATION_CREDENTIAL_SECRET",
    "OS_STORAGE_URL",
    "OS_AUTH_TOKEN",
];

/// Of a `spec.backend`; when several providers are set, the one that Stash would use.
pub fn of(backend: &Backend, cache: bool) -> Result<Place, Fault> {
    let secret = text(&backend.storage_secret_name);
    if secret.is_empty() {
        return Err(missing("storageSecretName"));
    }
    let place = |provider, address: String, bucket: &str, prefix: &str| Place {
        repository: RepositoryPlace { address, region: None, insecure_tls: false, connections: None, cache },
        secret: secret.clone(),
        volume: None,
        provider,
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        endpoint: String::new(),
    };
    if let Some(local) = backend.local.get() {
        let (path, volume) = local_volume(local)?;
        return Ok(Place { volume: Some(volume), ..place("local", path.clone(), &path, "") });
    }
    if let Some(s3) = backend.s3.get() {
        let (endpoint, bucket) = (given("s3.endpoint", &s3.endpoint)?, given("s3.bucket", &s3.bucket)?);
        let prefix = cleaned(&text(&s3.prefix));
        let mut found = place("s3", joined(&format!("s3:{endpoint}/{bucket}"), &prefix), &bucket, &prefix);
        found.repository.region = Some(text(&s3.region)).filter(|region| !region.is_empty());
        found.repository.insecure_tls = s3.insecure_tls.get().copied().unwrap_or(false);
        found.endpoint = endpoint;
        return Ok(found);
    }
    let bucket = |provider, scheme: &str, at: &'static str, of: &Bucket| -> Result<Place, Fault> {
        let (bucket, prefix) = (given(at, &of.bucket)?, cleaned(&text(&of.prefix)));
        let mut found = place(provider, format!("{scheme}:{bucket}:/{prefix}"), &bucket, &prefix);
        found.repository.connections = connections(&of.max_connections);
        Ok(found)
    };
    if let Some(gcs) = backend.gcs.get() {
        return bucket("gcs", "gs", "gcs.bucket", gcs);
    }
    if let Some(azure) = backend.azure.get() {
        let (container, prefix) = (given("azure.container", &azure.container)?, cleaned(&text(&azure.prefix)));
        let mut found = place("azure", format!("azure:{container}:/{prefix}"), &container, &prefix);
        found.repository.connections = connections(&azure.max_connections);
        return Ok(found);
    }
    if let Some(swift) = backend.swift.get() {
        let (container, prefix) = (given("swift.container", &swift.container)?, cleaned(&text(&swift.prefix)));
        return Ok(place("swift", format!("swift:{container}:/{prefix}"), &container, &prefix));
    }
    if let Some(b2) = backend.b2.get() {
        return bucket("b2", "b2", "b2.bucket", b2);
    }
    if let Some(rest) = backend.rest.get() {
        let url = given("rest.url", &rest.url)?;
        let bare = url.split_once("://").map_or(url.as_str(), |(_, bare)| bare);
        let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        return Ok(place("rest", format!("rest:{url}"), host, &cleaned(path)));
    }
    Err(Fault::new("BadBackend", "spec.backend names no provider; give one of local, s3, gcs, azure, swift, b2, rest"))
}

fn local_volume(local: &Local) -> Result<(String, (Value, Value)), Fault> {
    let path = given("local.mountPath", &local.mount_path)?;
    if !path.starts_with('/') || path == "/" || path.split('/').any(|part| part == "..") {
        return Err(Fault::new(
            "BadBackend",
            format!("spec.backend.local.mountPath {path:?} is no path below the root"),
        ));
    }
    let mut volume = Value::Object(local.volume.clone());
    volume["name"] = json!(VOLUME);
    let mut mount = json!({"name": VOLUME, "mountPath": path});
    if let Some(sub) = local.sub_path.get().filter(|sub| !sub.is_empty()) {
        mount["subPath"] = json!(sub.trim_matches('/'));
    }
    Ok((path, (volume, mount)))
}

/// Without empty and dotted parts, as Stash cleans it.
fn cleaned(path: &str) -> String {
    path.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/")
}

fn joined(root: &str, prefix: &str) -> String {
    if prefix.is_empty() { root.to_owned() } else { format!("{root}/{prefix}") }
}

fn connections(field: &Field<i64>) -> Option<u32> {
    field.get().and_then(|count| u32::try_from(*count).ok()).filter(|count| *count > 0)
}

fn text(field: &Field<String>) -> String {
    field.get().cloned().unwrap_or_default()
}

fn given(name: &'static str, field: &Field<String>) -> Result<String, Fault> {
    Some(text(field)).filter(|text| !text.is_empty()).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Fault {
    Fault::new("BadBackend", format!("spec.backend.{name} of the Repository is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(backend: Value) -> Place {
        of(&serde_json::from_value(backend).unwrap(), true).unwrap()
    }

    #[test]
    fn every_provider_has_the_address_that_restic_gives_it() {
        for (provider, address) in [
            (
                json!({"s3": {"endpoint": "s3.amazonaws.com", "bucket": "b", "prefix": "/a//c/"}}),
                "s3:s3.amazonaws.com/b/a/c",
            ),
            (json!({"s3": {"endpoint": "http://minio:9000", "bucket": "b"}}), "s3:http://minio:9000/b"),
            (json!({"gcs": {"bucket": "b", "prefix": "/x"}}), "gs:b:/x"),
            (json!({"azure": {"container": "c", "prefix": "x"}}), "azure:c:/x"),
            (json!({"swift": {"container": "c", "prefix": "x"}}), "swift:c:/x"),
            (json!({"b2": {"bucket": "b", "prefix": "x"}}), "b2:b:/x"),
            (json!({"rest": {"url": "http://rest:8000/a"}}), "rest:http://rest:8000/a"),
        ] {
            let mut backend = provider;
            backend["storageSecretName"] = json!("storage");
            assert_eq!(place(backend).repository.address, address);
        }
    }

    #[test]
    fn a_volume_is_mounted_where_it_says() {
        let local = place(json!({"storageSecretName": "s", "local":
            {"persistentVolumeClaim": {"claimName": "backups"}, "mountPath": "/safe/data", "subPath": "a"}}));
        let (volume, mount) = local.volume.unwrap();
        assert_eq!(volume, json!({"name": VOLUME, "persistentVolumeClaim": {"claimName": "backups"}}));
        assert_eq!(mount, json!({"name": VOLUME, "mountPath": "/safe/data", "subPath": "a"}));
        assert_eq!(local.repository.address, "/safe/data");
    }

    #[test]
    fn what_is_missing_is_named() {
        let fault = |backend: Value| of(&serde_json::from_value(backend).unwrap(), true).unwrap_err().message;
        assert_eq!(fault(json!({"s3": {}})), "spec.backend.storageSecretName of the Repository is missing");
        let backend = json!({"storageSecretName": "s", "s3": {"endpoint": "x"}});
        assert_eq!(fault(backend), "spec.backend.s3.bucket of the Repository is missing");
        assert!(fault(json!({"storageSecretName": "s"})).contains("names no provider"));
    }
}
