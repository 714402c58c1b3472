//! Arms that catch everything, in matches on our own enums.

use std::collections::BTreeSet;

use super::code::{closing, line_of, occurrences};
use super::repository::{Complaints, File, sources};

/// Names of all enums of `src/model`, those of its macro for codes included.
pub(super) fn own_enums() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in sources().filter(|file| file.path.starts_with("src/model/")) {
        let code = file.code().shipped;
        for start in ["enum ", "codes! {"] {
            for at in occurrences(&code, start) {
                let rest = code[at + start.len()..].trim_start();
                let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
                names.extend((end > 0).then(|| rest[..end].to_owned()));
            }
        }
    }
    names
}

pub(super) fn check(own: &BTreeSet<String>, file: &File, complaints: &mut Complaints) {
    let code = file.code().shipped;
    for at in occurrences(&code, "match ") {
        let Some(open) = body(&code, at) else { continue };
        let Some(end) = closing(&code, open) else { continue };
        let patterns = patterns(&code[open + 1..end - 1]);
        let ours = patterns.iter().any(|pattern| {
            let name = pattern.trim_start_matches(['&', '(', '|', ' ']).split("::").next().unwrap_or_default();
            pattern.contains("::") && own.contains(name)
        });
        if ours && patterns.contains(&"_") {
            complaints.add(&file.path, line_of(&code, at), "`_ =>` in a match on an enum of ours");
        }
    }
}

/// The brace that opens the arms.
fn body(code: &str, at: usize) -> Option<usize> {
    let mut open = at;
    loop {
        open += code[open..].find(['(', '[', '{', ';'])?;
        match code.as_bytes()[open] {
            b'{' => return Some(open),
            b';' => return None,
            _ => open = closing(code, open)?,
        }
    }
}

/// What stands before each `=>` of a match.
fn patterns(arms: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = arms;
    while let Some(arrow) = rest.find("=>") {
        found.push(rest[..arrow].trim());
        rest = after_arm(rest[arrow + 2..].trim_start());
    }
    found
}

/// The text after the value of an arm: after its block, or after the comma that ends it.
fn after_arm(value: &str) -> &str {
    let mut at = 0;
    while let Some(next) = value[at..].find(['(', '[', '{', ',']) {
        let found = at + next;
        if value.as_bytes()[found] == b',' {
            return &value[found + 1..];
        }
        let Some(end) = closing(value, found) else { return "" };
        if found == 0 && value.as_bytes()[found] == b'{' {
            return value[end..].trim_start_matches(',');
        }
        at = end;
    }
    ""
}

#[test]
fn tidy_reads_the_patterns_of_a_match() {
    let arms = " A::B { c, .. } => f(1, 2), A::C(_) if x => { g(a, b); } A::D | A::E => match y { _ => 1, }, _ => 3 ";
    assert_eq!(patterns(arms), ["A::B { c, .. }", "A::C(_) if x", "A::D | A::E", "_"]);
}

#[test]
fn tidy_finds_a_wildcard_on_an_enum_of_ours() {
    let own = BTreeSet::from(["Kind".to_owned()]);
    let complaints = |text: &str| {
        let mut complaints = Complaints::default();
        check(&own, &File { path: "src/x.rs".to_owned(), text: text.to_owned() }, &mut complaints);
        complaints.count()
    };
    assert_eq!(complaints("fn f() { match kind { Kind::Task => 1, _ => 2 } }"), 1);
    assert_eq!(complaints("fn f() { match kind { Kind::Task => 1, Kind::Function => 2 } }"), 0);
    assert_eq!(complaints("fn f() { match text { \"Kind::Task\" => 1, _ => 2 } }"), 0);
}
