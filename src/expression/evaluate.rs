//! Evaluates expressions over given values; every end but a value is a failure with its reason.

use std::collections::BTreeMap;

use kube_cel::KubeCelExt as _;
use kube_cel::cel::{Context, ExecutionError, Value as Cel};

use super::compile::{Expression, OWN_VARIABLES};
use super::cost::{Bound, Bounds, COST_MAX, Shape, cost};
use super::guard::guarded;
use super::value::{self, Input};

/// Bytes of a reason: errors of the evaluator show the values that they are about.
const REASON_MAX: usize = 200;

/// The functions, set up once.
#[derive(Debug)]
pub struct Engine {
    functions: Functions,
}

struct Functions(Context<'static>);

impl std::fmt::Debug for Functions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Functions")
    }
}

/// Why an evaluation gives no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The expression and the values do not fit each other.
    Failed(String),
    /// It was not tried: it could take this many units.
    TooCostly(u64),
    /// It was not tried: nothing is left of what its owner may spend.
    Spent,
}

/// Values by name, for the expressions of one owner.
pub struct Scope<'e, 'v> {
    context: Context<'e>,
    bounds: Bounds<'v>,
    /// Values of `variables.<name>`, and what reading them can cost.
    own: BTreeMap<String, Cel>,
    shapes: BTreeMap<String, Shape>,
}

impl Default for Engine {
    fn default() -> Self {
        Self { functions: Functions(Context::default().with_all()) }
    }
}

impl Engine {
    pub fn scope<'v>(&self) -> Scope<'_, 'v> {
        let mut context = self.functions.0.new_inner_scope();
        context.add_variable_from_value(OWN_VARIABLES, value::map(std::iter::empty()));
        Scope { context, bounds: Bounds::new(), own: BTreeMap::new(), shapes: BTreeMap::new() }
    }
}

impl<'v> Scope<'_, 'v> {
    pub fn set(&mut self, name: &str, input: Input<'v>) {
        self.context.add_variable_from_value(name, input.to_cel());
        let bound = match input {
            Input::Json(value) => Bound::Known(value),
            Input::Time(_) => Bound::Shape(Shape::of_weight(1)),
        };
        self.bounds.insert(name.to_owned(), bound);
    }

    /// Makes a result readable as `variables.<name>`.
    pub fn define(&mut self, name: &str, value: Cel) {
        self.shapes.insert(name.to_owned(), value::shape(&value));
        self.own.insert(name.to_owned(), value);
        let all = value::map(self.own.iter().map(|(name, value)| (name.as_str(), value.clone())));
        self.context.add_variable_from_value(OWN_VARIABLES, all);
    }

    /// Evaluates within what is left of `budget`, and takes from it what the evaluation can cost.
    pub fn evaluate(&self, expression: &Expression, budget: &mut u64) -> Result<Cel, Failure> {
        let cost = cost(expression, &self.bounds, &self.shapes);
        if cost > COST_MAX {
            return Err(Failure::TooCostly(cost));
        }
        *budget = budget.checked_sub(cost).ok_or(Failure::Spent)?;
        match guarded(|| self.context.resolve(&expression.parsed)) {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(Failure::Failed(reason(&error))),
            None => Err(Failure::Failed("the values are out of range".to_owned())),
        }
    }
}

impl Failure {
    /// As the second half of a sentence about an expression.
    pub fn spoken(&self) -> String {
        match self {
            Failure::Failed(reason) => reason.clone(),
            Failure::TooCostly(cost) => format!("it could cost {cost} units, more than {COST_MAX}"),
            Failure::Spent => "nothing is left of what this policy may cost in one pass".to_owned(),
        }
    }
}

/// What is said of a field or a variable that is not there.
pub fn lacking(name: &str) -> String {
    format!("there is no {name}")
}

/// The evaluator's words, without the values that it prints in its own notation.
fn reason(error: &ExecutionError) -> String {
    let text = match error {
        ExecutionError::NoSuchKey(key) => lacking(key),
        ExecutionError::NoSuchOverload => "an operator or function does not take values of these types".to_owned(),
        ExecutionError::UnsupportedBinaryOperator(name, left, right) => {
            format!("{name} does not take {} and {}", value::kind_of(left), value::kind_of(right))
        }
        ExecutionError::UnexpectedType { got, want } => format!("{want} is needed, not {got}"),
        ExecutionError::ValuesNotComparable(left, right) => {
            format!("{} and {} cannot be compared", value::kind_of(left), value::kind_of(right))
        }
        ExecutionError::Overflow(name, ..) => format!("the result of {name} is out of range"),
        other => other.to_string(),
    };
    match text.char_indices().nth(REASON_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
