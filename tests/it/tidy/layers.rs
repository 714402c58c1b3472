//! The layer table of ARCHITECTURE.md, and what it says about every `crate::` path.

use std::collections::{BTreeMap, BTreeSet};

use super::code::{closing, line_of, occurrences};
use super::repository::{Complaints, File, read};

const HEADER: &str = "| layer | modules | what |";

struct Place {
    layer: u32,
    pure: bool,
}

pub(super) struct Table(BTreeMap<String, Place>);

impl Table {
    /// Rows are `| 0 pure | `a`, `b` | words |`.
    pub(super) fn read() -> Self {
        let text = read("ARCHITECTURE.md");
        let (_, table) = text.split_once(HEADER).unwrap_or_else(|| panic!("ARCHITECTURE.md lacks `{HEADER}`"));
        let mut places = BTreeMap::new();
        for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let (number, sort) =
                cells[1].split_once(' ').unwrap_or_else(|| panic!("not `<number> <pure|shell>`: {row}"));
            let layer = number.parse().unwrap_or_else(|error| panic!("{row}: {error}"));
            let pure = match sort {
                "pure" => true,
                "shell" => false,
                other => panic!("{other:?} is neither pure nor shell: {row}"),
            };
            for module in cells[2].split('`').skip(1).step_by(2) {
                let twice = places.insert(module.to_owned(), Place { layer, pure });
                assert!(twice.is_none(), "{module} is in the table twice");
            }
        }
        assert!(!places.is_empty(), "the table has no rows");
        Self(places)
    }

    pub(super) fn modules(&self) -> BTreeSet<String> {
        self.0.keys().cloned().collect()
    }

    pub(super) fn is_pure(&self, module: &str) -> bool {
        self.0.get(module).is_some_and(|place| place.pure)
    }
}

/// What `src/lib.rs` mounts.
pub(super) fn modules_of_lib() -> BTreeSet<String> {
    let lib = read("src/lib.rs");
    let named = lib.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'));
    named.map(str::to_owned).collect()
}

pub(super) fn check(table: &Table, file: &File, complaints: &mut Complaints) {
    let own = file.module();
    let Some(here) = table.0.get(&own) else { return };
    let code = file.code().all;
    for at in occurrences(&code, "crate::") {
        for used in modules_at(&code, at + "crate::".len()) {
            let allowed = used == own || table.0.get(used).is_some_and(|there| there.layer < here.layer);
            if !allowed {
                complaints.add(&file.path, line_of(&code, at), format!("`{own}` uses `{used}`"));
            }
        }
    }
}

/// The module after `crate::`, or those of the group there.
fn modules_at(code: &str, at: usize) -> Vec<&str> {
    let first = |text: &'_ str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    if !code[at..].starts_with('{') {
        let rest = &code[at..];
        return vec![&rest[..first(rest)]];
    }
    let end = closing(code, at).unwrap_or(code.len());
    let mut modules = Vec::new();
    let mut depth = 0_u32;
    let mut begin = true;
    for (offset, c) in code[at..end].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' => begin = true,
            c if begin && depth == 1 && c.is_alphabetic() => {
                let rest = &code[at + offset..end];
                modules.push(&rest[..first(rest)]);
                begin = false;
            }
            _ => {}
        }
    }
    modules
}

#[test]
fn tidy_sees_modules_in_paths_and_groups() {
    assert_eq!(modules_at("crate::model::x", 7), ["model"]);
    assert_eq!(modules_at("crate::{git::{a, b}, model, plan::{self}}", 7), ["git", "model", "plan"]);
}
