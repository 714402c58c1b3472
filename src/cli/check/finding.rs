//! What the linter found, in one form for all outputs.

use crate::cli::excerpt::Excerpts;
use crate::model::desired::Desired;
use crate::model::finding::WarningCode;
use crate::model::place::Place;
use crate::model::plan::{Plan, Warning};

/// Only errors make the command fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Error,
    Note,
}

#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub level: Level,
    pub code: &'static str,
    pub meaning: &'static str,
    pub at: Option<Place>,
    pub message: String,
    pub excerpt: Option<String>,
}

/// What is wrong with the documents themselves.
pub(super) fn of_source(desired: &Desired, excerpts: &Excerpts) -> Vec<Finding> {
    let held = desired.held.iter().map(|held| Finding {
        level: Level::Error,
        code: held.code.as_str(),
        meaning: held.code.meaning(),
        at: Some(held.at.clone()),
        message: held.message.clone(),
        excerpt: excerpts.show(&held.at),
    });
    let mut findings: Vec<Finding> =
        held.chain(desired.warnings.iter().map(|warning| of_warning(warning, excerpts))).collect();
    findings.sort_by(|a, b| (&a.at, a.level, a.code).cmp(&(&b.at, b.level, b.code)));
    findings
}

/// What would be refused in a cluster.
pub(super) fn of_plan(plan: &Plan, excerpts: &Excerpts) -> Vec<Finding> {
    let refusal = |refusal: &crate::model::plan::Refusal| Finding {
        level: Level::Error,
        code: refusal.code.as_str(),
        meaning: refusal.code.meaning(),
        at: refusal.at.clone(),
        message: refusal.message.clone(),
        excerpt: refusal.at.as_ref().and_then(|at| excerpts.show(at)),
    };
    plan.refusals.iter().map(refusal).collect()
}

fn of_warning(warning: &Warning, excerpts: &Excerpts) -> Finding {
    Finding {
        // In Git a field that is not sent is a mistake of its author; the daemon goes on without it.
        level: match warning.code {
            WarningCode::UnknownField | WarningCode::FieldNotSent => Level::Error,
            WarningCode::IgnoredPath | WarningCode::NotEnforcedYet | WarningCode::RepositoryUnused => Level::Note,
        },
        code: warning.code.as_str(),
        meaning: warning.code.meaning(),
        at: warning.at.clone(),
        message: warning.message.clone(),
        excerpt: warning.at.as_ref().and_then(|at| excerpts.show(at)),
    }
}
