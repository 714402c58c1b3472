//! Steps that a pass leaves out since they failed lately, and what became of them when they were last tried: the report
//! must go on saying it.

use std::collections::BTreeMap;

use super::applied::{Applied, StepResult};
use super::object::ObjectKey;
use super::plan::{Plan, Step};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Withheld {
    results: Vec<(ObjectKey, StepResult)>,
}

impl Withheld {
    /// Takes the steps out of the plan that shall wait. `last` is what the pass before did and left out.
    pub fn take(plan: &mut Plan, waits: impl Fn(&Step) -> bool, last: Option<(&Applied, &Withheld)>) -> Self {
        let (left_out, tried): (Vec<Step>, Vec<Step>) = std::mem::take(&mut plan.steps).into_iter().partition(waits);
        plan.steps = tried;
        if left_out.is_empty() {
            return Self::default();
        }
        let known: BTreeMap<&ObjectKey, &StepResult> = last
            .into_iter()
            .flat_map(|(applied, withheld)| withheld.results.iter().chain(applied.results()))
            .map(|(key, result)| (key, result))
            .collect();
        let results = left_out.into_iter().map(|step| {
            let result = match known.get(&step.object) {
                Some(
                    result @ (StepResult::Failed { .. } | StepResult::Unknown { .. } | StepResult::Skipped { .. }),
                ) => (*result).clone(),
                // What was done then is not this step.
                Some(StepResult::Done | StepResult::Unchanged) | None => {
                    StepResult::Skipped { because: "an earlier failure is waited out".to_owned() }
                }
            };
            (step.object, result)
        });
        Self { results: results.collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    pub fn results(&self) -> &[(ObjectKey, StepResult)] {
        &self.results
    }
}
