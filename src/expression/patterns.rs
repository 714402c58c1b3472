//! Regular expressions inside of expressions: written out, and small when compiled.

use regex::RegexBuilder;

/// Bytes of a compiled pattern: some hundred characters of the usual sort; `(a{1000}){1000}` takes more.
const COMPILED_MAX: usize = 64 << 10;
/// Where the search for the size of a pattern begins.
const COMPILED_LEAST: usize = 1 << 10;
/// Units of compiling the smallest pattern.
const COMPILE_LEAST: u64 = 100;
const BYTES_COMPILED_PER_UNIT: u64 = 16;
const BYTES_MATCHED_PER_UNIT: u64 = 256;

/// What a pattern costs, from its size when it is compiled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    bytes: u64,
}

impl Size {
    /// Every evaluation compiles the pattern anew.
    pub(super) fn to_compile(self) -> u64 {
        COMPILE_LEAST + self.bytes / BYTES_COMPILED_PER_UNIT
    }

    /// A look at one character may be a look at all of the pattern.
    pub(super) fn to_match(self, weight: u64) -> u64 {
        weight.saturating_mul(1 + self.bytes / BYTES_MATCHED_PER_UNIT)
    }
}

/// The size of a pattern, or why it is none.
pub(super) fn size(pattern: &str) -> Result<Size, String> {
    let mut bytes = COMPILED_LEAST;
    loop {
        match RegexBuilder::new(pattern).size_limit(bytes).build() {
            Ok(_) => return Ok(Size { bytes: bytes as u64 }),
            Err(regex::Error::CompiledTooBig(_)) if bytes < COMPILED_MAX => bytes *= 2,
            Err(regex::Error::CompiledTooBig(_)) => {
                return Err(format!("the pattern {pattern:?} is too large: simplify it"));
            }
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default();
                return Err(format!("{pattern:?} is not a regular expression: {reason}"));
            }
        }
    }
}
