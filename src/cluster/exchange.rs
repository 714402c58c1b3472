//! One request and its answer, with an end: what the client of kube keeps to itself (whether an object was created,
//! when to come back) is needed here.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{Method, Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use kube::core::Status;
use kube::core::response::StatusDetails;
use serde_json::Value;
use tokio::time::timeout;

use super::error::Failure;

/// The answer to a request that succeeded.
#[derive(Debug)]
pub(super) struct Answer {
    /// Whether the request made the object.
    pub created: bool,
    pub object: Value,
}

/// Sends one request. `what` says it in words; the server gives up after `limit` too, so that nothing happens later.
pub(super) async fn exchange(
    client: &Client,
    request: Request<Vec<u8>>,
    limit: Duration,
    what: &str,
) -> Result<Answer, Failure> {
    let reads = request.method() == Method::GET;
    let request = with_limit(request, limit)?;
    let answer = timeout(limit, async { read(client.send(request.map(Body::from)).await?).await });
    let late = || format!("{what}: no answer within {} s", limit.as_secs());
    let (code, retry_after, body) = match answer.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) if reads => return Err(Failure::of_read(&error, what)),
        Ok(Err(error)) => return Err(Failure::of_write(&error, what)),
        Err(_) if reads => return Err(Failure::Transient(late())),
        Err(_) => return Err(Failure::Unknown(late())),
    };
    if code.is_success() {
        let object = serde_json::from_slice(&body).unwrap_or_default();
        return Ok(Answer { created: code == StatusCode::CREATED, object });
    }
    let status = status(code, retry_after, &body);
    Err(if reads { Failure::of_status(&status, what) } else { Failure::of_write_status(&status, what) })
}

async fn read(answer: Response<Body>) -> Result<(StatusCode, Option<u32>, Vec<u8>), kube::Error> {
    let (head, body) = answer.into_parts();
    let retry_after = head.headers.get(RETRY_AFTER).and_then(|seconds| seconds.to_str().ok()?.parse().ok());
    Ok((head.status, retry_after, body.collect_bytes().await?.to_vec()))
}

/// What a refusal says; not every one (flow control, unknown paths) is a `Status`.
fn status(code: StatusCode, retry_after: Option<u32>, body: &[u8]) -> Status {
    let mut status = serde_json::from_slice(body)
        .unwrap_or_else(|_| Status { message: String::from_utf8_lossy(body).into_owned(), ..Status::default() });
    status.code = code.as_u16();
    if let Some(seconds) = retry_after {
        status.details.get_or_insert_with(no_details).retry_after_seconds = seconds;
    }
    status
}

fn no_details() -> StatusDetails {
    StatusDetails {
        name: String::new(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: Vec::new(),
        retry_after_seconds: 0,
    }
}

fn with_limit(mut request: Request<Vec<u8>>, limit: Duration) -> Result<Request<Vec<u8>>, Failure> {
    let uri = request.uri().to_string();
    let separator = if uri.contains('?') { '&' } else { '?' };
    let limited = format!("{uri}{separator}timeout={}s", limit.as_secs());
    *request.uri_mut() = limited.parse().map_err(|_| Failure::Invalid(format!("{uri} is not an address")))?;
    Ok(request)
}
