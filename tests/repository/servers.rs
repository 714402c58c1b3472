//! Real servers of the protocols that repositories lie behind, each started by its script in `tests/lab/servers`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use holdfast::repository::{Access, Address, Store, connect};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sha2::Sha256;

use crate::harness::skipped;

/// Exit status of a script when a program is missing.
const MISSING_PROGRAM: i32 = 3;
/// Of Azurite, as Microsoft documents it.
const AZURITE_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A server of its own; ends when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    pid: Pid,
    port: u16,
    folder: Arc<tempfile::TempDir>,
}

impl Server {
    /// Installed at the first call; none (and one loud line) where it cannot be.
    pub(crate) fn start(name: &'static str) -> Option<Self> {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("bound").port();
        Self::run(name, port, folder)
    }

    /// After [`Server::kill`], with what it has kept and on the same port.
    pub(crate) fn start_again(&self) -> Self {
        Self::run(self.name, self.port, Arc::clone(&self.folder)).expect("it is installed")
    }

    fn run(name: &'static str, port: u16, folder: Arc<tempfile::TempDir>) -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/lab/servers/{name}.sh"));
        let mut command = Command::new(script);
        let output = command.args(["start", &port.to_string()]).arg(folder.path()).output().expect("bash runs scripts");
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(MISSING_PROGRAM) {
            skipped(name, said.trim_end());
            return None;
        }
        assert!(output.status.success(), "{name}: {}: {said}", output.status);
        let pid = String::from_utf8(output.stdout).expect("a number").trim().parse().expect("a number");
        Some(Self { name, pid: Pid::from_raw(pid).expect("not 0"), port, folder })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends it without any warning.
    pub(crate) fn kill(&self) {
        let _ = kill_process(self.pid, Signal::KILL);
    }

    /// A bucket or container.
    pub(crate) fn make(&self, bucket: &str) {
        let url = self.url();
        match self.name {
            "seaweedfs" | "versitygw" | "minio" => drop(curl(&[
                "--aws-sigv4",
                "aws:amz:us-east-1:s3",
                "--user",
                "holdfast:holdfast-secret",
                "--request",
                "PUT",
                &format!("{url}/{bucket}"),
            ])),
            "fake-gcs" => drop(curl(&[
                "--header",
                "Content-Type: application/json",
                "--data",
                &format!(r#"{{"name":"{bucket}"}}"#),
                &format!("{url}/storage/v1/b?project=test"),
            ])),
            "azurite" => {
                let (date, login) = azure_login(bucket);
                let resource = format!("{url}/devstoreaccount1/{bucket}?restype=container");
                curl(&[
                    "--request",
                    "PUT",
                    "--header",
                    &format!("x-ms-date: {date}"),
                    "--header",
                    "x-ms-version: 2021-08-06",
                    "--header",
                    &format!("Authorization: SharedKey devstoreaccount1:{login}"),
                    "--header",
                    "Content-Length: 0",
                    &resource,
                ]);
            }
            "swift" => {
                let (storage, token) = self.swift_session();
                let token = format!("X-Auth-Token: {token}");
                curl(&["--header", &token, "--request", "PUT", &format!("{storage}/{bucket}")]);
            }
            "keystone" => make_behind_keystone(&url, bucket),
            other => panic!("{other} has no buckets"),
        }
    }

    /// Where Swift stores, and a token for it.
    pub(crate) fn swift_session(&self) -> (String, String) {
        let login = ["--header", "X-Auth-User: holdfast:backup", "--header", "X-Auth-Key: holdfast-secret"];
        let headers = curl(&[&login[..], &["--dump-header", "-", &format!("{}/auth/v1.0", self.url())]].concat());
        let header = |name| headers.lines().find_map(|line| line.strip_prefix(name)).expect("it is in the answer");
        (header("X-Storage-Url: ").trim().to_owned(), header("X-Auth-Token: ").trim().to_owned())
    }

    /// A credential of Keystone that stands for the user in the project: its name, and its secret.
    pub(crate) fn application_credential(&self) -> (String, String) {
        let (token, said) = keystone_session(&self.url());
        let user = said["token"]["user"]["id"].as_str().expect("the user has a name");
        let wanted = r#"{"application_credential": {"name": "backup"}}"#;
        let said = curl(&[
            "--header",
            &format!("X-Auth-Token: {token}"),
            "--header",
            "Content-Type: application/json",
            "--data",
            wanted,
            &format!("{}/identity/v3/users/{user}/application_credentials", self.url()),
        ]);
        let said: Value = serde_json::from_str(&said).expect("JSON");
        let text = |name: &str| said["application_credential"][name].as_str().expect("text").to_owned();
        (text("id"), text("secret"))
    }

    /// Of a repository in a bucket, and what gives access to it.
    pub(crate) fn repository(&self, bucket: &str) -> Repository {
        let url = self.url();
        let (address, variables) = match self.name {
            "seaweedfs" | "versitygw" | "minio" => (
                format!("s3:{url}/{bucket}/some/prefix"),
                vec![("AWS_ACCESS_KEY_ID", "holdfast"), ("AWS_SECRET_ACCESS_KEY", "holdfast-secret")],
            ),
            "rclone" => (format!("rest:{url}/{bucket}/"), vec![]),
            "fake-gcs" => (format!("gs:{bucket}:/some/prefix"), vec![("STORAGE_EMULATOR_HOST", url.as_str())]),
            "azurite" => (
                format!("azure:{bucket}:/some/prefix"),
                vec![("AZURE_ACCOUNT_NAME", "devstoreaccount1"), ("AZURE_ACCOUNT_KEY", AZURITE_KEY)],
            ),
            "swift" => {
                let repository =
                    Repository::new(&format!("swift:{bucket}:/some/prefix"), &[("ST_USER", "holdfast:backup")]);
                return repository.with("ST_AUTH", &format!("{url}/auth/v1.0")).with("ST_KEY", "holdfast-secret");
            }
            "keystone" => {
                let variables = [
                    ("OS_USERNAME", "backup"),
                    ("OS_PASSWORD", "holdfast-secret"),
                    ("OS_PROJECT_NAME", "holdfast"),
                    ("OS_USER_DOMAIN_NAME", "Default"),
                    ("OS_PROJECT_DOMAIN_NAME", "Default"),
                    ("OS_REGION_NAME", "lab"),
                ];
                let repository = Repository::new(&format!("swift:{bucket}:/some/prefix"), &variables);
                return repository.with("OS_AUTH_URL", &format!("{url}/identity/v3"));
            }
            other => panic!("{other} has no repositories"),
        };
        let mut repository = Repository::new(&address, &variables);
        if self.name == "azurite" {
            repository = repository.with("AZURE_STORAGE_ENDPOINT", &format!("{url}/devstoreaccount1"));
        }
        repository
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An address with variables.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    pub(crate) address: String,
    pub(crate) variables: BTreeMap<String, String>,
}

impl Repository {
    pub(crate) fn new(address: &str, variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { address: address.to_owned(), variables }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Through something that stands in front of the server.
    pub(crate) fn at(mut self, from: &str, to: &str) -> Self {
        self.address = self.address.replace(from, to);
        self.variables.values_mut().for_each(|value| *value = value.replace(from, to));
        self
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.store_with(|_| {})
    }

    pub(crate) fn store_with(&self, change: impl FnOnce(&mut Access)) -> Arc<dyn Store> {
        let address: Address = self.address.parse().expect("an address");
        let variable = |name: &str| self.variables.get(name).cloned();
        let mut access = Access::new(&variable);
        change(&mut access);
        connect(&address, &access).expect("it needs no more")
    }
}

/// What it printed.
fn curl(arguments: &[&str]) -> String {
    let common = ["--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "30"];
    let output = Command::new("curl").args(common).args(arguments).output().expect("curl is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The date, and the signature of a request for a container, as Azure documents it.
fn azure_login(container: &str) -> (String, String) {
    let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    // In the path of the resource the account stands twice here: Azurite has it in its own path, too.
    let text = format!(
        "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:2021-08-06\n/devstoreaccount1/devstoreaccount1/{container}\nrestype:container"
    );
    (date, azure_signature(&text))
}

fn azure_signature(text: &str) -> String {
    let key = STANDARD.decode(AZURITE_KEY).expect("base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key of any length");
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// A shared access signature of the account for containers and blobs, as Azure documents it.
pub(crate) fn azure_sas(permissions: &str) -> String {
    let (version, end, schemes) = ("2021-08-06", "2099-01-01T00:00:00Z", "https,http");
    let text = format!("devstoreaccount1\n{permissions}\nb\nco\n\n{end}\n\n{schemes}\n{version}\n\n");
    let parts = [("sv", version), ("ss", "b"), ("srt", "co"), ("sp", permissions), ("se", end), ("spr", schemes)];
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parts).append_pair("sig", &azure_signature(&text)).finish()
}

/// A token of Keystone, and what Keystone says with it.
fn keystone_session(url: &str) -> (String, Value) {
    let password = r#"{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "backup",
        "domain": {"name": "Default"}, "password": "holdfast-secret"}}},
        "scope": {"project": {"name": "holdfast", "domain": {"name": "Default"}}}}}"#;
    let json = ["--header", "Content-Type: application/json", "--data", password];
    let said = curl(&[&json[..], &["--dump-header", "-", &format!("{url}/identity/v3/auth/tokens")]].concat());
    let header = |line: &str| {
        Some(line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("x-subject-token"))?.1.trim().to_owned())
    };
    let token = said.lines().find_map(header).expect("a token");
    let body = said.split_once("\r\n\r\n").expect("headers end").1;
    (token, serde_json::from_str(body).expect("JSON"))
}

fn make_behind_keystone(url: &str, bucket: &str) {
    let (token, said) = keystone_session(url);
    let said = said.to_string();
    let storage = said.split('"').find(|text| text.contains("/v1/AUTH_")).expect("a catalogue");
    curl(&["--header", &format!("X-Auth-Token: {token}"), "--request", "PUT", &format!("{storage}/{bucket}")]);
}
