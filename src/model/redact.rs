//! Takes the user-info of URLs out of what is shown: a password in a document must not reach a log, a file or a terminal.

use std::borrow::Cow;

use serde_json::Value;

/// The text with `***` for every `user:password` before an `@` of a URL.
pub fn text(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        let end = after.find(|c: char| matches!(c, '/' | '?' | '#') || c.is_whitespace()).unwrap_or(after.len());
        out.push_str(before);
        rest = match after[..end].rfind('@') {
            Some(sign) => {
                out.push_str("***");
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
    fn user_info_goes_and_the_rest_stays() {
        assert_eq!(
            text("rest:https://u:p@host:8000/a@b?x, http://p@[::1]"),
            "rest:https://***@host:8000/a@b?x, http://***@[::1]"
        );
        for plain in ["", "a@b", "https://host/a@b", "://", "x://", "//u:p@h"] {
            assert_eq!(text(plain), plain);
        }
        assert_eq!(text("a://u:p@b://v:q@c"), "a://***@b://***@c");
        assert_eq!(value(&json!({"a": ["x://u:p@h", 1]})), json!({"a": ["x://***@h", 1]}));
    }
}
