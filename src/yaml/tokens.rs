//! The first reading: exact places of what the parser's events place wrongly, and refusals that must not wait.
//!
//! Events give a block scalar the place of its content, a block mapping that of its first colon and an item no dash;
//! inside brackets they only come once the outermost bracket is closed.

use yaml_rust2::scanner::{Marker, ScanError, Scanner, TScalarStyle, Token as Scanned, TokenType};

use super::resolve::Tag;
use super::source::{Source, mark};
use super::{Error, ErrorKind, Limits, Position};

/// A token that the second reading asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: Position,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    BlockSequence,
    FlowSequence,
    /// The dash of an item.
    Dash,
    Scalar,
}

/// Why the first reading ended before the end of the file.
pub(super) enum Stop {
    Refused(Error),
    Broken(ScanError),
}

/// Collects the tokens up to the end or the first fault.
pub(super) fn scan(source: &Source, limits: &Limits) -> (Vec<Token>, Option<Stop>) {
    let mut scanner = Scanner::new(source.text().chars());
    let mut reader = Reader { source, limits, depth: 0, brackets: 0, before: Before::default(), tokens: Vec::new() };
    while let Some(Scanned(marker, kind)) = scanner.next() {
        if let Err(error) = reader.take(marker, &kind, &mut scanner) {
            return (reader.tokens, Some(Stop::Refused(error)));
        }
    }
    (reader.tokens, scanner.get_error().map(Stop::Broken))
}

struct Reader<'a> {
    source: &'a Source<'a>,
    limits: &'a Limits,
    depth: usize,
    /// How many of the open collections are in brackets.
    brackets: usize,
    before: Before,
    tokens: Vec<Token>,
}

/// The token before this one: a block scalar's header can only be found from there.
struct Before {
    at: Position,
    ends: Ends,
    /// It opened a block sequence.
    opened: bool,
    doubt: Doubt,
}

/// What makes `[a:, b]` doubtful: a colon between unquoted text and the next bracket or comma.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doubt {
    None,
    /// Unquoted text inside brackets ended right before this place.
    Text(Position),
    /// So did a colon right behind such text.
    Colon(Position),
}

/// Where a token ends.
#[derive(Clone, Copy)]
enum Ends {
    After(usize),
    AtBlank,
}

impl Default for Before {
    fn default() -> Self {
        Self { at: Position { line: 1, column: 1 }, ends: Ends::After(0), opened: false, doubt: Doubt::None }
    }
}

impl Reader<'_> {
    fn take<T: Iterator<Item = char>>(
        &mut self,
        marker: Marker,
        kind: &TokenType,
        scanner: &mut Scanner<T>,
    ) -> Result<(), Error> {
        let at = mark(marker);
        let mut ends = Ends::After(0);
        let mut doubt = Doubt::None;
        self.check_colon(at, kind)?;
        self.count_brackets(kind);
        match kind {
            TokenType::BlockSequenceStart => self.open(Some(Kind::BlockSequence), at)?,
            TokenType::FlowSequenceStart => self.open(Some(Kind::FlowSequence), at)?,
            TokenType::BlockMappingStart | TokenType::FlowMappingStart if self.depth >= self.limits.depth => {
                // The place of the mapping is that of its first key, the next token.
                let first = scanner.next().map_or(at, |Scanned(next, _)| mark(next));
                return Err(too_deep(self.source.written(at.min(first)), self.limits));
            }
            TokenType::BlockMappingStart | TokenType::FlowMappingStart => self.open(None, at)?,
            TokenType::BlockEnd | TokenType::FlowSequenceEnd | TokenType::FlowMappingEnd => {
                self.depth = self.depth.saturating_sub(1);
            }
            TokenType::BlockEntry => self.push(Kind::Dash, self.dash(at)),
            TokenType::Scalar(TScalarStyle::Literal | TScalarStyle::Folded, _) => {
                self.push(Kind::Scalar, self.header());
            }
            TokenType::Scalar(TScalarStyle::Plain, text) => {
                if self.brackets > 0 && text.starts_with('?') {
                    let message = "quote this; YAML readers do not agree on a `?` inside brackets";
                    return Err(Error::syntax(self.source.written(at), message));
                }
                self.push(Kind::Scalar, at);
                if self.brackets > 0 {
                    doubt = Doubt::Text(after(at, text.chars().count()));
                }
            }
            TokenType::Scalar(TScalarStyle::SingleQuoted | TScalarStyle::DoubleQuoted, _) => {
                self.push(Kind::Scalar, at);
            }
            TokenType::Tag(handle, suffix) => {
                Tag::read(handle, suffix).map_err(|message| Error::syntax(self.source.written(at), message))?;
                ends = Ends::AtBlank;
            }
            TokenType::Anchor(_) => return Err(self.alias(at, "anchors are")),
            TokenType::Alias(_) => return Err(self.alias(at, "aliases are")),
            TokenType::TagDirective(handle, _) if !handle.is_empty() => {
                return Err(Error::syntax(self.source.written(at), "%TAG is not supported; remove it"));
            }
            TokenType::Value if self.before.doubt == Doubt::Text(at) => doubt = Doubt::Colon(after(at, 1)),
            TokenType::Key | TokenType::Value => ends = Ends::After(1),
            TokenType::DocumentStart | TokenType::DocumentEnd => ends = Ends::After(3),
            TokenType::StreamStart(_)
            | TokenType::StreamEnd
            | TokenType::VersionDirective(..)
            | TokenType::TagDirective(..)
            | TokenType::FlowEntry => {}
        }
        self.before = Before { at, ends, opened: *kind == TokenType::BlockSequenceStart, doubt };
        Ok(())
    }

    /// kubectl reads `[a:, b]` as the text `a:` and `b`, YAML 1.2 as a mapping and `b`.
    fn check_colon(&self, at: Position, kind: &TokenType) -> Result<(), Error> {
        let is_bracket = matches!(
            kind,
            TokenType::FlowEntry
                | TokenType::FlowSequenceStart
                | TokenType::FlowMappingStart
                | TokenType::FlowSequenceEnd
                | TokenType::FlowMappingEnd
        );
        if is_bracket && self.before.doubt == Doubt::Colon(at) {
            let message = "put a space behind this ':', or quote the text before it; YAML readers do not agree on it";
            return Err(Error::syntax(self.source.written(self.before.at), message));
        }
        Ok(())
    }

    fn count_brackets(&mut self, kind: &TokenType) {
        match kind {
            TokenType::FlowSequenceStart | TokenType::FlowMappingStart => self.brackets += 1,
            TokenType::FlowSequenceEnd | TokenType::FlowMappingEnd => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
    }

    fn open(&mut self, kind: Option<Kind>, at: Position) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > self.limits.depth {
            return Err(too_deep(self.source.written(at), self.limits));
        }
        if let Some(kind) = kind {
            self.push(kind, at);
        }
        Ok(())
    }

    fn push(&mut self, kind: Kind, at: Position) {
        self.tokens.push(Token { kind, at });
    }

    fn alias(&self, at: Position, what: &str) -> Error {
        let message = format!("{what} not accepted; write the value out");
        Error::new(ErrorKind::Alias, self.source.written(at), message)
    }

    /// The scanner gives the place after the dash. The first item stands where its sequence does; any other dash is
    /// the first thing on its line.
    fn dash(&self, at: Position) -> Position {
        if self.before.opened {
            return self.before.at;
        }
        let blanks = self.source.line(at.line).chars().take_while(|character| matches!(character, ' ' | '\t')).count();
        Position { line: at.line, column: u32::try_from(blanks).map_or(at.column, |blanks| blanks + 1) }
    }

    /// The `|` or `>` of a block scalar: the first thing after the token before it but for comments.
    fn header(&self) -> Position {
        let text = self.source.text();
        let start = self.source.offset(self.before.at);
        let mut rest = match self.before.ends {
            Ends::After(count) => text[start..].get(count..).unwrap_or(""),
            Ends::AtBlank => text[start..].trim_start_matches(|character: char| !character.is_ascii_whitespace()),
        };
        loop {
            rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
            if !rest.starts_with('#') {
                return self.source.locate(text.len() - rest.len());
            }
            rest = rest.trim_start_matches(|character| !matches!(character, '\r' | '\n'));
        }
    }
}

fn after(at: Position, characters: usize) -> Position {
    let column = u32::try_from(characters).map_or(u32::MAX, |count| at.column.saturating_add(count));
    Position { column, ..at }
}

pub(super) fn too_deep(at: Position, limits: &Limits) -> Error {
    Error::new(ErrorKind::Limit, at, format!("nested more than {} levels deep", limits.depth))
}
