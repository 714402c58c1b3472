//! `findings.yaml`: the plan's entries that a person should see.

use serde::Serialize;

use crate::model::plan::{Held, Plan};
use crate::plan::render::{HeldEntry, RefusalEntry, UncoveredEntry, WarningEntry};
use crate::yaml;

/// Entries of one list; more are counted, not shown.
const ENTRIES_MAX: usize = 1000;
/// What one list may fill, so that the file stays below 512 KiB whatever the lengths of messages and paths.
const LIST_BYTES_MAX: usize = 120 << 10;
/// Objects that one held entry names; `targets/` says of each that it is held.
const KEEPS_MAX: usize = 100;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Findings<'a> {
    api_version: &'static str,
    kind: &'static str,
    schema: u32,
    held: Vec<HeldEntry<'a>>,
    refusals: Vec<RefusalEntry<'a>>,
    warnings: Vec<WarningEntry<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    uncovered: Vec<UncoveredEntry<'a>>,
    omitted: usize,
}

pub(super) fn file(plan: &Plan) -> Vec<u8> {
    let mut omitted = plan.held.iter().map(|held| held.keeps.len().saturating_sub(KEEPS_MAX)).sum();
    let held = shown(plan.held.iter().map(few), &mut omitted);
    let refusals = shown(plan.refusals.iter().map(RefusalEntry::from), &mut omitted);
    let warnings = shown(plan.warnings.iter().map(WarningEntry::from), &mut omitted);
    let uncovered = shown(plan.uncovered.iter().map(UncoveredEntry::from), &mut omitted);
    let findings = Findings {
        api_version: "holdfast.dev/v1alpha1",
        kind: "Findings",
        schema: 1,
        held,
        refusals,
        warnings,
        uncovered,
        omitted,
    };
    yaml::write(&findings).into_bytes()
}

fn few(held: &Held) -> HeldEntry<'_> {
    let mut entry = HeldEntry::from(held);
    entry.keeps.truncate(KEEPS_MAX);
    entry
}

/// The first entries that fit; the others are counted.
fn shown<T: Serialize>(entries: impl ExactSizeIterator<Item = T>, omitted: &mut usize) -> Vec<T> {
    let count = entries.len();
    let mut bytes = 0;
    let fits = |entry: &T| {
        bytes += yaml::write(&[entry]).len();
        bytes <= LIST_BYTES_MAX
    };
    let shown: Vec<T> = entries.take(ENTRIES_MAX).take_while(fits).collect();
    *omitted += count - shown.len();
    shown
}
