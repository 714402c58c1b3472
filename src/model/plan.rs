//! The plan: what would be done, each step with its reason, and what is refused, held back or worth a look.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::acknowledge::Digest;
use super::applied::{Applied, StepResult};
use super::finding::{CoverageCode, HeldCode, ReasonCode, RefusalCode, WarningCode};
use super::object::{ObjectKey, TargetKey};
use super::place::Place;
use super::tree::{InputsHash, Revision};

/// What the GitOps loop would do at one moment. Printing it is the dry run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub now: Timestamp,
    pub revision: Option<Revision>,
    pub inputs: InputsHash,
    /// Collections that the cluster did not list to their end, `apiVersion/kind`.
    pub incomplete: Vec<String>,
    pub steps: Vec<Step>,
    pub refusals: Vec<Refusal>,
    pub held: Vec<Held>,
    pub warnings: Vec<Warning>,
    /// What policies want protected and is not, or not enough.
    pub uncovered: Vec<Uncovered>,
    /// What each policy with a coverage part counts.
    pub coverage: BTreeMap<String, Counted>,
    /// Every backup that is in force or asked for, also those that need no step.
    pub protections: Vec<Protection>,
    /// Digests that let a dangerous step of this plan through.
    pub acknowledged: Vec<Digest>,
    /// When time alone changes the plan (the end of a delay).
    pub wake_at: Option<Timestamp>,
}

impl Plan {
    /// Whether a report would say the same of both: all but the moment of planning.
    pub fn says_the_same(&self, other: &Plan) -> bool {
        let Plan {
            now: _,
            revision,
            inputs,
            incomplete,
            steps,
            refusals,
            held,
            warnings,
            uncovered,
            coverage,
            protections,
            acknowledged,
            wake_at: _,
        } = self;
        *revision == other.revision
            && *inputs == other.inputs
            && *incomplete == other.incomplete
            && *steps == other.steps
            && *refusals == other.refusals
            && *held == other.held
            && *warnings == other.warnings
            && *uncovered == other.uncovered
            && *coverage == other.coverage
            && *protections == other.protections
            && *acknowledged == other.acknowledged
    }

    /// Joins the plan with what became of its steps; one result per step, in order.
    ///
    /// # Panics
    /// When a step has no result: that is a bug in the caller, and a report from half a plan would be a lie.
    pub fn settle(&self, results: Vec<StepResult>) -> Applied {
        assert_eq!(results.len(), self.steps.len(), "one result per step");
        Applied::new(self.steps.iter().map(|step| step.object.clone()).zip(results).collect())
    }
}

/// Steps that stand or fall together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    Generated { target: TargetKey, blueprint: String },
    Document(ObjectKey),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub object: ObjectKey,
    pub group: Group,
    pub reason: Reason,
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// The manifest is exactly what is sent; no object of that name may exist.
    Create { manifest: Value },
    /// `before` is the manifest with the live values of our fields.
    Update { manifest: Value, before: Value, uid: String },
    /// Carried out only on exactly this object.
    Delete { uid: String, resource_version: String },
}

impl Action {
    pub fn as_str(&self) -> &'static str {
        match self {
            Action::Create { .. } => "create",
            Action::Update { .. } => "update",
            Action::Delete { .. } => "delete",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub code: ReasonCode,
    pub at: Option<Place>,
    pub blueprint: Option<String>,
    pub target: Option<TargetKey>,
    /// The annotation of the target that decided the value, if one did.
    pub annotation: Option<String>,
    pub message: String,
}

/// Something asked for that is not done, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    pub code: RefusalCode,
    pub object: Option<ObjectKey>,
    pub target: Option<TargetKey>,
    /// The policy that decided; then `at` is the place in it.
    pub policy: Option<String>,
    pub at: Option<Place>,
    pub message: String,
    /// What a person writes into the annotation `holdfast.dev/acknowledge` to allow it.
    pub acknowledge: Option<Digest>,
}

/// A document or file that is not used, and the objects that stay as they are for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    pub at: Place,
    pub code: HeldCode,
    pub message: String,
    pub keeps: Vec<ObjectKey>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    pub code: WarningCode,
    /// The policy that decided; then `at` is the place in it.
    pub policy: Option<String>,
    pub at: Option<Place>,
    pub object: Option<ObjectKey>,
    pub message: String,
}

impl Warning {
    /// About a place in Git.
    pub(super) fn of_place(code: WarningCode, at: Place, message: String) -> Self {
        Self { code, policy: None, at: Some(at), object: None, message }
    }
}

/// Something that a policy wants protected and that is not, or not enough.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uncovered {
    pub code: CoverageCode,
    pub target: TargetKey,
    pub policy: String,
    pub at: Place,
    pub message: String,
}

/// What one policy wants protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// All that is meant, but for what is exempt.
    pub targets: usize,
    pub exempt: usize,
    pub uncovered: usize,
}

/// One backup of one target: by a blueprint, or by a configuration in Git.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Protection {
    pub target: TargetKey,
    pub blueprint: Option<String>,
    /// `git:<path>` or `cluster`.
    pub source: String,
    pub configuration: Option<ObjectKey>,
    pub repository: Option<ObjectKey>,
    pub schedule: Option<String>,
    pub paused: bool,
    /// The configuration is in the cluster and stays.
    pub standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// As Git asks for it, or about to be.
    Wanted,
    /// Refused; what exists stays as it is.
    Refused,
    /// Its source is held back; what exists stays as it is.
    Held,
    /// Its cause is gone and the delay before its removal runs.
    Leaving,
}

/// Refusals counted by code, for metrics and summaries.
pub fn count_refusals(refusals: &[Refusal]) -> BTreeMap<RefusalCode, usize> {
    let mut counts = BTreeMap::new();
    for refusal in refusals {
        *counts.entry(refusal.code).or_default() += 1;
    }
    counts
}
