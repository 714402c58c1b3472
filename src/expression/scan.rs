//! What can be told of a text before it is parsed, so that the parser is not asked what it answers wrongly or never.

use super::compile::Fault;

/// The text without what stands in quotes and comments.
pub(super) fn bare(text: &str) -> Result<String, Fault> {
    let mut bare = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if matches!(first, '\'' | '"') {
            rest = behind_quotes(rest, first, is_raw(&bare))?;
            bare.push_str(" ' ");
        } else {
            bare.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(bare)
}

/// Whether the quotes that follow take a backslash as it is.
fn is_raw(before: &str) -> bool {
    let word = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    matches!(word.to_ascii_lowercase().as_str(), "r" | "br")
}

fn behind_quotes(text: &str, quote: char, raw: bool) -> Result<&str, Fault> {
    let triple: String = [quote; 3].iter().collect();
    let close = if text.starts_with(&triple) { triple } else { quote.to_string() };
    let mut rest = &text[close.len()..];
    while let Some(first) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix(&close) {
            return Ok(behind);
        }
        let escaped = if first == '\\' && !raw { rest[1..].chars().next().map_or(0, char::len_utf8) } else { 0 };
        rest = &rest[first.len_utf8() + escaped..];
    }
    Err(Fault(format!("a text begins with {close} and does not end")))
}

/// The parser takes `!!x` for `!x`, and reads what stands behind twice, so that a nest of them takes for ever.
pub(super) fn doubled(bare: &str) -> Option<char> {
    let mut before = None;
    for character in bare.chars().filter(|character| !character.is_whitespace()) {
        if matches!(character, '!' | '-') && before == Some(character) {
            return before;
        }
        before = Some(character);
    }
    None
}

/// How many brackets stand within each other.
pub(super) fn brackets(bare: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    for character in bare.chars() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_comments_are_left_out_as_the_language_has_them() {
        for (text, left) in [
            (r"a == 'b(' // ( '", "a ==  '  "),
            (r"'\'(' + x", " '  + x"),
            (r"r'\' + (x)", "r '  + (x)"),
            (r"bar'\'(' + y", "bar '  + y"),
            (r#"bR"\" + ((x))"#, "bR '  + ((x))"),
            ("'''a'(\n''' + x", " '  + x"),
            ("x // '\n + (y)", "x \n + (y)"),
        ] {
            assert_eq!(bare(text), Ok(left.to_owned()), "{text}");
        }
        for text in ["'", "'a\\'", "'''a'", "r\"a"] {
            assert!(bare(text).is_err(), "{text}");
        }
    }

    #[test]
    fn signs_in_a_row_are_seen_through_blanks() {
        assert_eq!(doubled("a && ! \n !b"), Some('!'));
        assert_eq!(doubled("1 - - 1"), Some('-'));
        assert_eq!(doubled("!(!a) && a != !b && 1 - (-1) > -2"), None);
    }
}
