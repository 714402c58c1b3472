//! A plan as people and programs read it.

mod document;
mod text;

pub use document::{HeldEntry, RefusalEntry, UncoveredEntry, WarningEntry, json, yaml};
pub use text::{Palette, diff, summary, tally, unified};
