//! The functions that an expression may call, each with how its result can grow: a closed table, so that nothing is
//! evaluated whose cost is not known.

/// How the result of a call can grow with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    /// A number, a boolean, a time.
    Scalar,
    /// No more than all arguments together.
    Sum,
    /// Up to one argument for every part of another.
    Product,
    /// All items of a list, and one argument between every two of them.
    Joined,
    /// A list with an item for each character.
    Pieces,
}

/// What a comprehension goes over, with the keys of a map in order: else each evaluation had another one. No text can call
/// it.
pub(super) const ORDERED: &str = "@ordered";

/// Operators, as the parser names them, and functions, as people write them.
pub(super) const FUNCTIONS: [(&str, Growth); 68] = [
    ("!_", Growth::Scalar),
    ("-_", Growth::Scalar),
    ("@in", Growth::Scalar),
    ("@not_strictly_false", Growth::Scalar),
    (ORDERED, Growth::Sum),
    ("_!=_", Growth::Scalar),
    ("_%_", Growth::Scalar),
    ("_&&_", Growth::Scalar),
    ("_*_", Growth::Scalar),
    ("_+_", Growth::Sum),
    ("_-_", Growth::Scalar),
    ("_/_", Growth::Scalar),
    ("_<=_", Growth::Scalar),
    ("_<_", Growth::Scalar),
    ("_==_", Growth::Scalar),
    ("_>=_", Growth::Scalar),
    ("_>_", Growth::Scalar),
    ("_?._", Growth::Sum),
    ("_?_:_", Growth::Sum),
    ("_[?_]", Growth::Sum),
    ("_[_]", Growth::Sum),
    ("_||_", Growth::Scalar),
    ("charAt", Growth::Scalar),
    ("compareTo", Growth::Scalar),
    ("contains", Growth::Scalar),
    ("distinct", Growth::Sum),
    ("double", Growth::Scalar),
    ("duration", Growth::Scalar),
    ("endsWith", Growth::Scalar),
    ("find", Growth::Sum),
    ("findAll", Growth::Pieces),
    ("getDate", Growth::Scalar),
    ("getDayOfMonth", Growth::Scalar),
    ("getDayOfWeek", Growth::Scalar),
    ("getDayOfYear", Growth::Scalar),
    ("getFullYear", Growth::Scalar),
    ("getHours", Growth::Scalar),
    ("getMinutes", Growth::Scalar),
    ("getMonth", Growth::Scalar),
    ("getSeconds", Growth::Scalar),
    ("hasValue", Growth::Scalar),
    ("indexOf", Growth::Scalar),
    ("int", Growth::Scalar),
    ("isGreaterThan", Growth::Scalar),
    ("isLessThan", Growth::Scalar),
    ("isQuantity", Growth::Scalar),
    ("isSorted", Growth::Scalar),
    ("join", Growth::Joined),
    ("lastIndexOf", Growth::Scalar),
    ("lowerAscii", Growth::Sum),
    ("matches", Growth::Scalar),
    ("max", Growth::Sum),
    ("min", Growth::Sum),
    ("orValue", Growth::Sum),
    ("quantity", Growth::Scalar),
    ("replace", Growth::Product),
    ("sets.contains", Growth::Scalar),
    ("sets.equivalent", Growth::Scalar),
    ("sets.intersects", Growth::Scalar),
    ("size", Growth::Scalar),
    ("split", Growth::Pieces),
    ("startsWith", Growth::Scalar),
    ("string", Growth::Sum),
    ("substring", Growth::Sum),
    ("sum", Growth::Scalar),
    ("timestamp", Growth::Scalar),
    ("trim", Growth::Sum),
    ("upperAscii", Growth::Sum),
];

/// How much a call has to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// Everything once.
    Once,
    /// Every item for every item, or every character for every character.
    Pairs,
    /// A pattern for every character.
    Pattern,
}

/// All others look once.
const EFFORTS: [(&str, Effort); 9] = [
    ("distinct", Effort::Pairs),
    ("find", Effort::Pattern),
    ("findAll", Effort::Pattern),
    ("indexOf", Effort::Pairs),
    ("lastIndexOf", Effort::Pairs),
    ("matches", Effort::Pattern),
    ("sets.contains", Effort::Pairs),
    ("sets.equivalent", Effort::Pairs),
    ("sets.intersects", Effort::Pairs),
];

pub(super) fn growth(name: &str) -> Option<Growth> {
    FUNCTIONS.binary_search_by(|(known, _)| (*known).cmp(name)).ok().map(|index| FUNCTIONS[index].1)
}

/// The name of a function that is called as one of a module.
pub(super) fn function_of(module: &str, name: &str) -> Option<&'static str> {
    let below = |known: &'static str| known.strip_prefix(module)?.strip_prefix('.');
    FUNCTIONS.into_iter().map(|(known, _)| known).find(|known| below(known) == Some(name))
}

pub(super) fn effort(name: &str) -> Effort {
    EFFORTS.into_iter().find(|(known, _)| *known == name).map_or(Effort::Once, |(_, effort)| effort)
}

/// What people may call, for messages and the reference.
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.into_iter().map(|(name, _)| name).filter(|name| name.starts_with(|first: char| first.is_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_that_it_is_searched_in() {
        assert!(FUNCTIONS.is_sorted_by_key(|(name, _)| name));
        assert_eq!(growth("replace"), Some(Growth::Product));
        assert_eq!(growth("lists.range"), None);
    }
}
