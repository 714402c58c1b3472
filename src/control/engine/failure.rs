//! Why a session failed, in one word and one sentence.

use serde_json::Value;

use crate::model::json::text;

/// Reason and message of a session that failed: of a host first, then of what came before or after.
pub fn of_session(session: &Value) -> (String, String) {
    let targets = session.pointer("/status/targets").and_then(Value::as_array).into_iter().flatten();
    for target in targets.clone() {
        let hosts = target.get("stats").and_then(Value::as_array).into_iter().flatten();
        if let Some(host) = hosts.into_iter().find(|host| text(host, "phase") == Some("Failed")) {
            let name = text(host, "hostname").unwrap_or_default();
            let (reason, message) = split(text(host, "error").unwrap_or_default());
            return (reason, format!("{name}: {message}"));
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
            if message.contains(": ") {
                split(message)
            } else {
                (text(condition, "reason").unwrap_or("Failed").to_owned(), message.to_owned())
            }
        }
        None => ("Failed".to_owned(), String::new()),
    }
}

/// `Reason: message`, as our errors are written down.
fn split(error: &str) -> (String, String) {
    match error.split_once(": ") {
        Some((reason, message)) if !reason.is_empty() && reason.chars().all(|c| c.is_ascii_alphanumeric()) => {
            (reason.to_owned(), message.to_owned())
        }
        _ => ("Failed".to_owned(), error.to_owned()),
    }
}
