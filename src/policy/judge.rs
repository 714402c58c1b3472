//! Holds things against policies. A validation that cannot be evaluated counts as one that is not true, and as Deny.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::memo::{Key, Memo};
use super::reads::{self, Reads, reads};
use super::subject::Subject;
use crate::expression::{
    Cel, Engine, Expression, Failure, Input, Part, Scope, cut, kind_of, lacking, text_of, truth_of,
};
use crate::model::place::Place;
use crate::model::policy::{Action, Judged, Policy, Validation};

/// Units that one policy may spend in one pass: five thousand for each of ten thousand objects that all differ, which is
/// more than any shipped policy takes; some seconds for most expressions, ten at worst. What comes after that counts as
/// Deny, by this policy alone.
pub const BUDGET: u64 = 50_000_000;
/// Characters of a message: a sentence or two.
const MESSAGE_MAX: usize = 500;

/// The same in the whole pass, so it decides nothing that was decided before in another way.
const NOW: &str = "now";

/// What the expressions read of one subject, made once for all policies.
type Values<'p, 'a> = BTreeMap<&'p str, Cow<'a, Value>>;

/// What one validation says against one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub policy: String,
    /// Of the validation.
    pub at: Place,
    pub action: Action,
    pub message: String,
}

/// The policies of one pass.
#[derive(Debug, Default)]
pub struct Judge<'p> {
    policies: Vec<Prepared<'p>>,
    /// What the policies about each kind read, all together.
    kinds: BTreeMap<Judged, Reads<'p>>,
    engine: Engine,
    cluster: Value,
    now: Timestamp,
}

#[derive(Debug)]
struct Prepared<'p> {
    policy: &'p Policy,
    /// Everything that decides whether the policy has something to say.
    decides: Reads<'p>,
    /// The same, with what its messages read.
    reads: Reads<'p>,
    left: Cell<u64>,
    memo: Memo,
}

impl<'p> Judge<'p> {
    pub fn new(policies: impl Iterator<Item = &'p Policy>, cluster: Value, now: Timestamp) -> Self {
        let policies: Vec<Prepared> =
            policies.filter(|policy| !policy.validations.is_empty()).map(Prepared::new).collect();
        let mut kinds: BTreeMap<Judged, Reads> = BTreeMap::new();
        for prepared in &policies {
            for kind in &prepared.policy.matching.kinds {
                let all = kinds.entry(*kind).or_default();
                for (root, part) in &prepared.reads {
                    reads::of(all, root).merge(part.clone());
                }
            }
        }
        Self { policies, kinds, engine: Engine::default(), cluster, now }
    }

    /// Whether any policy is about this kind; without one there is nothing to prepare.
    pub fn judges(&self, kind: Judged) -> bool {
        self.kinds.contains_key(&kind)
    }

    /// Everything that the policies say against the subject, in the order of their names.
    pub fn judge<'a>(&'a self, subject: &Subject<'a>) -> Vec<Decision> {
        let mut values = Values::new();
        self.matching(subject.kind)
            .filter(|prepared| prepared.policy.matching.selects(subject.namespace, subject.labels))
            .flat_map(|prepared| self.by_one(prepared, subject, &mut values))
            .collect()
    }

    /// The policies about a kind, for what is not one object but a selection.
    pub fn policies_about(&self, kind: Judged) -> impl Iterator<Item = &'p Policy> {
        self.matching(kind).map(|prepared| prepared.policy)
    }

    /// Units that each policy has spent of its [`BUDGET`].
    pub fn spent(&self) -> BTreeMap<&'p str, u64> {
        self.policies.iter().map(|one| (one.policy.name.as_str(), BUDGET - one.left.get())).collect()
    }

    /// What one policy says of a subject that was selected for it.
    pub fn judge_by<'a>(&'a self, name: &str, subject: &Subject<'a>) -> Vec<Decision> {
        let of_name = self.policies.iter().filter(|prepared| prepared.policy.name == name);
        let mut values = Values::new();
        of_name.flat_map(|prepared| self.by_one(prepared, subject, &mut values)).collect()
    }

    fn matching(&self, kind: Judged) -> impl Iterator<Item = &Prepared<'p>> {
        self.policies.iter().filter(move |prepared| prepared.policy.matching.kinds.contains(&kind))
    }

    fn by_one<'a>(
        &'a self,
        prepared: &Prepared<'p>,
        subject: &Subject<'a>,
        values: &mut Values<'p, 'a>,
    ) -> Vec<Decision> {
        let mut key = Key::default();
        for (root, part) in prepared.decides.iter().filter(|(root, _)| **root != NOW) {
            key.add(&part.of(self.value(root, subject, values)));
        }
        if prepared.memo.has(&key) {
            return Vec::new();
        }
        let parts: BTreeMap<&str, Value> = prepared
            .reads
            .iter()
            .filter(|(root, _)| **root != NOW)
            .map(|(root, part)| (*root, part.of(self.value(root, subject, values)).to_json()))
            .collect();
        let mut scope = self.engine.scope();
        for (root, part) in &parts {
            scope.set(root, Input::Json(part));
        }
        scope.set(NOW, Input::Time(self.now));
        let decisions = prepared.decide(&mut scope);
        if decisions.is_empty() {
            prepared.memo.keep(key);
        }
        decisions
    }

    fn value<'v, 'a>(&'a self, root: &'p str, subject: &Subject<'a>, values: &'v mut Values<'p, 'a>) -> &'v Value {
        values.entry(root).or_insert_with(|| match root {
            "object" => Cow::Borrowed(subject.object),
            "cluster" => Cow::Borrowed(&self.cluster),
            other => {
                let part = self.kinds.get(&subject.kind).and_then(|reads| reads.get(other));
                (subject.others)(other, part.unwrap_or(&Part::All))
            }
        })
    }
}

impl<'p> Prepared<'p> {
    fn new(policy: &'p Policy) -> Self {
        let messages = policy.validations.iter().filter_map(|one| one.message_expression.as_ref());
        let decides = reads(policy, policy.validations.iter().map(|one| &one.expression));
        let all = reads(policy, policy.validations.iter().map(|one| &one.expression).chain(messages));
        Self { policy, decides, reads: all, left: Cell::new(BUDGET), memo: Memo::default() }
    }

    fn decide(&self, scope: &mut Scope) -> Vec<Decision> {
        let mut variables = Variables { known: BTreeMap::new() };
        self.policy.validations.iter().filter_map(|validation| self.one(validation, scope, &mut variables)).collect()
    }

    fn one(&self, validation: &Validation, scope: &mut Scope, variables: &mut Variables<'p>) -> Option<Decision> {
        let result = variables.evaluate(self, &validation.expression, scope).and_then(|value| {
            truth_of(&value).ok_or_else(|| Failure::Failed(format!("it gives {}, not true or false", kind_of(&value))))
        });
        let (action, message) = match result {
            Ok(true) => return None,
            Ok(false) => (self.policy.action, self.message(validation, scope, variables)),
            Err(failure) => {
                let text = short(validation.expression.text());
                (Action::Deny, format!("`{text}` cannot be evaluated, which counts as Deny: {}", failure.spoken()))
            }
        };
        let policy = self.policy.name.clone();
        Some(Decision { policy, at: validation.at.clone(), action, message: cut(&message, MESSAGE_MAX) })
    }

    /// What the policy's author wants said; a message that cannot be made is no reason to let something through.
    fn message(&self, validation: &Validation, scope: &mut Scope, variables: &mut Variables<'p>) -> String {
        let made = validation.message_expression.as_ref().and_then(|expression| {
            let value = variables.evaluate(self, expression, scope).ok()?;
            text_of(&value).filter(|text| !text.trim().is_empty()).map(str::to_owned)
        });
        made.or_else(|| validation.message.clone())
            .unwrap_or_else(|| format!("`{}` is not true", short(validation.expression.text())))
    }

    fn evaluate(&self, expression: &Expression, scope: &Scope) -> Result<Cel, Failure> {
        let mut left = self.left.get();
        let result = scope.evaluate(expression, &mut left);
        self.left.set(left);
        result
    }
}

/// Variables of a policy for one subject, worked out when they are first read.
struct Variables<'p> {
    /// With the reason of each that has no value.
    known: BTreeMap<&'p str, Option<String>>,
}

impl<'p> Variables<'p> {
    /// Works out everything that `expression` reads; each reads only what stands before it. What has no value is left out,
    /// so that only an expression whose result depends on it fails.
    fn define(&mut self, of: &Prepared<'p>, expression: &Expression, scope: &mut Scope) -> Result<(), Failure> {
        for name in expression.variables().keys() {
            let Some(variable) = of.policy.variables.iter().find(|variable| variable.name == *name) else { continue };
            if self.known.contains_key(name.as_str()) {
                continue;
            }
            let lacks = match self.evaluate(of, &variable.expression, scope) {
                Ok(value) => {
                    scope.define(&variable.name, value);
                    None
                }
                Err(Failure::Failed(reason)) => Some(reason),
                Err(failure @ (Failure::TooCostly(_) | Failure::Spent)) => return Err(failure),
            };
            self.known.insert(&variable.name, lacks);
        }
        Ok(())
    }

    fn evaluate(&mut self, of: &Prepared<'p>, expression: &Expression, scope: &mut Scope) -> Result<Cel, Failure> {
        self.define(of, expression, scope)?;
        of.evaluate(expression, scope).map_err(|failure| {
            let Failure::Failed(reason) = &failure else { return failure };
            let missing = expression.variables().keys().find(|name| *reason == lacking(name));
            match missing.and_then(|name| Some((name, self.known.get(name.as_str())?.as_ref()?))) {
                Some((name, why)) => Failure::Failed(format!("variable {name}: {why}")),
                None => failure,
            }
        })
    }
}

/// An expression as a message shows it: on one line.
fn short(text: &str) -> String {
    cut(&text.split_whitespace().collect::<Vec<_>>().join(" "), 120)
}
