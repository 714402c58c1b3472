//! Canonical addresses of restic repositories: two spellings of one place compare equal, and nesting is seen.

use std::fmt;

use serde_json::Value;
use thiserror::Error;

use super::json::text;

/// Provider, root (endpoint and bucket, server, claim …) and cleaned path; ends in `/`, so nesting is a prefix test.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(String);

/// Why a backend has no address. The pointer is relative to the backend.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    #[error("backend names no provider; give one of local, s3, gcs, azure, swift, b2, rest")]
    NoProvider,
    #[error("{pointer} is missing")]
    Missing { pointer: &'static str },
    #[error("{pointer} has the path segment {segment:?}; a segment may not be empty, `.` or `..`")]
    Segment { pointer: &'static str, segment: String },
}

impl Address {
    /// Address of a `spec.backend`; `namespace` is the Repository's (claims live in it).
    pub fn of(backend: &Value, namespace: &str) -> Result<Self, Error> {
        let (root, path) = parts(backend, namespace)?;
        let mut address = root;
        for segment in clean(&path) {
            address.push('/');
            address.push_str(segment);
        }
        address.push('/');
        Ok(Self(address))
    }

    /// Whether both are one place, or one lies inside the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0) || other.0.starts_with(&self.0)
    }

    /// This address and those of all folders above it, longest first.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        self.0.char_indices().rev().filter(|(_, c)| *c == '/').map(|(at, _)| &self.0[..=at])
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.trim_end_matches('/'))
    }
}

/// Refuses paths whose segments would not survive a clean: what is generated must be unambiguous.
pub fn check_segments(backend: &Value) -> Result<(), Error> {
    for (pointer, provider, field) in [
        ("s3.prefix", "s3", "prefix"),
        ("gcs.prefix", "gcs", "prefix"),
        ("azure.prefix", "azure", "prefix"),
        ("swift.prefix", "swift", "prefix"),
        ("b2.prefix", "b2", "prefix"),
        ("local.subPath", "local", "subPath"),
    ] {
        let Some(path) = backend.get(provider).and_then(|p| text(p, field)) else { continue };
        check_path(pointer, path)?;
    }
    if let Some(url) = backend.get("rest").and_then(|rest| text(rest, "url")) {
        let path = url.split_once("://").map_or(url, |(_, rest)| rest).split_once('/').map_or("", |(_, path)| path);
        check_path("rest.url", path)?;
    }
    Ok(())
}

fn check_path(pointer: &'static str, path: &str) -> Result<(), Error> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(());
    }
    match path.split('/').find(|segment| matches!(*segment, "" | "." | "..")) {
        Some(segment) => Err(Error::Segment { pointer, segment: segment.to_owned() }),
        None => Ok(()),
    }
}

/// Root and uncleaned path of the provider that Stash would use when several are set.
fn parts(backend: &Value, namespace: &str) -> Result<(String, String), Error> {
    let part = |provider: &str| backend.get(provider).filter(|value| value.is_object());
    let bucket = |provider: &str, value: &Value, field: &str, pointer: &'static str| {
        let container = text(value, field).filter(|name| !name.is_empty()).ok_or(Error::Missing { pointer })?;
        Ok((format!("{provider}:{container}"), text(value, "prefix").unwrap_or_default().to_owned()))
    };
    if let Some(local) = part("local") {
        return Ok(local_parts(local, namespace));
    }
    if let Some(s3) = part("s3") {
        let (root, prefix) = bucket("s3", s3, "bucket", "s3.bucket")?;
        let endpoint = normal_endpoint(text(s3, "endpoint").unwrap_or_default());
        return Ok((format!("s3:{endpoint}/{}", &root[3..]), prefix));
    }
    for (provider, field, pointer) in [
        ("gcs", "bucket", "gcs.bucket"),
        ("azure", "container", "azure.container"),
        ("swift", "container", "swift.container"),
        ("b2", "bucket", "b2.bucket"),
    ] {
        if let Some(value) = part(provider) {
            return bucket(provider, value, field, pointer);
        }
    }
    let rest = part("rest").ok_or(Error::NoProvider)?;
    let url = text(rest, "url").filter(|url| !url.is_empty()).ok_or(Error::Missing { pointer: "rest.url" })?;
    let bare = url.split_once("://").map_or(url, |(_, bare)| bare);
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    Ok((format!("rest:{}", host.to_ascii_lowercase()), path.to_owned()))
}

/// A volume as backend: a path on its host or server, or a folder inside a named volume.
fn local_parts(local: &Value, namespace: &str) -> (String, String) {
    let sub_path = text(local, "subPath").unwrap_or_default();
    if let Some(path) = local.get("hostPath").and_then(|volume| text(volume, "path")) {
        return ("local:hostPath".to_owned(), format!("{path}/{sub_path}"));
    }
    if let Some(nfs) = local.get("nfs") {
        let server = text(nfs, "server").unwrap_or_default().to_ascii_lowercase();
        return (format!("local:nfs:{server}"), format!("{}/{sub_path}", text(nfs, "path").unwrap_or_default()));
    }
    if let Some(claim) = local.get("persistentVolumeClaim").and_then(|volume| text(volume, "claimName")) {
        return (format!("local:claim:{namespace}/{claim}"), sub_path.to_owned());
    }
    let mut volume = local.clone();
    if let Some(fields) = volume.as_object_mut() {
        fields.remove("mountPath");
        fields.remove("subPath");
    }
    (format!("local:{namespace}:{volume}"), sub_path.to_owned())
}

/// Endpoint without scheme, trailing slash and default port, in lower case.
fn normal_endpoint(endpoint: &str) -> String {
    let lower = endpoint.to_ascii_lowercase();
    let bare = lower.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    bare.trim_end_matches(":443").trim_end_matches(":80").to_owned()
}

/// Segments as path cleaning leaves them.
fn clean(path: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn s3(endpoint: &str, prefix: &str) -> Address {
        Address::of(&json!({"s3": {"endpoint": endpoint, "bucket": "b", "prefix": prefix}}), "ns").unwrap()
    }

    #[test]
    fn spellings_of_one_place_are_equal() {
        assert_eq!(s3("https://S3.example.com:443/", "/a//b/"), s3("s3.example.com", "a/./x/../b"));
        let rest = |url: &str| Address::of(&json!({"rest": {"url": url}}), "ns").unwrap();
        assert_eq!(rest("http://u:p@Host:8000/a/"), rest("http://host:8000/a"));
        assert!(!rest("http://u:p@Host:8000/a/").to_string().contains('p'));
    }

    #[test]
    fn nesting_is_by_whole_segments() {
        assert!(s3("e", "a").overlaps(&s3("e", "a/b")));
        assert!(!s3("e", "a").overlaps(&s3("e", "ab")));
        assert!(s3("e", "").overlaps(&s3("e", "ab")));
        assert!(!s3("e", "a").overlaps(&s3("f", "a")));
        assert_eq!(s3("e", "a/b").ancestors().collect::<Vec<_>>(), ["s3:e/b/a/b/", "s3:e/b/a/", "s3:e/b/", "s3:e/"]);
    }

    #[test]
    fn bad_segments_are_named() {
        for bad in ["a//b", "../b", "a/./b", "a/.."] {
            assert!(check_segments(&json!({"gcs": {"bucket": "b", "prefix": bad}})).is_err(), "{bad}");
        }
        assert_eq!(check_segments(&json!({"gcs": {"bucket": "b", "prefix": "/wordpress/backup/"}})), Ok(()));
        assert!(check_segments(&json!({"rest": {"url": "http://h/../x"}})).is_err());
    }

    #[test]
    fn claims_belong_to_their_namespace() {
        let pvc = json!({"local": {"persistentVolumeClaim": {"claimName": "c"}, "mountPath": "/m"}});
        assert_ne!(Address::of(&pvc, "a"), Address::of(&pvc, "b"));
        assert_eq!(Address::of(&json!({}), "a"), Err(Error::NoProvider));
    }
}
