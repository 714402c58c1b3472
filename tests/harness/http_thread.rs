//! An HTTP/1.1 server on loopback with a thread and a runtime of its own. Its handler may end a
//! connection without an answer, which no web framework allows.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    header::USER_AGENT,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{oneshot, watch},
};
use tokio_rustls::TlsAcceptor;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type AnswerBody = BoxBody<Bytes, BoxError>;
/// `Err` closes the connection without an answer.
pub(crate) type Answer = Result<Response<AnswerBody>, BoxError>;

/// A request as a server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenRequest {
    /// 1 for the first request of this server.
    pub(crate) nth: usize,
    pub(crate) method: String,
    pub(crate) path: String,
    /// Without the question mark; empty if there is none.
    pub(crate) query: String,
    pub(crate) user_agent: String,
    /// Status of the server's answer; none while it has not answered. It says nothing of whether
    /// the answer reached the client.
    pub(crate) status: Option<u16>,
}

/// The requests of one server in the order in which they came.
#[derive(Clone, Default)]
pub(crate) struct RequestLog(Arc<Mutex<Vec<SeenRequest>>>);

impl RequestLog {
    pub(crate) fn record(&self, request: &Request<Incoming>) -> SeenRequest {
        let mut log = self.0.lock().expect("no holder panics");
        let seen = SeenRequest {
            nth: log.len() + 1,
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            user_agent: request
                .headers()
                .get(USER_AGENT)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
            status: None,
        };
        log.push(seen.clone());
        seen
    }

    pub(crate) fn answered(&self, nth: usize, status: u16) {
        self.0.lock().expect("no holder panics")[nth - 1].status = Some(status);
    }

    pub(crate) fn all(&self) -> Vec<SeenRequest> {
        self.0.lock().expect("no holder panics").clone()
    }
}

/// The running server; ends with all its connections when dropped.
pub(crate) struct HttpThread {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    cut: watch::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl HttpThread {
    /// Serves on a free port of 127.0.0.1, with TLS if `tls` is given.
    pub(crate) fn start<S, F>(tls: Option<Arc<ServerConfig>>, serve: S) -> Self
    where
        S: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket can be made non-blocking");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (stop, stopped) = oneshot::channel();
        let cut = watch::Sender::new(());
        let cuts = cut.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("the socket is non-blocking");
                tokio::select! {
                    never = accept(listener, tls.map(TlsAcceptor::from), cuts, serve) => match never {},
                    _ = stopped => {}
                }
            });
        });
        Self { address, stop: Some(stop), cut, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections that are open now, whatever runs over them.
    pub(crate) fn cut_connections(&self) {
        self.cut.send_replace(());
    }
}

impl Drop for HttpThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept<S, F>(listener: TcpListener, tls: Option<TlsAcceptor>, cuts: watch::Sender<()>, serve: S) -> Infallible
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    loop {
        // A connection that is gone before it is accepted is the client's matter.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let (tls, serve, mut cut) = (tls.clone(), serve.clone(), cuts.subscribe());
        tokio::spawn(async move {
            let served = async move {
                match tls {
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => connection(stream, serve).await,
                        Err(_untrusting_client) => {}
                    },
                    None => connection(stream, serve).await,
                }
            };
            tokio::select! { () = served => {}, _ = cut.changed() => {} }
        });
    }
}

async fn connection<S, F>(stream: impl AsyncRead + AsyncWrite + Unpin, serve: S)
where
    S: Fn(Request<Incoming>) -> F,
    F: Future<Output = Answer>,
{
    // No keep-alive: clients repeat by themselves, unseen, what fails on a connection they used before.
    // An error here is a connection that the client or the handler cut.
    let _ = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service_fn(serve)).await;
}

/// A body that is complete.
pub(crate) fn full(bytes: impl Into<Bytes>) -> AnswerBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}
