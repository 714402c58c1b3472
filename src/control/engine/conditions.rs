//! Conditions: the time of one moves only when what it says does.

use jiff::Timestamp;

use crate::api::condition::Condition;
use crate::api::field::Field;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    True,
    False,
    Unknown,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Verdict::True => "True",
            Verdict::False => "False",
            Verdict::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Verdict {
    fn from(value: bool) -> Self {
        if value { Verdict::True } else { Verdict::False }
    }
}

/// Adds or replaces the condition of a type.
pub fn set(conditions: &mut Vec<Condition>, kind: &str, verdict: Verdict, reason: &str, message: &str, now: Timestamp) {
    let text = |text: &str| Field::Value(text.to_owned());
    let new = Condition {
        r#type: text(kind),
        status: text(verdict.as_str()),
        reason: text(reason),
        message: text(message),
        last_transition_time: text(&time(now)),
        ..Condition::default()
    };
    match conditions.iter_mut().find(|known| is(known, kind)) {
        Some(known) => {
            let same = known.status == new.status && known.reason == new.reason && known.message == new.message;
            if !same {
                *known = new;
            }
        }
        None => conditions.push(new),
    }
}

pub fn remove(conditions: &mut Vec<Condition>, kind: &str) {
    conditions.retain(|condition| !is(condition, kind));
}

pub fn get<'c>(conditions: &'c [Condition], kind: &str) -> Option<&'c Condition> {
    conditions.iter().find(|condition| is(condition, kind))
}

pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    get(conditions, kind).is_some_and(|condition| condition.status.get().is_some_and(|status| status == "True"))
}

pub fn is_false(conditions: &[Condition], kind: &str) -> bool {
    get(conditions, kind).is_some_and(|condition| condition.status.get().is_some_and(|status| status == "False"))
}

fn is(condition: &Condition, kind: &str) -> bool {
    condition.r#type.get().is_some_and(|known| known == kind)
}

/// Kubernetes' times have whole seconds.
pub fn time(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}
