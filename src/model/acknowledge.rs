//! The digest by which a person allows exactly one set of dangerous steps.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::names::hash_hex;

/// Eight hexadecimal digits over what the steps would do to which state, so that it fits that set once and never again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Digest(String);

impl Digest {
    /// `facts` are lines such as `delete <object> <uid>`; their order does not matter.
    pub fn of<I: IntoIterator<Item = String>>(facts: I) -> Self {
        let facts: BTreeSet<String> = facts.into_iter().collect();
        let mut text = String::new();
        for fact in &facts {
            text.push_str(fact);
            text.push('\n');
        }
        Self(hash_hex(&text, 8))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the annotation [`super::keys::ACKNOWLEDGE`]: a comma list.
pub fn given(annotation: &str) -> impl Iterator<Item = &str> {
    annotation.split(',').map(str::trim).filter(|digest| !digest.is_empty())
}
