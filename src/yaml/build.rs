//! The second reading: parser events become values, with the places that `tokens` found.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use yaml_rust2::parser::{self, Event, Parser};
use yaml_rust2::scanner::TScalarStyle;

use super::document::{Inner, Places};
use super::resolve::{Scalar, Tag};
use super::source::{Source, mark};
use super::tokens::{Kind, Token, too_deep};
use super::{Document, Error, ErrorKind, Limits, Position, Span, block, fault};

/// Builds the documents of a file; `refusal` is where the first reading stopped. Events are pulled one by one: the parser's own push loop recurses with the depth
/// of the document and cannot be stopped.
pub(super) fn documents(
    source: &Source,
    tokens: &[Token],
    refusal: Option<&Error>,
    limits: &Limits,
) -> Result<Vec<Document>, Error> {
    let mut parser = Parser::new_from_str(source.text());
    let mut builder = Builder { source, tokens, refusal, limits, nodes: 0, open: Vec::new(), documents: Vec::new() };
    loop {
        let (event, marker) = parser.next_token().map_err(|error| fault::explain(source, &error, limits))?;
        let at = mark(marker);
        match event {
            Event::StreamEnd => return Ok(builder.documents),
            Event::Nothing | Event::StreamStart | Event::DocumentStart | Event::DocumentEnd => {}
            Event::Alias(_) => {
                let message = "aliases are not accepted; write the value out";
                return Err(Error::new(ErrorKind::Alias, source.written(at), message));
            }
            Event::Scalar(text, style, _, tag) => builder.scalar(&text, style, tag.as_ref(), at)?,
            Event::SequenceStart(_, tag) => builder.sequence(tag.as_ref(), at)?,
            Event::MappingStart(_, tag) => builder.mapping(tag.as_ref(), at)?,
            Event::SequenceEnd | Event::MappingEnd => builder.close()?,
        }
    }
}

struct Builder<'a> {
    source: &'a Source<'a>,
    /// What is not used up yet.
    tokens: &'a [Token],
    refusal: Option<&'a Error>,
    limits: &'a Limits,
    nodes: usize,
    open: Vec<Collection>,
    documents: Vec<Document>,
}

/// A collection whose end is not reached. All places are places in the text until they are stored.
enum Collection {
    Sequence {
        span: Span,
        dashes: bool,
        values: Vec<Value>,
        places: Vec<Places>,
    },
    Mapping {
        span: Span,
        key: Option<(String, Position)>,
        values: Map<String, Value>,
        places: BTreeMap<String, Places>,
    },
}

/// Where the next node belongs.
enum Slot {
    Key,
    /// As the value of a key, behind a dash, or without either.
    Value(Option<Position>),
}

impl Builder<'_> {
    fn scalar(
        &mut self,
        text: &str,
        style: TScalarStyle,
        tag: Option<&parser::Tag>,
        at: Position,
    ) -> Result<(), Error> {
        let slot = self.slot()?;
        // A scalar that is not written has no token, and its event the place of whatever comes next.
        let token = if text.is_empty() && style == TScalarStyle::Plain { None } else { self.token(Kind::Scalar)? };
        let is_block = matches!(style, TScalarStyle::Literal | TScalarStyle::Folded);
        let text = match token {
            Some(header) if is_block && self.tokens.is_empty() => block::at_end(self.source, text, header, at),
            Some(_) | None => text,
        };
        let at = match (token, &slot) {
            (Some(token), _) => token,
            (None, Slot::Value(Some(key))) => *key,
            (None, Slot::Value(None) | Slot::Key) => at,
        };
        self.count(at)?;
        let tag = self.tag(tag, at)?;
        let scalar = Scalar { text, style, tag };
        match slot {
            Slot::Key => self.key(&scalar, at),
            Slot::Value(key) => {
                let value = scalar.value().map_err(|message| self.fault(at, message))?;
                self.add(value, Places { span: Span { key, value: at }, inner: Inner::Scalar })
            }
        }
    }

    fn key(&mut self, scalar: &Scalar, at: Position) -> Result<(), Error> {
        let written = self.source.written(at);
        if scalar.is_merge_key() {
            let message = "merge keys (`<<`) are not accepted; write the fields out";
            return Err(Error::new(ErrorKind::Alias, written, message));
        }
        let name = scalar.key().map_err(|message| self.fault(at, message))?;
        let Some(Collection::Mapping { span, key, places, .. }) = self.open.last_mut() else { return Ok(()) };
        if let Some(first) = places.get(&name) {
            let line = first.span.key.map_or(0, |key| key.line);
            let message = format!("the key {name:?} stands twice in this mapping, first on line {line}");
            return Err(Error::new(ErrorKind::DuplicateKey, written, message));
        }
        // A block mapping has the place of its first colon until its first key is known.
        span.value = span.value.min(at);
        *key = Some((name, at));
        Ok(())
    }

    fn sequence(&mut self, tag: Option<&parser::Tag>, at: Position) -> Result<(), Error> {
        let slot = self.slot()?;
        let (dashes, at) = match self.tokens.first() {
            // A sequence that is not indented below its key has no token of its own, only those of its items.
            Some(Token { kind: Kind::Dash, at }) => (true, *at),
            Some(_) | None => match self.token(Kind::BlockSequence)? {
                Some(at) => (true, at),
                None => (false, self.token(Kind::FlowSequence)?.unwrap_or(at)),
            },
        };
        let span = self.enter(&slot, at)?;
        match self.tag(tag, at)? {
            None | Some(Tag::NonSpecific | Tag::Seq) => {}
            Some(other) => return Err(self.fault(at, other.misfit("a sequence"))),
        }
        self.open.push(Collection::Sequence { span, dashes, values: Vec::new(), places: Vec::new() });
        Ok(())
    }

    fn mapping(&mut self, tag: Option<&parser::Tag>, at: Position) -> Result<(), Error> {
        let slot = self.slot()?;
        let span = self.enter(&slot, at)?;
        match self.tag(tag, at)? {
            None | Some(Tag::NonSpecific | Tag::Map) => {}
            Some(other) => return Err(self.fault(at, other.misfit("a mapping"))),
        }
        self.open.push(Collection::Mapping { span, key: None, values: Map::new(), places: BTreeMap::new() });
        Ok(())
    }

    /// What every collection must pass before it is opened.
    fn enter(&mut self, slot: &Slot, at: Position) -> Result<Span, Error> {
        self.count(at)?;
        if self.open.len() >= self.limits.depth {
            return Err(too_deep(self.source.written(at), self.limits));
        }
        match slot {
            Slot::Key => Err(self.fault(at, "a key must be a scalar, not a mapping or a sequence".to_owned())),
            Slot::Value(key) => Ok(Span { key: *key, value: at }),
        }
    }

    fn close(&mut self) -> Result<(), Error> {
        match self.open.pop() {
            Some(Collection::Sequence { span, values, places, .. }) => {
                self.add(Value::Array(values), Places { span, inner: Inner::Items(places) })
            }
            Some(Collection::Mapping { span, values, places, .. }) => {
                self.add(Value::Object(values), Places { span, inner: Inner::Fields(places) })
            }
            None => Ok(()),
        }
    }

    fn add(&mut self, value: Value, mut places: Places) -> Result<(), Error> {
        places.span.key = places.span.key.map(|key| self.source.written(key));
        places.span.value = self.source.written(places.span.value);
        match self.open.last_mut() {
            Some(Collection::Sequence { values, places: items, .. }) => {
                values.push(value);
                items.push(places);
            }
            Some(Collection::Mapping { key, values, places: fields, .. }) => {
                if let Some((name, _)) = key.take() {
                    values.insert(name.clone(), value);
                    fields.insert(name, places);
                }
            }
            None if value.is_null() => {}
            None => {
                let start = places.span.value;
                if self.documents.len() >= self.limits.documents {
                    let message = format!("more than {} documents in one file", self.limits.documents);
                    return Err(Error::new(ErrorKind::Limit, start, message));
                }
                self.documents.push(Document { value, start, places });
            }
        }
        Ok(())
    }

    fn slot(&mut self) -> Result<Slot, Error> {
        Ok(match self.open.last() {
            Some(Collection::Mapping { key: None, .. }) => Slot::Key,
            Some(Collection::Mapping { key: Some((_, at)), .. }) => Slot::Value(Some(*at)),
            Some(Collection::Sequence { dashes: true, .. }) => Slot::Value(self.token(Kind::Dash)?),
            Some(Collection::Sequence { dashes: false, .. }) | None => Slot::Value(None),
        })
    }

    /// Takes the next token if it is of this kind, as it is in every file that both readings agree on. When there are
    /// no more because the first reading stopped, so does this one: the place of the event is not to be trusted.
    fn token(&mut self, kind: Kind) -> Result<Option<Position>, Error> {
        match (self.tokens.split_first(), self.refusal) {
            (Some((first, rest)), _) if first.kind == kind => {
                self.tokens = rest;
                Ok(Some(first.at))
            }
            (None, Some(refusal)) => Err(refusal.clone()),
            (Some(_) | None, _) => Ok(None),
        }
    }

    fn tag(&self, tag: Option<&parser::Tag>, at: Position) -> Result<Option<Tag>, Error> {
        tag.map(|tag| Tag::read(&tag.handle, &tag.suffix)).transpose().map_err(|message| self.fault(at, message))
    }

    fn count(&mut self, at: Position) -> Result<(), Error> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            let message = format!("more than {} keys and values in one file", self.limits.nodes);
            return Err(Error::new(ErrorKind::Limit, self.source.written(at), message));
        }
        Ok(())
    }

    fn fault(&self, at: Position, message: String) -> Error {
        Error::syntax(self.source.written(at), message)
    }
}
