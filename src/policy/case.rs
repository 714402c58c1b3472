//! Runs a `PolicyCase`: one policy over what the case describes.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::Value;

use super::judge::{Decision, Judge};
use super::subject::Subject;
use crate::expression::Part;
use crate::model::json::{text, texts};
use crate::model::place::Place;
use crate::model::policy::{Case, Expected, Judged, Policy};

/// A case that does not come out as it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub at: Place,
    pub message: String,
}

/// `Ok` where the policy says what the case expects.
pub fn run<'p>(case: &Case, policies: impl Fn(&str) -> Option<&'p Policy>, now: Timestamp) -> Result<(), Broken> {
    let broken = |message: String| Broken { at: case.at.clone(), message: format!("case {}: {message}", case.name) };
    let policy = policies(&case.policy)
        .ok_or_else(|| broken(format!("there is no policy {} among what is checked", case.policy)))?;
    let object = case.spec.get("object").unwrap_or(&Value::Null);
    let kind = text(object, "kind").unwrap_or_default();
    let judged = Judged::of(kind).ok_or_else(|| broken(format!("objects of kind {kind:?} are not judged")))?;
    let cluster = case.spec.get("cluster").cloned().unwrap_or(Value::Null);
    let judge = Judge::new([policy].into_iter(), cluster, case.now.unwrap_or(now));
    let about = case.spec.get("target").unwrap_or(object).get("metadata").unwrap_or(&Value::Null);
    let labels = texts(about, "labels");
    let others = |name: &str, _: &Part| {
        let field = if name == "namespaceObject" { "namespace" } else { name };
        case.spec.get(field).map_or(Cow::Owned(Value::Null), Cow::Borrowed)
    };
    let namespace = text(about, "namespace").unwrap_or_default();
    let subject = Subject { kind: judged, namespace, labels: &labels, object, others: &others };
    // A plan is no object with a place of its own: its steps are selected before it is judged.
    let decisions = if judged == Judged::Plan && judge.judges(judged) {
        judge.judge_by(&policy.name, &subject)
    } else {
        judge.judge(&subject)
    };
    compare(&case.expected, &decisions).map_err(broken)
}

fn compare(expected: &Expected, decisions: &[Decision]) -> Result<(), String> {
    let said = decisions
        .iter()
        .map(|decision| format!("{} {:?} ({})", decision.action.as_str(), decision.message, decision.at))
        .collect::<Vec<_>>()
        .join(", ");
    let said = if said.is_empty() { "Allow".to_owned() } else { said };
    match expected {
        Expected::Allow if decisions.is_empty() => Ok(()),
        Expected::Allow => Err(format!("expected Allow, got {said}")),
        Expected::Decision { action, message } => {
            let fits = |decision: &Decision| {
                decision.action == *action && message.as_ref().is_none_or(|message| *message == decision.message)
            };
            if decisions.iter().any(fits) && decisions.iter().all(|decision| decision.action == *action) {
                return Ok(());
            }
            let message = message.as_ref().map(|message| format!(" {message:?}")).unwrap_or_default();
            Err(format!("expected {}{message}, got {said}", action.as_str()))
        }
    }
}
