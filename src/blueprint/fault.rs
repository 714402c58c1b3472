//! Why a target cannot be given what it asks for.

use crate::model::finding::RefusalCode;
use crate::model::place::Place;

/// One complaint about one target; the place is set when the blueprint, not the target, is at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub code: RefusalCode,
    pub at: Option<Place>,
    pub message: String,
}

impl Fault {
    pub fn new(code: RefusalCode, message: String) -> Self {
        Self { code, at: None, message }
    }
}

/// A foreign text as messages show it: escaped, and cut to a length that a person reads.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 80;
    let cut: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if cut.len() < text.len() { format!("{cut:?}…") } else { format!("{cut:?}") }
}
