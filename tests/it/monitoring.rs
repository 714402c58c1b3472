//! What `deploy/monitoring` asks Prometheus for exists, and every alert is explained and tried out.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&read(path)).unwrap()
}

fn items<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().into_iter().flatten()
}

/// Names of our series in an expression, as the reference has them: without the suffix of counters.
fn series(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let ours = words.filter(|word| word.starts_with("holdfast_"));
    ours.map(|word| word.strip_suffix("_total").unwrap_or(word).to_owned()).collect()
}

/// The names that `src/metrics` registers. The reference leaves out families that have no sample yet.
fn registered() -> BTreeSet<String> {
    let source = read("src/metrics/mod.rs");
    let calls = source.split("registry.register(").skip(1);
    calls.filter_map(|call| Some(format!("holdfast_{}", call.split('"').nth(1)?))).collect()
}

fn assert_known(expressions: &[String]) {
    let used: BTreeSet<String> = expressions.iter().flat_map(|expression| series(expression)).collect();
    assert!(used.len() >= 5, "{used:?}");
    let unknown: Vec<_> = used.difference(&registered()).cloned().collect();
    assert!(unknown.is_empty(), "not in src/metrics: {unknown:?}");
    let reference = read("docs/reference/metrics.md");
    let documented = used.iter().filter(|name| reference.contains(&format!("| `{name}` |"))).count();
    assert!(documented >= 5, "docs/reference/metrics.md knows {documented} of {used:?}");
}

fn alerts() -> Vec<Value> {
    let rules = yaml("deploy/monitoring/alerts.yaml");
    items(&rules, "groups").flat_map(|group| items(group, "rules")).cloned().collect()
}

#[test]
fn alerts_ask_for_series_that_exist() {
    let expressions: Vec<String> = alerts().iter().map(|alert| alert["expr"].as_str().unwrap().to_owned()).collect();
    assert_known(&expressions);
}

#[test]
fn alerts_are_tried_and_explained() {
    let tests = yaml("tests/data/monitoring/alerts.test.yaml");
    let tried: Vec<&Value> = items(&tests, "tests").flat_map(|test| items(test, "alert_rule_test")).collect();
    let guide = read("docs/guides/monitoring.md");
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let fires = |wanted: bool| {
            tried.iter().any(|case| case["alertname"] == name && items(case, "exp_alerts").next().is_some() == wanted)
        };
        assert!(fires(true) && fires(false), "{name} is not tried both ways");
        for annotation in ["summary", "description"] {
            assert!(alert["annotations"][annotation].is_string(), "{name} has no {annotation}");
        }
        let runbook = alert["annotations"]["runbook"].as_str().unwrap_or_default();
        assert_eq!(runbook, format!("docs/guides/monitoring.md#{}", name.to_lowercase()));
        assert!(guide.contains(&format!("\n### {name}\n")), "docs/guides/monitoring.md does not explain {name}");
    }
}

#[test]
fn dashboard_shows_series_that_exist() {
    let dashboard: Value = serde_json::from_str(&read("deploy/monitoring/dashboard.json")).unwrap();
    assert_eq!(dashboard["uid"], "holdfast");
    let mut expressions = Vec::new();
    for panel in items(&dashboard, "panels") {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
        for target in items(panel, "targets") {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel}");
            expressions.push(target["expr"].as_str().unwrap().to_owned());
        }
    }
    let variables = items(&dashboard["templating"], "list").map(|variable| &variable["name"]);
    assert!(variables.eq(["datasource", "job"].iter()));
    assert_known(&expressions);
}
