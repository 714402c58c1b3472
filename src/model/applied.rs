//! What became of a plan's steps. Made only by [`super::plan::Plan::settle`], so a report cannot speak of steps that were never tried.

use super::object::ObjectKey;

/// Class of a failure: it decides what happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureClass {
    /// The object is wrong; waits for a change.
    Invalid,
    /// We may not; waits for a change of rights.
    Denied,
    /// The object changed under us, or is not as our view has it; observe again, with backoff.
    Conflict,
    /// Try again later, with backoff.
    Transient,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepResult {
    Done,
    /// The server found nothing to change.
    Unchanged,
    Failed {
        class: FailureClass,
        message: String,
    },
    /// No answer: it may have happened. Observe again before anything depends on it.
    Unknown {
        message: String,
    },
    /// Not tried, because an earlier step of its group did not succeed, or the pass was ended.
    Skipped {
        because: String,
    },
}

impl StepResult {
    /// What the group of the step waits for; `None` where nothing has failed.
    pub fn failure(&self) -> Option<FailureClass> {
        match self {
            StepResult::Failed { class, .. } => Some(*class),
            // The wait after the first failure is short, and then the cluster is observed again.
            StepResult::Unknown { .. } => Some(FailureClass::Transient),
            StepResult::Done | StepResult::Unchanged | StepResult::Skipped { .. } => None,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    results: Vec<(ObjectKey, StepResult)>,
}

impl Applied {
    pub(super) fn new(results: Vec<(ObjectKey, StepResult)>) -> Self {
        Self { results }
    }

    pub fn results(&self) -> &[(ObjectKey, StepResult)] {
        &self.results
    }

    /// Whether every step was done: then the cluster is as the source says.
    pub fn complete(&self) -> bool {
        self.results.iter().all(|(_, result)| match result {
            StepResult::Done | StepResult::Unchanged => true,
            StepResult::Failed { .. } | StepResult::Unknown { .. } | StepResult::Skipped { .. } => false,
        })
    }
}
