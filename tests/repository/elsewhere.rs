//! Services at the addresses that are theirs, which no registry offers a server for: a proxy leads `holdfast` to a small one that
//! stands for them, with a certificate for their names, and answers as their documentation says.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::header::AUTHORIZATION;
use serde_json::{Value, json};

use crate::harness::http_thread::{HttpThread, full};
use crate::harness::tls::TestAuthority;
use crate::restic::PASSWORD;

/// Restic's, for an address where no repository is: the service was asked, and let us in.
const NO_REPOSITORY: Option<i32> = Some(10);
const NAMES: [&str; 7] = [
    "oauth2.googleapis.com",
    "storage.googleapis.com",
    "s3.amazonaws.com",
    "*.s3.amazonaws.com",
    "*.s3.eu-central-1.amazonaws.com",
    "sts.eu-central-1.amazonaws.com",
    "sts.amazonaws.com",
];

/// A request, as `METHOD https://host/path?query`.
#[derive(Clone, Debug)]
struct Asked {
    what: String,
    login: String,
    body: String,
}

/// Status, one header and body.
type Said = (u16, (&'static str, &'static str), String);

/// The small server, and the proxies that lead to it.
struct Services {
    authority: TestAuthority,
    _secure: HttpThread,
    plain: HttpThread,
    tunnel: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Services {
    fn start(answer: impl Fn(&Asked) -> Said + Clone + Send + Sync + 'static) -> Self {
        let authority = TestAuthority::of(&NAMES);
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let serve = |scheme: &'static str| {
            let (asked, answer) = (Arc::clone(&asked), answer.clone());
            move |request: hyper::Request<hyper::body::Incoming>| {
                let (asked, answer) = (Arc::clone(&asked), answer.clone());
                async move {
                    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
                    let text = |name| header(name).unwrap_or_default().to_owned();
                    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
                    let what = format!("{} {scheme}://{}{path}", request.method(), text("host"));
                    let login = text(AUTHORIZATION.as_str());
                    let body = request.into_body().collect().await?.to_bytes();
                    let one = Asked { what, login, body: String::from_utf8_lossy(&body).into_owned() };
                    let (status, (name, value), body) = answer(&one);
                    asked.lock().expect("no panic").push(one);
                    Ok(Response::builder().status(status).header(name, value).body(full(body))?)
                }
            }
        };
        let secure = HttpThread::start(Some(authority.server_config()), serve("https"));
        let plain = HttpThread::start(None, serve("http"));
        let tunnel = tunnel(secure.address());
        Self { authority, _secure: secure, plain, tunnel, asked }
    }

    fn snapshots(&self, address: &str, variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        command.args(["repo", "--no-cache", "--repo", address, "snapshots", "--cacert"]).arg(self.authority.file());
        command.env_clear().env("RESTIC_PASSWORD", PASSWORD).envs(variables.iter().copied());
        command.env("https_proxy", format!("http://{}", self.tunnel));
        command.env("http_proxy", format!("http://{}", self.plain.address()));
        command.output().expect("it runs")
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").drain(..).collect()
    }
}

/// Leads every connection that is asked for to one server, whatever its name.
fn tunnel(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || lead(stream, to));
        }
    });
    address
}

fn lead(mut from: TcpStream, to: SocketAddr) -> io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && from.read(&mut byte)? == 1 {
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"CONNECT "), "{}", String::from_utf8_lossy(&head));
    from.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let to = TcpStream::connect(to)?;
    let (mut there, mut back) = ((from.try_clone()?, to.try_clone()?), (to, from));
    let way = thread::spawn(move || {
        let _ = io::copy(&mut there.0, &mut there.1);
        there.1.shutdown(Shutdown::Write)
    });
    let _ = io::copy(&mut back.0, &mut back.1);
    let _ = way.join();
    Ok(())
}

fn said(status: u16, body: &Value) -> Said {
    (status, ("content-type", "application/json"), body.to_string())
}

/// An empty bucket of Google's, for whoever shows this token.
fn empty_bucket(asked: &Asked, token: &str) -> Said {
    if asked.login != format!("Bearer {token}") {
        return said(401, &json!({ "error": { "code": 401, "message": "Invalid Credentials" } }));
    }
    if asked.what.contains("/o?") {
        return said(200, &json!({ "kind": "storage#objects" }));
    }
    said(404, &json!({ "error": { "code": 404, "message": "No such object" } }))
}

fn openssl(arguments: &[&str]) -> bool {
    Command::new("openssl").args(arguments).output().expect("openssl is installed").status.success()
}

/// What is claimed, if it was signed by the account.
fn claims(assertion: &str, folder: &Path) -> Option<Value> {
    let (signed, signature) = assertion.rsplit_once('.')?;
    let place = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    fs::write(place("signed"), signed).expect("written");
    fs::write(place("signature"), URL_SAFE_NO_PAD.decode(signature).ok()?).expect("written");
    let good = ["dgst", "-sha256", "-verify", &place("public"), "-signature", &place("signature"), &place("signed")];
    let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?;
    openssl(&good).then(|| serde_json::from_slice(&claims).expect("JSON"))
}

#[test]
fn accounts_of_google_sign_for_a_token() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    for name in ["private", "other"] {
        assert!(openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", &place(name)]));
    }
    assert!(openssl(&["pkey", "-in", &place("private"), "-pubout", "-out", &place("public")]));
    let keys = folder.path().to_owned();
    let services = Services::start(move |asked| {
        if asked.what != "POST https://oauth2.googleapis.com/token" {
            return empty_bucket(asked, "token-of-the-account");
        }
        let form: BTreeMap<_, _> = url::form_urlencoded::parse(asked.body.as_bytes()).into_owned().collect();
        assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
        match claims(&form["assertion"], &keys) {
            Some(claims) => {
                assert_eq!(claims["iss"], "backup@acme.iam.gserviceaccount.com");
                assert_eq!(claims["scope"], "https://www.googleapis.com/auth/devstorage.read_write");
                assert_eq!(claims["aud"], "https://oauth2.googleapis.com/token");
                said(
                    200,
                    &json!({ "access_token": "token-of-the-account", "expires_in": 3600, "token_type": "Bearer" }),
                )
            }
            None => said(400, &json!({ "error": "invalid_grant", "error_description": "Invalid JWT Signature." })),
        }
    });
    let file = |name: &str| {
        let key = fs::read_to_string(place(name)).expect("openssl wrote it");
        json!({ "type": "service_account", "project_id": "acme", "private_key_id": "1", "private_key": key,
            "client_email": "backup@acme.iam.gserviceaccount.com", "client_id": "1",
            "token_uri": "https://oauth2.googleapis.com/token" })
        .to_string()
    };
    fs::write(place("account.json"), file("private")).expect("written");
    for variable in [
        ("GOOGLE_APPLICATION_CREDENTIALS", place("account.json")),
        ("GOOGLE_SERVICE_ACCOUNT_JSON_KEY", file("private")),
    ] {
        let output = services.snapshots("gs:bucket:/some/prefix", &[(variable.0, &variable.1)]);
        assert_eq!(output.status.code(), NO_REPOSITORY, "{}: {output:?}", variable.0);
        let asked = services.asked();
        let tokens = asked.iter().filter(|one| one.what.contains("oauth2")).count();
        assert!(tokens == 1 && asked.len() > tokens, "{asked:?}");
    }
    let output = services.snapshots("gs:bucket:/some/prefix", &[("GOOGLE_SERVICE_ACCOUNT_JSON_KEY", &file("other"))]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("invalid_grant") || errors.contains("Invalid JWT Signature"), "{errors}");
}

#[test]
fn the_machine_has_an_account_of_google() {
    let services = Services::start(|asked| {
        let metadata = "GET http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token";
        if asked.what.starts_with(metadata) {
            let token = json!({ "access_token": "token-of-the-machine", "expires_in": 3599, "token_type": "Bearer" });
            return said(200, &token);
        }
        empty_bucket(asked, "token-of-the-machine")
    });
    let output = services.snapshots("gs:bucket:/some/prefix", &[]);
    assert_eq!(output.status.code(), NO_REPOSITORY, "{output:?}");
    let asked = services.asked();
    assert!(asked.iter().any(|one| one.what.contains("https://storage.googleapis.com/")), "{asked:?}");
    // A token that is given needs no account.
    let output = services.snapshots("gs:bucket:/some/prefix", &[("GOOGLE_ACCESS_TOKEN", "token-of-the-machine")]);
    assert_eq!(output.status.code(), NO_REPOSITORY, "{output:?}");
    assert!(services.asked().iter().all(|one| one.what.contains("https://storage.googleapis.com/")));
}

const KEYS: &str = r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult><Credentials>
    <SessionToken>session</SessionToken><SecretAccessKey>secret</SecretAccessKey>
    <Expiration>2099-10-24T23:00:23Z</Expiration><AccessKeyId>KEYOFTHEROLE</AccessKeyId>
  </Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>"#;

/// Of Amazon: who asks without a login gets to know the region, and whoever signs for it gets to know that nothing is there.
fn amazon(asked: &Asked) -> Said {
    let xml = |status, body: &str| (status, ("content-type", "application/xml"), body.to_owned());
    if asked.what.starts_with("POST https://sts.") || asked.what.starts_with("GET https://sts.") {
        return xml(200, KEYS);
    }
    if asked.login.is_empty() {
        return (403, ("x-amz-bucket-region", "eu-central-1"), String::new());
    }
    if !asked.login.contains("/eu-central-1/s3/aws4_request") {
        return xml(400, "<Error><Code>AuthorizationHeaderMalformed</Code><Message>wrong region</Message></Error>");
    }
    if asked.what.contains("list-type=2") {
        return xml(200, "<ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated></ListBucketResult>");
    }
    xml(404, "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>")
}

#[test]
fn amazon_tells_the_region_of_a_bucket() {
    let services = Services::start(amazon);
    let keys = [("AWS_ACCESS_KEY_ID", "KEY"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let output = services.snapshots("s3:s3.amazonaws.com/bucket/some/prefix", &keys);
    assert_eq!(output.status.code(), NO_REPOSITORY, "{output:?}");
    let asked = services.asked();
    assert_eq!((asked[0].what.as_str(), asked[0].login.as_str()), ("HEAD https://s3.amazonaws.com/bucket", ""));
    let others = &asked[1..];
    let by_host = |one: &Asked| one.what.contains(" https://bucket.s3.eu-central-1.amazonaws.com/");
    assert!(!others.is_empty() && others.iter().all(by_host), "{asked:?}");
    // Of the name of the host, or of a variable, nobody needs to be asked.
    for (address, region) in
        [("s3:s3.eu-central-1.amazonaws.com/bucket", ""), ("s3:s3.amazonaws.com/bucket", "eu-central-1")]
    {
        let output = services.snapshots(address, &[keys[0], keys[1], ("AWS_REGION", region)]);
        assert_eq!(output.status.code(), NO_REPOSITORY, "{output:?}");
        let asked = services.asked();
        assert!(!asked.is_empty() && asked.iter().all(|one| !one.login.is_empty()), "{asked:?}");
    }
}

#[test]
fn a_role_is_asked_for_in_the_region_of_the_bucket() {
    let services = Services::start(amazon);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let token = folder.path().join("token");
    fs::write(&token, "token-of-the-account\n").expect("written");
    let role = [
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/backup"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().expect("UTF-8")),
    ];
    let output = services.snapshots("s3:s3.amazonaws.com/bucket", &role);
    assert_eq!(output.status.code(), NO_REPOSITORY, "{output:?}");
    let asked = services.asked();
    let sts: Vec<&Asked> = asked.iter().filter(|one| one.what.contains("https://sts.")).collect();
    assert_eq!(sts.len(), 1, "{asked:?}");
    assert!(sts[0].what.contains("https://sts.eu-central-1.amazonaws.com/"), "{sts:?}");
    assert!(asked.iter().any(|one| one.login.contains("Credential=KEYOFTHEROLE/")), "{asked:?}");
}
