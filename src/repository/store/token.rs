//! The token of a Google account: `opendal` asks for one with every request, and each is good for an hour.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::answer::Answer;
use super::http::{Http, collect};
use super::transport::told;

/// Fixed in `opendal`.
const URL: &str = "https://oauth2.googleapis.com/token";
/// Of the claim that an account has signed; who asks in other ways keeps the token by himself.
const SIGNED: &[u8] = b"grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&";
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Google may let a request wait, and clocks differ.
const MARGIN: Duration = Duration::from_mins(5);

/// The last answer, until when it is good.
#[derive(Default)]
pub(super) struct Token(Mutex<Option<(Instant, Bytes)>>);

impl Token {
    /// Whether a request asks for one.
    pub(super) fn is_asked(request: &Request<Vec<Bytes>>) -> bool {
        *request.uri() == *URL && request.body().concat().starts_with(SIGNED)
    }

    /// The answer of Google, or the last one; whoever else asks meanwhile waits for it.
    pub(super) async fn answer(&self, http: &Http, request: Request<Vec<Bytes>>) -> opendal::Result<Bytes> {
        let mut last = self.0.lock().await;
        if let Some((until, answer)) = &*last
            && Instant::now() < *until
        {
            return Ok(answer.clone());
        }
        let asked = Instant::now();
        let (parts, body) = http.send(request).await.map_err(told)?.into_parts();
        let body = collect(body, ANSWER_BYTES_MAX).await.map_err(told)?;
        if !parts.status.is_success() {
            return Err(told(Answer::new(parts.status, &parts.headers, &body)));
        }
        let answer = Bytes::from(body);
        let seconds = serde_json::from_slice::<Value>(&answer).ok().and_then(|answer| answer["expires_in"].as_u64());
        *last = seconds
            .and_then(|seconds| Duration::from_secs(seconds).checked_sub(MARGIN))
            .and_then(|good| Some((asked.checked_add(good)?, answer.clone())));
        Ok(answer)
    }
}
