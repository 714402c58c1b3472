//! Reads untrusted YAML and JSON documents into JSON values that know their places in the file, and writes YAML that
//! is read back as the same values.
//!
//! The text is read twice, both times in linear time: `tokens` finds the exact places and enforces what must not
//! wait (depth, anchors, tags), `build` turns parser events into values. Scalars mean what kubectl takes them for.

mod block;
mod build;
mod document;
mod error;
mod fault;
mod limits;
mod number;
mod resolve;
mod source;
mod surrogates;
mod tokens;
mod write;

pub use document::{Document, Position, Span};
pub use error::{Error, ErrorKind};
pub use limits::Limits;
pub use write::write;

use source::Source;
use tokens::{Stop, Token};

/// What may be read again in all because of closing brackets at or left of the column of their key. kubectl takes them
/// and people write them, but the scanner follows the letter of YAML 1.2. Eight times the largest file, so that even
/// that is read in well under a second, and a manifest of usual size may have hundreds.
const REREAD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Reads every document of a file.
///
/// Documents without content (only comments, `---` alone, a null root) are left out. The first fault ends the
/// reading: a file is taken as a whole or not at all.
pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Vec<Document>, Error> {
    let mut source = Source::decode(bytes, limits)?;
    let (tokens, refusal) = first_reading(&mut source, limits);
    match (build::documents(&source, &tokens, refusal.as_ref(), limits), refusal) {
        (Ok(documents), None) => Ok(documents),
        (Err(error), None) | (Ok(_), Some(error)) => Err(error),
        (Err(error), Some(refusal)) => Err(if error.at < refusal.at { error } else { refusal }),
    }
}

/// Reads the tokens, again after each closing bracket that had to be indented.
fn first_reading(source: &mut Source, limits: &Limits) -> (Vec<Token>, Option<Error>) {
    let mut budget = REREAD_BYTES_MAX;
    loop {
        let (tokens, stop) = tokens::scan(source, limits);
        let error = match stop {
            None => return (tokens, None),
            Some(Stop::Refused(error)) => return (tokens, Some(error)),
            Some(Stop::Broken(error)) => error,
        };
        match (fault::unindented_bracket(source, &error), budget.checked_sub(source.text().len())) {
            (Some((line, spaces)), Some(left)) => {
                source.indent(line, spaces);
                budget = left;
            }
            (None, _) | (_, None) => return (tokens, Some(fault::explain(source, &error, limits))),
        }
    }
}
