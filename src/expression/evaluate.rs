//! Evaluates expressions over given values; every end but a value is a failure with its reason.

use kube_cel::KubeCelExt as _;
use kube_cel::cel::{Context, ExecutionError, Value as Cel};

use super::compile::{Expression, own};
use super::cost::{Bound, Bounds, COST_MAX, Shape, cost};
use super::functions::ORDERED;
use super::guard::guarded;
use super::value::{self, Input, cut};

/// Characters of a reason: what functions say can hold the text that they were given.
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
}

impl Default for Engine {
    fn default() -> Self {
        let mut context = Context::default().with_all();
        context.add_function(ORDERED, value::ordered);
        context.add_function("join", value::join);
        Self { functions: Functions(context) }
    }
}

impl Engine {
    pub fn scope<'v>(&self) -> Scope<'_, 'v> {
        Scope { context: self.functions.0.new_inner_scope(), bounds: Bounds::new() }
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
        let name = own(name);
        self.bounds.insert(name.clone(), Bound::Shape(value::shape(&value)));
        self.context.add_variable_from_value(name, value);
    }

    /// Evaluates within what is left of `budget`, and takes from it what the evaluation can cost.
    pub fn evaluate(&self, expression: &Expression, budget: &mut u64) -> Result<Cel, Failure> {
        let cost = cost(expression, &self.bounds);
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

/// Without the values that the evaluator prints: in its own notation, and maps in another order each time.
fn reason(error: &ExecutionError) -> String {
    use value::kind_of;
    match error {
        ExecutionError::NoSuchKey(name) => lacking(name),
        ExecutionError::UndeclaredReference(name) => lacking(name.strip_prefix(&own("")).unwrap_or(name)),
        ExecutionError::NoSuchOverload
        | ExecutionError::UnexpectedType { .. }
        | ExecutionError::UnsupportedFunctionCallIdentifierType(_)
        | ExecutionError::UnsupportedFieldsConstruction(_) => {
            "an operator or function does not take values of these types".to_owned()
        }
        ExecutionError::UnsupportedBinaryOperator(name, left, right) => {
            format!("{name} does not take {} and {}", kind_of(left), kind_of(right))
        }
        ExecutionError::UnsupportedUnaryOperator(name, value) => format!("{name} does not take {}", kind_of(value)),
        ExecutionError::UnsupportedTargetType { target } => format!("a function does not take {}", kind_of(target)),
        ExecutionError::NotSupportedAsMethod { method, target } => {
            format!("{method} does not take {}", kind_of(target))
        }
        ExecutionError::ValuesNotComparable(left, right) => {
            format!("{} and {} cannot be compared", kind_of(left), kind_of(right))
        }
        ExecutionError::UnsupportedKeyType(key)
        | ExecutionError::UnsupportedMapIndex(key)
        | ExecutionError::UnsupportedListIndex(key)
        | ExecutionError::UnsupportedIndex(key, _) => format!("{} is no key or index there", kind_of(key)),
        ExecutionError::IndexOutOfBounds(Cel::Int(index)) => format!("there is no item {index}"),
        ExecutionError::IndexOutOfBounds(_) => "there is no such item".to_owned(),
        ExecutionError::Overflow(name, ..) => format!("the result of {name} is out of range"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "a division by zero".to_owned(),
        ExecutionError::InvalidArgumentCount { expected, actual } => {
            format!("a function takes {expected} arguments, not {actual}")
        }
        ExecutionError::MissingArgumentOrTarget => "a function lacks an argument".to_owned(),
        ExecutionError::FunctionError { function, message } if message.contains("Map {") => {
            format!("{function} does not take values of these types")
        }
        ExecutionError::FunctionError { function, message } => cut(&format!("{function}: {message}"), REASON_MAX),
        other => cut(&other.to_string(), REASON_MAX),
    }
}
