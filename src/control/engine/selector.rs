//! Kubernetes' label selectors.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::json::text;

/// An empty selector matches everything; one that cannot be read matches nothing and says why.
pub(super) fn matches(selector: &Value, labels: &BTreeMap<String, String>) -> Result<bool, String> {
    let wanted = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    for (key, value) in wanted {
        if labels.get(key).map(String::as_str) != value.as_str() {
            return Ok(false);
        }
    }
    let expressions = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    for expression in expressions {
        if !holds(expression, labels)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn holds(expression: &Value, labels: &BTreeMap<String, String>) -> Result<bool, String> {
    let key = text(expression, "key").ok_or("an expression has no key")?;
    let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
    let values: Vec<&str> = values.filter_map(Value::as_str).collect();
    let label = labels.get(key).map(String::as_str);
    match text(expression, "operator") {
        Some("In") => Ok(label.is_some_and(|label| values.contains(&label))),
        Some("NotIn") => Ok(!label.is_some_and(|label| values.contains(&label))),
        Some("Exists") => Ok(label.is_some()),
        Some("DoesNotExist") => Ok(label.is_none()),
        other => Err(format!("operator {:?} is none of In, NotIn, Exists, DoesNotExist", other.unwrap_or_default())),
    }
}

/// As the API server takes it in a request.
pub(super) fn to_query(selector: &Value) -> String {
    let labels = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let mut terms: Vec<String> = labels.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
    for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
        let key = text(expression, "key").unwrap_or_default();
        let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
        let values = values.filter_map(Value::as_str).collect::<Vec<_>>().join(",");
        terms.push(match text(expression, "operator") {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    terms.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_operator() {
        let labels = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
        let expression = |operator: &str, values: Value| json!({"matchExpressions": [{"key": "env", "operator": operator, "values": values}]});
        assert_eq!(matches(&json!({}), &labels), Ok(true));
        assert_eq!(matches(&json!({"matchLabels": {"env": "prod"}}), &labels), Ok(true));
        assert_eq!(matches(&json!({"matchLabels": {"env": "dev"}}), &labels), Ok(false));
        assert_eq!(matches(&expression("In", json!(["prod", "staging"])), &labels), Ok(true));
        assert_eq!(matches(&expression("NotIn", json!(["prod"])), &labels), Ok(false));
        assert_eq!(matches(&expression("Exists", json!([])), &labels), Ok(true));
        assert_eq!(matches(&expression("DoesNotExist", json!([])), &labels), Ok(false));
        assert!(matches(&expression("Gt", json!(["1"])), &labels).is_err());
        assert_eq!(to_query(&expression("In", json!(["a", "b"]))), "env in (a,b)");
    }
}
