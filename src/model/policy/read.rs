//! From a document whose shape is sound to a policy, or to everything that is wrong with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::matching::{Match, strings};
use super::{Action, Coverage, Exemption, Policy, ROOTS, Rpo, Validation, Variable};
use crate::expression::Expression;
use crate::model::json::text;
use crate::model::object::{TargetKey, TargetKind};
use crate::model::place::Place;
use crate::yaml;

/// Variables, and validations, of one policy; each may cost what an evaluation may.
const PARTS_MAX: usize = 32;

/// What is wrong, and where in the document.
pub(in crate::model) struct Complaint {
    pub pointer: String,
    pub message: String,
}

/// All complaints at once: who repairs a policy sees them together.
pub(in crate::model) fn read(name: &str, path: &Arc<str>, document: &yaml::Document) -> Result<Policy, Vec<Complaint>> {
    let spec = document.value.get("spec").unwrap_or(&Value::Null);
    let mut reader =
        Reader { path, document, complaints: Vec::new(), declared: BTreeSet::new(), timely: BTreeSet::new() };
    let matching = Match::read(spec.get("match").unwrap_or(&Value::Null));
    let matching = matching.unwrap_or_else(|(field, message)| {
        reader.complain(&format!("/spec/match{field}"), message);
        Match::default()
    });
    let variables = reader.variables(spec);
    let validations = reader.validations(spec);
    if !validations.is_empty() && matching.kinds.is_empty() {
        reader.complain("/spec/validations", "spec.match.kinds says what the validations judge: add it".to_owned());
    }
    let judges = spec.get("validations").and_then(Value::as_array).is_some_and(|validations| !validations.is_empty());
    if !judges && !matching.kinds.is_empty() && spec.get("restore").is_none() {
        reader.complain("/spec/match/kinds", "nothing judges these kinds: add validations".to_owned());
    }
    let action = reader.action(spec);
    let coverage = reader.coverage(spec);
    if !reader.complaints.is_empty() {
        return Err(reader.complaints);
    }
    let at = Place::new(path, document.start);
    Ok(Policy { name: name.to_owned(), at, matching, variables, validations, action, coverage })
}

struct Reader<'a> {
    path: &'a Arc<str>,
    document: &'a yaml::Document,
    complaints: Vec<Complaint>,
    /// Variables that later expressions can read.
    declared: BTreeSet<String>,
    /// Those of them whose value depends on the time.
    timely: BTreeSet<String>,
}

impl Reader<'_> {
    fn complain(&mut self, pointer: &str, message: String) {
        self.complaints.push(Complaint { pointer: pointer.to_owned(), message });
    }

    fn compile(&mut self, pointer: &str, text: &str) -> Option<Expression> {
        match Expression::compile(text, &ROOTS, &self.declared) {
            Ok(expression) => Some(expression),
            Err(fault) => {
                self.complain(pointer, fault.0);
                None
            }
        }
    }

    fn is_timely(&self, expression: &Expression) -> bool {
        expression.reads().contains_key("now") || expression.variables().keys().any(|name| self.timely.contains(name))
    }

    fn parts<'v>(&mut self, spec: &'v Value, field: &str) -> &'v [Value] {
        let parts = spec.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if parts.len() > PARTS_MAX {
            let message = format!("spec.{field} has {} items, at most {PARTS_MAX} are allowed", parts.len());
            self.complain(&format!("/spec/{field}"), format!("{message}: write two policies"));
            return &[];
        }
        parts
    }

    fn variables(&mut self, spec: &Value) -> Vec<Variable> {
        let mut variables = Vec::new();
        for (index, part) in self.parts(spec, "variables").iter().enumerate() {
            let name = text(part, "name").unwrap_or_default();
            let pointer = format!("/spec/variables/{index}");
            if !is_name(name) || self.declared.contains(name) {
                let why = if is_name(name) { "is defined twice" } else { "is not a name that CEL can read" };
                self.complain(&format!("{pointer}/name"), format!("variable {name:?} {why}"));
                continue;
            }
            let compiled = self.compile(&format!("{pointer}/expression"), text(part, "expression").unwrap_or_default());
            // A complaint about this one is enough: those who read it are sound.
            self.declared.insert(name.to_owned());
            let Some(expression) = compiled else { continue };
            if self.is_timely(&expression) {
                self.timely.insert(name.to_owned());
            }
            variables.push(Variable { name: name.to_owned(), expression });
        }
        variables
    }

    fn validations(&mut self, spec: &Value) -> Vec<Validation> {
        let mut validations = Vec::new();
        for (index, part) in self.parts(spec, "validations").iter().enumerate() {
            let pointer = format!("/spec/validations/{index}");
            let expression =
                self.compile(&format!("{pointer}/expression"), text(part, "expression").unwrap_or_default());
            let message_expression = text(part, "messageExpression").and_then(|text| {
                let pointer = format!("{pointer}/messageExpression");
                let compiled = self.compile(&pointer, text)?;
                if self.is_timely(&compiled) {
                    let why = "a message that reads now would be another one in every pass, and a commit each time";
                    self.complain(&pointer, format!("{why}: leave now out"));
                }
                Some(compiled)
            });
            let Some(expression) = expression else { continue };
            let at = Place::new(self.path, self.document.position(&format!("{pointer}/expression")));
            let message = text(part, "message").filter(|message| !message.trim().is_empty()).map(str::to_owned);
            validations.push(Validation { at, expression, message, message_expression });
        }
        validations
    }

    fn action(&mut self, spec: &Value) -> Action {
        let given: BTreeSet<&str> = strings(spec.get("actions")).collect();
        if given.len() > 1 {
            let message = "spec.actions takes one of Deny, Review and Warn: two would contradict each other";
            self.complain("/spec/actions", message.to_owned());
        }
        Action::ALL.into_iter().find(|action| given.contains(action.as_str())).unwrap_or(Action::Deny)
    }

    fn coverage(&mut self, spec: &Value) -> Option<Coverage> {
        let coverage = spec.get("coverage")?;
        let kinds: BTreeSet<TargetKind> = strings(coverage.get("kinds"))
            .filter_map(|kind| TargetKind::ALL.into_iter().find(|known| known.as_str() == kind))
            .collect();
        if kinds.is_empty() {
            self.complain("/spec/coverage/kinds", "spec.coverage.kinds names nothing to protect".to_owned());
        }
        let rpo = text(coverage, "rpo").and_then(|text| self.duration("/spec/coverage/rpo", text));
        let copies = coverage.get("copies").and_then(Value::as_i64);
        let copies = copies.and_then(|count| {
            let sound = u32::try_from(count).ok().filter(|count| *count > 0);
            if sound.is_none() {
                self.complain("/spec/coverage/copies", format!("spec.coverage.copies is {count}: one is the least"));
            }
            sound
        });
        let mut exempt = Vec::new();
        for (index, part) in coverage.get("exempt").and_then(Value::as_array).into_iter().flatten().enumerate() {
            match exemption(part) {
                Ok(exemption) => exempt.push(exemption),
                Err((field, message)) => self.complain(&format!("/spec/coverage/exempt/{index}/{field}"), message),
            }
        }
        Some(Coverage { kinds, rpo, copies, exempt })
    }

    fn duration(&mut self, pointer: &str, text: &str) -> Option<Rpo> {
        match text.parse::<SignedDuration>() {
            Ok(time) if time.is_positive() => Some(Rpo { time, text: text.to_owned() }),
            Ok(_) | Err(_) => {
                let field = pointer.trim_start_matches('/').replace('/', ".");
                self.complain(pointer, format!("{field} {text:?} is not a time like 26h or 90m"));
                None
            }
        }
    }
}

fn exemption(part: &Value) -> Result<Exemption, (&'static str, String)> {
    let written = text(part, "target").unwrap_or_default();
    let Some(target) = target(written) else {
        let message =
            format!("{written:?} is not apiVersion/kind/namespace/name of a target, as apps/v1/StatefulSet/shop/db");
        return Err(("target", message));
    };
    let reason = text(part, "reason").unwrap_or_default();
    if reason.trim().is_empty() {
        return Err(("reason", "an exemption says why".to_owned()));
    }
    let until = text(part, "until").unwrap_or_default();
    let end = until.parse::<Date>().ok().and_then(|day| day.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok());
    let Some(end) = end else { return Err(("until", format!("{until:?} is not a day like 2027-06-30"))) };
    Ok(Exemption { target, reason: reason.to_owned(), until: until.to_owned(), end: end.timestamp() })
}

/// `v1/PersistentVolumeClaim/shop/cache`.
fn target(written: &str) -> Option<TargetKey> {
    let mut parts = written.rsplitn(4, '/');
    let (name, namespace, kind, api_version) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some(TargetKey { namespace: namespace.to_owned(), kind: TargetKind::of(api_version, kind)?, name: name.to_owned() })
}

/// An identifier of CEL.
fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}
