//! Whose keys sign requests to S3, and the signatures.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use http::{Request, Response};
use reqsign_aws_v4::{
    AssumeRoleWithWebIdentityCredentialProvider, Credential, IMDSv2CredentialProvider, RequestSigner,
    StaticCredentialProvider,
};
use reqsign_core::{Context, FileRead, HttpSend, ProvideCredential};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::Fault;
use super::http::{Http, collect};

/// Answers with keys are small, and so are tokens of accounts in a cluster.
const ANSWER_BYTES_MAX: usize = 1 << 20;
const STS: &str = "https://sts.";

#[derive(Clone)]
pub(super) enum Keys {
    Static {
        id: String,
        secret: String,
        token: Option<String>,
    },
    /// A role that the token of an account in a cluster stands for.
    Role {
        arn: String,
        token_file: PathBuf,
        session: Option<String>,
        /// In place of Amazon's service for that.
        endpoint: Option<String>,
    },
    /// Of the machine.
    Instance {
        endpoint: Option<String>,
    },
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Keys::Static { .. } => "Static",
            Keys::Role { .. } => "Role",
            Keys::Instance { .. } => "Instance",
        })
    }
}

/// Gets keys when there are none that are valid any more.
#[derive(Debug)]
struct Provider {
    keys: Keys,
    region: String,
    instance: IMDSv2CredentialProvider,
}

impl ProvideCredential for Provider {
    type Credential = Credential;

    async fn provide_credential(&self, context: &Context) -> reqsign_core::Result<Option<Credential>> {
        match &self.keys {
            Keys::Static { id, secret, token } => {
                let provider = StaticCredentialProvider::new(id, secret);
                let provider = match token {
                    Some(token) => provider.with_session_token(token),
                    None => provider,
                };
                provider.provide_credential(context).await
            }
            Keys::Role { arn, token_file, session, endpoint: _ } => {
                let provider =
                    AssumeRoleWithWebIdentityCredentialProvider::with_config(arn.clone(), token_file.clone())
                        .with_region(self.region.clone())
                        .with_regional_sts_endpoint()
                        .with_role_session_name(session.clone().unwrap_or_else(|| "holdfast".to_owned()));
                provider.provide_credential(context).await
            }
            Keys::Instance { .. } => self.instance.provide_credential(context).await,
        }
    }
}

pub(super) struct Signer {
    inner: reqsign_core::Signer<Credential>,
    /// Given, they are wrong or right; fetched, they may be there the next time.
    fetched: bool,
}

impl Signer {
    pub(super) fn new(keys: Keys, region: String, http: Http) -> Self {
        let (fetched, endpoint) = match &keys {
            Keys::Static { .. } => (false, None),
            Keys::Role { endpoint, .. } => (true, endpoint.clone()),
            Keys::Instance { .. } => (true, None),
        };
        let instance = match &keys {
            Keys::Instance { endpoint: Some(endpoint) } => IMDSv2CredentialProvider::new().with_endpoint(endpoint),
            Keys::Instance { endpoint: None } | Keys::Static { .. } | Keys::Role { .. } => {
                IMDSv2CredentialProvider::new()
            }
        };
        let signer = RequestSigner::new("s3", &region);
        let context = Context::new().with_http_send(Sender { http, sts: endpoint }).with_file_read(Files);
        Self { inner: reqsign_core::Signer::new(context, Provider { keys, region, instance }, signer), fetched }
    }

    pub(super) async fn sign(&self, request: &mut Request<Vec<Bytes>>) -> Result<(), Fault> {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = request.method().clone();
        parts.uri = request.uri().clone();
        parts.headers = request.headers().clone();
        self.inner.sign(&mut parts, None).await.map_err(|error| self.fault(&error))?;
        // The client writes it by itself, from the address.
        parts.headers.remove(http::header::HOST);
        *request.uri_mut() = parts.uri;
        *request.headers_mut() = parts.headers;
        Ok(())
    }

    fn fault(&self, error: &reqsign_core::Error) -> Fault {
        let mut inner: &dyn std::error::Error = error;
        while let Some(source) = inner.source() {
            inner = source;
        }
        let reason = format!("there are no keys to sign with: {inner}");
        if self.fetched { Fault::Unavailable(reason) } else { Fault::Denied(reason) }
    }
}

#[derive(Debug)]
struct Sender {
    http: Http,
    /// Where requests for a role go instead.
    sts: Option<String>,
}

impl HttpSend for Sender {
    async fn http_send(&self, request: Request<Bytes>) -> reqsign_core::Result<Response<Bytes>> {
        let mut request = request.map(|body| vec![body]);
        if let Some(endpoint) = self.sts.as_ref().filter(|_| request.uri().to_string().starts_with(STS)) {
            let uri = endpoint.parse().map_err(|_| reqsign_core::Error::config_invalid("no URL"))?;
            *request.uri_mut() = uri;
        }
        let failed = |error| reqsign_core::Error::unexpected("the service for keys does not answer").with_source(error);
        let (parts, body) = self.http.send(request).await.map_err(failed)?.into_parts();
        Ok(Response::from_parts(parts, collect(body, ANSWER_BYTES_MAX).await.map_err(failed)?.into()))
    }
}

/// Read anew each time: Kubernetes renews the token.
#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> reqsign_core::Result<Vec<u8>> {
        let failed = |error| reqsign_core::Error::config_invalid("the file cannot be read").with_source(error);
        let file = File::open(path).await.map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(ANSWER_BYTES_MAX as u64).read_to_end(&mut bytes).await.map_err(failed)?;
        Ok(bytes)
    }
}
