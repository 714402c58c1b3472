//! What YAML text means: compared with a real kubectl by way of recorded tables.

use std::path::Path;

use holdfast::yaml::{self, Error, Limits};
use proptest::prelude::*;
use serde_json::Value;

/// kubectl takes these tags for text (or decodes it), holdfast refuses them; and `\/`, which only JSON has, is refused
/// by the reader that kubectl uses for YAML, while holdfast has one reader for both.
const DIFFERENT: [&str; 9] = [
    "!!binary aGVsbG8=",
    "!!timestamp 2001-12-14",
    "!!omap x",
    "!local 12",
    "!local text",
    "!local yes",
    "!!map text",
    "!!seq text",
    r#""\/""#,
];

pub(crate) fn table(name: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let rows: Vec<_> = text.lines().map(|line| line.split_once('\t').unwrap()).collect();
    rows.into_iter().map(|(yaml, json)| (yaml.to_owned(), json.to_owned())).collect()
}

pub(crate) fn parse_one(text: &str) -> Result<Value, Error> {
    let documents = yaml::parse(text.as_bytes(), &Limits::default())?;
    assert_eq!(documents.len(), 1, "{text}");
    Ok(documents.into_iter().next().unwrap().value)
}

/// kubectl holds integers beyond `i64` as floats but prints the shorter ones without an exponent.
fn as_kubectl_holds(json: &str) -> Value {
    let value: Value = serde_json::from_str(json).unwrap();
    match value.as_u64() {
        Some(number) if i64::try_from(number).is_err() => Value::from(value.as_f64().unwrap()),
        _ => value,
    }
}

#[test]
fn yaml_scalars_are_what_kubectl_takes_them_for() {
    let rows = table("kubectl-scalars.tsv");
    assert!(rows.len() >= 120, "only {} rows", rows.len());
    let mut wrong = Vec::new();
    for (text, json) in &rows {
        let ours =
            parse_one(&format!("kind: Probe\nspec:\n  v: {text}\n")).map(|document| document["spec"]["v"].clone());
        let same = match &ours {
            Ok(value) => json != "error" && *value == as_kubectl_holds(json),
            Err(_) => json == "error",
        };
        if same == DIFFERENT.contains(&text.as_str()) {
            wrong.push(format!("{text}: kubectl {json}, holdfast {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn yaml_keys_are_what_kubectl_takes_them_for() {
    for (text, json) in table("kubectl-keys.tsv") {
        let line = if text.starts_with("? ") { format!("{text}\n: 1") } else { format!("{text}: 1") };
        let ours = parse_one(&format!("{line}\n"));
        if json == "error" {
            assert!(ours.is_err(), "{text}: kubectl refuses it, holdfast has {ours:?}");
        } else {
            let key: String = serde_json::from_str(&json).unwrap();
            assert_eq!(ours.unwrap(), serde_json::json!({ key: 1 }), "{text}");
        }
    }
}

#[test]
fn yaml_unsupported_tags_name_themselves() {
    for (text, column) in [("a: !!binary aGVsbG8=", 4), ("- !Ref x", 3), ("!!set {a}", 1), ("a: !!map text", 10)] {
        let error = parse_one(text).unwrap_err();
        let tag = text.split(' ').find(|word| word.starts_with('!')).unwrap();
        assert!(error.message.contains(tag), "{text}: {error}");
        assert_eq!((error.at.line, error.at.column), (1, column), "{text}");
    }
}

#[test]
fn yaml_json_files_are_read_like_json() {
    let text = "{\n\t\"a\" : [1, -2.5, 1e3, true, null, {}, [] ],\r\n\t\"k\\u00e9y\":\"\\/\\b\\f\\n\\\"\\\\\",\"emoji\": \"\\ud83d\\ude00 \\uD83D\\uDE01\", \
                \"not\": \"\\\\ud83d\\\\ude00\"}";
    let mut expected: Value = serde_json::from_str(text).unwrap();
    expected["a"][2] = Value::from(1000);
    assert_eq!(parse_one(text).unwrap(), expected);
}

#[test]
fn yaml_places_after_joined_surrogates_are_those_of_the_file() {
    let text = r#"{"a": "\ud83d\ude00\ud83d\ude00", "b": 1,
                   "c": 2}"#;
    let documents = yaml::parse(text.as_bytes(), &Limits::default()).unwrap();
    for key in ["a", "b", "c"] {
        let at = documents[0].position(&format!("/{key}"));
        let line = text.lines().nth(at.line as usize - 1).unwrap();
        assert!(line[at.column as usize - 1..].starts_with(&format!("\"{key}\"")), "{key} at {at:?}");
    }
}

/// Values that survive JSON: no floats that print as integers, which come back as integers.
fn json_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "\\PC{0,12}",
        "[ -~]{0,20}",
        "[a-z~.:#'\" \n\t-]{0,30}",
        "[ a-z\n]{100,200}",
        prop::sample::select(table("kubectl-scalars.tsv")).prop_map(|(text, _)| text),
    ]
    .prop_filter("not allowed in files", |text| {
        !text.chars().any(|character| matches!(character, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{FEFF}'))
    });
    let float = any::<f64>().prop_filter("prints as an integer", |value| value.is_finite() && value.fract() != 0.0);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        float.prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(text.clone(), inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn yaml_json_is_read_back(value in json_value()) {
        let value = serde_json::json!({ "root": value });
        for text in [serde_json::to_string(&value).unwrap(), serde_json::to_string_pretty(&value).unwrap()] {
            let read = parse_one(&text).map_err(|error| TestCaseError::fail(format!("{error:?}\n{text}")))?;
            prop_assert_eq!(&read, &value, "{}", text);
        }
    }
}
