//! Expressions in CEL from untrusted text: what one may say is fixed when it is compiled, and what an evaluation may cost
//! is known before it begins.
//!
//! The language is CEL as kube's own crates have it, with the functions that `functions` lists only.

mod compile;
mod cost;
mod evaluate;
mod functions;
mod guard;
mod patterns;
mod reads;
mod scan;
mod strict;
mod value;
mod weight;

pub use compile::{Expression, Fault, LENGTH_MAX, NESTING_MAX, OWN_VARIABLES};
pub use cost::COST_MAX;
pub use evaluate::{Engine, Failure, Scope, lacking};
pub use functions::names as function_names;
pub use guard::is_guarded;
pub use kube_cel::cel::Value as Cel;
pub use reads::{Part, Read};
pub use value::{Input, cut, kind_of, text_of, truth_of};
