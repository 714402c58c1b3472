//! What a scenario ends in, in a form that can be compared: objects and status files without times and own names.

use std::collections::BTreeMap;

use kube::api::ListParams;
use serde_json::{Value, json};

use crate::world::{CONFIGURATIONS, REPOSITORIES, World};

/// Objects (`<plural>/<name>`) and status files (path) to what they say.
pub(crate) type State = BTreeMap<String, Value>;

impl World {
    /// What was made for the targets whose name begins with `prefix`, with `N` in its place.
    pub(crate) async fn objects_of(&self, prefix: &str) -> State {
        let mut state = State::new();
        for (plural, api) in [("repositories", self.api(REPOSITORIES)), ("configurations", self.api(CONFIGURATIONS))] {
            for object in api.list(&ListParams::default()).await.expect("listed").items {
                let name = object.metadata.name.clone().expect("it has a name");
                if !name.contains(prefix) {
                    continue;
                }
                let said = json!({"labels": object.metadata.labels, "annotations": object.metadata.annotations,
                    "spec": object.data["spec"]});
                let said = serde_json::from_str(&anonymous(&said.to_string(), prefix)).expect("names stay JSON");
                state.insert(format!("{plural}/{}", name.replace(prefix, "N")), said);
            }
        }
        state
    }

    /// The status files of the targets whose name begins with `prefix`, with `N` in its place and without times.
    pub(crate) fn files_of(&self, prefix: &str) -> State {
        let files = self.status_files().into_iter();
        let own = files
            .filter(|(path, _)| path.strip_suffix(".yaml").is_some_and(|path| path.contains(&format!(".{prefix}"))));
        own.map(|(path, text)| (path.replace(prefix, "N"), timeless(&anonymous(&text, prefix)).into())).collect()
    }
}

fn anonymous(text: &str, prefix: &str) -> String {
    text.replace(prefix, "N")
}

/// Text with `T` in the place of every time.
pub(crate) fn timeless(text: &str) -> String {
    const DATE: &str = "0000-00-00";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = time_length(rest, DATE);
        if length > 0 {
            out.push('T');
            rest = &rest[length..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// Bytes of the time that `text` begins with, or 0.
fn time_length(text: &str, date: &str) -> usize {
    let fits = |c: char, like: char| if like == '0' { c.is_ascii_digit() } else { c == like };
    let is_date = text.chars().zip(date.chars()).filter(|(c, like)| fits(*c, *like)).count() == date.len();
    if !is_date {
        return 0;
    }
    let clock = |c: char| c.is_ascii_digit() || matches!(c, ':' | '.');
    let rest = &text[date.len()..];
    let Some(time) = rest.strip_prefix(['T', ' ']).filter(|time| time.starts_with(clock)) else { return date.len() };
    let length = time.find(|c| !clock(c)).unwrap_or(time.len());
    let zone = usize::from(time[length..].starts_with('Z'));
    date.len() + 1 + length + zone
}

#[test]
fn times_are_taken_out() {
    assert_eq!(timeless("since: 2026-11-21T02:00:00Z\nn: 2026-1"), "since: T\nn: 2026-1");
    assert_eq!(timeless("| 2026-11-21 02:00 | x |"), "| T | x |");
}
