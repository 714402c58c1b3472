//! Sorts libgit2's errors. It has few codes, so for HTTP its English text has to do.

use git2::{ErrorClass, ErrorCode};

use super::error::{Failure, TransportError};
use super::redact::Redactor;

/// What an error of an exchange with the server at `url` means.
pub(super) fn sort(error: &git2::Error, url: &str, redactor: &Redactor) -> Failure {
    let (url, message) = (url.to_owned(), redactor.clean(error.message()));
    let failure = match (error.code(), error.class()) {
        (ErrorCode::Auth, _) => TransportError::Refused { url },
        (ErrorCode::Certificate, _) => untrusted(url, &message),
        (_, ErrorClass::Ssl) if message.contains("certificate") => untrusted(url, &message),
        (_, ErrorClass::Http) => of_http(url, message),
        (_, ErrorClass::Net) if is_missing(&message) => TransportError::NotFound { url, message },
        (_, ErrorClass::Net) if message.starts_with("cannot redirect") => TransportError::Redirected { url, message },
        (_, ErrorClass::Net | ErrorClass::Ssl | ErrorClass::Ssh | ErrorClass::Os | ErrorClass::Callback) => {
            TransportError::Failed { url, message }
        }
        (_, _) if is_missing(&message) => TransportError::NotFound { url, message },
        (_, _) => return Failure::clone(message),
    };
    Failure::Transport(failure)
}

fn untrusted(url: String, message: &str) -> TransportError {
    let message = format!("the server's certificate is not trusted ({message}): give its authority as ca.crt");
    TransportError::Untrusted { url, message }
}

fn of_http(url: String, message: String) -> TransportError {
    match message.rsplit_once("status code: ").map(|(_, code)| code.trim()) {
        Some("401") => TransportError::Refused { url },
        Some("403") => TransportError::Forbidden { url, message },
        Some("404" | "410") => TransportError::NotFound { url, message },
        Some(_) | None => TransportError::Failed { url, message },
    }
}

/// A folder that is not there, as libgit2 says it. Other schemes than those it knows do not get so far.
fn is_missing(message: &str) -> bool {
    ["failed to resolve path", "could not find repository", "unsupported URL protocol"]
        .iter()
        .any(|said| message.contains(said))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(code: ErrorCode, class: ErrorClass, message: &str) -> Failure {
        let redactor = Redactor::new(["pl4nted".to_owned()]);
        sort(&git2::Error::new(code, class, message), "https://h/a", &redactor)
    }

    #[test]
    fn codes_and_texts_become_kinds() {
        let http = |text: &str| sorted(ErrorCode::GenericError, ErrorClass::Http, text);
        assert!(matches!(
            http("unexpected http status code: 403"),
            Failure::Transport(TransportError::Forbidden { .. })
        ));
        assert!(matches!(
            http("unexpected http status code: 404"),
            Failure::Transport(TransportError::NotFound { .. })
        ));
        assert!(matches!(http("unexpected http status code: 503"), Failure::Transport(TransportError::Failed { .. })));
        let Failure::Transport(error) = sorted(ErrorCode::GenericError, ErrorClass::Net, "to pl4nted") else {
            panic!("a transport error")
        };
        assert_eq!(error.to_string(), "https://h/a: the connection failed: to ***");
        assert!(matches!(sorted(ErrorCode::GenericError, ErrorClass::Odb, "x"), Failure::Clone(_)));
    }
}
