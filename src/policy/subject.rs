//! What is judged, with everything that an expression can read about it.

use std::borrow::Cow;

use serde_json::Value;

use crate::expression::Part;
use crate::model::policy::{Judged, Labels};

/// One thing that is judged. Values that no policy reads are never made.
pub struct Subject<'a> {
    pub kind: Judged,
    /// Of the target, or of the object where there is no target; empty for what has none.
    pub namespace: &'a str,
    /// Of the target, or of the object where there is no target.
    pub labels: &'a Labels,
    pub object: &'a Value,
    /// The others by name: `blueprint`, `namespaceObject`, `oldObject`, `target`. No more than the part is read of them.
    pub others: &'a dyn Fn(&str, &Part) -> Cow<'a, Value>,
}
