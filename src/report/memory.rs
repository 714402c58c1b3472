//! What the status branch said before: since when a condition holds, and which source was seen and applied.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::history::{HISTORY_ROTATED, History};
use super::past::Past;
use super::target::State;
use crate::model::run::Run;
use crate::yaml::{self, Limits};

/// A condition as a status file carries it; `since` moves only when status or reason changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub reason: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    pub since: Timestamp,
}

/// `cluster.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterFile {
    pub api_version: String,
    pub kind: String,
    pub schema: u32,
    pub cluster: ClusterName,
    pub writer: String,
    pub source: SourceState,
    /// Absent in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    pub counts: BTreeMap<String, usize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acknowledged: Vec<Acknowledged>,
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterName {
    pub name: String,
    pub uid: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    pub url: String,
    #[serde(rename = "ref")]
    pub reference: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    pub inputs: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    pub digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

impl ClusterName {
    /// Who a `cluster.yaml` says it belongs to, also where the rest of it is from another version.
    pub fn of_file(bytes: &[u8]) -> Option<Self> {
        field(bytes, "cluster")
    }
}

const CLUSTER_FILE: &str = "cluster.yaml";

/// What earlier reports said, so that a report that finds nothing new gives the same bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    pub cluster: Option<ClusterFile>,
    /// By path of the target's file.
    pub targets: BTreeMap<String, TargetMemory>,
    /// By configuration, `namespace/name`: a file may move.
    pub pasts: BTreeMap<String, Past>,
    /// Runs that ended between the report before and this one; files do not tell.
    pub ended: Vec<Ended>,
}

/// What is remembered of a target as such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetMemory {
    /// Absent where the file is from another version.
    pub state: Option<State>,
    pub conditions: Vec<Condition>,
}

/// A run that ended, and where it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub path: String,
    /// `namespace/kind.name`.
    pub target: String,
    pub run: Run,
}

impl Memory {
    /// Whether `read` looks at this file.
    pub fn is_read_from(path: &str) -> bool {
        path == CLUSTER_FILE || is_target_file(path)
    }

    /// Reads it back from the files of the branch; a file that cannot be read counts as absent, since it is written anew.
    pub fn read<'f>(files: impl IntoIterator<Item = (&'f str, &'f [u8])>) -> Self {
        let mut memory = Self::default();
        for (path, bytes) in files {
            if path == CLUSTER_FILE {
                memory.cluster = ClusterFile::parse(bytes);
            } else if is_target_file(path) {
                memory.read_target(path, &parse(bytes).unwrap_or_default());
            }
        }
        memory
    }

    fn read_target(&mut self, path: &str, file: &Value) {
        let entries = file.get("backups").and_then(Value::as_array).into_iter().flatten();
        for entry in entries {
            if let Some(configuration) = entry.get("configuration").and_then(Value::as_str) {
                self.pasts.insert(configuration.to_owned(), Past::read(entry));
            }
        }
        let field = |name: &str| file.get(name).cloned();
        let conditions = field("conditions").and_then(|value| serde_json::from_value(value).ok());
        if let Some(conditions) = conditions {
            let state = field("state").and_then(|value| serde_json::from_value(value).ok());
            self.targets.insert(path.to_owned(), TargetMemory { state, conditions });
        }
    }

    /// The condition with the time since which it holds.
    pub(super) fn since(known: Option<&Vec<Condition>>, new: Condition) -> Condition {
        let same = known
            .into_iter()
            .flatten()
            .find(|old| old.kind == new.kind && old.status == new.status && old.reason == new.reason);
        match same {
            Some(old) => Condition { since: old.since, ..new },
            None => new,
        }
    }
}

impl ClusterFile {
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_value(parse(bytes)?).ok()
    }

    /// What the server refused of the last rotation, if it was refused.
    pub fn unrotated(&self) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == HISTORY_ROTATED)
    }
}

/// One field of a file whose other fields may be of another version.
pub(super) fn field<T: DeserializeOwned>(bytes: &[u8], name: &str) -> Option<T> {
    serde_json::from_value(parse(bytes)?.get(name)?.clone()).ok()
}

/// Status files have no parts of seconds.
pub(super) fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[expect(clippy::case_sensitive_file_extension_comparisons, reason = "we write these names, in lower case")]
pub(super) fn is_target_file(path: &str) -> bool {
    path.starts_with("targets/") && path.ends_with(".yaml")
}

fn parse(bytes: &[u8]) -> Option<Value> {
    let mut documents = yaml::parse(bytes, &Limits::default()).ok()?.into_iter();
    documents.next().map(|document| document.value)
}
