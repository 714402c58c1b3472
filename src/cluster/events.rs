//! Kubernetes Events on targets and objects: each thing is said once, and never many at a time.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use tokio::time::timeout;

use super::api::Handles;
use super::error::Failure;
use super::lease::WRITE_TIME_MAX;
use crate::model::names::{hash_hex, with_hash};

/// As long as the API server keeps an Event (one hour by default): until then the first one still says it.
const SAID_FOR: SignedDuration = SignedDuration::from_hours(1);
/// What is remembered as said; one entry takes some 60 bytes.
const SAID_MAX: usize = 8192;
/// Events that may go out at once, as client-go allows for one object.
const BURST: u32 = 25;
/// Time after which one more may go out: a cluster with ten thousand refusals gets 12 Events a minute.
const REFILL: SignedDuration = SignedDuration::from_secs(5);
/// Limits of the API.
const NOTE_BYTES_MAX: usize = 1024;
const INSTANCE_BYTES_MAX: usize = 128;
const NAME_BYTES_MAX: usize = 253;
const CONTROLLER: &str = "holdfast.dev/daemon";

/// What an Event is about. The UID is what `kubectl describe` finds it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub api_version: String,
    pub kind: String,
    /// Empty for a cluster-scoped object.
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Normal,
    Warning,
}

/// Sends Events of this process.
pub struct Events {
    handles: Handles,
    instance: String,
    said: Said,
}

impl Events {
    /// `instance` names this process, as [`super::lease::Leader::identity`] does.
    pub fn new(handles: &Handles, instance: &str) -> Self {
        Self { handles: handles.clone(), instance: cut(instance, INSTANCE_BYTES_MAX), said: Said::new() }
    }

    /// Sends an Event unless the same was said within the hour or too many were; true if it was sent.
    /// `reason` is a word in camel case, `action` what was done or refused.
    /// Events are a courtesy: one that cannot be sent is logged and may be tried again with the next pass.
    pub async fn emit(
        &mut self,
        now: Timestamp,
        about: &About,
        severity: Severity,
        action: &str,
        reason: &str,
        note: &str,
    ) -> bool {
        let key = hash_hex(&format!("{}\n{severity:?}\n{action}\n{reason}\n{note}", about.uid), 16);
        if !self.said.may(now, &key) {
            return false;
        }
        // The API wants Events about cluster-scoped objects here.
        let namespace = if about.namespace.is_empty() { "default" } else { &about.namespace };
        let event = Event {
            metadata: ObjectMeta {
                name: Some(with_hash(&about.name, &format!("{key} {now}"), NAME_BYTES_MAX)),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(now)),
            type_: Some(severity.as_str().to_owned()),
            action: Some(action.to_owned()),
            reason: Some(reason.to_owned()),
            note: Some(cut(note, NOTE_BYTES_MAX)),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            regarding: Some(reference(about)),
            ..Event::default()
        };
        let api = self.handles.events(namespace);
        match timeout(WRITE_TIME_MAX, api.create(&PostParams::default(), &event)).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => {
                tracing::debug!("{}", Failure::of_write(&error, "send an Event"));
                self.said.forget(&key);
                false
            }
            Err(_) => false,
        }
    }
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Severity::Normal => "Normal",
            Severity::Warning => "Warning",
        }
    }
}

fn reference(about: &About) -> ObjectReference {
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    ObjectReference {
        api_version: text(&about.api_version),
        kind: text(&about.kind),
        namespace: text(&about.namespace),
        name: text(&about.name),
        uid: text(&about.uid),
        ..ObjectReference::default()
    }
}

/// At most `bytes` of a text, ending at a character.
fn cut(text: &str, bytes: usize) -> String {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// What was said when, and how much more may be said now.
struct Said {
    times: BTreeMap<String, Timestamp>,
    tokens: u32,
    refilled: Option<Timestamp>,
}

impl Said {
    fn new() -> Self {
        Self { times: BTreeMap::new(), tokens: BURST, refilled: None }
    }

    /// Whether to say it, which counts as said from here on.
    fn may(&mut self, now: Timestamp, key: &str) -> bool {
        if self.times.get(key).is_some_and(|time| is_fresh(*time, now)) {
            return false;
        }
        self.refill(now);
        if self.tokens == 0 {
            return false;
        }
        self.tokens -= 1;
        if self.times.len() >= SAID_MAX {
            self.times.retain(|_, time| is_fresh(*time, now));
        }
        if self.times.len() >= SAID_MAX
            && let Some(oldest) = self.times.iter().min_by_key(|(_, time)| **time).map(|(key, _)| key.clone())
        {
            self.times.remove(&oldest);
        }
        self.times.insert(key.to_owned(), now);
        true
    }

    fn forget(&mut self, key: &str) {
        self.times.remove(key);
    }

    fn refill(&mut self, now: Timestamp) {
        // A clock that was set back must not silence us until it has caught up.
        let since = self.refilled.map_or(now, |since| since.min(now));
        self.refilled = Some(since);
        let more = now.duration_since(since).as_millis() / REFILL.as_millis();
        if more > 0 {
            self.tokens = u32::try_from(more).unwrap_or(BURST).saturating_add(self.tokens).min(BURST);
            self.refilled = Some(now);
        }
    }
}

/// What was said in the future was said by a clock that was wrong.
fn is_fresh(time: Timestamp, now: Timestamp) -> bool {
    time <= now && now.duration_since(time) < SAID_FOR
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_226_400 + seconds).unwrap()
    }

    #[test]
    fn the_same_is_said_once_an_hour() {
        let mut said = Said::new();
        assert!(said.may(at(0), "a"));
        assert!(!said.may(at(3599), "a"));
        assert!(said.may(at(3600), "a"));
        said.forget("a");
        assert!(said.may(at(3601), "a"));
    }

    #[test]
    fn a_flood_is_cut_and_memory_is_bounded() {
        let mut said = Said::new();
        let sent = (0..1000).filter(|index| said.may(at(0), &index.to_string())).count();
        assert_eq!(sent, BURST as usize);
        assert!(!said.may(at(4), "later"));
        assert!(said.may(at(5), "later"));
        assert!(!said.may(at(5), "one more"));
        for index in 0..i64::try_from(SAID_MAX).unwrap() + 100 {
            said.tokens = 1;
            said.may(at(10), &format!("key {index}"));
        }
        assert_eq!(said.times.len(), SAID_MAX);
    }

    #[test]
    fn a_clock_that_is_set_back_silences_nothing() {
        let mut said = Said::new();
        let sent = (0..1000).filter(|index| said.may(at(86_400), &index.to_string())).count();
        assert_eq!(sent, BURST as usize);
        assert!(!said.may(at(0), "a"));
        assert!(said.may(at(5), "a"));
        assert!(!said.may(at(10), "a"));
        assert!(said.may(at(10), "0"));
    }

    #[test]
    fn notes_are_cut_between_characters() {
        assert_eq!(cut("aä", 2), "a");
        assert_eq!(cut("aä", 3), "aä");
    }
}
