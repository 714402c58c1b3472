//! One entry of a target's file: a backup, and how it goes.

use jiff::Timestamp;
use serde::Serialize;

use super::memory::Memory;
use super::past::{Known, Past, Present};
use super::runs::Runs;
use super::target::State;
use crate::cron::Schedule;
use crate::model::facts::{FactKey, FactKind, Facts};
use crate::model::object::ObjectKey;
use crate::model::observed::Observed;
use crate::model::plan::{Protection, Standing};
use crate::model::run::{Run, RunResult};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Backup {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blueprint: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run: Option<Timestamp>,
    #[serde(flatten)]
    pub past: Past,
    #[serde(skip)]
    pub paused: bool,
}

impl Backup {
    /// The worst that is said of it.
    pub(super) fn state(&self) -> State {
        let open = self.past.runs.iter().map(|run| run.result).find(|result| !result.has_ended());
        let open = open.map(|result| if result == RunResult::Running { State::Running } else { State::Waiting });
        let said = [
            self.past.failure().map(|_| State::Failed),
            self.past.overdue().map(|_| State::Overdue),
            open,
            self.paused.then_some(State::Paused),
        ];
        let ran = if self.past.condition(super::past::LAST_BACKUP_SUCCEEDED).is_some() {
            State::Succeeded
        } else {
            State::Waiting
        };
        // Nothing is waited for where nothing shall run.
        said.into_iter().flatten().min().unwrap_or(ran)
    }
}

/// All that backups are told from.
pub(super) struct World<'a> {
    pub observed: &'a Observed,
    pub facts: &'a Facts,
    pub marks: &'a Runs,
    pub runs: std::collections::BTreeMap<&'a str, Vec<&'a Run>>,
    pub time_zone: &'a str,
    pub memory: &'a Memory,
    pub now: Timestamp,
}

impl World<'_> {
    /// The entry, and the runs that ended since the branch was written.
    pub(super) fn backup(&self, protection: &Protection) -> (Backup, Vec<Run>) {
        let configuration = protection.configuration.as_ref().map(ObjectKey::short);
        let (past, ended) = match &configuration {
            Some(name) => self.past(name, protection),
            None => Default::default(),
        };
        let backup = Backup {
            blueprint: protection.blueprint.clone(),
            source: protection.source.clone(),
            repository: protection.repository.as_ref().map(ObjectKey::short),
            schedule: protection.schedule.clone(),
            next_run: self.next_run(protection, &past),
            paused: protection.paused,
            configuration,
            past,
        };
        (backup, ended)
    }

    fn past(&self, configuration: &str, protection: &Protection) -> (Past, Vec<Run>) {
        let none = Vec::new();
        let present = Present {
            runs: self.runs.get(configuration).unwrap_or(&none),
            marks: self.marks.marks(configuration),
            configuration: self.known(FactKind::BackupConfiguration, protection.configuration.as_ref()),
            repository: self.known(FactKind::Repository, protection.repository.as_ref()),
            sessions_complete: self.facts.is_complete(FactKind::BackupSession),
            now: self.now,
        };
        Past::next(self.memory.pasts.get(configuration), &present)
    }

    fn known(&self, kind: FactKind, key: Option<&ObjectKey>) -> Known {
        let fact = key.and_then(|key| self.facts.get(&FactKey::new(kind, &key.namespace, &key.name)));
        match fact {
            Some(fact) => Known::Found(fact.value()),
            None if self.facts.is_complete(kind) => Known::Missing,
            None => Known::Unknown,
        }
    }

    /// The first slot after the last run, or after the configuration came to be: in the past it was missed.
    fn next_run(&self, protection: &Protection, past: &Past) -> Option<Timestamp> {
        let live = self.observed.objects.get(protection.configuration.as_ref()?)?;
        let runs = match protection.standing {
            Standing::Wanted | Standing::Refused | Standing::Held => !protection.paused,
            Standing::Leaving => false,
        };
        let schedule = Schedule::parse(protection.schedule.as_deref()?).ok()?;
        let after = live.created.filter(|_| runs)?;
        schedule.next_after(past.last_run().map_or(after, |last| last.max(after)), self.time_zone, &live.uid)
    }
}
