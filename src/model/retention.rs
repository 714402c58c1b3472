//! Which changes of a retention policy would keep fewer snapshots.

use serde_json::Value;

const COUNTS: [&str; 6] = ["keepLast", "keepHourly", "keepDaily", "keepWeekly", "keepMonthly", "keepYearly"];

/// What the change from one `retentionPolicy` to another would give up, one phrase each; empty if nothing.
pub fn weakened(from: &Value, to: &Value) -> Vec<String> {
    if keeps_everything(to) && !pruned_more(from, to) {
        return Vec::new();
    }
    let mut lost = Vec::new();
    if keeps_everything(from) && !keeps_everything(to) {
        lost.push("the policy in force keeps everything".to_owned());
    }
    for field in COUNTS {
        let (before, after) = (count(from, field), count(to, field));
        if after < before {
            lost.push(format!("{field} {before} would become {after}"));
        }
    }
    for tag in tags(from).filter(|tag| !tags(to).any(|other| other == *tag)) {
        lost.push(format!("keepTags would lose {tag}"));
    }
    if pruned_more(from, to) {
        lost.push("removal of data would be switched on".to_owned());
    }
    if keeps_everything(to) {
        lost.retain(|phrase| phrase.starts_with("removal"));
    }
    lost
}

fn pruned_more(from: &Value, to: &Value) -> bool {
    let flag = |policy: &Value, field: &str| policy.get(field).and_then(Value::as_bool).unwrap_or(false);
    (!flag(from, "prune") && flag(to, "prune")) || (flag(from, "dryRun") && !flag(to, "dryRun"))
}

fn count(policy: &Value, field: &str) -> i64 {
    policy.get(field).and_then(Value::as_i64).unwrap_or(0).max(0)
}

fn tags(policy: &Value) -> impl Iterator<Item = &str> {
    policy.get("keepTags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// A policy without any rule removes nothing.
fn keeps_everything(policy: &Value) -> bool {
    COUNTS.iter().all(|field| count(policy, field) == 0) && tags(policy).next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_way_to_lose_snapshots_is_seen() {
        let from = json!({"name": "p", "keepLast": 5, "keepDaily": 14, "keepTags": ["a"], "prune": false});
        for to in [
            json!({"name": "p", "keepLast": 4, "keepDaily": 14, "keepTags": ["a"], "prune": false}),
            json!({"name": "p", "keepLast": 5, "keepTags": ["a"], "prune": false}),
            json!({"name": "p", "keepLast": 5, "keepDaily": 14, "prune": false}),
            json!({"name": "p", "keepLast": 5, "keepDaily": 14, "keepTags": ["a"], "prune": true}),
        ] {
            assert_eq!(weakened(&from, &to).len(), 1, "{to}");
        }
        assert_eq!(
            weakened(&json!({"name": "p", "prune": true}), &json!({"name": "p", "keepLast": 99, "prune": true})).len(),
            1
        );
        assert_eq!(
            weakened(&json!({"keepLast": 5, "dryRun": true, "prune": true}), &json!({"keepLast": 5, "prune": true}))
                .len(),
            1
        );
    }

    #[test]
    fn keeping_more_is_never_refused() {
        let from = json!({"name": "p", "keepLast": 5, "prune": true});
        for to in [
            json!({"name": "q", "keepLast": 6, "prune": true}),
            json!({"name": "p", "keepLast": 5, "keepDaily": 3, "prune": false}),
            json!({"name": "p", "prune": true}),
            from.clone(),
        ] {
            assert_eq!(weakened(&from, &to), Vec::<String>::new(), "{to}");
        }
    }
}
