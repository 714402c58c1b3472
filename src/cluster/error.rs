//! What a failed request means: its class decides what happens next, its message says what to do.

use std::error::Error as StdError;
use std::io::ErrorKind;
use std::time::Duration;

use kube::Error;
use kube::core::Status;

use crate::model::applied::{FailureClass, StepResult};
use crate::model::redact;

/// A message is read in a table of a README: one line, as long as two lines of a terminal.
const MESSAGE_CHARS_MAX: usize = 200;
/// What the API server's own flow control always says in `Retry-After`; kube does not hand the header on.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Missing rights or a missing identity.
    #[error("{0}")]
    Denied(String),
    /// The request can never succeed as it is.
    #[error("{0}")]
    Invalid(String),
    /// The object (or its namespace) does not exist.
    #[error("{0}")]
    Missing(String),
    /// The object is not as we knew it.
    #[error("{0}")]
    Conflict(String),
    /// The server refused for now; nothing was done.
    #[error("{message}")]
    Throttled { message: String, retry_after: Duration },
    /// The server could not be reached or could not do it now.
    #[error("{0}")]
    Transient(String),
    /// No answer: it may have been done.
    #[error("{0}")]
    Unknown(String),
}

impl Failure {
    /// Sorts an error of a request that could have changed something. `what` is the request in words.
    pub(super) fn of_write(error: &Error, what: &str) -> Self {
        match error {
            Error::Api(status) => Self::of_write_status(status, what),
            Error::Auth(_) => no_credentials(what),
            other if never_sent(other) => Failure::Transient(unreachable(what, other)),
            other if is_transport(other) => Failure::Unknown(format!("{what}: the connection broke before the answer")),
            other => Failure::Invalid(short(&format!("{what}: {other}"))),
        }
    }

    /// Sorts an error of a request that only reads.
    pub(super) fn of_read(error: &Error, what: &str) -> Self {
        match error {
            Error::Api(status) => Self::of_status(status, what),
            Error::Auth(_) => no_credentials(what),
            other if is_transport(other) => Failure::Transient(unreachable(what, other)),
            other => Failure::Invalid(short(&format!("{what}: {other}"))),
        }
    }

    /// Sorts the answer to a request that could have changed something.
    pub(super) fn of_write_status(status: &Status, what: &str) -> Self {
        if status.code == 504 {
            return Failure::Unknown(format!("{what}: the API server gave up waiting, so it may have been done"));
        }
        Self::of_status(status, what)
    }

    /// Sorts the answer to a request that only reads.
    pub(super) fn of_status(status: &Status, what: &str) -> Self {
        let said = |advice: &str| short(&format!("{what}: {}{advice}", status.message.trim()));
        match status.code {
            401 => Failure::Denied(said("; check the credentials of this process")),
            403 => Failure::Denied(said("; compare the roles with `holdfast manifests`")),
            404 if !is_object_missing(status) => {
                Failure::Invalid(short(&format!("{what}: the cluster does not serve this kind; apply `holdfast crds`")))
            }
            404 => Failure::Missing(said("")),
            409 => Failure::Conflict(said("")),
            422 if is_other_uid(status) => {
                Failure::Conflict(short(&format!("{what}: the object was deleted and made again since the plan")))
            }
            429 => Failure::Throttled { message: said(""), retry_after: retry_after(status) },
            // The server cannot even compare it with the schema, and gives its own fault for that.
            500 if status.message.starts_with("failed to create typed patch object") => Failure::Invalid(said("")),
            500..=599 => Failure::Transient(said("")),
            _ => Failure::Invalid(said("")),
        }
    }

    /// As the result of a step.
    pub(super) fn into_result(self) -> StepResult {
        let (class, message) = match self {
            Failure::Denied(message) => (FailureClass::Denied, message),
            Failure::Invalid(message) | Failure::Missing(message) => (FailureClass::Invalid, message),
            Failure::Conflict(message) => (FailureClass::Conflict, message),
            Failure::Throttled { message, retry_after: _ } | Failure::Transient(message) => {
                (FailureClass::Transient, message)
            }
            Failure::Unknown(message) => return StepResult::Unknown { message },
        };
        StepResult::Failed { class, message }
    }
}

/// Whether a 404 speaks of one object; a path that is not served at all answers in plain text.
pub(super) fn is_object_missing(status: &Status) -> bool {
    status.code == 404 && status.reason == "NotFound" && status.details.as_ref().is_some_and(|of| !of.name.is_empty())
}

/// Custom resources answer so to a write for an object that has another UID by now (built-in kinds with a 409).
fn is_other_uid(status: &Status) -> bool {
    status.details.iter().flat_map(|details| &details.causes).any(|cause| cause.field == "metadata.uid")
}

/// The answer of the server, if the error is one.
pub(super) fn status_of(error: &Error) -> Option<&Status> {
    if let Error::Api(status) = error { Some(status) } else { None }
}

fn retry_after(status: &Status) -> Duration {
    let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    if seconds == 0 { RETRY_AFTER_DEFAULT } else { Duration::from_secs(u64::from(seconds)) }
}

fn is_transport(error: &Error) -> bool {
    matches!(
        error,
        Error::Service(_) | Error::HyperError(_) | Error::ReadEvents(_) | Error::FromUtf8(_) | Error::SerdeError(_)
    )
}

/// Whether no connection came about, so that nothing can have happened.
fn never_sent(error: &Error) -> bool {
    io_kind(error).is_some_and(|kind| {
        matches!(
            kind,
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::AddrNotAvailable
        )
    })
}

fn io_kind(error: &Error) -> Option<ErrorKind> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

/// Silent about the cause: what a credential plugin printed may hold a token.
fn no_credentials(what: &str) -> Failure {
    Failure::Denied(format!("{what}: no credentials for the API server; check the kubeconfig or the token file"))
}

/// Says no more of the error than its kind: its text could hold an address with credentials.
fn unreachable(what: &str, error: &Error) -> String {
    match io_kind(error) {
        Some(kind) => format!("{what}: the API server cannot be reached ({kind})"),
        None => format!("{what}: the API server cannot be reached"),
    }
}

/// One line of bounded length. The server quotes values that it does not accept.
fn short(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = redact::text(&line).into_owned();
    if line.chars().count() <= MESSAGE_CHARS_MAX {
        return line;
    }
    let mut cut: String = line.chars().take(MESSAGE_CHARS_MAX - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, reason: &str) -> Error {
        Error::Api(Box::new(Status {
            code,
            reason: reason.to_owned(),
            message: "m\n n".to_owned(),
            ..Status::default()
        }))
    }

    #[test]
    fn classes_follow_the_code() {
        let class = |code, reason| Failure::of_write(&status(code, reason), "create a/b");
        assert!(matches!(class(401, "Unauthorized"), Failure::Denied(_)));
        assert!(matches!(class(403, "Forbidden"), Failure::Denied(_)));
        assert!(matches!(class(400, "BadRequest"), Failure::Invalid(_)));
        assert!(matches!(class(422, "Invalid"), Failure::Invalid(_)));
        assert!(matches!(class(404, "Failed to parse error data"), Failure::Invalid(_)));
        assert!(matches!(class(409, "Conflict"), Failure::Conflict(_)));
        assert!(matches!(class(500, "InternalError"), Failure::Transient(_)));
        assert!(matches!(class(504, "Timeout"), Failure::Unknown(_)));
        assert_eq!(
            class(429, "TooManyRequests"),
            Failure::Throttled { message: "create a/b: m n".to_owned(), retry_after: Duration::from_secs(1) }
        );
    }

    #[test]
    fn a_refused_connection_did_nothing_and_a_broken_one_may_have() {
        let io = |kind: ErrorKind| Error::Service(Box::new(std::io::Error::from(kind)));
        assert!(matches!(Failure::of_write(&io(ErrorKind::ConnectionRefused), "x"), Failure::Transient(_)));
        assert!(matches!(Failure::of_write(&io(ErrorKind::ConnectionReset), "x"), Failure::Unknown(_)));
        assert!(matches!(Failure::of_read(&io(ErrorKind::ConnectionReset), "x"), Failure::Transient(_)));
    }

    #[test]
    fn messages_are_one_short_line() {
        assert_eq!(short("a\n  b"), "a b");
        assert_eq!(short("Invalid value: \"rest:https://u:p@h/\""), "Invalid value: \"rest:https://***@h/\"");
        assert_eq!(short(&"x".repeat(500)).chars().count(), MESSAGE_CHARS_MAX);
    }
}
