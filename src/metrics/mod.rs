//! What `/metrics` shows. Names are documented in `docs/reference/metrics.md`.

use std::sync::atomic::AtomicU64;

use jiff::{SignedDuration, Timestamp};
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::model::applied::{Applied, StepResult};
use crate::model::finding::{CoverageCode, RefusalCode};
use crate::model::plan::{self, Plan, count_refusals};
use crate::model::policy::Action;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    action: String,
    result: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPolicy {
    policy: String,
    action: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Gap {
    policy: String,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Counted {
    policy: String,
}

type Number = Gauge<f64, AtomicU64>;

/// All series of the daemon.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    leader: Gauge,
    source_failures: Gauge,
    source_read: Number,
    status_failures: Gauge,
    status_written: Number,
    status_unrotated: Gauge,
    read_only: Gauge,
    targets: Gauge,
    held: Gauge,
    warnings: Gauge,
    refusals: Family<Code, Gauge>,
    decisions: Family<ByPolicy, Gauge>,
    to_protect: Family<Counted, Gauge>,
    uncovered: Family<Gap, Gauge>,
    steps: Family<Outcome, Counter>,
    passes: Counter,
    pass_seconds: Number,
    jobs_waiting: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("holdfast"),
            leader: Gauge::default(),
            source_failures: Gauge::default(),
            source_read: Number::default(),
            status_failures: Gauge::default(),
            status_written: Number::default(),
            status_unrotated: Gauge::default(),
            read_only: Gauge::default(),
            targets: Gauge::default(),
            held: Gauge::default(),
            warnings: Gauge::default(),
            refusals: Family::default(),
            decisions: Family::default(),
            to_protect: Family::default(),
            uncovered: Family::default(),
            steps: Family::default(),
            passes: Counter::default(),
            pass_seconds: Number::default(),
            jobs_waiting: Gauge::default(),
        };
        metrics.register();
        metrics.show_zeros();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let Self {
            registry,
            leader,
            source_failures,
            source_read,
            status_failures,
            status_written,
            status_unrotated,
            read_only,
            targets,
            held,
            warnings,
            refusals,
            decisions,
            to_protect,
            uncovered,
            steps,
            passes,
            pass_seconds,
            jobs_waiting,
        } = self;
        registry.register("jobs_waiting", "Jobs that wait for a place among the limits", jobs_waiting.clone());
        registry.register("leader", "1 while this process may write", leader.clone());
        registry.register("source_failures", "Failed looks at the source in a row", source_failures.clone());
        registry.register("source_read_timestamp_seconds", "When the source was last read", source_read.clone());
        registry.register("status_failures", "Failed writes of the status branch in a row", status_failures.clone());
        registry.register(
            "status_written_timestamp_seconds",
            "When the status branch was last as it shall be",
            status_written.clone(),
        );
        registry.register(
            "status_unrotated",
            "1 while the server does not let the history of the status branch be rotated",
            status_unrotated.clone(),
        );
        registry.register("read_only", "1 if nothing is written to Git", read_only.clone());
        registry.register("targets", "Targets that ask for a backup", targets.clone());
        registry.register("held_documents", "Documents and files in Git that are held back", held.clone());
        registry.register("warnings", "Warnings of the last plan", warnings.clone());
        registry.register("refusals", "Refusals of the last plan by code", refusals.clone());
        registry.register("policy_decisions", "What the policies say, by policy and action", decisions.clone());
        registry.register("coverage_targets", "Targets that a policy wants protected", to_protect.clone());
        registry.register(
            "uncovered_targets",
            "Of those, what is not protected, by policy and code",
            uncovered.clone(),
        );
        registry.register("steps", "Steps that were tried, by action and result", steps.clone());
        registry.register("passes", "Passes of the loop", passes.clone());
        registry.register("pass_duration_seconds", "How long the last pass took", pass_seconds.clone());
    }

    /// Gives every label its series: one that comes into being with a count of 1 has no rate that could raise an alarm.
    fn show_zeros(&self) {
        for code in RefusalCode::ALL {
            self.refusals.get_or_create(&Code { code: code.as_str().to_owned() }).set(0);
        }
        for action in ACTIONS {
            for result in RESULTS {
                self.steps.get_or_create(&Outcome { action: action.to_owned(), result: result.to_owned() }).inc_by(0);
            }
        }
    }

    /// With one sample of every series, for the reference.
    pub fn of_every_kind() -> Self {
        let metrics = Self::default();
        let policy = || "name".to_owned();
        metrics
            .decisions
            .get_or_create(&ByPolicy { policy: policy(), action: Action::Deny.as_str().to_owned() })
            .set(0);
        metrics.to_protect.get_or_create(&Counted { policy: policy() }).set(0);
        let code = CoverageCode::Unprotected.as_str().to_owned();
        metrics.uncovered.get_or_create(&Gap { policy: policy(), code }).set(0);
        metrics
    }

    pub fn leader(&self, leader: bool) {
        self.leader.set(i64::from(leader));
    }

    pub fn source(&self, failures: u32, read: Option<Timestamp>) {
        self.source_failures.set(i64::from(failures));
        if let Some(read) = read {
            self.source_read.set(seconds(read));
        }
    }

    pub fn status(&self, failures: u32, written: Option<Timestamp>) {
        self.status_failures.set(i64::from(failures));
        if let Some(written) = written {
            self.status_written.set(seconds(written));
        }
    }

    pub fn status_unrotated(&self, unrotated: bool) {
        self.status_unrotated.set(i64::from(unrotated));
    }

    pub fn read_only(&self, read_only: bool) {
        self.read_only.set(i64::from(read_only));
    }

    /// Jobs that wait for a place.
    pub fn runs_waiting(&self, waiting: usize) {
        self.jobs_waiting.set(count(waiting));
    }

    pub fn pass(&self, plan: &Plan, applied: &Applied, took: SignedDuration) {
        let mut targets: Vec<_> = plan.protections.iter().map(|protection| &protection.target).collect();
        targets.dedup();
        self.targets.set(count(targets.len()));
        self.held.set(count(plan.held.len()));
        self.warnings.set(count(plan.warnings.len()));
        let refusals = count_refusals(&plan.refusals);
        for code in RefusalCode::ALL {
            let label = Code { code: code.as_str().to_owned() };
            self.refusals.get_or_create(&label).set(count(refusals.get(code).copied().unwrap_or(0)));
        }
        self.policies(plan);
        for (step, (_, result)) in plan.steps.iter().zip(applied.results()) {
            self.tried(&step.action, result);
        }
        self.passes.inc();
        self.pass_seconds.set(took.as_secs_f64());
    }

    /// A policy that goes takes its series along.
    fn policies(&self, plan: &Plan) {
        self.decisions.clear();
        let refused =
            plan.refusals.iter().filter_map(|refusal| Some((refusal.policy.as_ref()?, refused_by(refusal.code)?)));
        let warned = plan.warnings.iter().filter_map(|warning| Some((warning.policy.as_ref()?, Action::Warn)));
        for (policy, action) in refused.chain(warned) {
            let label = ByPolicy { policy: policy.clone(), action: action.as_str().to_owned() };
            self.decisions.get_or_create(&label).inc();
        }
        self.to_protect.clear();
        self.uncovered.clear();
        for (policy, counted) in &plan.coverage {
            let label = Counted { policy: policy.clone() };
            self.to_protect.get_or_create(&label).set(count(counted.targets));
            for code in CoverageCode::ALL {
                let label = Gap { policy: policy.clone(), code: code.as_str().to_owned() };
                let found = plan.uncovered.iter().filter(|one| one.policy == *policy && one.code == *code).count();
                self.uncovered.get_or_create(&label).set(count(found));
            }
        }
    }

    fn tried(&self, action: &plan::Action, result: &StepResult) {
        let outcome = Outcome { action: action.as_str().to_owned(), result: word(result).to_owned() };
        self.steps.get_or_create(&outcome).inc();
    }

    /// The exposition format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Which action of a policy gives a refusal.
fn refused_by(code: RefusalCode) -> Option<Action> {
    Action::ALL.into_iter().find(|action| action.refusal() == Some(code))
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What `plan::Action::as_str` says.
const ACTIONS: [&str; 3] = ["create", "update", "delete"];
/// What `word` says.
const RESULTS: [&str; 5] = ["done", "unchanged", "failed", "unknown", "skipped"];

fn word(result: &StepResult) -> &'static str {
    match result {
        StepResult::Done => "done",
        StepResult::Unchanged => "unchanged",
        StepResult::Failed { .. } => "failed",
        StepResult::Unknown { .. } => "unknown",
        StepResult::Skipped { .. } => "skipped",
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit a double for ages")]
fn seconds(time: Timestamp) -> f64 {
    time.as_second() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::applied::FailureClass;
    use serde_json::Value;

    #[test]
    fn steps_are_counted_from_zero() {
        let metrics = Metrics::default();
        let steps = || {
            let text = metrics.render();
            let lines = text.lines().filter_map(|line| line.strip_prefix("holdfast_steps_total"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(steps().contains(&r#"{action="create",result="failed"} 0"#.to_owned()), "{:?}", steps());
        let text = String::new;
        let actions = [
            plan::Action::Create { manifest: Value::Null },
            plan::Action::Update { manifest: Value::Null, before: Value::Null, uid: text() },
            plan::Action::Delete { uid: text(), resource_version: text() },
        ];
        let results = [
            StepResult::Done,
            StepResult::Unchanged,
            StepResult::Failed { class: FailureClass::Denied, message: text() },
            StepResult::Unknown { message: text() },
            StepResult::Skipped { because: text() },
        ];
        for action in &actions {
            for result in &results {
                metrics.tried(action, result);
            }
        }
        assert_eq!(steps().len(), actions.len() * results.len(), "a label without a series: {:?}", steps());
        assert!(steps().iter().all(|line| line.ends_with(" 1")), "{:?}", steps());
    }
}
