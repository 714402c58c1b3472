//! Which files are meant by a pattern, as restic reads its `--include` and `--exclude`.

use std::ffi::OsStr;
use std::path::{Component, Path};

use globset::{GlobBuilder, GlobMatcher};
use thiserror::Error;

/// A pattern that begins with `/` counts from the root; any other matches at every depth. What matches a folder matches all
/// that is in it. `*`, `?` and `[…]` stay within one name; `**` stands for any number of names.
#[derive(Clone, Debug)]
pub struct Pattern {
    names: Vec<Name>,
    from_root: bool,
}

#[derive(Clone, Debug)]
enum Name {
    AnyNumber,
    Like(GlobMatcher),
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("pattern {pattern:?}: {reason}")]
pub struct BadPattern {
    pattern: String,
    reason: String,
}

impl std::str::FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let bad = |reason: String| BadPattern { pattern: text.to_owned(), reason };
        if text.starts_with('!') {
            return Err(bad(
                "a pattern cannot be turned round with `!`; write `[!]` for a name that begins so".to_owned()
            ));
        }
        let names: Result<Vec<_>, _> = text
            .split('/')
            .filter(|name| !matches!(*name, "" | "."))
            .map(|name| match name {
                "**" => Ok(Name::AnyNumber),
                ".." => Err(bad("`..` has no meaning here".to_owned())),
                // Braces are a speciality of the crate, and ordinary letters to restic.
                name => GlobBuilder::new(&name.replace('{', "[{]").replace('}', "[}]"))
                    .build()
                    .map(|glob| Name::Like(glob.compile_matcher()))
                    .map_err(|error| bad(error.kind().to_string())),
            })
            .collect();
        let names = names?;
        if names.is_empty() {
            return Err(bad("it is empty".to_owned()));
        }
        Ok(Self { names, from_root: text.starts_with('/') })
    }
}

impl Pattern {
    /// Whether it means this path, or a folder that the path is in.
    pub fn matches(&self, path: &Path) -> bool {
        let path = names(path);
        let starts = if self.from_root { 0..=0 } else { 0..=path.len() };
        starts.into_iter().any(|start| begins(&self.names, path.get(start..).unwrap_or_default()))
    }

    /// Whether it may mean something in this folder.
    pub fn may_match_in(&self, folder: &Path) -> bool {
        !self.from_root || leads(&self.names, &names(folder))
    }
}

fn names(path: &Path) -> Vec<&OsStr> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => None,
        })
        .collect()
}

/// Whether the pattern means the beginning of the path. After a name that does not fit it goes back to the last `**` only,
/// which is enough and takes no longer than the lengths multiplied.
fn begins(pattern: &[Name], path: &[&OsStr]) -> bool {
    let (mut wanted, mut at) = (0, 0);
    let mut last_any = None;
    loop {
        match (pattern.get(wanted), path.get(at)) {
            (None, _) => return true,
            (Some(Name::AnyNumber), _) => {
                last_any = Some((wanted + 1, at));
                wanted += 1;
                continue;
            }
            (Some(Name::Like(glob)), Some(name)) if glob.is_match(name) => {
                (wanted, at) = (wanted + 1, at + 1);
                continue;
            }
            (Some(Name::Like(_)), Some(_) | None) => {}
        }
        match last_any {
            Some((after, from)) if from < path.len() => {
                last_any = Some((after, from + 1));
                (wanted, at) = (after, from + 1);
            }
            Some(_) | None => return false,
        }
    }
}

/// Whether the path is the beginning of something that the pattern means, or in it.
fn leads(pattern: &[Name], path: &[&OsStr]) -> bool {
    match (pattern, path) {
        ([] | [Name::AnyNumber, ..], _) | (_, []) => true,
        ([Name::Like(glob), rest @ ..], [name, below @ ..]) => glob.is_match(name) && leads(rest, below),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_restic() {
        for (pattern, path, expected) in [
            ("foo", "/a/foo", true),
            ("foo", "/a/foo/below", true),
            ("foo", "/a/food", false),
            ("/foo", "/a/foo", false),
            ("/foo", "/foo/bar", true),
            ("a/*.txt", "/x/a/b.txt", true),
            ("a/*.txt", "/x/a/y/b.txt", false),
            ("/x/**/b.txt", "/x/a/y/b.txt", true),
            ("/x/**/b.txt", "/x/b.txt", true),
            ("**/b", "/b", true),
            ("[a-c]?", "/x/b1", true),
            ("{a}", "/{a}", true),
            ("{a,b}", "/a", false),
            ("x/", "/x/y", true),
        ] {
            let read: Pattern = pattern.parse().unwrap();
            assert_eq!(read.matches(Path::new(path)), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn no_pattern_takes_long() {
        let pattern: Pattern = format!("{}x", "**/a/".repeat(30)).parse().unwrap();
        assert!(!pattern.matches(Path::new(&"/a".repeat(200))));
    }

    #[test]
    fn only_folders_on_the_way_may_hold_a_match() {
        for (pattern, folder, expected) in [
            ("foo", "/anything", true),
            ("/a/b/c", "/a", true),
            ("/a/b/c", "/a/b/c/d", true),
            ("/a/b/c", "/a/x", false),
            ("/a/**/c", "/a/x/y", true),
        ] {
            let read: Pattern = pattern.parse().unwrap();
            assert_eq!(read.may_match_in(Path::new(folder)), expected, "{pattern} {folder}");
        }
    }

    #[test]
    fn bad_patterns_are_named() {
        for pattern in ["", "/", "a/../b", "[a", "!a"] {
            let error = pattern.parse::<Pattern>().unwrap_err();
            assert!(error.to_string().starts_with("pattern "), "{error}");
        }
    }
}
