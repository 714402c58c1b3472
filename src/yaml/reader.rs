//! Builds values and their places from parser events, refusing what is over a limit as soon as it is seen.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use yaml_rust2::parser::{Event, Tag};
use yaml_rust2::scanner::TScalarStyle;

use super::scalar;
use super::spans::{Inside, Spans};
use super::{Document, Error, ErrorKind, Limits, Position};

pub(super) struct Reader<'l> {
    limits: &'l Limits,
    /// Collections that are open, outermost first.
    open: Vec<Open>,
    documents: Vec<Document>,
    nodes: usize,
}

enum Open {
    Mapping {
        start: Position,
        fields: Map<String, Value>,
        spans: BTreeMap<Box<str>, Spans>,
        key: Option<(String, Position)>,
    },
    Sequence {
        start: Position,
        items: Vec<Value>,
        spans: Vec<Spans>,
    },
}

impl<'l> Reader<'l> {
    pub(super) fn new(limits: &'l Limits) -> Self {
        Self { limits, open: Vec::new(), documents: Vec::new(), nodes: 0 }
    }

    pub(super) fn finish(self) -> Vec<Document> {
        self.documents
    }

    pub(super) fn take(&mut self, event: Event, at: Position) -> Result<(), Error> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart | Event::DocumentEnd => {
                Ok(())
            }
            Event::Alias(_) => Err(alias(at)),
            Event::Scalar(text, style, anchor, tag) => {
                self.count(anchor, at)?;
                self.scalar(text, style, tag.as_ref(), at)
            }
            Event::SequenceStart(anchor, tag) => {
                self.count(anchor, at)?;
                self.collection(tag.as_ref(), "seq", at)?;
                self.open.push(Open::Sequence { start: at, items: Vec::new(), spans: Vec::new() });
                Ok(())
            }
            Event::MappingStart(anchor, tag) => {
                self.count(anchor, at)?;
                self.collection(tag.as_ref(), "map", at)?;
                self.open.push(Open::Mapping { start: at, fields: Map::new(), spans: BTreeMap::new(), key: None });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
        }
    }

    fn count(&mut self, anchor: usize, at: Position) -> Result<(), Error> {
        if anchor != 0 {
            return Err(alias(at));
        }
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err(limit(at, format!("more than {} values: split the file", self.limits.nodes)));
        }
        if self.open.is_empty() && self.documents.len() >= self.limits.documents {
            return Err(limit(at, format!("more than {} documents: split the file", self.limits.documents)));
        }
        Ok(())
    }

    fn collection(&self, tag: Option<&Tag>, own: &str, at: Position) -> Result<(), Error> {
        if self.open.len() >= self.limits.depth {
            return Err(limit(at, format!("nested deeper than {} levels", self.limits.depth)));
        }
        if let Some(Open::Mapping { key: None, .. }) = self.open.last() {
            return Err(Error {
                kind: ErrorKind::Syntax,
                at,
                message: "a key must be a plain value, not a list or mapping".to_owned(),
            });
        }
        match tag {
            Some(tag) if !(scalar::is_core(tag, own) || tag.handle == "!" && tag.suffix.is_empty()) => {
                Err(scalar::unknown_tag(tag, at))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn scalar(&mut self, text: String, style: TScalarStyle, tag: Option<&Tag>, at: Position) -> Result<(), Error> {
        if let Some(Open::Mapping { key: key @ None, fields, .. }) = self.open.last_mut() {
            if text == "<<" && style == TScalarStyle::Plain {
                return Err(alias(at));
            }
            let name = scalar::key(text, style, tag, at)?;
            if fields.contains_key(&name) {
                let message = format!("key {name:?} occurs twice in this mapping: remove one");
                return Err(Error { kind: ErrorKind::DuplicateKey, at, message });
            }
            *key = Some((name, at));
            return Ok(());
        }
        let value = scalar::resolve(text, style, tag, at)?;
        self.add(value, Spans { key: None, value: at, inside: Inside::Nothing });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        match self.open.pop() {
            Some(Open::Mapping { start, fields, spans, .. }) => {
                self.add(Value::Object(fields), Spans { key: None, value: start, inside: Inside::Fields(spans) });
            }
            Some(Open::Sequence { start, items, spans }) => {
                self.add(Value::Array(items), Spans { key: None, value: start, inside: Inside::Items(spans) });
            }
            None => {}
        }
        Ok(())
    }

    /// Puts a finished value where it belongs.
    fn add(&mut self, value: Value, mut place: Spans) {
        match self.open.last_mut() {
            Some(Open::Mapping { fields, spans, key, .. }) => {
                if let Some((name, at)) = key.take() {
                    place.key = Some(at);
                    spans.insert(name.as_str().into(), place);
                    fields.insert(name, value);
                }
            }
            Some(Open::Sequence { items, spans, .. }) => {
                spans.push(place);
                items.push(value);
            }
            None if value.is_null() => {}
            None => self.documents.push(Document { value, start: place.value, spans: place }),
        }
    }
}

fn alias(at: Position) -> Error {
    let message = "aliases, anchors and merge keys are not accepted: write the values out".to_owned();
    Error { kind: ErrorKind::Alias, at, message }
}

fn limit(at: Position, message: String) -> Error {
    Error { kind: ErrorKind::Limit, at, message }
}
