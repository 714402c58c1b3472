//! The parts of a source that are read: `--git-path`.

use std::collections::BTreeSet;

use thiserror::Error;

/// Files and folders below which files count; none means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputPaths(BTreeSet<String>);

/// A `--git-path` that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("--git-path {0:?}: give a path from the root of the repository, without `..` and backslashes")]
pub struct InputPathsError(String);

/// How a path of the source lies to the paths that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// It counts.
    Inside,
    /// Some path that counts is below it.
    Above,
    Outside,
}

impl InputPaths {
    /// Takes `a/b`, `./a/b` and `a/b/`; `.` and the empty text are the whole source.
    pub fn parse<T: AsRef<str>>(paths: &[T]) -> Result<Self, InputPathsError> {
        let mut set = BTreeSet::new();
        let mut all = false;
        for text in paths.iter().map(AsRef::as_ref) {
            let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
            let bad = |part: &&str| **part == *".." || part.contains(|c: char| c == '\\' || c.is_control());
            if text.starts_with('/') || parts.iter().any(bad) {
                return Err(InputPathsError(text.to_owned()));
            }
            all |= parts.is_empty();
            set.insert(parts.join("/"));
        }
        Ok(Self(if all { BTreeSet::new() } else { set }))
    }

    pub(super) fn relation(&self, path: &str) -> Relation {
        if self.0.is_empty() || self.0.iter().any(|input| is_at_or_below(path, input)) {
            Relation::Inside
        } else if self.0.iter().any(|input| is_at_or_below(input, path)) {
            Relation::Above
        } else {
            Relation::Outside
        }
    }

    pub(super) fn contains(&self, path: &str) -> bool {
        self.0.contains(path)
    }

    /// The first path that is not in `seen`.
    pub(super) fn missing(&self, seen: &BTreeSet<String>) -> Option<&str> {
        self.0.iter().find(|path| !seen.contains(*path)).map(String::as_str)
    }
}

fn is_at_or_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_path_are_one() {
        let one = InputPaths::parse(&["a/b"]).unwrap();
        for same in ["./a/b", "a/b/", "a//b", "a/./b"] {
            assert_eq!(InputPaths::parse(&[same]).unwrap(), one, "{same}");
        }
        for all in [&[".", "a"][..], &[""], &["./"], &[]] {
            assert_eq!(InputPaths::parse(all).unwrap(), InputPaths::default(), "{all:?}");
        }
        for bad in ["/a", "..", "a/../b", "a\\b", "a\nb"] {
            assert!(InputPaths::parse(&[bad]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_that_begin_alike_are_others() {
        let paths = InputPaths::parse(&["a/b", "c.yaml"]).unwrap();
        for (path, relation) in [
            ("a", Relation::Above),
            ("a/b", Relation::Inside),
            ("a/b/c.yaml", Relation::Inside),
            ("a/bc", Relation::Outside),
            ("ab", Relation::Outside),
            ("c.yaml", Relation::Inside),
            ("c.yaml2", Relation::Outside),
        ] {
            assert_eq!(paths.relation(path), relation, "{path}");
        }
    }
}
