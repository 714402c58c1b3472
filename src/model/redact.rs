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
    while let Some(at) = after_scheme(rest) {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        rest = if let Some(sign) = user_info(after) {
            out.push_str(&hide(&after[..sign]));
            &after[sign..]
        } else {
            // Nor does any `://` further on in this word have one, so that no text is searched again and again.
            let (word, others) = after.split_at(word(after).len());
            out.push_str(word);
            others
        };
    }
    if out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The end of the first `://`; in JSON the slashes may be escaped, and cleaning a path leaves one of them.
fn after_scheme(text: &str) -> Option<usize> {
    text.match_indices(':').find_map(|(at, _)| {
        let after = text[at + 1..].trim_start_matches('\\');
        let bare = after.strip_prefix('/')?.trim_start_matches(['\\', '/']);
        Some(text.len() - bare.len())
    })
}

/// Where the user-info ends that `after`, the text after `scheme://`, begins with: the place of its `@`, or of the `…`
/// where the text was cut. A password may hold what ends a host and a quote too; so once there was a `:`, only white
/// space bounds the search, and a path with an `@` is sooner hidden than a password shown.
fn user_info(after: &str) -> Option<usize> {
    let word = word(after);
    let host = &word[..word.find(['/', '?', '#']).unwrap_or(word.len())];
    let in_doubt = |sign: &usize| *sign < host.len() || word[..*sign].contains(':');
    let sign = word.rfind('@').filter(in_doubt).or_else(|| host.rfind('@'));
    // What was hidden before is not hidden further, or each pass over a message would leave less of it.
    if word.starts_with("***@") {
        return sign;
    }
    sign.max(word.rfind('…').filter(in_doubt).or_else(|| host.rfind('…')))
}

fn word(text: &str) -> &str {
    &text[..text.find(char::is_whitespace).unwrap_or(text.len())]
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
            text("rest:https://u:p@host:8000/a/b?x, http://p@[::1] b://u@h/a@b"),
            "rest:https://***@host:8000/a/b?x, http://***@[::1] b://***@h/a@b"
        );
        for plain in ["", "a@b", "https://host/a@b", "h://h:8000/a", "a@b h://h:8000", "://", "x://", "//u:p@h"] {
            assert_eq!(text(plain), plain);
        }
        assert_eq!(text("a://u:p@b://v:q@c"), "a://***@c");
        assert_eq!(text("has \"a://u:pass\"… and b://host… c://host/p…"), "has \"a://***… and b://***… c://host/p…");
        assert_eq!(in_place("x: a://ü:p@h/b"), "x: a://***@h/b");
        assert_eq!(value(&json!({"a": ["x://u:p@h", 1]})), json!({"a": ["x://***@h", 1]}));
    }

    #[test]
    fn passwords_may_hold_what_ends_a_host() {
        for password in ["a/b", "/", "a@b/c", "a#b", "?", "a/b@c?d#e", "a\"b", "a'b/"] {
            assert_eq!(text(&format!("at b://u:{password}@h/x y@z")), "at b://***@h/x y@z", "{password}");
            assert_eq!(text(&format!(r"b:\/\/u:{password}@h\/x")), r"b:\/\/***@h\/x", "{password}");
            assert_eq!(text(&format!("b://u:{password}…\" y")), "b://***…\" y", "{password}");
            assert_eq!(text(&format!("gs:b/b:/u:{password}@h/x")), "gs:b/b:/***@h/x", "{password}");
        }
        let hidden = text("b://u:p@h:80/x…").into_owned();
        assert_eq!(text(&hidden), hidden);
    }

    #[test]
    fn a_text_of_many_urls_is_searched_once() {
        let urls = "a://".repeat(1 << 20);
        assert_eq!(text(&urls), urls);
    }
}
