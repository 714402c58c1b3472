//! A place in a source file, as every complaint names it.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::yaml::Position;

/// `path:line:column`, 1-based, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub path: Arc<str>,
    pub line: u32,
    pub column: u32,
}

impl Place {
    pub fn new(path: &Arc<str>, position: Position) -> Self {
        Self { path: Arc::clone(path), line: position.line, column: position.column }
    }

    /// The first character of a file: for complaints about the file as a whole.
    pub fn start_of(path: &str) -> Self {
        Self { path: Arc::from(path), line: 1, column: 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path, self.line, self.column)
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
