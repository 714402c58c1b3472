//! What an evaluation costs at most, worked out before it begins from the expression and the very values that it reads.
//!
//! One unit is about one look at one value: ten to a hundred nanoseconds in a release build, a quarter of a microsecond at
//! worst (copies of large maps, small patterns). The bound is safe, not exact: both arms of a condition count, and every
//! item of a list counts as its heaviest.

use std::collections::BTreeMap;

use kube_cel::cel::IdedExpr;
use kube_cel::cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue};
use serde_json::Value;

use super::compile::Expression;
use super::functions::{Effort, Growth, ORDERED, effort, function_of, growth};
use super::{patterns, weight};

/// Units of one evaluation: a quarter of a second at most. A look at every one of ten thousand steps of a plan fits;
/// comparing each of a thousand items with each other does not.
pub const COST_MAX: u64 = 1_000_000;

/// What is known of a value before it is computed.
#[derive(Clone, Copy)]
pub(super) enum Bound<'v> {
    Known(&'v Value),
    Shape(Shape),
}

/// Upper bounds: of the whole, of how many items a comprehension finds in it, and of each of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    weight: u64,
    items: u64,
    heaviest: u64,
}

impl Shape {
    /// Of a value of which nothing else is known: every unit could be an item, and one item could be all of it.
    pub(super) fn of_weight(weight: u64) -> Self {
        Self { weight, items: weight, heaviest: weight }
    }

    pub(super) fn of_items(weights: impl Iterator<Item = u64>) -> Self {
        let empty = Self { weight: 1, items: 0, heaviest: 0 };
        weights.fold(empty, |sum, weight| Self {
            weight: sum.weight.saturating_add(weight),
            items: sum.items + 1,
            heaviest: sum.heaviest.max(weight),
        })
    }

    /// One after the other, or one of both.
    fn and(self, other: Self) -> Self {
        Self {
            weight: self.weight.saturating_add(other.weight),
            items: self.items.saturating_add(other.items),
            heaviest: self.heaviest.max(other.heaviest),
        }
    }
}

impl Bound<'_> {
    fn of_weight(weight: u64) -> Self {
        Bound::Shape(Shape::of_weight(weight))
    }

    fn weight(self) -> u64 {
        match self {
            Bound::Known(value) => weight::of(value),
            Bound::Shape(shape) => shape.weight,
        }
    }

    fn shape(self) -> Shape {
        match self {
            Bound::Known(Value::Array(items)) => Shape::of_items(items.iter().map(weight::of)),
            // A comprehension goes over the keys.
            Bound::Known(Value::Object(fields)) => {
                let keys = Shape::of_items(fields.keys().map(|key| weight::of_text(key)));
                Shape { weight: self.weight(), ..keys }
            }
            Bound::Known(value) => Shape::of_weight(weight::of(value)),
            Bound::Shape(shape) => shape,
        }
    }
}

/// Values by the names that an expression reads.
pub(super) type Bounds<'v> = BTreeMap<String, Bound<'v>>;

/// Units that the evaluation takes at most.
pub(super) fn cost(expression: &Expression, bounds: &Bounds) -> u64 {
    let patterns = &expression.patterns;
    Estimate { bounds, patterns, local: Vec::new() }.expression(&expression.parsed).0
}

struct Estimate<'b, 'v> {
    bounds: &'b Bounds<'v>,
    patterns: &'b BTreeMap<String, patterns::Size>,
    /// Variables of comprehensions, the innermost last.
    local: Vec<(&'b str, Bound<'v>)>,
}

impl<'b, 'v> Estimate<'b, 'v>
where
    'v: 'b,
{
    fn expression(&mut self, expression: &'b IdedExpr) -> (u64, Bound<'v>) {
        match &expression.expr {
            Expr::Unspecified | Expr::Struct(_) => (u64::MAX, Bound::of_weight(u64::MAX)),
            Expr::Literal(LiteralValue::String(text)) => (1, Bound::of_weight(weight::of_text(text.inner()))),
            Expr::Literal(LiteralValue::Bytes(bytes)) => (1, Bound::of_weight(1 + bytes.inner().len() as u64)),
            Expr::Literal(_) => (1, Bound::of_weight(1)),
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
        local.or_else(|| self.bounds.get(name).copied()).unwrap_or(Bound::of_weight(1))
    }

    /// The parts and a value that holds all of them.
    fn all(&mut self, parts: impl Iterator<Item = &'b IdedExpr>) -> (u64, Bound<'v>) {
        let parts: Vec<(u64, u64)> =
            parts.map(|part| self.expression(part)).map(|(cost, bound)| (cost, bound.weight())).collect();
        let cost = parts.iter().fold(1, |sum: u64, (cost, _)| sum.saturating_add(*cost));
        (cost, Bound::Shape(Shape::of_items(parts.iter().map(|(_, weight)| *weight))))
    }

    fn call(&mut self, call: &'b CallExpr) -> (u64, Bound<'v>) {
        let name = qualified(call);
        // The `sets` of `sets.contains` is no value.
        let target = call.target.iter().filter(|_| name == call.func_name);
        let parts: Vec<(u64, Bound)> =
            target.map(AsRef::as_ref).chain(&call.args).map(|part| self.expression(part)).collect();
        let cost = parts.iter().fold(1, |sum: u64, (cost, _)| sum.saturating_add(*cost));
        if let ("_[_]" | "_[?_]" | "_?._", [(_, operand), ..], [_, key]) =
            (call.func_name.as_str(), parts.as_slice(), call.args.as_slice())
        {
            let Expr::Literal(LiteralValue::String(key)) = &key.expr else {
                return (cost, Bound::of_weight(operand.weight()));
            };
            return (cost, field(*operand, key.inner(), false));
        }
        // A condition and what it chooses from are looked at, never copied.
        if matches!(call.func_name.as_str(), "_&&_" | "_||_" | "!_" | "@not_strictly_false") {
            return (cost, Bound::of_weight(1));
        }
        let weights: Vec<u64> = parts.iter().map(|(_, bound)| bound.weight()).collect();
        let sum = weights.iter().fold(1, |sum: u64, weight| sum.saturating_add(*weight));
        let product =
            || weights.iter().fold(1, |product: u64, weight| product.saturating_mul(weight.saturating_add(1)));
        let result = match growth(name) {
            None => u64::MAX,
            Some(Growth::Scalar) => 1,
            Some(Growth::Sum) => sum,
            // A part may be a single character.
            Some(Growth::Product) => weight::characters(product()),
            Some(Growth::Joined) => joined(&parts),
            Some(Growth::Pieces) => weight::characters(sum),
        };
        let work = match effort(name) {
            Effort::Once => sum.saturating_add(result),
            Effort::Pairs => pairs(&parts),
            Effort::Pattern => self.matching(name, call, sum).saturating_add(result),
        };
        let shape = match name {
            "_+_" | "_?_:_" | "orValue" | ORDERED => {
                let shapes = parts.iter().map(|(_, bound)| bound.shape());
                shapes.reduce(Shape::and).map_or(Shape::of_weight(result), |shape| Shape { weight: result, ..shape })
            }
            // No piece is longer than what it is cut from.
            "findAll" | "split" => Shape { weight: result, items: result, heaviest: sum },
            _ => Shape::of_weight(result),
        };
        (cost.saturating_add(work), Bound::Shape(shape))
    }

    fn matching(&self, name: &str, call: &CallExpr, weight: u64) -> u64 {
        let Some(Expr::Literal(LiteralValue::String(pattern))) = call.args.last().map(|pattern| &pattern.expr) else {
            return u64::MAX;
        };
        let Some(size) = self.patterns.get(pattern.inner()) else { return u64::MAX };
        let once = size.to_match(weight);
        // Each find can read on to the end before it gives up.
        let all = if name == "findAll" { once.saturating_mul(weight::characters(weight)) } else { once };
        all.saturating_add(size.to_compile())
    }

    /// The evaluator copies the item and the result so far in every round.
    fn comprehension(&mut self, comprehension: &'b ComprehensionExpr) -> (u64, Bound<'v>) {
        let (range_cost, range) = self.expression(&comprehension.iter_range);
        let (start_cost, start) = self.expression(&comprehension.accu_init);
        let Shape { items: rounds, heaviest: item, .. } = range.shape();
        let outside = self.local.len();
        self.local.push((&comprehension.iter_var, Bound::of_weight(item)));
        self.local.push((&comprehension.accu_var, Bound::of_weight(0)));
        let (condition_cost, _) = self.expression(&comprehension.loop_cond);
        let (step_cost, step) = self.expression(&comprehension.loop_step);
        let grows = matches!(comprehension.accu_init.expr, Expr::List(_) | Expr::Map(_));
        let result = if grows {
            let weight = start.weight().saturating_add(rounds.saturating_mul(step.weight()));
            // Each round adds one item at most.
            Shape { weight, items: rounds, heaviest: step.weight() }
        } else {
            Shape::of_weight(start.weight().max(step.weight()))
        };
        self.local.truncate(outside);
        self.local.push((&comprehension.accu_var, Bound::Shape(result)));
        let (end_cost, end) = self.expression(&comprehension.result);
        self.local.truncate(outside);
        let round = [condition_cost, step_cost, item, result.weight].into_iter().fold(1, u64::saturating_add);
        let cost =
            [range_cost, start_cost, end_cost, rounds.saturating_mul(round)].into_iter().fold(1, u64::saturating_add);
        (cost, end)
    }
}

/// All items as text, and what stands between them.
fn joined(parts: &[(u64, Bound)]) -> u64 {
    let part = |index: usize| parts.get(index).map(|(_, bound)| bound.shape());
    let list = part(0).unwrap_or(Shape::of_weight(0));
    let between = part(1).map_or(0, |between| between.weight);
    list.weight.saturating_add(list.items.saturating_mul(between))
}

/// Each item of one is held against all of the other, or against all of its own list where there is no other.
fn pairs(parts: &[(u64, Bound)]) -> u64 {
    let side = |index: usize| {
        parts.get(index).or(parts.first()).map_or((0, 0), |(_, bound)| (bound.shape().items, bound.weight()))
    };
    let ((left_items, left), (right_items, right)) = (side(0), side(1));
    [left, right, left_items.saturating_mul(right), right_items.saturating_mul(left)]
        .into_iter()
        .fold(1, u64::saturating_add)
}

/// `sets.contains(a, b)` is parsed like a method of `sets`.
pub(super) fn qualified(call: &CallExpr) -> &str {
    let of_module = call.target.as_ref().and_then(|target| match &target.expr {
        Expr::Ident(module) => function_of(module, &call.func_name),
        _ => None,
    });
    of_module.unwrap_or(&call.func_name)
}

fn field<'v>(operand: Bound<'v>, name: &str, only_asks: bool) -> Bound<'v> {
    match operand {
        _ if only_asks => Bound::of_weight(1),
        Bound::Known(value) => value.get(name).map_or(Bound::of_weight(1), Bound::Known),
        Bound::Shape(shape) => Bound::of_weight(shape.weight),
    }
}
