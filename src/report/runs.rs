//! Runs between two commits: a session may be deleted before the branch could say how it ended, and is not lost by that.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::days::{Days, Mark};
use crate::model::facts::{Fact, FactKey, FactKind, Facts};
use crate::model::json::text;
use crate::model::run::Run;

/// Runs of one configuration that are kept although their sessions are gone; of older ones their days are.
const GONE_MAX: usize = 20;
/// A slot further ahead is no slot that went by.
const CLOCKS_APART_MAX: SignedDuration = SignedDuration::from_hours(1);
/// Type of the condition that names a slot without a session, and its reason.
pub(super) const OVERDUE: &str = "BackupOverdue";
const SLOT_MISSED: &str = "SlotMissed";

/// What the sessions say, and what those said that are no more, until it is written.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    sessions: BTreeMap<FactKey, Known>,
    /// By configuration: slots that had no session, and days of runs that were too many to keep.
    marks: BTreeMap<String, Days>,
}

#[derive(Clone, Debug)]
struct Known {
    uid: String,
    resource_version: String,
    /// `namespace/name`, as the files of targets name it.
    configuration: String,
    run: Run,
    /// The branch says so.
    written: bool,
    gone: bool,
}

impl Runs {
    /// Takes in what the sessions say now. To be called whenever one has changed, since it may be gone the next time.
    pub fn note(&mut self, facts: &Facts, now: Timestamp) {
        for known in self.sessions.values_mut() {
            known.gone = true;
        }
        for (key, fact) in facts.of_kind(FactKind::BackupSession) {
            self.take(key, fact);
        }
        self.sessions.retain(|_, known| !known.gone || (known.run.result.has_ended() && !known.written));
        self.fold();
        for (key, fact) in facts.of_kind(FactKind::BackupConfiguration).filter(|(_, fact)| fact.mentions(SLOT_MISSED)) {
            let slot = overdue(&fact.value()).and_then(missed_slot);
            let gone_by = |slot: &Timestamp| *slot <= now.saturating_add(CLOCKS_APART_MAX).unwrap_or(now);
            if let Some(slot) = slot.filter(gone_by) {
                mark(&mut self.marks, &format!("{}/{}", key.namespace, key.name), slot, Mark::Missed);
            }
        }
    }

    fn take(&mut self, key: &FactKey, fact: &Fact) {
        let known = self.sessions.get_mut(key).filter(|known| known.uid == fact.uid);
        let same = known.filter(|known| known.resource_version == fact.resource_version && !fact.uid.is_empty());
        if let Some(same) = same {
            same.gone = false;
            return;
        }
        let Some((configuration, run)) = Run::of_session(key, fact) else {
            self.sessions.remove(key);
            return;
        };
        let written = self.sessions.get(key).is_some_and(|known| known.written && known.run == run);
        let configuration = format!("{}/{configuration}", key.namespace);
        let (uid, resource_version) = (fact.uid.clone(), fact.resource_version.clone());
        self.sessions.insert(key.clone(), Known { uid, resource_version, configuration, run, written, gone: false });
    }

    /// Of what is gone, a few runs of each configuration and their days are enough.
    fn fold(&mut self) {
        let mut gone: BTreeMap<&str, Vec<(Timestamp, &FactKey)>> = BTreeMap::new();
        for (key, known) in self.sessions.iter().filter(|(_, known)| known.gone) {
            gone.entry(&known.configuration).or_default().push((known.run.at, key));
        }
        let mut surplus = Vec::new();
        for of_one in gone.values_mut().filter(|of_one| of_one.len() > GONE_MAX) {
            of_one.sort_unstable();
            let count = of_one.len() - GONE_MAX;
            surplus.extend(of_one.iter().take(count).map(|(_, key)| (*key).clone()));
        }
        for key in surplus {
            if let Some(known) = self.sessions.remove(&key)
                && let Some(result) = Mark::of(known.run.result)
            {
                mark(&mut self.marks, &known.configuration, known.run.at, result);
            }
        }
    }

    /// The branch says what `report` says: what is gone of that may be forgotten.
    pub fn written(&mut self, report: &Runs) {
        self.sessions.retain(|key, known| {
            known.written |= report.sessions.get(key).is_some_and(|written| written.run == known.run);
            !(known.gone && known.written)
        });
        self.marks.retain(|configuration, days| report.marks.get(configuration) != Some(days));
    }

    /// Runs by configuration.
    pub(super) fn by_configuration(&self) -> BTreeMap<&str, Vec<&Run>> {
        let mut all: BTreeMap<&str, Vec<&Run>> = BTreeMap::new();
        for known in self.sessions.values() {
            all.entry(&known.configuration).or_default().push(&known.run);
        }
        all
    }

    pub(super) fn marks(&self, configuration: &str) -> Option<&Days> {
        self.marks.get(configuration)
    }
}

fn mark(marks: &mut BTreeMap<String, Days>, configuration: &str, at: Timestamp, mark: Mark) {
    match marks.get_mut(configuration) {
        Some(days) => days.mark(at, mark),
        None => {
            marks.insert(configuration.to_owned(), Days::new(at, mark));
        }
    }
}

/// The condition of a configuration that says that a slot went by without a session.
pub(super) fn overdue(configuration: &Value) -> Option<&Value> {
    let conditions = configuration.pointer("/status/conditions")?.as_array()?;
    conditions
        .iter()
        .find(|condition| text(condition, "type") == Some(OVERDUE) && text(condition, "status") == Some("True"))
}

/// `slot <time> missed: …`.
pub(super) fn missed_slot(overdue: &Value) -> Option<Timestamp> {
    let (slot, _) = text(overdue, "message")?.strip_prefix("slot ")?.split_once(' ')?;
    slot.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn session(number: i64, phase: &str) -> Value {
        let slot = 1_795_226_400 + 900 * number;
        json!({
            "apiVersion": "stash.appscode.com/v1beta1", "kind": "BackupSession",
            "metadata": {"namespace": "shop", "name": format!("web-{slot}"), "uid": format!("u{number}"),
                "resourceVersion": format!("{phase}{number}"), "creationTimestamp": Timestamp::from_second(slot).unwrap().to_string()},
            "spec": {"invoker": {"kind": "BackupConfiguration", "name": "web"}},
            "status": {"phase": phase, "sessionDuration": "5s"},
        })
    }

    fn facts(sessions: &[Value]) -> Facts {
        let mut facts = Facts::default();
        for session in sessions {
            facts.upsert(session);
        }
        facts
    }

    fn names(runs: &Runs) -> Vec<&str> {
        runs.by_configuration().values().flatten().map(|run| run.session.as_str()).collect()
    }

    #[test]
    fn a_run_whose_session_is_gone_stays_until_it_is_written() {
        let now = Timestamp::from_second(1_795_300_000).unwrap();
        let mut runs = Runs::default();
        runs.note(&facts(&[session(0, "Failed"), session(1, "Running")]), now);
        runs.note(&facts(&[session(2, "Succeeded")]), now);
        assert_eq!(names(&runs), ["web-1795226400", "web-1795228200"], "what was only under way is gone");
        let report = runs.clone();
        runs.note(&facts(&[session(3, "Failed")]), now);
        runs.written(&report);
        runs.note(&facts(&[session(3, "Failed")]), now);
        assert_eq!(names(&runs), ["web-1795229100"]);
        runs.note(&facts(&[]), now);
        assert_eq!(names(&runs), ["web-1795229100"], "it came during the push");
    }

    #[test]
    fn of_too_many_their_days_are_left() {
        let now = Timestamp::from_second(1_795_300_000).unwrap();
        let mut runs = Runs::default();
        for number in 0..300 {
            runs.note(&facts(&[session(number, if number == 3 { "Failed" } else { "Succeeded" })]), now);
        }
        assert_eq!(names(&runs).len(), GONE_MAX + 1);
        let days = serde_json::to_value(runs.marks("shop/web").unwrap()).unwrap();
        assert_eq!(days, json!({"lastDay": "2026-11-23", "days": "fss"}), "the newest are kept as runs");
        runs.written(&runs.clone());
        assert!(runs.marks("shop/web").is_none());
    }

    #[test]
    fn a_missed_slot_marks_its_day() {
        let overdue = |message: &str| {
            let conditions =
                json!([{"type": "BackupOverdue", "status": "True", "reason": "SlotMissed", "message": message}]);
            let configuration = json!({"apiVersion": "stash.appscode.com/v1beta1", "kind": "BackupConfiguration",
                "metadata": {"namespace": "shop", "name": "web"}, "status": {"conditions": conditions}});
            let mut runs = Runs::default();
            runs.note(&facts(&[configuration]), "2026-11-21T02:10:00Z".parse().unwrap());
            runs.marks("shop/web").map(|days| serde_json::to_value(days).unwrap()["days"].clone())
        };
        assert_eq!(overdue("slot 2026-11-21T02:00:00Z missed: no session"), Some(json!("m")));
        assert_eq!(overdue("slot 2031-11-21T02:00:00Z missed: no session"), None, "it did not go by");
        assert_eq!(overdue("late"), None);
    }
}
