//! Canonical addresses of restic repositories: two spellings of one place compare equal, and nesting is seen.

use std::fmt;

use serde_json::Value;
use thiserror::Error;

use super::json::text;
use super::names::hash_hex;
use super::redact;

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
    #[error(
        "{pointer} has no host of the form NAME or NAME:PORT; in a password write `/` as %2F, `@` as %40, `#` as %23 and `?` as %3F"
    )]
    Host { pointer: &'static str },
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
        let shown = self.0.trim_end_matches('/');
        // In `user:12/34@host` and `user:a@b/c@host` what reads as host and path may be a password.
        match shown.strip_prefix("rest:").and_then(|url| url.rsplit_once('@')) {
            Some((_, rest)) => write!(f, "rest:***@{rest}"),
            None => f.write_str(&redact::text(shown)),
        }
    }
}

/// Refuses hosts that are none, and paths whose segments would not survive a clean: what is generated must be
/// unambiguous.
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
        let (authority, path) = authority(bare(url));
        if !is_host(after_user_info(authority)) {
            return Err(Error::Host { pointer: "rest.url" });
        }
        check_path("rest.url", path.strip_prefix('/').unwrap_or(path))?;
    }
    let endpoint = backend.get("s3").and_then(|s3| text(s3, "endpoint")).filter(|endpoint| !endpoint.is_empty());
    match endpoint.map(|endpoint| authority(bare(endpoint)).0) {
        Some(authority) if !is_host(after_user_info(authority)) => Err(Error::Host { pointer: "s3.endpoint" }),
        Some(_) | None => Ok(()),
    }
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
    let (host, path) = rest_parts(bare(url));
    Ok((format!("rest:{host}"), path))
}

/// Host and path of a URL without scheme. Where what should be the host is none, a password may hold a slash: then what
/// is before the last `@` does not count.
fn rest_parts(bare: &str) -> (String, String) {
    let (first, path) = authority(bare);
    let host = after_user_info(first);
    if is_host(host) {
        return (host.to_ascii_lowercase(), path.to_owned());
    }
    let meant = after_user_info(bare);
    let (host, path) = authority(meant);
    if is_host(host) { (host.to_ascii_lowercase(), path.to_owned()) } else { (unreadable(meant), String::new()) }
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
    // The definition of a volume may carry what is not to be shown, such as attributes for a driver.
    let kind = volume.as_object().and_then(|fields| fields.keys().next()).map_or("none", String::as_str);
    (format!("local:{namespace}:{kind}:{}", hash_hex(&volume.to_string(), 16)), sub_path.to_owned())
}

/// Endpoint without scheme, user-info, trailing slash and default port, in lower case.
fn normal_endpoint(endpoint: &str) -> String {
    let lower = endpoint.to_ascii_lowercase();
    let endpoint = after_user_info(bare(&lower)).trim_end_matches('/');
    if !endpoint.is_empty() && !is_host(authority(endpoint).0) {
        return unreadable(endpoint);
    }
    endpoint.trim_end_matches(":443").trim_end_matches(":80").to_owned()
}

/// What follows the scheme.
fn bare(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, bare)| bare)
}

/// The part of a URL without scheme that holds user and host; and what follows it.
fn authority(bare: &str) -> (&str, &str) {
    bare.split_at(bare.find(['/', '?', '#']).unwrap_or(bare.len()))
}

fn after_user_info(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(_, host)| host)
}

/// `name`, `name:port`, `[address]` or `[address]:port`.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        Some(_) | None => (text, ""),
    };
    let is_name = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => {
            address.contains(':') && address.chars().all(|c| c.is_ascii_hexdigit() || c == ':' || c == '.')
        }
        None => !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_')),
    };
    is_name && port.chars().all(|c| c.is_ascii_digit())
}

/// Stands for a host that is none: still told from others, but not shown.
fn unreadable(text: &str) -> String {
    format!("unreadable-{}", hash_hex(text, 16))
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
    fn user_info_is_neither_shown_nor_part_of_a_place() {
        let endpoint = s3("https://AKIA:s3cr3t/p#w?@d@minio.local:9000", "x/shop/db");
        assert_eq!(endpoint, s3("minio.local:9000", "x/shop/db"));
        assert_eq!(endpoint.to_string(), "s3:minio.local:9000/b/x/shop/db");
        assert_eq!(s3("ft://u:s3cr3t@[::1]:9000", "").to_string(), "s3:[::1]:9000/b");
        for bad in ["AKIA:s3cr3t", "s3cr3t pw", "https://AKIA:s3cr3t/x"] {
            assert!(!s3(bad, "").to_string().contains("3cr3t"), "{bad}");
            assert_ne!(s3(bad, ""), s3("other:s3cr3t", ""));
        }
        let rest = |url: &str| Address::of(&json!({"rest": {"url": url}}), "ns").unwrap();
        for url in ["https://user:pa/ss@host:8000/x", "user:p@/#?ss@Host:8000/x", "https://token@host:8000/x"] {
            assert_eq!(rest(url).to_string(), "rest:host:8000/x", "{url}");
        }
        assert_eq!(rest("http://user:12/34@host/x").to_string(), "rest:***@host/x");
        assert_eq!(rest("http://user:a@b/c@host/x").to_string(), "rest:***@host/x");
        assert_ne!(rest("http://host/x@2"), rest("http://other/x@2"));
        assert_eq!(rest("http://[::1]:8000/x").to_string(), "rest:[::1]:8000/x");
        assert!(!rest("http://user:s3cr3t/x").to_string().contains("s3cr3t"));
        let cleaned = Address::of(&json!({"gcs": {"bucket": "b", "prefix": "https://u:s3cr3t@h/x"}}), "ns").unwrap();
        assert!(!cleaned.to_string().contains("s3cr3t"), "{cleaned}");
    }

    #[test]
    fn hosts_that_are_none_are_refused_where_they_are_generated() {
        let rest = |url: &str| check_segments(&json!({"rest": {"url": url}}));
        for good in ["https://user:p%2Fss@host:8000/x", "http://[::1]:8000/", "host", "https://h/x@2"] {
            assert_eq!(rest(good), Ok(()), "{good}");
        }
        for bad in ["https://user:pa/ss@host/x", "https://user:pa#ss@host/x", "https://", "http:///x"] {
            assert_eq!(rest(bad), Err(Error::Host { pointer: "rest.url" }), "{bad}");
        }
        let s3 = |endpoint: &str| check_segments(&json!({"s3": {"endpoint": endpoint, "bucket": "b"}}));
        assert_eq!((s3(""), s3("https://u:p@minio:9000/"), s3("minio.local")), (Ok(()), Ok(()), Ok(())));
        assert_eq!(s3("https://u:p/w@minio:9000"), Err(Error::Host { pointer: "s3.endpoint" }));
    }

    #[test]
    fn a_volume_is_shown_by_its_kind() {
        let volume = |share: &str| {
            let csi = json!({"driver": "smb.csi.k8s.io", "volumeAttributes": {"source": share}});
            Address::of(&json!({"local": {"csi": csi, "mountPath": "/m", "subPath": "a/b"}}), "ns").unwrap()
        };
        let shown = volume("//u:s3cr3t@server/share").to_string();
        assert!(shown.starts_with("local:ns:csi:") && shown.ends_with("/a/b") && !shown.contains("s3cr3t"), "{shown}");
        assert_eq!(volume("a"), volume("a"));
        assert_ne!(volume("a"), volume("b"));
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
