//! Buckets of Google, Azure and Backblaze.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Method, Request};
use opendal::Operator;
use opendal::services::{Azblob, B2, Gcs};
use serde_json::{Value, json};

use super::Fault;
use super::answer::{Answer, NO_BUCKET, fault};
use super::http::{Http, collect};
use super::token::Token;
use super::transport::{Service, Transport};

const ANSWER_BYTES_MAX: usize = 1 << 20;
/// A file of a repository is written once; a few versions are left by uploads whose answers were lost.
const VERSIONS_MAX: usize = 100;
pub(super) const HIDE: &str = "b2_hide_file";
/// Fixed in `opendal`.
const B2_API: &str = "https://api.backblazeb2.com";

#[derive(Clone)]
pub(super) enum GoogleLogin {
    /// The content of a file of a service account.
    Key(String),
    File(String),
    Token(String),
    /// Of the machine.
    Instance,
    /// An emulator asks for none.
    Nobody,
}

#[derive(Clone)]
pub(super) struct Google {
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) login: GoogleLogin,
    pub(super) endpoint: Option<String>,
}

impl Google {
    pub(super) fn open(self, http: Http) -> Result<Operator, Fault> {
        let builder = Gcs::default().bucket(&self.bucket).root(&self.prefix).disable_config_load();
        let builder = match &self.endpoint {
            Some(endpoint) => builder.endpoint(endpoint.trim_end_matches('/')),
            None => builder,
        };
        let builder = match self.login {
            GoogleLogin::Key(key) => builder.credential(&STANDARD.encode(key)).disable_vm_metadata(),
            GoogleLogin::File(path) => builder.credential_path(&path).disable_vm_metadata(),
            GoogleLogin::Token(token) => builder.token(token).disable_vm_metadata(),
            GoogleLogin::Instance => builder,
            GoogleLogin::Nobody => builder.skip_signature(),
        };
        let operator = Operator::new(builder).map_err(|error| fault(&error))?;
        Ok(Transport::new(http, Service::Google(Token::default())).under(operator))
    }
}

#[derive(Clone)]
pub(super) struct Azure {
    pub(super) container: String,
    pub(super) prefix: String,
    pub(super) endpoint: String,
    pub(super) account: String,
    pub(super) key: Option<String>,
    pub(super) sas: Option<String>,
}

impl Azure {
    pub(super) fn open(self, http: Http) -> Result<Operator, Fault> {
        let builder = Azblob::default()
            .container(&self.container)
            .root(&self.prefix)
            .endpoint(self.endpoint.trim_end_matches('/'))
            .account_name(&self.account);
        let builder = match (&self.key, &self.sas) {
            (Some(key), _) => builder.account_key(key),
            // As the portal shows it, it begins with what joins it to a URL.
            (None, Some(sas)) => builder.sas_token(sas.trim_start_matches('?')),
            (None, None) => builder,
        };
        let operator = Operator::new(builder).map_err(|error| fault(&error))?;
        Ok(Transport::new(http, Service::Whole).under(operator))
    }
}

#[derive(Clone)]
pub(super) struct Backblaze {
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) id: String,
    pub(super) key: String,
    pub(super) api: Option<String>,
}

impl Backblaze {
    pub(super) async fn open(self, http: Http) -> Result<Operator, Fault> {
        let bucket_id = self.bucket_id(&http).await?;
        let builder = B2::default()
            .application_key_id(&self.id)
            .application_key(&self.key)
            .bucket(&self.bucket)
            .bucket_id(&bucket_id)
            .root(&self.prefix);
        let operator = Operator::new(builder).map_err(|error| fault(&error))?;
        Ok(Transport::new(http, Service::B2).route(B2_API, self.api).under(operator))
    }

    /// Requests name the bucket by a number. A key for one bucket tells it with the login; any other may ask.
    async fn bucket_id(&self, http: &Http) -> Result<String, Fault> {
        let api = self.api.as_deref().unwrap_or(B2_API).trim_end_matches('/');
        let login = format!("Basic {}", STANDARD.encode(format!("{}:{}", self.id, self.key)));
        let account = ask(http, Method::GET, format!("{api}/b2api/v2/b2_authorize_account"), &login, None).await?;
        let text = |value: &Value, pointer: &str| {
            let found = value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            found.ok_or_else(|| Fault::Broken(format!("the answer of B2 has no {pointer}")))
        };
        if account.pointer("/allowed/bucketName").and_then(Value::as_str) == Some(&self.bucket) {
            return text(&account, "/allowed/bucketId");
        }
        let body = json!({ "accountId": text(&account, "/accountId")?, "bucketName": self.bucket });
        let url = format!("{}/b2api/v2/b2_list_buckets", text(&account, "/apiUrl")?);
        let token = text(&account, "/authorizationToken")?;
        let buckets = ask(http, Method::POST, url, &token, Some(&body)).await?;
        let found =
            buckets["buckets"].as_array().into_iter().flatten().find(|bucket| bucket["bucketName"] == self.bucket);
        match found {
            Some(bucket) => text(bucket, "/bucketId"),
            None => Err(Fault::Broken(NO_BUCKET.to_owned())),
        }
    }
}

/// In place of hiding a file, as `opendal` does: what is hidden stays, and is paid for.
pub(super) async fn erase(http: &Http, hide: &Request<Vec<Bytes>>) -> Result<(), Fault> {
    let wrong = || Fault::Broken("no request that hides a file".to_owned());
    let asked: Value = serde_json::from_slice(&hide.body().concat()).map_err(|_| wrong())?;
    let name = asked["fileName"].as_str().ok_or_else(wrong)?;
    let login = hide.headers().get(AUTHORIZATION).and_then(|login| login.to_str().ok()).ok_or_else(wrong)?;
    let uri = hide.uri().to_string();
    let api = uri.strip_suffix(HIDE).ok_or_else(wrong)?;
    let body = json!({
        "bucketId": asked["bucketId"], "prefix": name, "startFileName": name, "maxFileCount": VERSIONS_MAX,
    });
    let versions = ask(http, Method::POST, format!("{api}b2_list_file_versions"), login, Some(&body)).await?;
    for version in versions["files"].as_array().into_iter().flatten().filter(|version| version["fileName"] == name) {
        let body = json!({ "fileName": name, "fileId": version["fileId"] });
        ask(http, Method::POST, format!("{api}b2_delete_file_version"), login, Some(&body)).await?;
    }
    Ok(())
}

async fn ask(http: &Http, method: Method, url: String, login: &str, body: Option<&Value>) -> Result<Value, Fault> {
    let body = body.map(|body| Bytes::from(body.to_string())).into_iter().collect();
    let request = Request::builder().method(method).uri(url).header(AUTHORIZATION, login);
    let request = request.body(body).map_err(|error| Fault::Broken(error.to_string()))?;
    let (parts, body) = http.send(request).await?.into_parts();
    let body = collect(body, ANSWER_BYTES_MAX).await?;
    if !parts.status.is_success() {
        return Err(Answer::new(parts.status, &parts.headers, &body).fault);
    }
    serde_json::from_slice(&body).map_err(|error| Fault::Broken(error.to_string()))
}
