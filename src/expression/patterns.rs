//! Regular expressions inside of expressions: written out, and small when compiled.

use regex::RegexBuilder;

/// Bytes of a compiled pattern: some hundred characters of the usual sort; `(a{1000}){1000}` takes more.
const COMPILED_MAX: usize = 64 << 10;
/// Functions whose second argument (or the one in parentheses) is a pattern.
const MATCHERS: [&str; 3] = ["find", "findAll", "matches"];

pub(super) fn takes_pattern(function: &str) -> bool {
    MATCHERS.contains(&function)
}

/// The pattern is compiled anew by each evaluation, so its cost is bounded here.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    match RegexBuilder::new(pattern).size_limit(COMPILED_MAX).build() {
        Ok(_) => Ok(()),
        Err(regex::Error::CompiledTooBig(_)) => Err(format!("the pattern {pattern:?} is too large: simplify it")),
        Err(error) => {
            let reason = error.to_string();
            Err(format!("{pattern:?} is not a regular expression: {}", reason.lines().last().unwrap_or_default()))
        }
    }
}
