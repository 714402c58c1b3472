//! Takes the user-info of URLs out of what is shown: a password in a document must not reach a log, a file or a terminal.

use std::borrow::Cow;

use serde_json::Value;

/// What a finding says is read by people, in a table or a terminal; more than this is not read.
const MESSAGE_CHARS_MAX: usize = 1000;

/// A message that may quote a document or an annotation, as it can be shown.
pub fn message(message: &str) -> String {
    let mut out = text(message).into_owned();
    if let Some((end, _)) = out.char_indices().nth(MESSAGE_CHARS_MAX) {
        out.truncate(end);
        out.push('…');
    }
    out
}

/// The text with `***` for every `user:password` before an `@` of a URL; and for all that is left of a URL that was
/// cut before it could be seen whether it has an `@`.
pub fn text(text: &str) -> Cow<'_, str> {
    hidden(text, |_| "***".to_owned())
}

/// The same with as many `*` as there were characters, so that a caret below still points at what it pointed at.
pub fn in_place(text: &str) -> Cow<'_, str> {
    hidden(text, |secret| "*".repeat(secret.chars().count()))
}

fn hidden(text: &str, hide: impl Fn(&str) -> String) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        let end = after.find(|c: char| matches!(c, '/' | '?' | '#') || c.is_whitespace()).unwrap_or(after.len());
        out.push_str(before);
        rest = match after[..end].rfind('@').or_else(|| after[..end].find('…')) {
            Some(sign) => {
                out.push_str(&hide(&after[..sign]));
                &after[sign..]
            }
            None => after,
        };
    }
    if out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The same in every string of a value, keys included.
pub fn value(value: &Value) -> Value {
    match value {
        Value::String(string) => Value::String(text(string).into_owned()),
        Value::Array(items) => items.iter().map(self::value).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, field)| (text(key).into_owned(), self::value(field))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_are_cut_and_say_so() {
        assert_eq!(message("a://u:p@h is short"), "a://***@h is short");
        let long = message(&"ü".repeat(5000));
        assert!(long.chars().count() == MESSAGE_CHARS_MAX + 1 && long.ends_with('…'));
        assert_eq!(message(&long), long);
    }

    #[test]
    fn user_info_goes_and_the_rest_stays() {
        assert_eq!(
            text("rest:https://u:p@host:8000/a@b?x, http://p@[::1]"),
            "rest:https://***@host:8000/a@b?x, http://***@[::1]"
        );
        for plain in ["", "a@b", "https://host/a@b", "://", "x://", "//u:p@h"] {
            assert_eq!(text(plain), plain);
        }
        assert_eq!(text("a://u:p@b://v:q@c"), "a://***@b://***@c");
        assert_eq!(text("has \"a://u:pass\"… and b://host… c://host/p…"), "has \"a://***… and b://***… c://host/p…");
        assert_eq!(in_place("x: a://ü:p@h/b"), "x: a://***@h/b");
        assert_eq!(value(&json!({"a": ["x://u:p@h", 1]})), json!({"a": ["x://***@h", 1]}));
    }
}
