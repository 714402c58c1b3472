//! What an answer of a service that is no success means for whoever asked.

use std::error::Error as StdError;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use opendal::ErrorKind;
use thiserror::Error;

use super::Fault;
use super::http::Cut;

/// Of what a service says, so much is told on.
const MESSAGE_CHARS_MAX: usize = 200;
/// Codes of services that are out of space, or out of what was paid for.
const FULL: [&str; 7] = [
    "QuotaExceeded",
    "XMinioStorageFull",
    "EntityTooLargeForQuota",
    "InsufficientStorage",
    "cap_exceeded",
    "storage_cap_exceeded",
    "AccountBeingCreatedOverQuota",
];
/// Codes of refusals that pass, whatever their status.
const PASSING: [&str; 12] = [
    "RequestTimeout",
    "SlowDown",
    "ServerBusy",
    "InternalError",
    "OperationTimedOut",
    "ServiceUnavailable",
    "TooManyRequests",
    "rateLimitExceeded",
    "userRateLimitExceeded",
    // Of tokens that B2 gives out for a while, and of those for one upload.
    "expired_auth_token",
    "bad_auth_token",
    "ConditionalRequestConflict",
];

pub(super) const NO_BUCKET: &str = "the bucket does not exist: make it, or correct the address";

/// A refusal, with the status that it came with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{fault}")]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) fault: Fault,
}

impl Answer {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let code = code(headers, &text);
        let reason = match &code {
            Some(code) => format!("{status}: {code}{}", told(message(&text))),
            None => format!("{status}{}", told(Some(&text))),
        };
        let code = code.unwrap_or_default();
        let fault = match status.as_u16() {
            507 => Fault::Full,
            _ if FULL.contains(&code.as_str()) || text.contains("exceeds quota") => Fault::Full,
            _ if PASSING.contains(&code.as_str()) => Fault::Unavailable(reason),
            // 499 and 520 to 530 are what proxies say of the server behind them.
            408 | 423 | 425 | 429 | 499 | 500 | 502 | 503 | 504 | 509 | 520..=530 => Fault::Unavailable(reason),
            401 | 403 => Fault::Denied(reason),
            // The only condition that we make.
            412 => Fault::Exists,
            _ => Fault::Broken(reason),
        };
        Self { status, fault }
    }
}

/// In XML of S3 and Azure, in a header of Azure, in JSON of Google and B2.
fn code(headers: &HeaderMap, body: &str) -> Option<String> {
    if let Some(code) = headers.get("x-ms-error-code").and_then(|code| code.to_str().ok()) {
        return Some(code.to_owned());
    }
    if let Some(code) = between(body, "<Code>", "</Code>") {
        return Some(code.to_owned());
    }
    let json: serde_json::Value = serde_json::from_str(body).ok()?;
    let code = json.pointer("/error/errors/0/reason").or_else(|| json.get("code"))?;
    code.as_str().map(str::to_owned)
}

fn message(body: &str) -> Option<&str> {
    between(body, "<Message>", "</Message>").or_else(|| between(body, "\"message\": \"", "\""))
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    Some(text.split_once(start)?.1.split_once(end)?.0)
}

/// On one line and of bounded length, as a sentence goes on.
fn told(message: Option<&str>) -> String {
    let words: Vec<_> = message.unwrap_or_default().split_whitespace().collect();
    match words.join(" ").as_str() {
        "" => String::new(),
        // A page for browsers is no reason.
        text if text.starts_with('<') => String::new(),
        text => format!(" ({})", text.chars().take(MESSAGE_CHARS_MAX).collect::<String>()),
    }
}

impl From<Cut> for Fault {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::Short { wanted: Some(wanted), got, reason: _ } if got < wanted => Fault::Short { wanted, got },
            Cut::Untrusted(_) => Fault::Broken(cut.to_string()),
            Cut::Short { .. } | Cut::Unreached(_) | Cut::Stalled(_) => Fault::Unavailable(cut.to_string()),
        }
    }
}

/// What our transport found out, through all that was wrapped around it.
pub(super) fn cause<T: StdError + Clone + 'static>(error: &opendal::Error) -> Option<T> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found.clone());
        }
        next = error.source();
    }
    None
}

/// `NotFound` is told as missing here; whether that is proven is for the caller to find out.
pub(super) fn fault(error: &opendal::Error) -> Fault {
    if let Some(answer) = cause::<Answer>(error) {
        return answer.fault;
    }
    if let Some(cut) = cause::<Cut>(error) {
        return cut.into();
    }
    if let Some(fault) = cause::<Fault>(error) {
        return fault;
    }
    // Of S3, where `opendal` knows it from a file that is not there.
    if error.message().contains("NoSuchBucket") {
        return Fault::Broken(NO_BUCKET.to_owned());
    }
    let reason = told_error(error);
    match error.kind() {
        ErrorKind::NotFound => Fault::Missing,
        ErrorKind::ConditionNotMatch | ErrorKind::AlreadyExists => Fault::Exists,
        ErrorKind::PermissionDenied => Fault::Denied(reason),
        ErrorKind::RateLimited | ErrorKind::Conflict => Fault::Unavailable(reason),
        _ if error.is_temporary() => Fault::Unavailable(reason),
        _ => Fault::Broken(reason),
    }
}

/// Without the context that names URLs, which may hold signatures.
fn told_error(error: &opendal::Error) -> String {
    let mut inner: &dyn StdError = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let source = if error.source().is_some() { told(Some(&inner.to_string())) } else { String::new() };
    let words: Vec<_> = error.message().split_whitespace().collect();
    format!("{}{source}", words.join(" ").chars().take(MESSAGE_CHARS_MAX).collect::<String>())
}

/// The parts of a body as one.
pub(super) fn joined(parts: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(parts) {
        Ok([one]) => one,
        Err(parts) => parts.concat().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Fault {
        Answer::new(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes()).fault
    }

    #[test]
    fn what_passes_is_told_from_what_stays() {
        let denied = "<Error><Code>AccessDenied</Code><Message>No\n such right</Message></Error>";
        assert_eq!(answer(403, denied), Fault::Denied("403 Forbidden: AccessDenied (No such right)".to_owned()));
        assert_eq!(answer(507, ""), Fault::Full);
        assert_eq!(answer(403, r#"{"code":"storage_cap_exceeded","message":"x","status":403}"#), Fault::Full);
        assert_eq!(answer(413, "Upload exceeds quota."), Fault::Full);
        for (status, body) in [
            (503, "<html>wait</html>"),
            (400, "<Error><Code>RequestTimeout</Code></Error>"),
            (403, r#"{"error":{"errors":[{"reason":"rateLimitExceeded"}],"code":403}}"#),
            (401, r#"{"code":"expired_auth_token","status":401}"#),
            (429, ""),
        ] {
            assert!(answer(status, body).is_passing(), "{status} {body}");
        }
        assert_eq!(answer(503, "<html>wait</html>"), Fault::Unavailable("503 Service Unavailable".to_owned()));
        assert!(matches!(answer(400, "nonsense"), Fault::Broken(reason) if reason == "400 Bad Request (nonsense)"));
    }
}
