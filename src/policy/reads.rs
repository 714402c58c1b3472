//! What the expressions of one policy read of a subject, through their variables.

use std::collections::BTreeMap;

use crate::expression::{Expression, OWN_VARIABLES, Part};
use crate::model::policy::Policy;

/// What of each value is read, by their names.
pub(super) type Reads<'p> = BTreeMap<&'p str, Part>;

/// What is read of one value so far.
pub(super) fn of<'r, 'p>(reads: &'r mut Reads<'p>, name: &'p str) -> &'r mut Part {
    reads.entry(name).or_insert(Part::PRESENCE)
}

/// What `expressions` read, with what the variables read that they read.
pub(super) fn reads<'p>(policy: &'p Policy, expressions: impl Iterator<Item = &'p Expression>) -> Reads<'p> {
    let mut all = Gather::default();
    expressions.for_each(|expression| all.expression(expression));
    // Each variable reads only what stands before it.
    for variable in policy.variables.iter().rev() {
        let Some(part) = all.variables.remove(variable.name.as_str()) else { continue };
        match variable.expression.alias() {
            Some(path) => all.path(path, part),
            None => all.expression(&variable.expression),
        }
    }
    all.values
}

#[derive(Default)]
struct Gather<'p> {
    values: Reads<'p>,
    variables: Reads<'p>,
}

impl<'p> Gather<'p> {
    fn expression(&mut self, expression: &'p Expression) {
        for (all, of_one) in [(&mut self.values, expression.reads()), (&mut self.variables, expression.variables())] {
            for (name, part) in of_one {
                of(all, name).merge(part.clone());
            }
        }
    }

    fn path(&mut self, path: &'p [String], part: Part) {
        match path {
            [root, name, below @ ..] if root == OWN_VARIABLES => {
                of(&mut self.variables, name).add(below, part);
            }
            [root, below @ ..] => of(&mut self.values, root).add(below, part),
            [] => {}
        }
    }
}
