//! A Git server over HTTP: `git http-backend` as a CGI program behind a small server on loopback.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http_body_util::BodyExt as _;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE},
};
use tokio::{io::AsyncWriteExt as _, process::Command};

use super::{
    bare_repository::{BareRepository, NAME},
    http_thread::{Answer, BoxError, HttpThread, RequestLog, SeenRequest, full},
    tls::TestAuthority,
};

/// What a request must show; one without it gets 401.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    Open,
    /// A password or a token as password, as most forges want it.
    Basic {
        user: String,
        password: String,
    },
    Bearer {
        token: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Http,
    /// With a certificate of the server's own authority, see [`GitServer::authority_file`].
    Https,
}

/// One repository served over HTTP or HTTPS.
pub(crate) struct GitServer {
    repository: BareRepository,
    authority: Option<TestAuthority>,
    log: RequestLog,
    http: HttpThread,
}

/// What the handler of a request needs.
struct Served {
    root: PathBuf,
    /// Value of the `Authorization` header and name of the user.
    access: Option<(String, String)>,
    log: RequestLog,
}

impl GitServer {
    /// Serves a new empty repository.
    pub(crate) fn start(transport: Transport, access: &Access) -> Self {
        let repository = BareRepository::create();
        let authority = (transport == Transport::Https).then(TestAuthority::create);
        let log = RequestLog::default();
        let access = match access {
            Access::Open => None,
            Access::Basic { user, password } => {
                Some((format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))), user.clone()))
            }
            Access::Bearer { token } => Some((format!("Bearer {token}"), "bearer".to_owned())),
        };
        let served = Arc::new(Served { root: repository.root().to_owned(), access, log: log.clone() });
        let http = HttpThread::start(authority.as_ref().map(TestAuthority::server_config), move |request| {
            served.clone().answer(request)
        });
        Self { repository, authority, log, http }
    }

    /// The URL to clone from, without credentials.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/{NAME}", self.http.address())
    }

    /// Its port of 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.http.address().port()
    }

    /// The certificate (PEM) of the authority that signed the server's; only with [`Transport::Https`].
    pub(crate) fn authority_file(&self) -> Option<PathBuf> {
        self.authority.as_ref().map(TestAuthority::file)
    }

    pub(crate) fn repository(&self) -> &BareRepository {
        &self.repository
    }

    /// All requests so far, those refused included.
    pub(crate) fn requests(&self) -> Vec<SeenRequest> {
        self.log.all()
    }

    /// Ends all connections that are open now.
    pub(crate) fn cut_connections(&self) {
        self.http.cut_connections();
    }
}

impl Served {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let seen = self.log.record(&request);
        let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let answer = match &self.access {
            Some((wanted, _)) if shown != Some(wanted) => Response::builder()
                .status(StatusCode::UNAUTHORIZED)
                .header(WWW_AUTHENTICATE, "Basic realm=\"test\"")
                .body(full("credentials needed\n"))?,
            Some((_, user)) => backend(&self.root, Some(user), request).await?,
            None => backend(&self.root, None, request).await?,
        };
        self.log.answered(seen.nth, answer.status().as_u16());
        Ok(answer)
    }
}

/// Runs `git http-backend` on one request (RFC 3875).
async fn backend(root: &Path, user: Option<&str>, request: Request<Incoming>) -> Answer {
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", root)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", request.method().as_str())
        .env("PATH_INFO", request.uri().path())
        .env("QUERY_STRING", request.uri().query().unwrap_or_default())
        .env("CONTENT_TYPE", header(CONTENT_TYPE))
        .env("HTTP_CONTENT_ENCODING", header(CONTENT_ENCODING))
        .env("GIT_PROTOCOL", header(HeaderName::from_static("git-protocol")))
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some(user) = user {
        command.env("REMOTE_USER", user);
    }
    let body = request.into_body().collect().await?.to_bytes();
    command.env("CONTENT_LENGTH", body.len().to_string());
    let mut child = command.spawn()?;
    let mut input = child.stdin.take().ok_or("standard input is piped")?;
    // In a task of its own: the program may answer before it has read everything. That it closes its
    // input early is no error.
    tokio::spawn(async move { input.write_all(&body).await });
    let output = child.wait_with_output().await?;
    parse(&output.stdout).map_err(|error| {
        let text = String::from_utf8_lossy(&output.stderr);
        format!("git http-backend ({}): {error}: {text}", output.status).into()
    })
}

/// Turns the output of a CGI program into an answer.
fn parse(output: &[u8]) -> Answer {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").ok_or("no end of headers")?;
    let mut answer = Response::builder();
    for line in std::str::from_utf8(&output[..end])?.split("\r\n") {
        let (name, value) = line.split_once(": ").ok_or("a header without a value")?;
        answer = if name.eq_ignore_ascii_case("status") {
            answer.status(value.get(..3).ok_or("a status without a code")?)
        } else {
            answer.header(name, value)
        };
    }
    answer.body(full(Bytes::copy_from_slice(&output[end + 4..]))).map_err(BoxError::from)
}
