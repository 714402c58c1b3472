//! The source line that a complaint is about.

use std::collections::BTreeMap;

use crate::model::place::Place;
use crate::model::redact;
use crate::model::tree::Tree;

/// Lines of a source that complaints can show.
pub(super) struct Excerpts {
    files: BTreeMap<String, Vec<u8>>,
}

impl Excerpts {
    pub(super) fn of(tree: &Tree) -> Self {
        Self { files: tree.files().map(|(path, bytes)| (path.to_owned(), bytes.to_vec())).collect() }
    }

    /// The line with a caret below the column; `None` where the file is not at hand.
    pub(super) fn show(&self, place: &Place) -> Option<String> {
        /// Longer lines would wrap a terminal several times.
        const SHOWN_CHARS_MAX: usize = 160;
        let text = String::from_utf8_lossy(self.files.get(&*place.path)?);
        let line = redact::in_place(text.lines().nth(usize::try_from(place.line).ok()?.checked_sub(1)?)?);
        let column = usize::try_from(place.column).ok()?.saturating_sub(1);
        let start = column.saturating_sub(SHOWN_CHARS_MAX / 2);
        let shown: String =
            line.chars().skip(start).take(SHOWN_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        let caret = " ".repeat(column - start);
        Some(format!("{number} | {shown}\n{margin} | {caret}^"))
    }
}
