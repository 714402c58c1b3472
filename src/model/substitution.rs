//! `${VAR}` substitution in string values: one pass, values are never expanded again.

use thiserror::Error;

/// Why a template cannot be filled; `column` is the 1-based character column inside the text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    #[error("`${{` is never closed; write `$$` for a literal dollar sign")]
    Unclosed { column: usize },
    #[error(
        "`{name}` is not a variable name; the forms are ${{V}}, ${{V:=default}}, ${{V=default}} and ${{V:-default}}"
    )]
    BadName { name: String, column: usize },
    #[error("variable {name} has no value here; give it a default with ${{{name}:=default}}")]
    Unresolved { name: String, column: usize },
}

impl Error {
    pub fn column(&self) -> usize {
        match self {
            Error::Unclosed { column } | Error::BadName { column, .. } | Error::Unresolved { column, .. } => *column,
        }
    }
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Variable { name: &'a str, default: Option<&'a str>, column: usize },
}

/// Whether a text holds anything to substitute.
pub fn is_template(text: &str) -> bool {
    text.contains("${") || text.contains("$$")
}

/// Checks the forms without values.
pub fn check(text: &str) -> Result<(), Error> {
    pieces(text).map(drop)
}

/// Names of the variables that a text uses, in order.
pub fn variables(text: &str) -> Result<Vec<&str>, Error> {
    Ok(pieces(text)?
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Variable { name, .. } => Some(name),
            Piece::Text(_) => None,
        })
        .collect())
}

/// Fills a template; `value_of` gives the value of a variable, `None` where it is absent (an empty value is a value).
pub fn expand<'v>(text: &str, value_of: impl Fn(&str) -> Option<&'v str>) -> Result<String, Error> {
    let mut out = String::with_capacity(text.len() + 32);
    for piece in pieces(text)? {
        match piece {
            Piece::Text(literal) => out.push_str(literal),
            Piece::Variable { name, default, column } => match value_of(name).or(default) {
                Some(value) => out.push_str(value),
                None => return Err(Error::Unresolved { name: name.to_owned(), column }),
            },
        }
    }
    Ok(out)
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Error> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let (before, from) = rest.split_at(dollar);
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        if let Some(after) = from.strip_prefix("$$") {
            pieces.push(Piece::Text("$"));
            rest = after;
        } else if let Some(after) = from.strip_prefix("${") {
            let column = text[..text.len() - from.len()].chars().count() + 1;
            let end = after.find('}').ok_or(Error::Unclosed { column })?;
            pieces.push(variable(&after[..end], column)?);
            rest = &after[end + 1..];
        } else {
            pieces.push(Piece::Text(&from[..1]));
            rest = &from[1..];
        }
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

fn variable(inner: &str, column: usize) -> Result<Piece<'_>, Error> {
    let end = inner.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inner.len());
    let (name, form) = inner.split_at(end);
    let default = ["", ":=", "=", ":-"]
        .into_iter()
        .find_map(|mark| match mark {
            "" => form.is_empty().then_some(None),
            mark => form.strip_prefix(mark).map(Some),
        })
        .filter(|_| name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'));
    match default {
        Some(default) => Ok(Piece::Variable { name, default, column }),
        None => Err(Error::BadName { name: inner.to_owned(), column }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Result<String, Error> {
        expand(text, |name| match name {
            "A" => Some("x${B}"),
            "EMPTY" => Some(""),
            _ => None,
        })
    }

    #[test]
    fn all_forms() {
        assert_eq!(fill("a/${A}/b").unwrap(), "a/x${B}/b");
        assert_eq!(fill("${N:=d}${N=e}${N:-f}").unwrap(), "def");
        assert_eq!(fill("${EMPTY:=d}|").unwrap(), "|");
        assert_eq!(fill("$$ $${A} $1 $").unwrap(), "$ ${A} $1 $");
        assert_eq!(fill("é${N:=ü}").unwrap(), "éü");
        assert_eq!(fill("${N:=}").unwrap(), "");
    }

    #[test]
    fn errors_name_the_column() {
        assert_eq!(fill("é ${N}"), Err(Error::Unresolved { name: "N".into(), column: 3 }));
        assert_eq!(fill("ab${A"), Err(Error::Unclosed { column: 3 }));
        for bad in ["${}", "${1A}", "${A^^}", "${#A}", "${A:0:1}", "${A }", "${A/b/c}"] {
            assert!(matches!(fill(bad), Err(Error::BadName { .. })), "{bad}");
        }
    }
}
