//! `findings.yaml`: the plan's entries that a person should see.

use serde::Serialize;

use crate::model::plan::Plan;
use crate::plan::render::{HeldEntry, RefusalEntry, WarningEntry};
use crate::yaml;

/// Entries of one list; more are counted, not shown.
const ENTRIES_MAX: usize = 1000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Findings<'a> {
    api_version: &'static str,
    kind: &'static str,
    schema: u32,
    held: Vec<HeldEntry<'a>>,
    refusals: Vec<RefusalEntry<'a>>,
    warnings: Vec<WarningEntry<'a>>,
    omitted: usize,
}

pub(super) fn file(plan: &Plan) -> Vec<u8> {
    let over = |count: usize| count.saturating_sub(ENTRIES_MAX);
    let findings = Findings {
        api_version: "holdfast.dev/v1alpha1",
        kind: "Findings",
        schema: 1,
        held: plan.held.iter().take(ENTRIES_MAX).map(HeldEntry::from).collect(),
        refusals: plan.refusals.iter().take(ENTRIES_MAX).map(RefusalEntry::from).collect(),
        warnings: plan.warnings.iter().take(ENTRIES_MAX).map(WarningEntry::from).collect(),
        omitted: over(plan.held.len()) + over(plan.refusals.len()) + over(plan.warnings.len()),
    };
    yaml::write(&findings).into_bytes()
}
