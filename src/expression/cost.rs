//! What an evaluation costs at most, worked out before it begins from the expression and the very values that it reads.
//!
//! One unit is about one look at one value, well below a microsecond. The bound is safe, not exact: both arms of a
//! condition count, and every item of a list counts as its heaviest.

use std::collections::BTreeMap;

use kube_cel::cel::IdedExpr;
use kube_cel::cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue};
use serde_json::Value;

use super::functions::{Growth, growth, is_pairwise};
use super::weight;

/// Units of one evaluation: some hundred milliseconds at most. A look at every one of ten thousand steps of a plan fits;
/// comparing each of a thousand items with each other does not.
pub const COST_MAX: u64 = 1_000_000;

/// What is known of a value before it is computed.
#[derive(Clone, Copy)]
pub(super) enum Bound<'v> {
    Known(&'v Value),
    Weight(u64),
}

impl Bound<'_> {
    fn weight(self) -> u64 {
        match self {
            Bound::Known(value) => weight::of(value),
            Bound::Weight(weight) => weight,
        }
    }
}

/// Values by the names that an expression reads.
pub(super) type Bounds<'v> = BTreeMap<String, Bound<'v>>;

/// Units that the evaluation takes at most.
pub(super) fn cost(expression: &IdedExpr, bounds: &Bounds) -> u64 {
    Estimate { bounds, local: Vec::new() }.expression(expression).0
}

struct Estimate<'b, 'v> {
    bounds: &'b Bounds<'v>,
    /// Variables of comprehensions, the innermost last.
    local: Vec<(&'b str, Bound<'v>)>,
}

impl<'b, 'v> Estimate<'b, 'v>
where
    'v: 'b,
{
    fn expression(&mut self, expression: &'b IdedExpr) -> (u64, Bound<'v>) {
        match &expression.expr {
            Expr::Unspecified | Expr::Struct(_) => (u64::MAX, Bound::Weight(u64::MAX)),
            Expr::Literal(LiteralValue::String(text)) => (1, Bound::Weight(weight::of_text(text.inner()))),
            Expr::Literal(LiteralValue::Bytes(bytes)) => (1, Bound::Weight(1 + bytes.inner().len() as u64)),
            Expr::Literal(_) => (1, Bound::Weight(1)),
            Expr::Ident(name) => (1, self.named(name)),
            Expr::Select(select) => {
                let (cost, operand) = self.expression(&select.operand);
                (cost.saturating_add(1), field(operand, &select.field, select.test))
            }
            Expr::List(list) => self.all(list.elements.iter()),
            Expr::Map(map) => self.all(map.entries.iter().flat_map(|entry| match &entry.expr {
                EntryExpr::StructField(field) => vec![&field.value],
                EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
            })),
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    fn named(&self, name: &str) -> Bound<'v> {
        let local = self.local.iter().rev().find(|(local, _)| *local == name).map(|(_, bound)| *bound);
        local.or_else(|| self.bounds.get(name).copied()).unwrap_or(Bound::Weight(1))
    }

    /// The parts and a value that holds all of them.
    fn all(&mut self, parts: impl Iterator<Item = &'b IdedExpr>) -> (u64, Bound<'v>) {
        let (mut cost, mut weight) = (1_u64, 1_u64);
        for part in parts {
            let (part_cost, bound) = self.expression(part);
            cost = cost.saturating_add(part_cost);
            weight = weight.saturating_add(bound.weight());
        }
        (cost, Bound::Weight(weight))
    }

    fn call(&mut self, call: &'b CallExpr) -> (u64, Bound<'v>) {
        let parts: Vec<(u64, Bound)> =
            call.target.iter().map(AsRef::as_ref).chain(&call.args).map(|part| self.expression(part)).collect();
        let cost = parts.iter().fold(1, |sum: u64, (cost, _)| sum.saturating_add(*cost));
        if let ("_[_]" | "_[?_]" | "_?._", [(_, operand), ..], [_, key]) =
            (call.func_name.as_str(), parts.as_slice(), call.args.as_slice())
        {
            let Expr::Literal(LiteralValue::String(key)) = &key.expr else {
                return (cost, Bound::Weight(operand.weight()));
            };
            return (cost, field(*operand, key.inner(), false));
        }
        // A condition and what it chooses from are looked at, never copied.
        if matches!(call.func_name.as_str(), "_&&_" | "_||_" | "!_" | "@not_strictly_false") {
            return (cost, Bound::Weight(1));
        }
        let weights: Vec<u64> = parts.iter().map(|(_, bound)| bound.weight()).collect();
        let sum = weights.iter().fold(1, |sum: u64, weight| sum.saturating_add(*weight));
        let product =
            || weights.iter().fold(1, |product: u64, weight| product.saturating_mul(weight.saturating_add(1)));
        let name = qualified(call);
        let result = match growth(&name) {
            None => u64::MAX,
            Some(Growth::Scalar) => 1,
            Some(Growth::Sum) => sum,
            // A part may be a single character.
            Some(Growth::Product) => weight::characters(product()),
            Some(Growth::Pieces) => weight::characters(sum),
        };
        let work = if is_pairwise(&name) { product() } else { sum.saturating_add(result) };
        (cost.saturating_add(work), Bound::Weight(result))
    }

    /// The evaluator copies the item and the result so far in every round.
    fn comprehension(&mut self, comprehension: &'b ComprehensionExpr) -> (u64, Bound<'v>) {
        let (range_cost, range) = self.expression(&comprehension.iter_range);
        let (start_cost, start) = self.expression(&comprehension.accu_init);
        let (rounds, item) = rounds(range);
        let outside = self.local.len();
        self.local.push((&comprehension.iter_var, Bound::Weight(item)));
        self.local.push((&comprehension.accu_var, Bound::Weight(0)));
        let (condition_cost, _) = self.expression(&comprehension.loop_cond);
        let (step_cost, step) = self.expression(&comprehension.loop_step);
        let grows = matches!(comprehension.accu_init.expr, Expr::List(_) | Expr::Map(_));
        let result = if grows {
            start.weight().saturating_add(rounds.saturating_mul(step.weight()))
        } else {
            start.weight().max(step.weight())
        };
        self.local.truncate(outside);
        self.local.push((&comprehension.accu_var, Bound::Weight(result)));
        let (end_cost, end) = self.expression(&comprehension.result);
        self.local.truncate(outside);
        let round = [condition_cost, step_cost, item, result].into_iter().fold(1, u64::saturating_add);
        let cost =
            [range_cost, start_cost, end_cost, rounds.saturating_mul(round)].into_iter().fold(1, u64::saturating_add);
        (cost, end)
    }
}

/// `sets.contains(a, b)` is parsed like a method of `sets`.
pub(super) fn qualified(call: &CallExpr) -> String {
    match call.target.as_ref().map(|target| &target.expr) {
        Some(Expr::Ident(prefix)) if growth(&format!("{prefix}.{}", call.func_name)).is_some() => {
            format!("{prefix}.{}", call.func_name)
        }
        Some(_) | None => call.func_name.clone(),
    }
}

fn field<'v>(operand: Bound<'v>, name: &str, only_asks: bool) -> Bound<'v> {
    match operand {
        _ if only_asks => Bound::Weight(1),
        Bound::Known(value) => value.get(name).map_or(Bound::Weight(1), Bound::Known),
        Bound::Weight(weight) => Bound::Weight(weight),
    }
}

/// How often a comprehension goes round at most, and the weight of the heaviest item.
fn rounds(range: Bound) -> (u64, u64) {
    match range {
        Bound::Known(Value::Array(items)) => (items.len() as u64, items.iter().map(weight::of).max().unwrap_or(0)),
        // Over the keys.
        Bound::Known(Value::Object(fields)) => {
            (fields.len() as u64, fields.keys().map(|key| weight::of_text(key)).max().unwrap_or(0))
        }
        Bound::Known(_) => (0, 0),
        Bound::Weight(weight) => (weight, weight),
    }
}
