//! The findings as text, JSON, annotations of GitHub Actions, and SARIF 2.1.0.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Passed;
use super::finding::{Finding, Level};
use crate::model::place::Place;

pub(super) fn text(findings: &[Finding], passed: &Passed) -> String {
    let mut out = String::new();
    for finding in findings {
        let place = finding.at.as_ref().map(|at| format!("{at}: ")).unwrap_or_default();
        let _ = writeln!(out, "{place}{}[{}]: {}", word(finding.level), finding.code, finding.message);
        for line in finding.excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
            let _ = writeln!(out, "  {line}");
        }
    }
    for (policy, counted) in &passed.coverage {
        let covered = counted.targets - counted.uncovered;
        let _ = writeln!(out, "policy {policy}: {covered} of {} covered, {} exempt", counted.targets, counted.exempt);
    }
    if passed.cases > 0 {
        let _ = writeln!(out, "{} case{} passed", passed.cases, plural(passed.cases));
    }
    let errors = findings.iter().filter(|finding| finding.level == Level::Error).count();
    let notes = findings.len() - errors;
    let _ = writeln!(out, "{errors} error{}, {notes} note{}", plural(errors), plural(notes));
    out
}

pub(super) fn json(findings: &[Finding]) -> String {
    let findings: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "level": word(finding.level),
                "code": finding.code,
                "at": finding.at.as_ref().map(ToString::to_string),
                "message": finding.message,
            })
        })
        .collect();
    pretty(&json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Findings", "schema": 1, "findings": findings}))
}

/// Workflow commands; `%`, line ends, `:` and `,` are escaped as they demand.
pub(super) fn github(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let command = match finding.level {
            Level::Error => "error",
            Level::Note => "notice",
        };
        let message = finding.message.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        let place = finding.at.as_ref().map(place_properties).unwrap_or_default();
        let _ = writeln!(out, "::{command} {place}title={}::{message}", finding.code);
    }
    out
}

fn place_properties(at: &Place) -> String {
    let path =
        at.path.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A").replace(':', "%3A").replace(',', "%2C");
    format!("file={path},line={},col={},", at.line, at.column)
}

pub(super) fn sarif(findings: &[Finding]) -> String {
    let rules: BTreeMap<&str, &str> = findings.iter().map(|finding| (finding.code, finding.meaning)).collect();
    let rules: Vec<Value> =
        rules.into_iter().map(|(id, meaning)| json!({"id": id, "shortDescription": {"text": meaning}})).collect();
    let results: Vec<Value> = findings.iter().map(result).collect();
    pretty(&json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "holdfast", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    }))
}

fn result(finding: &Finding) -> Value {
    let level = match finding.level {
        Level::Error => "error",
        Level::Note => "note",
    };
    let mut result = json!({"ruleId": finding.code, "level": level, "message": {"text": finding.message}});
    if let Some(at) = &finding.at {
        result["locations"] = json!([{"physicalLocation": {
            "artifactLocation": {"uri": uri(&at.path)},
            "region": {"startLine": at.line, "startColumn": at.column},
        }}]);
    }
    result
}

/// A relative path as a URI reference.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Note => "note",
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}
