//! Services that no server can be had for: small ones that answer as their documentation says. What they show is that we
//! ask as documented, not that the service agrees.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use holdfast::repository::{Fault, FileKind, FileName};
use http_body_util::BodyExt as _;
use hyper::{Request, Response};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use crate::harness::http_thread::{Answer, HttpThread, full};
use crate::servers::Repository;
use crate::stores::{SOME, keeps_its_promises};

/// Backblaze B2, interface version 2: all versions of all files of one bucket.
#[derive(Default)]
struct B2 {
    files: BTreeMap<String, Vec<(String, Vec<u8>)>>,
    uploads: usize,
}

fn said(status: u16, body: &Value) -> Answer {
    Ok(Response::builder().status(status).header("content-type", "application/json").body(full(body.to_string()))?)
}

fn refused(status: u16, code: &str) -> Answer {
    said(status, &json!({ "status": status, "code": code, "message": "" }))
}

fn listed(name: &str, version: &(String, Vec<u8>)) -> Value {
    json!({ "fileName": name, "fileId": version.0, "contentLength": version.1.len(), "action": "upload", "contentMd5": null,
        "contentType": "application/octet-stream", "fileInfo": {}, "uploadTimestamp": 0 })
}

impl B2 {
    fn list_names(&self, query: &BTreeMap<String, String>) -> Answer {
        let text = |name: &str| query.get(name).map_or("", String::as_str);
        // As documented, 100 is the default.
        let most = text("maxFileCount").parse().unwrap_or(100);
        let mut found = self
            .files
            .iter()
            .filter(|(name, _)| name.starts_with(text("prefix")) && name.as_str() >= text("startFileName"));
        let page: Vec<_> =
            found.by_ref().take(most).filter_map(|(name, versions)| Some(listed(name, versions.last()?))).collect();
        said(200, &json!({ "files": page, "nextFileName": found.next().map(|(name, _)| name) }))
    }

    fn upload(&mut self, request: &Request<()>, content: Vec<u8>) -> Answer {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let sum = Sha1::digest(&content).iter().fold(String::new(), |sum, byte| format!("{sum}{byte:02x}"));
        if header("authorization") != "upload-token" {
            return refused(401, "bad_auth_token");
        }
        if header("x-bz-content-sha1") != sum || header("content-length") != content.len().to_string() {
            return refused(400, "bad_request");
        }
        self.uploads += 1;
        // The first upload URL is overloaded, as they are at times.
        if self.uploads == 1 {
            return refused(503, "service_unavailable");
        }
        let name = header("x-bz-file-name").to_owned();
        let version = (format!("version-{}", self.uploads), content);
        let listed = listed(&name, &version);
        self.files.entry(name).or_default().push(version);
        said(200, &listed)
    }

    fn answer(&mut self, url: &str, request: &Request<()>, body: Vec<u8>) -> Answer {
        let login = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let query = request.uri().query().unwrap_or_default();
        let query: BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let path = request.uri().path().to_owned();
        if path == "/b2api/v2/b2_authorize_account" {
            let (token, bucket) = match login {
                // "id:key"
                "Basic aWQ6a2V5" => ("token", json!({ "bucketId": null, "bucketName": null })),
                // "one:key", which is for one bucket
                "Basic b25lOmtleQ==" => ("token-of-one", json!({ "bucketId": "number", "bucketName": "bucket" })),
                _ => return refused(401, "unauthorized"),
            };
            return said(
                200,
                &json!({ "accountId": "account", "authorizationToken": token, "apiUrl": url,
                    "downloadUrl": url, "allowed": bucket }),
            );
        }
        if path == "/upload" {
            return self.upload(request, body);
        }
        if login == "token-of-one" && path.ends_with("b2_list_buckets") {
            return refused(401, "unauthorized");
        }
        if !["token", "token-of-one"].contains(&login) {
            return refused(401, "bad_auth_token");
        }
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        match path.strip_prefix("/b2api/v2/").unwrap_or_default() {
            "b2_list_buckets" if asked["bucketName"] == "bucket" => {
                said(200, &json!({ "buckets": [{ "bucketId": "number", "bucketName": "bucket" }] }))
            }
            "b2_list_buckets" => said(200, &json!({ "buckets": [] })),
            "b2_get_upload_url" => said(
                200,
                &json!({ "bucketId": "number", "uploadUrl": format!("{url}/upload"), "authorizationToken": "upload-token" }),
            ),
            "b2_list_file_names" => self.list_names(&query),
            "b2_list_file_versions" => {
                let prefix = asked["prefix"].as_str().unwrap_or_default();
                let found = self.files.iter().filter(|(name, _)| name.starts_with(prefix));
                let files: Vec<_> =
                    found.flat_map(|(name, versions)| versions.iter().map(|version| listed(name, version))).collect();
                said(200, &json!({ "files": files, "nextFileName": null, "nextFileId": null }))
            }
            "b2_delete_file_version" => {
                let name = asked["fileName"].as_str().unwrap_or_default();
                let Some(versions) = self.files.get_mut(name) else { return refused(400, "file_not_present") };
                versions.retain(|(id, _)| asked["fileId"] != id.as_str());
                if versions.is_empty() {
                    self.files.remove(name);
                }
                said(200, &asked)
            }
            _ => self.download(&path, request),
        }
    }

    fn download(&self, path: &str, request: &Request<()>) -> Answer {
        let found = path.strip_prefix("/file/bucket/").and_then(|name| self.files.get(name)?.last());
        let Some((_, content)) = found else { return refused(404, "not_found") };
        let Some(range) = request.headers().get("range").and_then(|range| range.to_str().ok()) else {
            return Ok(Response::builder().body(full(content.clone()))?);
        };
        let (first, last) = range.trim_start_matches("bytes=").split_once('-').expect("a range");
        let (first, last): (usize, usize) = (first.parse().expect("a number"), last.parse().expect("a number"));
        match content.get(first..content.len().min(last + 1)) {
            Some(part) if !part.is_empty() => Ok(Response::builder()
                .status(206)
                .header("content-range", format!("bytes {first}-{}/{}", first + part.len() - 1, content.len()))
                .body(full(part.to_vec()))?),
            _ => refused(416, "range_not_satisfiable"),
        }
    }
}

#[test]
fn b2_as_documented_keeps_its_promises() {
    let state: Arc<Mutex<B2>> = Arc::default();
    let shared = Arc::clone(&state);
    let server = HttpThread::start(None, move |request| {
        let state = Arc::clone(&shared);
        async move {
            let host = request.headers()["host"].to_str().expect("a host").to_owned();
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes().to_vec();
            let request = Request::from_parts(parts, ());
            state.lock().expect("no panic").answer(&format!("http://{host}"), &request, body)
        }
    });
    let api = format!("http://{}", server.address());
    let repository = Repository::new("b2:bucket:some/prefix", &[("B2_ACCOUNT_ID", "id"), ("B2_ACCOUNT_KEY", "key")]);
    let repository = repository.with("B2_API_URL", &api);
    keeps_its_promises(&*repository.store(), SOME * 2);
    assert!(state.lock().expect("no panic").files.is_empty(), "nothing is left and paid for");
    keeps_its_promises(&*repository.clone().with("B2_ACCOUNT_ID", "one").store(), 1);
    let wrong = repository.clone().with("B2_ACCOUNT_KEY", "wrong").store();
    let fault = wrong.size(FileName::Config).expect_err("it is refused").fault;
    assert!(matches!(fault, Fault::Denied(_)), "{fault:?}");
    let mut nowhere = repository;
    nowhere.address = "b2:nowhere:prefix".to_owned();
    let fault = nowhere.store().list(FileKind::Data).expect_err("it is not there").fault;
    assert!(matches!(&fault, Fault::Broken(reason) if reason.contains("does not exist")), "{fault:?}");
}

/// Of a role that stands for the token of an account in a cluster (IRSA), or of the machine: which keys sign, and with what.
fn signed_by(variables: &[(&str, &str)]) -> String {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let shared = Arc::clone(&seen);
    let s3 = HttpThread::start(None, move |request| {
        let header =
            |name: &str| request.headers().get(name).map_or("none", |value| value.to_str().expect("text")).to_owned();
        let login = header("authorization");
        let credential =
            login.split_once("Credential=").map_or("", |(_, rest)| rest.split(',').next().unwrap_or_default());
        let parts: Vec<&str> = credential.split('/').collect();
        let said = format!("{} in {} with {}", parts[0], parts[2], header("x-amz-security-token"));
        shared.lock().expect("no panic").push(said);
        async { Ok(Response::builder().header("content-length", 5).body(full("12345"))?) }
    });
    let repository = Repository::new(&format!("s3:http://{}/bucket", s3.address()), variables);
    let store = repository.with("AWS_DEFAULT_REGION", "eu-west-1").store();
    assert_eq!(store.size(FileName::Config), Ok(5));
    assert_eq!(store.size(FileName::Config), Ok(5));
    let seen = seen.lock().expect("no panic");
    assert_eq!(seen[0], seen[1]);
    seen[0].clone()
}

const KEYS: &str = r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult><Credentials>
    <SessionToken>session-of-the-role</SessionToken><SecretAccessKey>secret</SecretAccessKey>
    <Expiration>2099-10-24T23:00:23Z</Expiration><AccessKeyId>KEYOFTHEROLE</AccessKeyId>
  </Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>"#;

#[test]
fn keys_of_s3_come_from_where_they_are_given() {
    let given = [("AWS_ACCESS_KEY_ID", "KEY"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    assert_eq!(signed_by(&given), "KEY in eu-west-1 with none");
    let with_session = [given[0], given[1], ("AWS_SESSION_TOKEN", "session")];
    assert_eq!(signed_by(&with_session), "KEY in eu-west-1 with session");

    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let shared = Arc::clone(&asked);
    let sts = HttpThread::start(None, move |request| {
        let asked = Arc::clone(&shared);
        async move {
            let body = request.into_body().collect().await?.to_bytes();
            asked.lock().expect("no panic").push(String::from_utf8(body.to_vec())?);
            Ok(Response::new(full(KEYS)))
        }
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "token-of-the-account\n").expect("written");
    let role = [
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/backup"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().expect("UTF-8")),
        ("AWS_ENDPOINT_URL_STS", &format!("http://{}", sts.address())),
    ];
    assert_eq!(signed_by(&role), "KEYOFTHEROLE in eu-west-1 with session-of-the-role");
    let asked = asked.lock().expect("no panic");
    assert_eq!(asked.len(), 1, "the keys are good for a while");
    for part in ["Action=AssumeRoleWithWebIdentity", "WebIdentityToken=token-of-the-account", "role%2Fbackup"] {
        assert!(asked[0].contains(part), "{asked:?}");
    }
}

#[test]
fn keys_of_the_machine_are_asked_for_when_none_are_given() {
    let metadata = HttpThread::start(None, |request| async move {
        let text = match request.uri().path() {
            "/latest/api/token" => "token-of-the-machine".to_owned(),
            _ if request
                .headers()
                .get("x-aws-ec2-metadata-token")
                .is_none_or(|token| token != "token-of-the-machine") =>
            {
                return Ok(Response::builder().status(401).body(full(""))?);
            }
            "/latest/meta-data/iam/security-credentials/" => "backup".to_owned(),
            "/latest/meta-data/iam/security-credentials/backup" => json!({ "Code": "Success", "Type": "AWS-HMAC",
                "AccessKeyId": "KEYOFTHEMACHINE", "SecretAccessKey": "secret", "Token": "session-of-the-machine",
                "Expiration": "2099-05-17T15:09:54Z", "LastUpdated": "2026-01-01T00:00:00Z" })
            .to_string(),
            other => panic!("{other}"),
        };
        Ok(Response::new(full(text)))
    });
    let endpoint = format!("http://{}", metadata.address());
    let signed = signed_by(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint)]);
    assert_eq!(signed, "KEYOFTHEMACHINE in eu-west-1 with session-of-the-machine");
}
