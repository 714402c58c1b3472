//! The text of a file: decoded, checked character by character, and cut into lines.

use std::borrow::Cow;
use std::collections::BTreeMap;

use yaml_rust2::scanner::Marker;

use super::surrogates::{self, Shift};
use super::{Error, ErrorKind, Limits, Position};

/// Checked text with an index of its lines.
pub(super) struct Source<'a> {
    text: Cow<'a, str>,
    /// Byte offset of the start of each line.
    lines: Vec<usize>,
    shifts: Vec<Shift>,
    /// Spaces put before lines that were not indented enough.
    indented: BTreeMap<u32, u32>,
}

impl<'a> Source<'a> {
    /// Decodes UTF-8 (a byte order mark at the start is dropped) and refuses what has no place in a manifest.
    pub(super) fn decode(bytes: &'a [u8], limits: &Limits) -> Result<Self, Error> {
        if bytes.len() > limits.bytes {
            let message = format!("the file has {} bytes, more than the limit of {}", bytes.len(), limits.bytes);
            return Err(Error::new(ErrorKind::Limit, Position { line: 1, column: 1 }, message));
        }
        if is_wide(bytes) {
            let message = "the file is UTF-16 or UTF-32; save it as UTF-8 (in PowerShell with -Encoding utf8)";
            return Err(Error::new(ErrorKind::Encoding, Position { line: 1, column: 1 }, message));
        }
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let (text, broken) = match std::str::from_utf8(bytes) {
            Ok(text) => (text, false),
            Err(error) => {
                (bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid()), error.valid_up_to() < bytes.len())
            }
        };
        if let Some((offset, character)) = text.char_indices().find(|&(_, character)| is_refused(character)) {
            return Err(Error::new(ErrorKind::Encoding, position_at(text, offset), refusal(character)));
        }
        if broken {
            let message = "not UTF-8 from here on; save the file as UTF-8";
            return Err(Error::new(ErrorKind::Encoding, position_at(text, text.len()), message));
        }
        let (text, shifts) = surrogates::join(text);
        let lines = line_starts(&text);
        Ok(Self { text, lines, shifts, indented: BTreeMap::new() })
    }

    /// Puts spaces before a line; places are still told as they were without them.
    pub(super) fn indent(&mut self, line: u32, spaces: u32) {
        if let Some(&start) = self.lines.get(index(line)) {
            self.text.to_mut().insert_str(start, &" ".repeat(index(spaces.saturating_add(1))));
            self.lines = line_starts(&self.text);
            self.indented.entry(line).and_modify(|before| *before += spaces).or_insert(spaces);
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The line with this 1-based number, without its line break; empty past the end.
    pub(super) fn line(&self, number: u32) -> &str {
        let index = index(number);
        let Some(&start) = self.lines.get(index) else { return "" };
        let end = self.lines.get(index + 1).copied().unwrap_or(self.text.len());
        self.text[start..end].trim_end_matches(['\r', '\n'])
    }

    /// Byte offset of a place in the text; places past the end are drawn back to it.
    pub(super) fn offset(&self, at: Position) -> usize {
        let Some(&start) = self.lines.get(index(at.line)) else { return self.text.len() };
        self.text[start..].char_indices().nth(index(at.column)).map_or(self.text.len(), |(offset, _)| start + offset)
    }

    /// The place in the text of a byte offset, which must be a character boundary.
    pub(super) fn locate(&self, offset: usize) -> Position {
        let line = self.lines.partition_point(|&start| start <= offset).max(1);
        position(line, self.text[self.lines[line - 1]..offset].chars().count())
    }

    /// The place in the file as it was written, for a place in the text. The scanner puts the end of a file on a line
    /// of its own; that becomes the place after the last character.
    pub(super) fn written(&self, at: Position) -> Position {
        let at = if index(at.line) < self.lines.len() { at } else { self.locate(self.text.len()) };
        let lost = surrogates::shift(&self.shifts, at);
        let added = self.indented.get(&at.line).copied().unwrap_or(0);
        Position { column: at.column.saturating_sub(added).max(1).saturating_add(lost), ..at }
    }

    /// The number of the last line, which is empty if the file ends with a line break.
    pub(super) fn last_line(&self) -> u32 {
        number(self.lines.len())
    }
}

/// The scanner counts lines from 1 and columns from 0.
pub(super) fn mark(marker: Marker) -> Position {
    position(marker.line().max(1), marker.col())
}

fn position(line: usize, columns_before: usize) -> Position {
    Position { line: number(line), column: number(columns_before.saturating_add(1)) }
}

/// No file in memory has that many lines or columns; saturating keeps the conversion total.
fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1)
}

/// UTF-16 and UTF-32, by their byte order mark, or by the zero beside the first character, which is ASCII in YAML.
fn is_wide(bytes: &[u8]) -> bool {
    matches!(bytes, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, _, ..] | [_, 0, ..])
}

/// Control characters; and the characters that YAML 1.1 readers (kubectl) take for a line break or refuse while YAML
/// 1.2 readers (ours) do not: with them a comment for one is a key for the other.
fn is_refused(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => false,
        '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}' => true,
        other => other < ' ',
    }
}

fn refusal(character: char) -> String {
    let code = u32::from(character);
    if character == '\u{FEFF}' {
        return "a byte order mark (U+FEFF) may only stand at the start of the file; remove it".to_owned();
    }
    format!("character U+{code:04X} is not allowed; in a double-quoted string it can be written as \"\\u{code:04x}\"")
}

/// `\n`, `\r\n` and a lone `\r` end a line, as the scanner counts them.
fn line_starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let ends = bytes.iter().enumerate().filter(|&(index, &byte)| match byte {
        b'\n' => true,
        b'\r' => bytes.get(index + 1) != Some(&b'\n'),
        _ => false,
    });
    std::iter::once(0).chain(ends.map(|(index, _)| index + 1)).collect()
}

fn position_at(text: &str, offset: usize) -> Position {
    let lines = line_starts(&text[..offset]);
    let start = lines.last().copied().unwrap_or(0);
    position(lines.len(), text[start..offset].chars().count())
}
