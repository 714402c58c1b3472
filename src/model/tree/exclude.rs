//! `.holdfastignore`: what the owners of a source leave out, in the syntax of `.gitignore`.

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::TreeError;

/// Counts for its folder and all below it.
pub const IGNORE_FILE: &str = ".holdfastignore";
/// A list that people keep by hand; the patterns are compiled into one automaton.
pub const IGNORE_FILE_BYTES_MAX: u64 = 64 << 10;

/// The ignore files on the way from the root to the folder that is read now.
#[derive(Default)]
pub(super) struct Excludes(Vec<(String, Gitignore)>);

impl Excludes {
    /// Takes the ignore file of `folder` (empty: the root). Those of folders beside the way there are forgotten.
    pub(super) fn add(&mut self, folder: &str, content: Option<&[u8]>) -> Result<(), TreeError> {
        let path = below(folder, IGNORE_FILE);
        let bad = |message: String| TreeError::BadIgnoreFile { path: path.clone(), message };
        let content = content.filter(|content| content.len() as u64 <= IGNORE_FILE_BYTES_MAX);
        let content = content.ok_or_else(|| bad(format!("the file is over {IGNORE_FILE_BYTES_MAX} bytes")))?;
        let text = std::str::from_utf8(content).map_err(|_| bad("the file is not UTF-8".to_owned()))?;
        let mut patterns = GitignoreBuilder::new("");
        for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            patterns.add_line(None, line).map_err(|error| bad(format!("line {}: {error}", number + 1)))?;
        }
        let patterns = patterns.build().map_err(|error| bad(error.to_string()))?;
        self.0.retain(|(above, _)| is_below(folder, above));
        self.0.push((folder.to_owned(), patterns));
        Ok(())
    }

    /// Whether the path is left out. The folders above it are known not to be.
    pub(super) fn matches(&self, path: &str, is_folder: bool) -> bool {
        let decided = self.0.iter().rev().find_map(|(folder, patterns)| {
            let inner = if folder.is_empty() { path } else { path.strip_prefix(folder.as_str())?.strip_prefix('/')? };
            let found = patterns.matched(inner, is_folder);
            (!found.is_none()).then(|| found.is_ignore())
        });
        decided.unwrap_or(false)
    }
}

fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// The path of `name` in `folder`, where the root is the empty text.
pub(super) fn below(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deeper_file_decides_and_ends_with_its_folder() {
        let mut excludes = Excludes::default();
        excludes.add("", Some(b"# tests\n*.test.yaml\n/charts/\nvendor\n")).unwrap();
        assert!(excludes.matches("a/b.test.yaml", false));
        assert!(excludes.matches("charts", true) && !excludes.matches("charts", false));
        assert!(excludes.matches("a/vendor", true));
        assert!(!excludes.matches("a/charts", true));
        excludes.add("a", Some(b"!keep.test.yaml\n")).unwrap();
        assert!(!excludes.matches("a/keep.test.yaml", false));
        assert!(excludes.matches("a/other.test.yaml", false));
        excludes.add("ab", Some(b"*\n")).unwrap();
        assert!(excludes.matches("ab/x.yaml", false));
        assert!(!excludes.matches("b/x.yaml", false));
    }

    #[test]
    fn a_bad_pattern_is_an_error() {
        let error = Excludes::default().add("a", Some(b"ok\na{b\n")).unwrap_err().to_string();
        assert!(error.starts_with("a/.holdfastignore: line 2: "), "{error}");
        assert!(Excludes::default().add("", Some(&[0xff])).is_err());
        assert!(Excludes::default().add("", Some("#".repeat(65 << 10).as_bytes())).is_err());
    }
}
