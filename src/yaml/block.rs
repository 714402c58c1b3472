//! Block scalars at the end of the file, where the parser adds a line break that is not there.

use super::Position;
use super::source::Source;

/// What the last block scalar of a file holds, given what the parser makes of it, and the places of its `|` or `>` and
/// of its content. As for kubectl, only what is written counts: without a line break at the end of the file there is
/// none in the value, and without content the value is empty.
pub(super) fn at_end<'a>(source: &Source, text: &'a str, header: Position, content: Position) -> &'a str {
    let rest = &source.text()[source.offset(header)..];
    let indicators = rest.split(['\r', '\n']).next().unwrap_or(rest);
    let below = &rest[indicators.len()..];
    if below.trim_start_matches([' ', '\r', '\n']).is_empty() {
        let keeps = indicators.split('#').next().is_some_and(|indicators| indicators.contains('+'));
        let first = if below.starts_with("\r\n") { 2 } else { 1 };
        let has_blank_line = below.get(first..).is_some_and(|blank| blank.contains(['\r', '\n']));
        return if keeps && has_blank_line { text } else { "" };
    }
    if source.text().ends_with(['\r', '\n']) {
        return text;
    }
    let is_inside = |line: u32| {
        let line = source.line(line);
        let blanks = line.len() - line.trim_start_matches(' ').len();
        blanks == line.len() || column(blanks) >= content.column
    };
    let last = source.last_line();
    let reaches_end = column(source.line(last).chars().count()) >= content.column.max(2);
    let is_open = reaches_end && (content.line..=last).all(is_inside);
    if is_open { text.strip_suffix('\n').unwrap_or(text) } else { text }
}

fn column(before: usize) -> u32 {
    u32::try_from(before).map_or(u32::MAX, |before| before.saturating_add(1))
}
