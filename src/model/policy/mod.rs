//! A `BackupPolicy` from Git: what it matches, what must be true of it, and what must be protected.

mod case;
mod matching;
mod read;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::finding::RefusalCode;
use super::object::{TargetKey, TargetKind};
use super::place::Place;
use crate::expression::Expression;

pub use case::{Case, Expected};
pub use matching::{Judged, Labels, Match};
pub(super) use read::{Complaint, read};

/// What an expression can read beside its own variables.
pub const ROOTS: [&str; 7] = ["blueprint", "cluster", "namespaceObject", "now", "object", "oldObject", "target"];

/// A sound policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub name: String,
    pub at: Place,
    pub matching: Match,
    pub variables: Vec<Variable>,
    pub validations: Vec<Validation>,
    pub action: Action,
    pub coverage: Option<Coverage>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    pub name: String,
    pub expression: Expression,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Validation {
    pub at: Place,
    pub expression: Expression,
    pub message: Option<String>,
    pub message_expression: Option<Expression>,
}

/// What it means when a validation is not true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    Deny,
    Review,
    Warn,
}

impl Action {
    pub const ALL: [Action; 3] = [Action::Deny, Action::Review, Action::Warn];

    pub fn as_str(self) -> &'static str {
        match self {
            Action::Deny => "Deny",
            Action::Review => "Review",
            Action::Warn => "Warn",
        }
    }

    /// What refuses; a warning does not.
    pub fn refusal(self) -> Option<RefusalCode> {
        match self {
            Action::Deny => Some(RefusalCode::DeniedByPolicy),
            Action::Review => Some(RefusalCode::NeedsReview),
            Action::Warn => None,
        }
    }
}

/// What must be protected, and how well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    pub kinds: BTreeSet<TargetKind>,
    pub rpo: Option<Rpo>,
    /// Repositories at different places.
    pub copies: Option<u32>,
    pub exempt: Vec<Exemption>,
}

/// Longest time since the last success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rpo {
    pub time: SignedDuration,
    /// As it is written.
    pub text: String,
}

/// A target that need not be protected, for a reason and for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemption {
    pub target: TargetKey,
    pub reason: String,
    /// The last day, as it is written.
    pub until: String,
    /// The first moment at which it holds no more.
    pub end: Timestamp,
}
