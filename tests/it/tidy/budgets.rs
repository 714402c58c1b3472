//! Sizes of files and functions.

use super::code::{closing, line_of, occurrences};
use super::repository::{Complaints, File};

/// Past this a file has more than one subject. An inline test module does not count.
const FILE_LINES_MAX: usize = 600;
/// Half of all files stay below.
const FILE_LINES_MEDIAN_MAX: usize = 250;
/// Lines of code from the signature to the closing brace: what fits a screen.
const FUNCTION_LINES_MAX: usize = 70;

pub(super) fn check(file: &File, complaints: &mut Complaints) {
    let lines = length(file);
    if lines > FILE_LINES_MAX {
        complaints.add(&file.path, 1, format!("{lines} lines; {FILE_LINES_MAX} are the most"));
    }
    let code = file.code().all;
    for at in occurrences(&code, "fn ") {
        let Some(lines) = function_lines(&code, at) else { continue };
        if lines > FUNCTION_LINES_MAX {
            complaints.add(
                &file.path,
                line_of(&code, at),
                format!("{lines} lines in a function; {FUNCTION_LINES_MAX} are the most"),
            );
        }
    }
}

pub(super) fn check_median(files: impl Iterator<Item = File>, complaints: &mut Complaints) {
    let mut lengths: Vec<usize> = files.map(|file| length(&file)).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    if median >= FILE_LINES_MEDIAN_MAX {
        complaints.add("src", 1, format!("the median file has {median} lines; it stays below {FILE_LINES_MEDIAN_MAX}"));
    }
}

fn length(file: &File) -> usize {
    file.code().shipped.lines().count()
}

/// `None` for a function without a body.
fn function_lines(code: &str, at: usize) -> Option<usize> {
    let mut open = at;
    loop {
        open += code[open..].find(['(', '[', '{', ';'])?;
        match code.as_bytes()[open] {
            b'{' => break,
            b';' => return None,
            _ => open = closing(code, open)?,
        }
    }
    let body = &code[at..closing(code, open)?];
    Some(body.lines().filter(|line| !line.trim().is_empty()).count())
}

#[test]
fn tidy_counts_lines_of_functions() {
    assert_eq!(function_lines("fn f(a: [u8; 3]) -> u8 {\n\n a[0]\n}\nfn g() {}", 0), Some(3));
    assert_eq!(function_lines("fn f();", 0), None);
}
