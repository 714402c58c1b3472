//! What the YAML scanner and parser complain about, put where the cause is and in words that say what to do.
//!
//! They notice many faults only later: an unclosed bracket at the end of the file, a lone word on the next line.

use yaml_rust2::scanner::{ScanError, Scanner, TScalarStyle, Token, TokenType};

use super::source::{Source, mark};
use super::tokens::too_deep;
use super::{Error, Limits, Position};

/// What the scanner says of a line that stands too far left.
const INDENTATION: &str = "invalid indentation";
/// Lines are moved by no more than this: wider ones are not written by people, and a hostile file must not grow.
const INDENT_MAX: u32 = 1000;
const TAB: &str = "a tab cannot indent; use spaces";
const ESCAPE: &str = "unknown escape in a double-quoted string; write \\\\ for a backslash";

/// Turns a complaint of the scanner or the parser into ours.
pub(super) fn explain(source: &Source, error: &ScanError, limits: &Limits) -> Error {
    let at = mark(*error.marker());
    let info = error.info();
    if info == "recursion limit exceeded" {
        let open = open_collections(source, at);
        return too_deep(source.written(open.get(limits.depth).copied().unwrap_or(at)), limits);
    }
    let (at, message) = cause(source, at, info);
    Error::syntax(source.written(at), message)
}

/// The line of a closing bracket that stands too far left for the scanner, and how many spaces put it right.
pub(super) fn unindented_bracket(source: &Source, error: &ScanError) -> Option<(u32, u32)> {
    let at = mark(*error.marker());
    let closes = error.info() == INDENTATION && source.text()[source.offset(at)..].starts_with([']', '}']);
    let outermost = if closes { open_brackets(source, at).next()? } else { return None };
    (outermost.column <= INDENT_MAX).then_some((at.line, outermost.column))
}

fn cause(source: &Source, at: Position, info: &str) -> (Position, String) {
    let (at, message) = match info {
        "while scanning a plain scalar, found a tab" => (tab_in_indentation_below(source, at), TAB),
        "a block scalar content cannot start with a tab" => (Position { line: at.line + 1, column: 1 }, TAB),
        "tabs disallowed within this context (block indentation)"
        | "tabs disallowed in this context"
        | "tab cannot be used as indentation"
        | "'-' must be followed by a valid YAML whitespace"
        | "':' must be followed by a valid YAML whitespace" => (tab_before(source, at), TAB),
        "simple key expect ':'" | "simple key expected" => {
            (lone_line(source, at), "expected `key: value` here; check the indentation, or add the missing ':'")
        }
        "while scanning a quoted scalar, found unexpected end of stream"
        | "while scanning a quoted scalar, found unexpected document indicator"
        | "invalid indentation in quoted scalar" => (at, "this quote is not closed"),
        "invalid trailing content after double-quoted scalar" => match quote_above(source, at) {
            Some(quote) => (quote, "this quote is not closed"),
            None => (at, "unexpected text after a quoted string; quote the whole value"),
        },
        "while parsing a quoted scalar, found unknown escape character"
        | "while parsing a quoted scalar, did not find expected hexadecimal number"
        | "while parsing a quoted scalar, found invalid Unicode character escape code" => {
            (bad_escape(source, at), ESCAPE)
        }
        _ => return structure(source, at, info),
    };
    (at, message.to_owned())
}

/// Faults of the structure: the reported place is a token that does not fit, unless a bracket was left open before it.
fn structure(source: &Source, at: Position, info: &str) -> (Position, String) {
    if info == INDENTATION && source.text()[source.offset(at)..].starts_with([']', '}']) {
        return (at, "this bracket closes too far left; indent it deeper than the key it belongs to".to_owned());
    }
    if let Some(bracket) = unclosed_bracket(source, at) {
        return (bracket, "this bracket is not closed".to_owned());
    }
    match info {
        "while parsing a block mapping, did not find expected key" => {
            (token_start(source, at), "this does not belong to the mapping above it; check the indentation".to_owned())
        }
        "while parsing a block collection, did not find expected '-' indicator" => {
            (token_start(source, at), "expected `- ` here; check the indentation".to_owned())
        }
        "did not find expected <document start>" => {
            (token_start(source, at), "a document ends before this; check the indentation, or add `---`".to_owned())
        }
        // Behind the first colon of a line there can only be too many; before it the whole line is out of place.
        "mapping values are not allowed in this context" if is_first_colon(source, at) => (
            Position { column: first_column(source, at.line), ..at },
            "this line continues the value above it, so it cannot have a key; check the indentation".to_owned(),
        ),
        "mapping values are not allowed in this context" => {
            (at, "a second ':' is not allowed here; quote the text".to_owned())
        }
        _ => (at, plain(info)),
    }
}

fn plain(info: &str) -> String {
    let context = info.strip_prefix("while ").and_then(|rest| rest.split_once(", "));
    context.map_or_else(|| info.to_owned(), |(context, fault)| format!("{fault} ({context})"))
}

/// All tokens before a place. A file cut off there is still good up to its end but for what was open.
fn tokens_before(source: &Source, at: Position) -> impl Iterator<Item = Token> {
    Scanner::new(source.text()[..source.offset(at)].chars())
}

/// The collections that are open at a place inside brackets, outermost first.
fn open_collections(source: &Source, at: Position) -> Vec<Position> {
    let mut open = Vec::new();
    for Token(marker, kind) in tokens_before(source, at) {
        match kind {
            TokenType::FlowSequenceStart
            | TokenType::FlowMappingStart
            | TokenType::BlockSequenceStart
            | TokenType::BlockMappingStart => open.push(mark(marker)),
            TokenType::FlowSequenceEnd | TokenType::FlowMappingEnd | TokenType::BlockEnd => {
                open.pop();
            }
            _ => {}
        }
    }
    open
}

/// The brackets that are open at a place, outermost first. Without what else is open, also the mapping that the scanner
/// opens for `[a: b]`, where no bracket stands.
fn open_brackets(source: &Source, at: Position) -> impl DoubleEndedIterator<Item = Position> {
    let is_bracket = |at: &Position| source.text()[source.offset(*at)..].starts_with(['[', '{']);
    open_collections(source, at).into_iter().filter(is_bracket)
}

/// The innermost open bracket, if the file ends in it or a line below it is indented as if it were closed.
fn unclosed_bracket(source: &Source, at: Position) -> Option<Position> {
    let bracket = open_brackets(source, at).next_back()?;
    if source.text()[source.offset(at)..].trim_end().is_empty() {
        return Some(bracket);
    }
    let outside = first_column(source, bracket.line);
    let indented = first_column(source, at.line);
    let ended = if outside < bracket.column { indented <= outside } else { indented < outside };
    (bracket.line < at.line && ended).then_some(bracket)
}

fn is_first_colon(source: &Source, at: Position) -> bool {
    let start = source.offset(Position { column: 1, ..at });
    let before = &source.text()[start..source.offset(at)];
    !before.trim().is_empty() && !before.contains(": ")
}

/// The column of the first thing on a line after indentation, dashes and question marks.
fn first_column(source: &Source, line: u32) -> u32 {
    let text = source.line(line);
    let mut rest = text.trim_start();
    while let Some(inner) = rest.strip_prefix("- ").or_else(|| rest.strip_prefix("? ")) {
        rest = inner.trim_start();
    }
    let before = text[..text.len() - rest.len()].chars().count();
    u32::try_from(before).map_or(u32::MAX, |before| before.saturating_add(1))
}

/// The parser puts a block mapping at its first colon and a block item behind its dash.
fn token_start(source: &Source, at: Position) -> Position {
    let mut tokens = Scanner::new(source.text().chars());
    while let Some(Token(marker, kind)) = tokens.next() {
        match kind {
            TokenType::BlockMappingStart if mark(marker) == at => {
                return tokens.next().map_or(at, |Token(key, _)| mark(key)).min(at);
            }
            TokenType::BlockEntry if mark(marker) == at => {
                let text = source.line(at.line);
                let blanks = text.chars().take_while(|character| *character == ' ').count();
                return u32::try_from(blanks).map_or(at, |blanks| Position { line: at.line, column: blanks + 1 });
            }
            _ => {}
        }
    }
    at
}

/// The opening quote of the string that ends before a place, if it stands on another line: then that string most
/// likely ran on into the quote of a later one.
fn quote_above(source: &Source, at: Position) -> Option<Position> {
    let quoted = |token: Token| match token {
        Token(marker, TokenType::Scalar(TScalarStyle::SingleQuoted | TScalarStyle::DoubleQuoted, _)) => {
            Some(mark(marker))
        }
        _ => None,
    };
    tokens_before(source, at).filter_map(quoted).last().filter(|quote| quote.line < at.line)
}

/// The last line with content before a place: a word there that should have been a key was only missed below it.
fn lone_line(source: &Source, at: Position) -> Position {
    let start = source.offset(Position { column: 1, ..at });
    let mut line = at.line;
    if source.text()[start..source.offset(at)].trim().is_empty() {
        let last = source.last_line();
        let has_content = |line: &u32| !matches!(source.line(*line).trim_start().bytes().next(), None | Some(b'#'));
        line = (1..at.line.min(last.saturating_add(1))).rev().find(has_content).unwrap_or(at.line);
    }
    Position { line, column: first_column(source, line) }
}

/// The first tab of the blanks right before a place; the place itself if there is none.
fn tab_before(source: &Source, at: Position) -> Position {
    let end = source.offset(at);
    let start = source.offset(Position { column: 1, ..at });
    let before = &source.text()[start..end];
    let blanks = before.trim_end_matches([' ', '\t']).len();
    before[blanks..].find('\t').map_or(at, |tab| source.locate(start + blanks + tab))
}

/// The tab in the indentation of the first such line with content below a place.
fn tab_in_indentation_below(source: &Source, at: Position) -> Position {
    let tab = |line: u32| {
        let text = source.line(line);
        let blanks = &text[..text.len() - text.trim_start().len()];
        let tab = blanks.find('\t').filter(|_| blanks.len() < text.len())?;
        u32::try_from(tab).ok().map(|tab| Position { line, column: tab + 1 })
    };
    (at.line.saturating_add(1)..=source.last_line()).find_map(tab).unwrap_or(at)
}

/// The backslash of the first escape that YAML does not know, in the double-quoted string that starts at a place.
fn bad_escape(source: &Source, at: Position) -> Position {
    let start = source.offset(at);
    let string = &source.text()[start..];
    let mut characters = string.char_indices().skip(1);
    while let Some((offset, character)) = characters.next() {
        if character != '\\' {
            continue;
        }
        let Some((_, escaped)) = characters.next() else { break };
        let digits = match escaped {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            '0' | 'a' | 'b' | 't' | '\t' | 'n' | 'v' | 'f' | 'r' | 'e' | ' ' | '"' | '/' | '\\' | 'N' | '_' | 'L'
            | 'P' | '\n' | '\r' => continue,
            _ => return source.locate(start + offset),
        };
        let code = string.get(offset + 2..offset + 2 + digits).and_then(|code| u32::from_str_radix(code, 16).ok());
        if code.and_then(char::from_u32).is_none() {
            return source.locate(start + offset);
        }
    }
    at
}
