//! Policies made to hurt: each is held at its place or refuses within its limits, and none of them changes what another
//! policy says.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use holdfast::expression::{Engine, Expression, Input};
use holdfast::model::finding::HeldCode;
use holdfast::model::policy::{Action, Judged, Labels, ROOTS};
use holdfast::policy::{Decision, Judge, Subject};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::policies::documents_of_shipped;
use super::random_expressions::expression;
use super::world::desired;

/// Nothing that one evaluation may cost takes as long, in a debug build on a machine with other work.
pub(super) const LONG: Duration = Duration::from_secs(20);

fn policy(variables: &[(&str, &str)], expression: &str, message: Option<&str>) -> Value {
    let variables: Vec<Value> =
        variables.iter().map(|(name, expression)| json!({"name": name, "expression": expression})).collect();
    let mut validation = json!({"expression": expression});
    if let Some(message) = message {
        validation["messageExpression"] = message.into();
    }
    json!({
        "apiVersion": "holdfast.dev/v1alpha1", "kind": "BackupPolicy", "metadata": {"name": "hostile"},
        "spec": {"match": {"kinds": ["BackupConfiguration"]}, "variables": variables, "validations": [validation]},
    })
}

fn object() -> Value {
    let steps: Vec<Value> = (0..10_000).map(|n| json!({"name": format!("step-{n}"), "at": n})).collect();
    json!({
        "kind": "BackupConfiguration", "metadata": {"name": "db", "namespace": "shop"},
        "few": (0..100).collect::<Vec<i64>>(), "steps": steps, "text": "a".repeat(20_000), "word": "step",
        "least": i64::MIN, "most": i64::MAX, "zero": 0, "none": null, "empty": {}, "real": 1.5,
    })
}

#[derive(Debug)]
enum Verdict {
    Held(String),
    Said(Vec<Decision>),
}

fn judged(policy: &Value, object: &Value) -> Verdict {
    let desired = desired(&[("policy.json", policy.to_string())]);
    if let Some(held) = desired.held.first() {
        assert_eq!(held.code, HeldCode::BadPolicy, "{}", held.message);
        assert_eq!(&*held.at.path, "policy.json");
        assert!(held.at.line >= 1 && held.at.column >= 1, "{:?}", held.at);
        assert!(desired.policies.is_empty(), "a part of it counts");
        return Verdict::Held(held.message.clone());
    }
    let judge = Judge::new(desired.policies.values(), Value::Null, Timestamp::UNIX_EPOCH);
    Verdict::Said(judge.judge(&subject(object)))
}

fn subject(object: &Value) -> Subject<'_> {
    static NONE: Labels = Labels::new();
    let kind = Judged::of("BackupConfiguration").unwrap();
    Subject { kind, namespace: "shop", labels: &NONE, object, others: &|_, _| Cow::Owned(Value::Null) }
}

fn timed(what: &str, policy: &Value, object: &Value) -> Verdict {
    let start = Instant::now();
    let verdict = judged(policy, object);
    let took = start.elapsed();
    let what: String = what.chars().take(200).collect();
    assert!(took < LONG, "{what} took {took:?}");
    verdict
}

/// Slips of the pen, and what the language has and policies do not.
const SLIPS: [&str; 68] = [
    "",
    " ",
    "\0",
    "object.\0",
    "'\0",
    "a\u{202e}b == 1",
    "объект == 1",
    "object.имя == 1",
    "😀",
    "1 +",
    "(",
    ")",
    "[",
    "{",
    "'",
    "\"\"\"",
    "true;",
    "true // && false\n)",
    "object..x",
    "object.x = 1",
    "if",
    "in",
    "null.null(",
    "object.size(",
    "1 1",
    "-",
    "!",
    "9223372036854775808 > 0",
    "-9223372036854775809 < 0",
    "0x",
    "1e",
    "1e999999 > 0.0 > 1",
    "0xffffffffffffffffff > 0",
    "'\\q' == ''",
    "'\\u12' == ''",
    "b'\\xff' == 1 +",
    "Foo{a: 1} == 1",
    "Foo{} == 1",
    "object{} == 1",
    "[1, 2",
    "{1: 2",
    "object.steps.all(x)",
    "object.steps.all(1, true)",
    "object.steps.all(x, y, z, true)",
    "has(object)",
    "has(1)",
    "has(object.a, object.b)",
    "unknown == 1",
    "variables.unknown == 1",
    "variables == 1",
    "object.format('x')",
    "optional.of(1).hasValue()",
    "lists.range(1000000).size() > 0",
    "type(1) == int",
    "dyn(1) == 1",
    "object.text.reverse() == ''",
    "object.steps.flatten().size() > 0",
    "math.greatest(1, 2) == 2",
    "object.text.matches(object.word)",
    "object.text.matches('a' + 'b')",
    "object.text.matches()",
    "object.text.matches('(')",
    "object.text.matches('(a{1000}){1000}')",
    "object.text.matches('(((a{100}){100}){100}){100}')",
    "object.text.findAll('\\\\pL{999}').size() > 0",
    "object.text.find('[') == ''",
    "object.few.all(a, object.few.all(b, object.few.all(c, true)))",
    "object.few.map(a, object.few.map(b, object.few.filter(c, true))).size() > 0",
];

/// Texts that are no expression: each is held.
fn texts_to_hold() -> Vec<String> {
    let repeat = |text: &str, count: usize| text.repeat(count);
    let mut texts = SLIPS.map(str::to_owned).to_vec();
    for count in [200, 500, 1000, 2000] {
        texts.extend([
            repeat("!", count) + "true",
            repeat("-", count) + "1",
            repeat("- ", count) + "1",
            repeat("(", count),
            repeat("(", count) + "true" + &repeat(")", count),
            repeat("[", count) + &repeat("]", count) + ".size() > 0",
            repeat("{1:", count) + "1" + &repeat("}", count) + ".size() > 0",
            repeat("true ? ", count) + "true" + &repeat(" : true", count),
            repeat("true ? true : ", count) + "true",
            "object".to_owned() + &repeat(".b", count * 2) + " == 1",
            "object".to_owned() + &repeat("[0]", count * 2) + " == 1",
            repeat("size(", count) + "object" + &repeat(")", count),
            repeat("1+", count * 2) + "1 > 0",
            repeat("a", count * 2),
        ]);
    }
    texts.extend(
        ["!!", "! \n!", "--", "- -", "!//\n!"].map(|signs| format!("{signs}(").repeat(31) + "true" + &")".repeat(31)),
    );
    texts.extend(["!!true", "!!false", "r'\\' != '' || !!(true)", "1 - -1 == 2", "--1 == 1"].map(str::to_owned));
    texts.push("'".to_owned() + &repeat("x", 100_000) + "' != ''");
    texts.push(repeat("true && ", 100_000) + "true");
    texts
}

#[test]
fn texts_that_are_no_expression_are_held_with_a_place() {
    for text in texts_to_hold() {
        let shown: String = text.chars().take(120).collect();
        match timed(&text, &policy(&[], &text, None), &json!({})) {
            Verdict::Held(message) => assert!(message.len() < 1000 && !message.contains('\n'), "{shown}: {message}"),
            Verdict::Said(said) => panic!("{shown} is taken for an expression: {said:?}"),
        }
        match timed(&text, &policy(&[("v", &text)], "variables.v == 1", None), &json!({})) {
            Verdict::Held(_) => {}
            Verdict::Said(said) => panic!("{shown} is taken for a variable: {said:?}"),
        }
    }
}

/// Expressions that fail, or cost too much, over [`object`]: each refuses.
const REFUSED: [&str; 65] = [
    "1 / object.zero == 1",
    "1 % object.zero == 1",
    "1.0 / 0.0 < 1",
    "object.least / -1 > 0",
    "-object.least == 0",
    "-object.least > 0",
    "object.most + 1 > 0 || false",
    "object.least - 1 < 0",
    "object.most * 2 > 0",
    "[object.most, 1].sum() < object.most",
    "[object.most, 1].sum() > 0",
    "object.few[100] == 1",
    "object.few[-1] == 1",
    "object.few['a'] == 1",
    "object.missing == 1",
    "object.missing != 1",
    "!object.missing",
    "object.none.field == 1",
    "object.none.field != 1",
    "!object.none.field",
    "!object.word.field",
    "object.word.field != 1",
    "!object.few.field",
    "!object.real.field",
    "object.empty.a.b == 1",
    "object.word > 1",
    "object.word + 1 == 'step1'",
    "object.word - 'p' == 'ste'",
    "object.none < 1",
    "object.few < 1",
    "object.empty < object.empty",
    "!object.word",
    "-object.word == 1",
    "object.word && true",
    "object.word ? true : false",
    "object.zero",
    "object.word",
    "object.few",
    "object.few.map(x, x)",
    "object.none",
    "now",
    "timestamp('not a time') == now",
    "timestamp('2026-13-01T00:00:00Z') == now",
    "timestamp('9999-12-31T23:59:59Z') + duration('2000000h') > now",
    "timestamp('0001-01-01T00:00:00Z') - duration('2000000h') < now",
    "duration('2562047h') + duration('2562047h') + duration('2562047h') + duration('2562047h') < duration('1h')",
    "duration('x') == duration('1s')",
    "int('9223372036854775808') > 0",
    "int(1e300) < 0",
    "int('x') == 1",
    "double('x') == 1.0",
    "quantity('x').isLessThan(quantity('1'))",
    "object.word.charAt(100) == ''",
    "object.word.substring(3, 1) == ''",
    "object.word.substring(-1) == ''",
    "object.few.join('') == object.few",
    "object.steps.all(a, object.steps.all(b, a != b || true))",
    "object.steps.map(a, object.steps.map(b, b)).size() > 0",
    "object.steps.distinct().size() > 0",
    "sets.equivalent(object.steps, object.steps)",
    "object.text.replace('', object.text).size() > 0",
    "object.text.split('').map(x, object.text).size() > 0",
    "object.text.replace('', 'xxxxxxxxxxxxxxxx').replace('', 'xxxxxxxxxxxxxxxx').size() > 0",
    "object.steps.map(x, object.text).join(object.text).size() > 0",
    "object.text.indexOf(object.text + 'b') == -1",
];

#[test]
fn what_fails_or_costs_too_much_refuses() {
    let object = object();
    for text in REFUSED {
        match timed(text, &policy(&[], text, Some("'never said'")), &object) {
            Verdict::Held(message) => panic!("{text} is held: {message}"),
            Verdict::Said(said) => {
                assert_eq!(said.len(), 1, "{text} lets it through");
                assert_eq!(said[0].action, Action::Deny, "{text}");
                let failed = said[0].message.contains("cannot be evaluated") || said[0].message == "never said";
                assert!(failed && said[0].message.chars().count() <= 501, "{text}: {}", said[0].message);
            }
        }
    }
}

/// What a variable cannot give decides only where it is needed, and nobody can ask whether it failed.
#[test]
fn a_variable_without_a_value_fails_what_needs_it() {
    let broken = [("broken", "object.missing + 1"), ("next", "variables.broken + 1")];
    let said = |expression: &str| match judged(&policy(&broken, expression, None), &json!({"a": 1})) {
        Verdict::Held(message) => vec![message],
        Verdict::Said(said) => said.into_iter().map(|decision| decision.message).collect(),
    };
    assert_eq!(said("object.a == 1 || variables.next == 2"), Vec::<String>::new());
    let needs = said("object.a == 1 && variables.next == 2");
    assert!(needs[0].ends_with("variable next: variable broken: there is no missing"), "{needs:?}");
    for asks in [
        "has(variables.broken) || true",
        "variables.?broken.orValue(1) == 1",
        "variables[?'broken'].hasValue() || true",
    ] {
        assert!(said(asks)[0].contains("a variable is always there"), "{asks}: {:?}", said(asks));
    }
}

/// Each step makes the text longer by a factor; some step is the last that is tried.
#[test]
fn chains_of_variables_that_double_end_within_the_budget() {
    for step in [
        "variables.X + variables.X",
        "variables.X.replace('a', 'aa')",
        "[variables.X, variables.X].join('')",
        "variables.X.replace('', 'a')",
    ] {
        let names: Vec<String> = (0..31).map(|index| format!("v{index}")).collect();
        let texts: Vec<String> = (0..31)
            .map(|index| if index == 0 { "'a'".to_owned() } else { step.replace('X', &names[index - 1]) })
            .collect();
        let variables: Vec<(&str, &str)> =
            names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
        match timed(step, &policy(&variables, "variables.v30.size() >= 0", None), &json!({})) {
            Verdict::Held(message) => panic!("{step}: {message}"),
            Verdict::Said(said) => assert!(said.len() == 1 && said[0].message.contains("units"), "{step}: {said:?}"),
        }
    }
}

#[test]
fn a_message_that_cannot_be_made_or_is_none_refuses_all_the_same() {
    let object = object();
    let cases = [
        "1",
        "''",
        "'  '",
        "object.missing",
        "null",
        "object.few",
        "object.text",
        "object.text + object.text",
        "object.steps.map(x, object.text).join(',')",
    ];
    for message in cases {
        let mut policy = policy(&[], "false", Some(message));
        policy["spec"]["validations"][0]["message"] = "the fixed one".into();
        let Verdict::Said(said) = timed(message, &policy, &object) else { panic!("{message} is held") };
        assert_eq!(said.len(), 1, "{message}");
        let text = &said[0].message;
        assert!(
            *text == "the fixed one" || (text.starts_with("aaaa") && text.chars().count() == 501),
            "{message}: {text}"
        );
    }
}

#[test]
fn what_is_deep_and_allowed_is_evaluated_within_the_stack_of_a_thread() {
    let engine = Engine::default();
    let object = (0..400).fold(json!({"b": true}), |inner, _| json!({"b": inner}));
    for unit in ["!", "-", "(", "[", "object.b", ".b", "[0]", "1+", "true ? true : ", "true && ", "size("] {
        for count in 1..400 {
            let text = match unit {
                "(" => "(".repeat(count) + "true" + &")".repeat(count),
                "[" => "[".repeat(count) + &"]".repeat(count),
                "size(" => "size(".repeat(count) + "object" + &")".repeat(count),
                ".b" | "[0]" => "object".to_owned() + &unit.repeat(count),
                "object.b" => "object.b.map(x, [x])".to_owned() + &".map(x, [x])".repeat(count),
                "1+" => unit.repeat(count) + "1",
                _ => unit.repeat(count) + "true",
            };
            let Ok(compiled) = Expression::compile(&text, &ROOTS, &std::collections::BTreeSet::new()) else { continue };
            let mut scope = engine.scope();
            scope.set("object", Input::Json(&object));
            drop(scope.evaluate(&compiled, &mut u64::MAX.clone()));
        }
    }
}

fn hostile() -> impl Strategy<Value = String> {
    let refused = REFUSED.map(str::to_owned);
    prop_oneof![proptest::sample::select(refused.to_vec()), expression()]
}

/// Any expression over what there is, sound or not.
/// Twelve honest policies and what they say of honest and of bad configurations.
fn honest() -> Vec<(String, String)> {
    let all = documents_of_shipped().into_iter().filter(|(_, policy)| policy["spec"].get("validations").is_some());
    let honest: Vec<(String, String)> =
        all.map(|(name, policy)| (format!("{name}.json"), policy.to_string())).collect();
    assert!(honest.len() >= 12, "{} policies", honest.len());
    honest
}

fn configurations() -> Vec<Value> {
    let mut objects = vec![object()];
    for (prune, schedule, user) in [(true, "20 2 * * *", 1000), (false, "0 0 * * *", 0), (true, "@midnight", 0)] {
        objects.push(json!({
            "kind": "BackupConfiguration", "metadata": {"name": "db", "namespace": "shop"},
            "spec": {
                "schedule": schedule, "retentionPolicy": {"keepDaily": 7, "prune": prune},
                "runtimeSettings": {"pod": {"securityContext": {"runAsUser": user}}},
            },
        }));
    }
    objects
}

/// Objects that differ a little: in a value, in whether a field is there, in what kind it is.
fn variants() -> Vec<Value> {
    let mut objects = Vec::new();
    for base in configurations().into_iter().skip(1) {
        for (pointer, value) in [
            ("", Value::Null),
            ("/spec", json!({})),
            ("/spec/schedule", json!(4)),
            ("/spec/retentionPolicy", Value::Null),
            ("/metadata", json!({"name": "other"})),
        ] {
            let mut object = base.clone();
            if let Some(place) = object.pointer_mut(pointer).filter(|_| !pointer.is_empty()) {
                *place = value;
            }
            objects.push(object);
        }
    }
    objects
}

fn said_by_all(files: &[(String, String)]) -> Vec<Decision> {
    let desired = desired(files);
    let judge = Judge::new(desired.policies.values(), Value::Null, Timestamp::UNIX_EPOCH);
    configurations().iter().flat_map(|object| judge.judge(&subject(object))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// What a judge remembers of one object is no answer about another.
    #[test]
    fn a_judge_that_has_seen_much_says_what_a_new_one_says(texts in proptest::collection::vec(hostile(), 1..4), order in proptest::collection::vec(any::<prop::sample::Index>(), 1..30)) {
        let mut files = honest();
        let mut other = policy(&[], "true", None);
        other["spec"]["validations"] = texts.iter().map(|text| json!({"expression": text})).collect();
        files.push(("other.json".to_owned(), other.to_string()));
        let (desired, objects) = (desired(&files), variants());
        let judge = || Judge::new(desired.policies.values(), Value::Null, Timestamp::UNIX_EPOCH);
        let old = judge();
        for index in order {
            let object = index.get(&objects);
            prop_assert_eq!(old.judge(&subject(object)), judge().judge(&subject(object)), "{}", object);
        }
    }

    #[test]
    fn a_hostile_policy_changes_nothing_that_others_say(texts in proptest::collection::vec(hostile(), 1..4), first in any::<bool>()) {
        let honest = honest();
        let alone = said_by_all(&honest);
        prop_assert!(alone.len() >= 5, "{:?}", alone);
        let mut hostile = policy(&[], "true", None);
        hostile["metadata"]["name"] = if first { "a-hostile" } else { "z-hostile" }.into();
        hostile["spec"]["validations"] = texts.iter().map(|text| json!({"expression": text, "messageExpression": text})).collect();
        let mut files = honest;
        files.push(("hostile.json".to_owned(), hostile.to_string()));
        let beside: Vec<Decision> = said_by_all(&files).into_iter().filter(|one| !one.policy.ends_with("hostile")).collect();
        prop_assert_eq!(alone, beside);
    }
}

/// Objects that differ only in what a rule does not read are judged once; those that differ in what it reads, each.
#[test]
fn what_is_not_read_is_not_looked_at_again() {
    let seen = json!({"spec": {"backend": {"s3": {"bucket": "a", "prefix": "1"}}, "list": [1]}, "aside": 1});
    let alike = json!({"spec": {"backend": {"s3": {"bucket": "a", "prefix": "2"}}, "list": [1]}, "aside": 2});
    let other = json!({"spec": {"backend": {"gcs": {"bucket": "a", "prefix": "2"}}, "list": [2]}, "aside": 1});
    let backend = ("backend", "object.spec.?backend.orValue({})");
    for (variables, expression) in [
        (vec![], "object.spec.?backend.?s3.?bucket.orValue('a') == 'a'"),
        (vec![], "object.spec.backend.all(field, field in ['s3', 'gcs'])"),
        (vec![], "'s3' in object.spec.backend || !has(object.spec.backend.s3)"),
        (vec![], "object.spec.list.all(item, item > 0)"),
        (vec![backend], "variables.backend.?s3.?bucket.orValue('a') == 'a'"),
        (vec![backend, ("s3", "variables.backend.?s3")], "variables.s3.?bucket.orValue('a') == 'a'"),
        (vec![backend], "variables.backend.all(field, field != 'b2')"),
        (vec![("there", "object.spec.backend.?s3.?bucket.hasValue()")], "variables.there || object.spec != null"),
    ] {
        let files = [("policy.json", policy(&variables, expression, Some("'it is ' + object.aside")).to_string())];
        let desired = desired(&files);
        let judge = Judge::new(desired.policies.values(), Value::Null, Timestamp::UNIX_EPOCH);
        let spent = |object: &Value| {
            assert_eq!(judge.judge(&subject(object)), [], "{expression} of {object}");
            judge.spent()["hostile"]
        };
        let first = spent(&seen);
        assert_eq!(spent(&alike), first, "{expression} looks at what it does not read");
        assert!(spent(&other) > first, "{expression} is not asked about what it reads");
    }
}

/// It spends what it has, refuses from then on, and the others do not notice.
#[test]
fn a_policy_spends_only_its_own_budget() {
    let mut greedy = policy(&[], "object.text.replace('a', 'b') != object.metadata.name", None);
    greedy["metadata"]["name"] = "greedy".into();
    let honest = r#"{"apiVersion":"holdfast.dev/v1alpha1","kind":"BackupPolicy","metadata":{"name":"honest"},
        "spec":{"match":{"kinds":["BackupConfiguration"]},"validations":[{"expression":"object.metadata.name != 'n7'"}]}}"#;
    let desired = desired(&[("greedy.json", greedy.to_string()), ("honest.json", honest.to_owned())]);
    let judge = Judge::new(desired.policies.values(), Value::Null, Timestamp::UNIX_EPOCH);
    let (mut log, text) = (String::new(), "a".repeat(20_000));
    for index in 0..3000 {
        let object = json!({"metadata": {"name": format!("n{index}")}, "text": text});
        for decision in judge.judge(&subject(&object)) {
            writeln!(log, "{index} {} {}", decision.policy, decision.message).unwrap();
        }
    }
    let of = |policy: &str| log.lines().filter(|line| line.split(' ').nth(1) == Some(policy)).count();
    assert_eq!(of("honest"), 1, "{log}");
    let spent = log.lines().filter(|line| line.contains("greedy") && line.contains("nothing is left")).count();
    assert!(spent > 0 && spent < 3000 && spent == of("greedy"), "{spent} of {}", of("greedy"));
}
