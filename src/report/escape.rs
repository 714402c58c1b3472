//! Foreign text in Markdown and commit messages: shown, never interpreted.

/// Longest foreign text in a table cell or a message line.
const SHOWN_CHARS_MAX: usize = 300;

/// One line without control characters, cut to a readable length.
pub(super) fn line(text: &str) -> String {
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == SHOWN_CHARS_MAX {
            out.push('…');
            break;
        }
        // Direction overrides and their like could make a line read as another one.
        let hidden =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        out.push(if c.is_control() || hidden { ' ' } else { c });
    }
    out
}

/// A code span that survives backticks and the bars of a table.
pub(super) fn code(text: &str) -> String {
    let text = line(text).replace('|', "\\|");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        assert_eq!(code("a|b"), "`a\\|b`");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`x`"), "`` `x` ``");
        assert_eq!(line("a\nHoldfast-Cluster: x\u{202e}"), "a Holdfast-Cluster: x ");
        assert!(line(&"ü".repeat(5000)).chars().count() <= SHOWN_CHARS_MAX + 1);
    }
}
