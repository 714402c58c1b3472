//! What the linter found, in one form for all outputs.

use crate::cli::excerpt::Excerpts;
use crate::model::desired::Desired;
use crate::model::finding::{CheckCode, WarningCode};
use crate::model::place::Place;
use crate::model::plan::{Plan, Uncovered, Warning};
use crate::policy::{Broken, Decision};

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

/// A case of a policy that does not come out.
pub(super) fn of_case(broken: Broken, excerpts: &Excerpts) -> Finding {
    let code = CheckCode::CaseFailed;
    Finding {
        level: Level::Error,
        code: code.as_str(),
        meaning: code.meaning(),
        excerpt: excerpts.show(&broken.at),
        at: Some(broken.at),
        message: broken.message,
    }
}

/// What a policy says of a document, at the place of the document.
pub(super) fn of_decision(at: Place, decision: &Decision, excerpts: &Excerpts) -> Finding {
    let (level, code, meaning) = match decision.action.refusal() {
        Some(code) => (Level::Error, code.as_str(), code.meaning()),
        None => (Level::Note, WarningCode::PolicyWarning.as_str(), WarningCode::PolicyWarning.meaning()),
    };
    Finding {
        level,
        code,
        meaning,
        excerpt: excerpts.show(&at),
        at: Some(at),
        message: format!("{} (policy {}, {})", decision.message, decision.policy, decision.at),
    }
}

/// What policies want protected and is not.
pub(super) fn of_coverage(plan: &Plan, excerpts: &Excerpts) -> Vec<Finding> {
    let finding = |one: &Uncovered| Finding {
        level: Level::Error,
        code: one.code.as_str(),
        meaning: one.code.meaning(),
        at: Some(one.at.clone()),
        message: format!("{}: {} (policy {})", one.target.spoken(), one.message, one.policy),
        excerpt: excerpts.show(&one.at),
    };
    plan.uncovered.iter().map(finding).collect()
}

/// What would be refused in a cluster, but for what policies say of documents, which is said at their places.
pub(super) fn of_plan(plan: &Plan, excerpts: &Excerpts) -> Vec<Finding> {
    let refusal = |refusal: &crate::model::plan::Refusal| Finding {
        level: Level::Error,
        code: refusal.code.as_str(),
        meaning: refusal.code.meaning(),
        at: refusal.at.clone(),
        message: match (&refusal.policy, &refusal.target) {
            (Some(policy), Some(target)) => format!("{}: {} (policy {policy})", target.spoken(), refusal.message),
            (_, _) => refusal.message.clone(),
        },
        excerpt: refusal.at.as_ref().and_then(|at| excerpts.show(at)),
    };
    plan.refusals.iter().filter(|refusal| refusal.policy.is_none() || refusal.target.is_some()).map(refusal).collect()
}

fn of_warning(warning: &Warning, excerpts: &Excerpts) -> Finding {
    Finding {
        // In Git a field that is not sent is a mistake of its author; the daemon goes on without it.
        level: match warning.code {
            WarningCode::UnknownField | WarningCode::FieldNotSent => Level::Error,
            WarningCode::IgnoredPath
            | WarningCode::NotEnforcedYet
            | WarningCode::PolicyWarning
            | WarningCode::RepositoryUnused => Level::Note,
        },
        code: warning.code.as_str(),
        meaning: warning.code.meaning(),
        at: warning.at.clone(),
        message: warning.message.clone(),
        excerpt: warning.at.as_ref().and_then(|at| excerpts.show(at)),
    }
}
