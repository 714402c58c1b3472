//! A reverse proxy that holds, cuts or refuses single requests: plain HTTP in, HTTP or HTTPS out.
//! Bodies are passed on as they come, so watches stream.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http_body_util::BodyExt as _;
use hyper::{
    Request, Response,
    body::{Body, Bytes, Incoming},
    client::conn::http1,
    header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, TRANSFER_ENCODING},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
};
use tokio_rustls::TlsConnector;

use super::{
    http_thread::{Answer, BoxError, HttpThread, RequestLog, SeenRequest, full},
    kubeconfig::ServerAccess,
    tls::client_config,
    truncated::Truncated,
};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// It waits until the rule is released and goes on then, if its client still waits.
    Hold,
    /// The server does its work and the answer waits until the rule is released.
    HoldAnswer,
    /// It waits until the rule is released and goes on then, even if its client is gone by that time.
    Outlive,
    /// The connection is closed and the server never sees the request.
    CutBefore,
    /// The server does its work and the answer is lost. Not for watches: they have no end.
    CutAfterForward,
    /// The proxy answers with this status in the server's place.
    Refuse(u16),
    /// It goes on after this time.
    Delay(Duration),
    /// The connection is closed after this many bytes of the answer's body.
    Truncate(usize),
}

/// Which of the requests that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Every,
    /// 1 is the first that comes after the rule was made.
    Nth(usize),
}

type Matches = Box<dyn Fn(&SeenRequest) -> bool + Send + Sync>;

/// A rule of a running proxy.
pub(crate) struct Rule {
    which: Which,
    action: Action,
    matches: Matches,
    matched: AtomicUsize,
    state: watch::Sender<RuleState>,
}

#[derive(Debug, Clone, Copy, Default)]
struct RuleState {
    /// Requests that it was applied to.
    applied: usize,
    /// Requests that wait now.
    held: usize,
    released: bool,
}

/// The running proxy; ends with all its connections when dropped.
pub(crate) struct Proxy {
    rules: Arc<Mutex<Vec<Arc<Rule>>>>,
    log: RequestLog,
    http: HttpThread,
}

/// Where requests go.
#[derive(Clone)]
struct Upstream {
    /// `HOST:PORT`.
    authority: String,
    tls: Option<Arc<ClientConfig>>,
    /// It is told the proxy's name as its own: a signature may be over it.
    keeps_host: bool,
}

impl Proxy {
    /// In front of a server with plain HTTP, such as [`super::git_server::GitServer`]. The path of
    /// `url` does not matter: see [`Proxy::url_of`].
    pub(crate) fn in_front_of(url: &str) -> Self {
        let authority = url.strip_prefix("http://").expect("a plain HTTP server").split('/').next().unwrap_or_default();
        Self::start(Upstream { authority: authority.to_owned(), tls: None, keeps_host: false })
    }

    /// The same for a server that checks signatures of whole requests.
    pub(crate) fn in_front_of_signed(url: &str) -> Self {
        let authority = url.strip_prefix("http://").expect("a plain HTTP server").split('/').next().unwrap_or_default();
        Self::start(Upstream { authority: authority.to_owned(), tls: None, keeps_host: true })
    }

    /// In front of the API server that `kubeconfig` names, and the kubeconfig file (`NAME.proxied`
    /// beside it) that leads to the proxy. The identity stays: the token is passed on, a client
    /// certificate is shown by the proxy.
    pub(crate) fn in_front_of_cluster(kubeconfig: &Path) -> (Self, PathBuf) {
        let access = ServerAccess::read(kubeconfig);
        let authority = access.server.strip_prefix("https://").expect("an API server has TLS").trim_end_matches('/');
        let identity = access.certificate.as_ref().map(|(certificate, key)| (&certificate[..], &key[..]));
        let tls = client_config(access.authority.as_deref().expect("a certificate authority"), identity);
        let proxy = Self::start(Upstream { authority: authority.to_owned(), tls: Some(tls), keeps_host: false });
        let server = format!("http://{}", proxy.http.address());
        // One file for each proxy: several may stand before the same cluster.
        let file = kubeconfig.with_extension(format!("{}.proxied", proxy.http.address().port()));
        ServerAccess { server, authority: None, certificate: None, token: access.token }.write(&file);
        (proxy, file)
    }

    fn start(upstream: Upstream) -> Self {
        let (rules, log) = (Arc::default(), RequestLog::default());
        let (seen_by, ruled_by) = (log.clone(), Arc::clone(&rules));
        let http = HttpThread::start(None, move |request| {
            answer(upstream.clone(), Arc::clone(&ruled_by), seen_by.clone(), request)
        });
        Self { rules, log, http }
    }

    /// `url` with the proxy's address in place of the server's.
    pub(crate) fn url_of(&self, url: &str) -> String {
        let path = url.splitn(4, '/').nth(3).unwrap_or_default();
        format!("http://{}/{path}", self.http.address())
    }

    /// Adds a rule. Where several fit a request, the oldest that applies is taken.
    pub(crate) fn rule(
        &self,
        which: Which,
        action: Action,
        matches: impl Fn(&SeenRequest) -> bool + Send + Sync + 'static,
    ) -> Arc<Rule> {
        let state = watch::Sender::default();
        let rule = Arc::new(Rule { which, action, matches: Box::new(matches), matched: AtomicUsize::new(0), state });
        self.rules.lock().expect("no holder panics").push(Arc::clone(&rule));
        rule
    }

    /// All requests so far, with the status that the server (or [`Action::Refuse`]) answered.
    pub(crate) fn requests(&self) -> Vec<SeenRequest> {
        self.log.all()
    }

    /// Ends all connections that are open now, running watches included.
    pub(crate) fn cut_connections(&self) {
        self.http.cut_connections();
    }
}

impl Rule {
    /// To how many requests it was applied.
    pub(crate) fn applied(&self) -> usize {
        self.state.borrow().applied
    }

    /// Waits until a request is held.
    ///
    /// # Panics
    /// After `timeout`.
    pub(crate) async fn wait_for_held(&self, timeout: Duration) {
        self.wait(timeout, "a request held", |state| state.held > 0).await;
    }

    /// Waits until the rule was applied to `count` requests.
    ///
    /// # Panics
    /// After `timeout`.
    pub(crate) async fn wait_for_applied(&self, count: usize, timeout: Duration) {
        self.wait(timeout, "requests that the rule fits", |state| state.applied >= count).await;
    }

    /// Ends the rule: what it holds goes on, and it applies to nothing more.
    pub(crate) fn release(&self) {
        self.state.send_modify(|state| state.released = true);
    }

    async fn wait(&self, timeout: Duration, what: &str, reached: impl FnMut(&RuleState) -> bool) {
        let mut state = self.state.subscribe();
        let waited = tokio::time::timeout(timeout, state.wait_for(reached)).await;
        assert!(waited.is_ok(), "{what}: not within {timeout:?}");
    }

    /// Whether it applies to this request, which counts as one that matched if it fits.
    fn applies(&self, seen: &SeenRequest) -> bool {
        if self.state.borrow().released || !(self.matches)(seen) {
            return false;
        }
        let number = self.matched.fetch_add(1, Ordering::Relaxed) + 1;
        let applies = match self.which {
            Which::Every => true,
            Which::Nth(nth) => nth == number,
        };
        if applies {
            self.state.send_modify(|state| state.applied += 1);
        }
        applies
    }

    async fn hold(&self) {
        /// Counts a request out again, also when its client gives up.
        struct Held<'a>(&'a Rule);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                self.0.state.send_modify(|state| state.held -= 1);
            }
        }
        self.state.send_modify(|state| state.held += 1);
        let _held = Held(self);
        // Only fails when the sender is gone, which is `self`.
        let _ = self.state.subscribe().wait_for(|state| state.released).await;
    }
}

async fn answer(
    upstream: Upstream,
    rules: Arc<Mutex<Vec<Arc<Rule>>>>,
    log: RequestLog,
    request: Request<Incoming>,
) -> Answer {
    let seen = log.record(&request);
    let rule = rules.lock().expect("no holder panics").iter().find(|rule| rule.applies(&seen)).cloned();
    let mut truncate = None;
    let (mut lose_answer, mut hold_answer) = (false, None);
    match rule.as_ref().map(|rule| (rule, rule.action)) {
        None => {}
        Some((rule, Action::Hold)) => rule.hold().await,
        Some((rule, Action::HoldAnswer)) => hold_answer = Some(Arc::clone(rule)),
        Some((rule, Action::Outlive)) => return outlive(upstream, Arc::clone(rule), log, seen.nth, request).await,
        Some((_, Action::Delay(delay))) => tokio::time::sleep(delay).await,
        Some((_, Action::CutBefore)) => return Err("cut before it was forwarded".into()),
        Some((_, Action::CutAfterForward)) => lose_answer = true,
        Some((_, Action::Truncate(bytes))) => truncate = Some(bytes),
        Some((_, Action::Refuse(status))) => {
            log.answered(seen.nth, status);
            return refusal(status);
        }
    }
    let mut answer = upstream.forward(request).await?;
    log.answered(seen.nth, answer.status().as_u16());
    if let Some(rule) = hold_answer {
        rule.hold().await;
    }
    if lose_answer {
        answer.into_body().collect().await?;
        return Err("cut after it was forwarded".into());
    }
    for hop_by_hop in [CONNECTION, TRANSFER_ENCODING] {
        answer.headers_mut().remove(hop_by_hop);
    }
    Ok(match truncate {
        Some(bytes) => answer.map(|body| Truncated::new(body, bytes).boxed()),
        None => answer.map(|body| body.map_err(Into::into).boxed()),
    })
}

/// Sends a request on when the rule is released. In a task of its own, which does not end with the connection.
async fn outlive(
    upstream: Upstream,
    rule: Arc<Rule>,
    log: RequestLog,
    nth: usize,
    request: Request<Incoming>,
) -> Answer {
    let (head, body) = request.into_parts();
    let request = Request::from_parts(head, full(body.collect().await?.to_bytes()));
    let sent = tokio::spawn(async move {
        rule.hold().await;
        let (head, body) = upstream.forward(request).await?.into_parts();
        log.answered(nth, head.status.as_u16());
        Ok::<_, BoxError>(Response::from_parts(head, full(body.collect().await?.to_bytes())))
    });
    sent.await?
}

/// An answer that Kubernetes clients understand too.
fn refusal(status: u16) -> Answer {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": status,
        "message": "refused by the test's proxy", "reason": "RefusedByProxy",
    });
    let answer = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    Ok(answer.body(full(body.to_string()))?)
}

impl Upstream {
    /// Sends one request over a connection of its own.
    async fn forward<B>(&self, request: Request<B>) -> Result<Response<Incoming>, BoxError>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => self.send(stream, request).await,
            Some(tls) => {
                let host = self.authority.rsplit_once(':').map_or(self.authority.as_str(), |(host, _)| host);
                let name = ServerName::try_from(host.to_owned())?;
                self.send(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?, request).await
            }
        }
    }

    async fn send<B>(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        mut request: Request<B>,
    ) -> Result<Response<Incoming>, BoxError>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the answer's body, or when nobody reads that any more.
        tokio::spawn(connection);
        for hop_by_hop in [CONNECTION, TRANSFER_ENCODING] {
            request.headers_mut().remove(hop_by_hop);
        }
        if !self.keeps_host {
            request.headers_mut().insert(HOST, HeaderValue::from_str(&self.authority)?);
        }
        Ok(sender.send_request(request).await?)
    }
}
