//! HTTP for all stores behind a network: paced, with an end to every wait, and with failures that say what they are.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use reqwest::{Certificate, Client};
use thiserror::Error;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::pace::Pace;

/// Of a body that goes out, one piece: small, so that the pace is even and progress is seen.
const PIECE_BYTES: u64 = 64 << 10;
/// Idle connections are closed after this, which is less than servers wait.
const IDLE: Duration = Duration::from_secs(30);

/// How long to wait for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// While not one byte moves. A large body that moves may take as long as it takes.
    pub stalled: Duration,
}

impl Default for Patience {
    /// A server under load may think for a minute before it answers; who is silent for two is gone.
    fn default() -> Self {
        Self { connect: Duration::from_secs(30), stalled: Duration::from_mins(2) }
    }
}

/// Why there is no whole answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Cut {
    #[error("{0}")]
    Unreached(String),
    #[error("{0}: name the authority that signed it (CA_CERT_DATA, or a bundle of certificates)")]
    Untrusted(String),
    #[error("nothing came or went for {} s", .0.as_secs_f32())]
    Stalled(Duration),
    #[error("the connection was cut after {got} bytes of {}: {reason}", wanted.map_or("unknown".to_owned(), |wanted| wanted.to_string()))]
    Short { wanted: Option<u64>, got: u64, reason: String },
}

/// Certificates that are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    #[default]
    System,
    /// Only these, in PEM.
    Only(Vec<u8>),
    /// Anything.
    Blind,
}

/// Why there is no client.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HttpError {
    #[error("the bundle of certificates holds none: it must be in PEM")]
    Certificates,
    #[error("no HTTP client: {0}")]
    Client(String),
}

#[derive(Clone)]
pub(super) struct Http {
    client: Client,
    up: Option<Arc<Pace>>,
    down: Option<Arc<Pace>>,
    patience: Patience,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

/// What comes in.
pub(super) type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, Cut>> + Send + Sync>>;

impl Http {
    pub(super) fn new(
        trust: &Trust,
        up: Option<Arc<Pace>>,
        down: Option<Arc<Pace>>,
        patience: Patience,
    ) -> Result<Self, HttpError> {
        // Whoever was first has installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Without the adaptive window one connection of HTTP/2 is slower than several of HTTP/1 on long ways.
        let builder = Client::builder().connect_timeout(patience.connect).pool_idle_timeout(IDLE);
        let builder = builder.http2_adaptive_window(true);
        let builder = match trust {
            Trust::System => builder,
            Trust::Only(pem) => match Certificate::from_pem_bundle(pem) {
                Ok(certificates) if !certificates.is_empty() => builder.tls_certs_only(certificates),
                Ok(_) | Err(_) => return Err(HttpError::Certificates),
            },
            Trust::Blind => builder.tls_danger_accept_invalid_certs(true),
        };
        let client = builder.build().map_err(|error| HttpError::Client(innermost(&error)))?;
        Ok(Self { client, up, down, patience })
    }

    /// Sends all of the body; what comes is read as it is asked for.
    pub(super) async fn send(&self, request: Request<Vec<Bytes>>) -> Result<Response<Pieces>, Cut> {
        let (parts, body) = request.into_parts();
        let is_head = parts.method == http::Method::HEAD;
        let progress = Arc::new(AtomicU64::new(0));
        let upload = Upload::new(body, self.up.clone(), Arc::clone(&progress));
        let mut request = self.client.request(parts.method, parts.uri.to_string()).headers(parts.headers);
        if upload.left > 0 {
            request = request.body(reqwest::Body::wrap(upload));
        }
        let mut sending = std::pin::pin!(request.send());
        let mut seen = progress.load(Ordering::Relaxed);
        let response = loop {
            match timeout(self.patience.stalled, &mut sending).await {
                Ok(response) => break response.map_err(|error| unreached(innermost(&error)))?,
                Err(_) if progress.load(Ordering::Relaxed) != seen => seen = progress.load(Ordering::Relaxed),
                Err(_) => return Err(Cut::Stalled(self.patience.stalled)),
            }
        };
        let response: Response<reqwest::Body> = response.into();
        let (parts, body) = response.into_parts();
        let wanted =
            parts.headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = self.pieces(body, wanted.filter(|_| !is_head));
        Ok(Response::from_parts(parts, body))
    }

    /// Counts, paces, and ends when nothing comes.
    fn pieces(&self, body: reqwest::Body, wanted: Option<u64>) -> Pieces {
        let (pace, stalled) = (self.down.clone(), self.patience.stalled);
        let stream = http_body_stream(body);
        Box::pin(futures::stream::unfold((stream, pace, 0), move |(mut stream, pace, got)| async move {
            let piece = match timeout(stalled, stream.next()).await {
                Err(_) => Err(Cut::Stalled(stalled)),
                Ok(None) if wanted.is_some_and(|wanted| got < wanted) => {
                    Err(Cut::Short { wanted, got, reason: "it ended".to_owned() })
                }
                Ok(None) => return None,
                Ok(Some(Err(reason))) => Err(Cut::Short { wanted, got, reason }),
                Ok(Some(Ok(piece))) => Ok(piece),
            };
            let length = piece.as_ref().map_or(0, |piece: &Bytes| piece.len() as u64);
            if let Some(pace) = &pace {
                sleep(pace.take(length)).await;
            }
            Some((piece, (stream, pace, got + length)))
        }))
    }
}

fn http_body_stream(mut body: reqwest::Body) -> Pin<Box<dyn Stream<Item = Result<Bytes, String>> + Send + Sync>> {
    Box::pin(futures::stream::poll_fn(move |context| {
        loop {
            match ready!(Pin::new(&mut body).poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(innermost(&error)))),
                // Trailers say nothing that is needed.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Poll::Ready(Some(Ok(data))),
                    Ok(_) | Err(_) => {}
                },
            }
        }
    }))
}

/// All that comes, up to a limit; what is beyond is left.
pub(super) async fn collect(mut pieces: Pieces, limit: usize) -> Result<Vec<u8>, Cut> {
    let mut all = Vec::new();
    while all.len() < limit {
        let Some(piece) = pieces.next().await.transpose()? else { break };
        let room = (limit - all.len()).min(piece.len());
        all.extend_from_slice(piece.get(..room).unwrap_or_default());
    }
    Ok(all)
}

/// A certificate does not become a better one by asking again; of it only the words tell.
fn unreached(reason: String) -> Cut {
    if reason.contains("invalid peer certificate") { Cut::Untrusted(reason) } else { Cut::Unreached(reason) }
}

/// The words of an error that say why: those around them name URLs, which may hold signatures.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// A body that goes out in pieces, no faster than its pace.
struct Upload {
    parts: VecDeque<Bytes>,
    left: u64,
    pace: Option<Arc<Pace>>,
    progress: Arc<AtomicU64>,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Upload {
    fn new(parts: Vec<Bytes>, pace: Option<Arc<Pace>>, progress: Arc<AtomicU64>) -> Self {
        let left = parts.iter().map(|part| part.len() as u64).sum();
        Self { parts: parts.into(), left, pace, progress, waiting: None }
    }

    fn piece(&mut self) -> Option<Bytes> {
        let limit = self.pace.as_ref().map_or(PIECE_BYTES, |pace| pace.piece(PIECE_BYTES));
        loop {
            let part = self.parts.front_mut()?;
            if part.is_empty() {
                self.parts.pop_front();
                continue;
            }
            let length = part.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
            return Some(part.split_to(length));
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(context));
            self.waiting = None;
        }
        let Some(piece) = self.piece() else { return Poll::Ready(None) };
        let length = piece.len() as u64;
        self.left -= length;
        self.progress.fetch_add(length, Ordering::Relaxed);
        let wait = self.pace.as_ref().map_or(Duration::ZERO, |pace| pace.take(length));
        if !wait.is_zero() {
            // The piece goes now and the next one later, so that a body as small as the pace allows waits for nothing.
            self.waiting = Some(Box::pin(tokio::time::sleep_until(Instant::now() + wait)));
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
