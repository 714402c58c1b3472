//! JSON writes characters beyond U+FFFF as two `\u` escapes, which YAML readers refuse; they are joined to one `\U`.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::de::IgnoredAny;

use super::Position;

/// A joined pair: everything after it on its line stands further right in the file than in the joined text.
pub(super) struct Shift {
    /// Place in the joined text of the first character after the pair.
    after: Position,
    /// Characters lost on this line up to here.
    lost: u32,
}

/// `\ud83d\ude00` has two characters more than `\U0001f600`.
const LOST_PER_PAIR: u32 = 2;
const PAIR_LENGTH: usize = 12;
const JOINED_LENGTH: u32 = 10;

/// Joins all pairs of a file that is JSON as a whole. In other YAML the same letters can be plain text, and kubectl
/// refuses the pairs there.
pub(super) fn join(text: &str) -> (Cow<'_, str>, Vec<Shift>) {
    let may_have_pairs = text.contains("\\ud") || text.contains("\\uD");
    if !may_have_pairs || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return (Cow::Borrowed(text), Vec::new());
    }
    let mut joined = String::with_capacity(text.len());
    let mut shifts: Vec<Shift> = Vec::new();
    let mut at = Position { line: 1, column: 1 };
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if let Some(pair) = pair(rest) {
            // Writing to a string cannot fail.
            let _ = write!(joined, "\\U{:08x}", u32::from(pair));
            rest = &rest[PAIR_LENGTH..];
            at.column += JOINED_LENGTH;
            let before = shift(&shifts, at);
            shifts.push(Shift { after: at, lost: before + LOST_PER_PAIR });
            continue;
        }
        // An escaped character goes along with its backslash: in `\\ud83d` the second one starts nothing.
        let taken = character.len_utf8()
            + if character == '\\' { rest[1..].chars().next().map_or(0, char::len_utf8) } else { 0 };
        let (head, tail) = rest.split_at(taken);
        joined.push_str(head);
        rest = tail;
        if character == '\n' || (character == '\r' && !tail.starts_with('\n')) {
            at = Position { line: at.line + 1, column: 1 };
        } else {
            at.column += if character == '\\' { 2 } else { 1 };
        }
    }
    (Cow::Owned(joined), shifts)
}

/// How many characters a place in the joined text is left of where it was written.
pub(super) fn shift(shifts: &[Shift], at: Position) -> u32 {
    let passed = shifts.partition_point(|shift| shift.after <= at);
    passed
        .checked_sub(1)
        .map(|last| &shifts[last])
        .filter(|last| last.after.line == at.line)
        .map_or(0, |last| last.lost)
}

fn pair(text: &str) -> Option<char> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    char::decode_utf16([unit(0)?, unit(6)?]).next()?.ok().filter(|character| u32::from(*character) > 0xFFFF)
}
