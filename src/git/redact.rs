//! Takes secrets out of what servers and libraries say.

/// A message is read in one cell of a table.
const MESSAGE_CHARS_MAX: usize = 300;
const HIDDEN: &str = "***";

/// Knows what must not be seen.
#[derive(Clone, Default)]
pub(super) struct Redactor(Vec<String>);

impl Redactor {
    pub(super) fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<String> = secrets.into_iter().filter(|secret| !secret.is_empty()).collect();
        // The longest first: a secret may be part of another.
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self(secrets)
    }

    /// One line of bounded length without secrets.
    pub(super) fn clean(&self, message: &str) -> String {
        let mut text = message.to_owned();
        for secret in &self.0 {
            text = text.replace(secret, HIDDEN);
        }
        let printable: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let words: Vec<String> = printable.split_whitespace().map(without_user_info).collect();
        let line = words.join(" ");
        if line.chars().count() <= MESSAGE_CHARS_MAX {
            return line;
        }
        line.chars().take(MESSAGE_CHARS_MAX - 1).chain(['…']).collect()
    }
}

/// Also of addresses that are not ours, such as a proxy's.
fn without_user_info(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_the_rest_stays() {
        let redactor = Redactor::new(["token".to_owned(), "token-long".to_owned(), String::new()]);
        assert_eq!(redactor.clean("a token-long\nb\ttoken\u{1b}[31m c"), "a *** b *** [31m c");
        assert_eq!(redactor.clean("to https://user:pw@host/x?y and git@host"), "to https://host/x?y and git@host");
        assert_eq!(redactor.clean(&"x".repeat(1000)).chars().count(), MESSAGE_CHARS_MAX);
    }
}
