//! Why a session failed, in one word and one sentence.

use serde_json::Value;

use super::json::text;

/// Reason and message of a session that failed: of a host first, then of what came before or after.
pub fn of_session(session: &Value) -> (String, String) {
    let targets = session.pointer("/status/targets").and_then(Value::as_array).into_iter().flatten();
    for target in targets.clone() {
        let hosts = target.get("stats").and_then(Value::as_array).into_iter().flatten();
        if let Some(host) = hosts.into_iter().find(|host| text(host, "phase") == Some("Failed")) {
            let name = text(host, "hostname").unwrap_or_default();
            let error = text(host, "error").unwrap_or_default();
            let (reason, message) = split(error).unwrap_or(("Failed", error));
            return (reason.to_owned(), format!("{name}: {message}"));
        }
    }
    let of_targets =
        targets.flat_map(|target| target.get("conditions").and_then(Value::as_array).into_iter().flatten());
    let own = session.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let broken = of_targets.chain(own).find(|condition| {
        text(condition, "status") == Some("False") || text(condition, "type") == Some("DeadlineExceeded")
    });
    match broken {
        Some(condition) => {
            let message = text(condition, "message").unwrap_or_default();
            let (reason, message) =
                split(message).unwrap_or_else(|| (text(condition, "reason").unwrap_or("Failed"), message));
            (reason.to_owned(), message.to_owned())
        }
        None => ("Failed".to_owned(), String::new()),
    }
}

/// `Reason: message`, as our errors are written down.
pub fn split(error: &str) -> Option<(&str, &str)> {
    let (reason, message) = error.split_once(": ")?;
    (!reason.is_empty() && reason.chars().all(|c| c.is_ascii_alphanumeric())).then_some((reason, message))
}
