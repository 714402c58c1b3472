//! Rust text without comments, strings and test modules: what is left is what runs. Lines keep their numbers.

/// Blanked text of one file.
pub(super) struct Code {
    /// Comments and the insides of strings are spaces.
    pub(super) all: String,
    /// `all` up to the inline test module.
    pub(super) shipped: String,
}

impl Code {
    pub(super) fn of(text: &str) -> Self {
        let all = blank(text);
        let end = all
            .find("#[cfg(test)]")
            .filter(|at| all[*at..].lines().nth(1).is_some_and(|line| line.starts_with("mod ")));
        let shipped = all[..end.unwrap_or(all.len())].to_owned();
        Self { all, shipped }
    }
}

/// 1-based line of a byte.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Bytes at which `word` stands on its own; ends that are no letters need no boundary.
pub(super) fn occurrences<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = text[..*at].chars().next_back().is_some_and(is_word);
        let after = text[at + word.len()..].chars().next().is_some_and(is_word);
        !(before && word.starts_with(is_word) || after && word.ends_with(is_word))
    })
}

/// The byte after the bracket that closes the one at `open`.
pub(super) fn closing(text: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text[open..].char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(open + at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, runs) = token(rest, first);
        if runs {
            out.push_str(&rest[..length]);
        } else {
            out.extend(rest[..length].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        }
        rest = &rest[length..];
    }
    out
}

/// Bytes of the next token, and whether it is code rather than a comment or a literal.
fn token(rest: &str, first: char) -> (usize, bool) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), false);
    }
    if rest.starts_with("/*") {
        return (rest.find("*/").map_or(rest.len(), |end| end + 2), false);
    }
    if let Some(hashes) = raw_string(rest) {
        let end = format!("\"{}", "#".repeat(hashes));
        let start = rest.find('"').unwrap_or_default() + 1;
        return (rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len()), false);
    }
    match first {
        '"' => (quoted(rest, '"'), false),
        '\'' if is_char(rest) => (quoted(rest, '\''), false),
        c if c.is_alphanumeric() || c == '_' => {
            (rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()), true)
        }
        c => (c.len_utf8(), true),
    }
}

/// Bytes of a literal with both its quotes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// The number of `#` of a raw string that begins here.
fn raw_string(rest: &str) -> Option<usize> {
    let rest = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

/// `'a'` and `'\n'`, but not the lifetime `'a`.
fn is_char(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

#[test]
fn tidy_blanks_what_does_not_run() {
    let code = |text: &str| Code::of(text).all;
    assert_eq!(code("a(\"x{\"); // {\nb"), "a(    );     \nb");
    assert_eq!(code(r##"a(r#"x"{"#, '"', 'x', &'a b)"##).matches(['{', 'x']).count(), 0);
    assert_eq!(code("f(\"a\\\"\", b)"), "f(     , b)");
    assert_eq!(Code::of("a\n#[cfg(test)]\nmod tests {}").shipped, "a\n");
    assert_eq!(occurrences("git2::x agit2 git2", "git2").collect::<Vec<_>>(), [0, 14]);
}
