//! Our HTTP under `opendal`: what it refuses to tell of an answer is found out here, before it sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use http::header::{ETAG, HeaderName, HeaderValue, IF_NONE_MATCH};
use http::{Method, Request, Response, StatusCode};
use md5::Md5;
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, OperationContext, Operator};
use sha1::Sha1;

use super::answer::Answer;
use super::buckets::{HIDE, erase};
use super::http::{Http, collect};
use super::keys::Signer;
use super::swift::Session;
use super::token::Token;
use super::{Fault, answer};

/// A refusal is read up to here.
const REFUSAL_BYTES_MAX: usize = 64 << 10;
const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const CONTENT_SHA1: HeaderName = HeaderName::from_static("x-bz-content-sha1");

/// What `opendal` leaves out of the requests of a service.
pub(super) enum Service {
    /// Nothing.
    Whole,
    /// The signature: made here, a missing key gives a reason.
    S3(Signer),
    /// The condition that an upload overwrites nothing: with it, `opendal` makes two requests of one. And to keep a token.
    Google(Token),
    /// The sum of what is uploaded.
    B2,
    /// All three, and a token that is still valid.
    Swift(Arc<Session>),
}

pub(super) struct Transport {
    http: Http,
    service: Service,
    /// Hosts that are fixed in `opendal`, and where their requests go instead.
    routes: BTreeMap<&'static str, String>,
}

impl Transport {
    pub(super) fn new(http: Http, service: Service) -> Self {
        Self { http, service, routes: BTreeMap::new() }
    }

    /// Requests to a scheme and host go to another.
    pub(super) fn route(mut self, from: &'static str, to: Option<String>) -> Self {
        if let Some(to) = to {
            self.routes.insert(from, to.trim_end_matches('/').to_owned());
        }
        self
    }

    pub(super) fn under(self, operator: Operator) -> Operator {
        let context = OperationContext::new().with_http_transport(opendal::HttpTransporter::new(self));
        operator.with_context(context)
    }

    fn routed(&self, request: &mut Request<Vec<Bytes>>) {
        let uri = request.uri().to_string();
        let way = self.routes.iter().find_map(|(from, to)| Some(format!("{to}{}", uri.strip_prefix(from)?)));
        if let Some(uri) = way.and_then(|way| way.parse().ok()) {
            *request.uri_mut() = uri;
        }
    }

    async fn completed(&self, request: &mut Request<Vec<Bytes>>) -> Result<(), Fault> {
        match &self.service {
            Service::S3(signer) => signer.sign(request).await?,
            Service::Google(_) => {
                let uri = request.uri().to_string();
                if uri.contains("/upload/storage/v1/")
                    && let Ok(uri) = format!("{uri}&ifGenerationMatch=0").parse()
                {
                    *request.uri_mut() = uri;
                }
            }
            Service::B2 if request.headers().contains_key(&CONTENT_SHA1) => {
                let sum = sum::<Sha1, _>(request.body(), |hash, part| sha1::Digest::update(hash, part));
                let sum = hex(&sha1::Digest::finalize(sum));
                request.headers_mut().insert(CONTENT_SHA1, sum);
            }
            Service::Whole | Service::B2 => {}
            Service::Swift(session) => {
                request.headers_mut().insert(TOKEN, session.token().await?);
                if request.method() == Method::PUT {
                    let sum = sum::<Md5, _>(request.body(), |hash, part| md5::Digest::update(hash, part));
                    request.headers_mut().insert(ETAG, hex(&md5::Digest::finalize(sum)));
                    request.headers_mut().insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
                }
            }
        }
        Ok(())
    }
}

fn sum<H: Default, F: Fn(&mut H, &[u8])>(parts: &[Bytes], update: F) -> H {
    let mut hash = H::default();
    for part in parts {
        update(&mut hash, part);
    }
    hash
}

fn hex(sum: &[u8]) -> HeaderValue {
    let text = sum.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

pub(super) fn told(what: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unexpected, "the request failed").set_source(what)
}

impl HttpTransport for Transport {
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let mut request = request.map(Iterator::collect::<Vec<Bytes>>);
        self.routed(&mut request);
        self.completed(&mut request).await.map_err(told)?;
        let uri = request.uri().clone();
        if let Service::Google(token) = &self.service
            && Token::is_asked(&request)
        {
            let answer = token.answer(&self.http, request).await?;
            let stream = futures::stream::iter([Ok(Buffer::from(answer))]);
            return Ok(Response::new(HttpBody::new(stream, None)));
        }
        if matches!(self.service, Service::B2) && uri.path().ends_with(HIDE) {
            erase(&self.http, &request).await.map_err(told)?;
            let nothing = futures::stream::iter([Ok(Buffer::from("{}"))]);
            return Ok(Response::new(HttpBody::new(nothing, None)));
        }
        let response = self.http.send(request).await.map_err(told)?;
        let (mut parts, body) = response.into_parts();
        // These `opendal` understands by itself: not there, and there already.
        let understood = [StatusCode::NOT_FOUND, StatusCode::CONFLICT];
        if parts.status.is_client_error() || parts.status.is_server_error() {
            let body = collect(body, REFUSAL_BYTES_MAX).await.map_err(told)?;
            let refusal = Answer::new(parts.status, &parts.headers, &body);
            if let (Service::Swift(session), StatusCode::UNAUTHORIZED) = (&self.service, parts.status)
                && session.renews()
            {
                session.expired().await;
                let fault = Fault::Unavailable("the token has expired".to_owned());
                return Err(told(Answer { status: parts.status, fault }));
            }
            if !understood.contains(&parts.status) || refusal.fault.is_passing() {
                return Err(told(refusal));
            }
            parts.extensions.insert(uri);
            let stream = futures::stream::iter([Ok(Buffer::from(body))]);
            return Ok(Response::from_parts(parts, HttpBody::new(stream, None)));
        }
        parts.extensions.insert(uri);
        let stream = body.map_ok(Buffer::from).map_err(told);
        Ok(Response::from_parts(parts, HttpBody::new(stream, None)))
    }
}

/// Whether the service has refused, and with which status.
pub(super) fn status(error: &Error) -> Option<StatusCode> {
    answer::cause::<Answer>(error).map(|answer| answer.status)
}
