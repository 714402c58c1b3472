//! Expressions thrown together at random: each ends in time, with a value or a reason, and says the same when asked again or
//! given only what it reads.

use std::collections::BTreeSet;
use std::time::Instant;

use holdfast::expression::{COST_MAX, Cel, Engine, Expression, Failure, Input, function_names, text_of};
use holdfast::model::policy::ROOTS;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::policy_hostile::LONG;

const LEAVES: [&str; 34] = [
    "object",
    "now",
    "target",
    "object.few",
    "object.steps",
    "object.text",
    "object.word",
    "object.least",
    "object.most",
    "object.real",
    "object.none",
    "x",
    "1",
    "0",
    "-1",
    "1.5",
    "''",
    "'a'",
    "true",
    "null",
    "[]",
    "{}",
    "'2026-01-01T00:00:00Z'",
    "'1h'",
    "'1Gi'",
    "b'a'",
    "object.?a",
    "object[?'few']",
    "has(object.few)",
    "has(object.text)",
    "has(object.a)",
    "object.inner",
    "object.inner.deep",
    "object.inner.?deep",
];

pub(super) fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        proptest::sample::select(LEAVES.map(str::to_owned).to_vec()),
        any::<i64>().prop_map(|number| number.to_string()),
        "[ -~]{0,6}".prop_map(|text| format!("'{}'", text.replace(['\\', '\''], ""))),
    ];
    let functions: Vec<&str> = function_names().collect();
    let operators = ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in"];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        let call = (
            inner.clone(),
            proptest::sample::select(functions.clone()),
            proptest::collection::vec(inner.clone(), 0..3),
        );
        let macros = proptest::sample::select(vec!["all", "exists", "exists_one", "filter", "map"]);
        prop_oneof![
            call.clone().prop_map(|(on, name, arguments)| format!("({on}).{name}({})", arguments.join(", "))),
            call.prop_map(|(on, name, mut arguments)| {
                arguments.insert(0, on);
                format!("{name}({})", arguments.join(", "))
            }),
            (inner.clone(), proptest::sample::select(operators.to_vec()), inner.clone())
                .prop_map(|(a, o, b)| format!("({a} {o} {b})")),
            (inner.clone(), macros, inner.clone()).prop_map(|(on, name, of)| format!("({on}).{name}(x, {of})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{{a}: {b}}}")),
            inner.clone().prop_map(|a| format!("!({a})")),
            inner.clone().prop_map(|a| format!("-({a})")),
            inner.prop_map(|a| format!("({a}).?few.orValue([])")),
        ]
    })
}

fn evaluated(expression: &Expression, object: &Value, budget: &mut u64) -> Result<Cel, Failure> {
    let engine = Engine::default();
    let mut scope = engine.scope();
    for root in ROOTS {
        scope.set(root, Input::Json(&Value::Null));
    }
    scope.set("object", Input::Json(object));
    scope.set("now", Input::Time(Timestamp::UNIX_EPOCH));
    scope.evaluate(expression, budget)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    /// In a debug build, in a test's thread of 2 MiB.
    #[test]
    fn any_expression_ends_without_a_panic_and_in_time(text in expression(), numbers in proptest::collection::vec(any::<i64>(), 0..30), word in ".{0,40}") {
        let Ok(compiled) = Expression::compile(&text, &ROOTS, &BTreeSet::new()) else { return Ok(()) };
        let object = json!({
            "few": numbers, "text": word.repeat(20), "word": word, "steps": [{"name": "a"}, {"name": "b"}], "least": i64::MIN,
            "most": i64::MAX, "real": 1.5, "none": null, "inner": {"deep": {"few": 1}, "few": [2]}, "aside": "nobody reads this",
        });
        let start = Instant::now();
        let mut budget = COST_MAX;
        let result = evaluated(&compiled, &object, &mut budget);
        match &result {
            Ok(_) => prop_assert!(budget < COST_MAX, "it cost nothing"),
            Err(failure @ (Failure::Failed(_) | Failure::TooCostly(_) | Failure::Spent)) => prop_assert!(!failure.spoken().is_empty()),
        }
        prop_assert_eq!(format!("{result:?}").len(), format!("{:?}", evaluated(&compiled, &object, &mut COST_MAX.clone())).len());
        let read = compiled.reads().get("object").map_or(Value::Null, |part| part.of(&object).to_json());
        let of_part = evaluated(&compiled, &read, &mut COST_MAX.clone());
        match (&result, &of_part) {
            // What is not equal to itself is no number.
            (Ok(whole), Ok(part)) => prop_assert!(whole == part || whole != whole, "{} is {:?} and {:?} of {}", text, whole, part, read),
            (Err(Failure::Failed(whole)), Err(Failure::Failed(part))) => prop_assert_eq!(whole, part),
            // With less to copy it costs less.
            (Err(Failure::TooCostly(_) | Failure::Spent), _) => {}
            _ => prop_assert!(false, "{} is {:?} of all and {:?} of {}", text, result, of_part, read),
        }
        prop_assert!(start.elapsed() < LONG, "{} took {:?}", text, start.elapsed());
    }
}

/// A list of anything else would be written out with its maps in another order each time.
#[test]
fn only_text_is_joined() {
    let object = json!({"words": ["a", "b"], "mixed": ["a", {"x": 1, "y": 2}]});
    let result = |text: &str| {
        evaluated(&Expression::compile(text, &ROOTS, &BTreeSet::new()).unwrap(), &object, &mut COST_MAX.clone())
    };
    assert_eq!(text_of(&result("object.words.join()").unwrap()), Some("ab"));
    assert_eq!(text_of(&result("object.words.join(', ')").unwrap()), Some("a, b"));
    for text in ["object.mixed.join(', ')", "object.words.join(1)"] {
        assert!(matches!(result(text), Err(Failure::Failed(_))), "{text}");
    }
}

/// What is said twice of one object is the same, or the findings of every pass would differ.
#[test]
fn the_keys_of_a_map_come_in_order() {
    let object = json!({"fields": {"s3": 1, "gcs": 2, "azure": 3, "b2": 4, "local": 5, "rest": 6, "swift": 7}});
    let text = "object.fields.filter(field, field != 'b2').map(field, field + '!').join(' ')";
    let compiled = Expression::compile(text, &ROOTS, &BTreeSet::new()).unwrap();
    for _ in 0..20 {
        let result = evaluated(&compiled, &object, &mut COST_MAX.clone()).unwrap();
        assert_eq!(text_of(&result), Some("azure! gcs! local! rest! s3! swift!"));
    }
}
