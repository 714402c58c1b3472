//! YAML that we write is read back as the same value, by the rules that kubectl reads with.

use holdfast::yaml::{self, Limits};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::yaml_scalars::{parse_one, table};

fn read_back(value: &Value) -> Result<(), TestCaseError> {
    let text = yaml::write(value);
    let read = parse_one(&text).map_err(|error| TestCaseError::fail(format!("{error:?}\n{text}")))?;
    prop_assert_eq!(&read, value, "{}", text);
    Ok(())
}

#[test]
fn yaml_write_keeps_text_text() {
    let words = [
        "",
        " ",
        "-",
        "- a",
        "?",
        "? a",
        ":",
        ": a",
        "a:",
        "a: b",
        "a #b",
        "#a",
        "---",
        "--- a",
        "...",
        "=",
        "<<",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "'",
        "\"",
        "%a",
        "@a",
        "`a`",
        "[a",
        "{a",
        ", a",
        "a\n",
        "\n",
        "\n\n",
        " a\nb",
        "a\n\n",
        "a \nb",
        "a\n b\n",
        "\ta",
        "a\tb\n",
        "a\r\nb",
        "\\ud83d\\ude00",
        "\u{1F600}",
        "\u{85}",
        "\u{2028}a",
        "\u{FEFF}",
        "\0",
        "\u{7F}",
        "\u{FFFE}",
        "\u{1FFFE}",
    ];
    let table = table("kubectl-scalars.tsv");
    let all = table.iter().map(|(text, _)| text.as_str()).chain(words);
    for text in all {
        for value in [json!({"v": text}), json!({text: {text: [text, [text], {text: text}]}}), json!([[text], text])] {
            read_back(&value).unwrap();
        }
    }
}

/// The layout of Kubernetes' own files; the files of the status branch must not change with a new writer.
#[test]
fn yaml_write_has_one_layout() {
    let value = json!({
        "a": {"empty": {}, "none": [], "null": null, "yes": true},
        "b": [1, -2.5, "text", "0123", ["x", {"y": 1, "z": [2]}]],
        "c": "two\nlines\n", "d": "no end\n  of line", "e": " first\n\n", "f": "it's: 'quoted'", "g": "a\tb",
    });
    let expected = r#"a:
  empty: {}
  none: []
  'null': null
  'yes': true
b:
- 1
- -2.5
- text
- '0123'
- - x
  - 'y': 1
    z:
    - 2
c: |
  two
  lines
d: |-
  no end
    of line
e: |2+
   first

f: 'it''s: ''quoted'''
g: "a\tb"
"#;
    assert_eq!(yaml::write(&value), expected);
}

#[test]
fn yaml_write_takes_long_keys() {
    let key = "k".repeat(5000);
    for inner in [json!(1), json!("a\nb\n"), json!([1, 2]), json!({"a": [1], "b": 2}), json!({})] {
        read_back(&json!({key.clone(): inner, "z": [{key.clone(): inner}]})).unwrap();
    }
}

#[test]
fn yaml_write_keeps_documents_apart() {
    let values = [json!({"a": "ends\n\n"}), json!({"b": "---\n--- a\n"})];
    let text = values.each_ref().map(|value| format!("---\n{}", yaml::write(value))).concat();
    let read = yaml::parse(text.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(read.into_iter().map(|document| document.value).collect::<Vec<_>>(), values, "{text}");
}

fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        prop::collection::vec(any::<char>(), 0..12).prop_map(String::from_iter),
        "[ -~]{0,20}",
        "[a-z~.:#'\"\\\\ \n\t\r-]{0,30}",
        "[ a-z\n]{100,200}",
        "[0-9_.eE+xob:-]{1,8}",
        prop::sample::select(table("kubectl-scalars.tsv")).prop_map(|(text, _)| text),
    ];
    // One that prints as an integer comes back as one, as it does from kubectl.
    let float = any::<f64>()
        .prop_filter("JSON has it, as a float", |value| value.is_finite() && value.to_string().parse::<i64>().is_err());
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => float.prop_map(Value::from),
        6 => text.clone().prop_map(Value::from),
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
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn yaml_write_is_read_back(value in value()) {
        read_back(&json!({ "root": value }))?;
        if !value.is_null() {
            read_back(&value)?;
        }
    }
}
