//! All files of the status branch for one pass. No file depends on `now` but through the time since which a condition holds.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use jiff::Timestamp;

use super::backup::World;
use super::history::{self, History, RotationRefused};
use super::memory::{
    Acknowledged, ClusterFile, ClusterName, Condition, Ended, Memory, SourceState, TargetMemory, whole_second,
};
use super::runs::Runs;
use super::target::{FOLDER_FILES_MAX, Gathered, State, TargetFile, is_failure};
use super::{findings, index, namespace, overview, table, target};
use crate::model::applied::Applied;
use crate::model::facts::Facts;
use crate::model::json::text;
use crate::model::object::{Kind, ObjectKey, TargetKey};
use crate::model::observed::{Live, Observed};
use crate::model::plan::{Plan, Protection, Standing};
use crate::model::withheld::Withheld;
use crate::plan::{is_paused, repository_of, target_of};
use crate::yaml;

/// Acknowledged digests that `cluster.yaml` remembers.
const ACKNOWLEDGED_MAX: usize = 100;

/// Path to bytes.
pub type Files = BTreeMap<String, Vec<u8>>;

/// One pass, and who speaks of it.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub cluster_name: &'a str,
    pub cluster_uid: &'a str,
    /// Version of the writer, not its name: another pod must not mean another file.
    pub writer: &'a str,
    pub source_url: &'a str,
    pub source_reference: &'a str,
    pub source_paths: &'a [String],
    pub time_zone: &'a str,
    pub plan: &'a Plan,
    pub applied: &'a Applied,
    /// Steps of the plan that were left out because they failed lately.
    pub withheld: &'a Withheld,
    pub observed: &'a Observed,
    /// Configurations and Repositories with their status.
    pub facts: &'a Facts,
    /// What became of sessions, also of those that are gone since the last commit.
    pub runs: &'a Runs,
    pub history: &'a History,
    /// Why the history could not be rotated, if that was tried just now.
    pub unrotated: Option<&'a RotationRefused>,
    pub now: Timestamp,
}

/// The files, and what the next report must remember.
pub fn files(input: &Input, memory: &Memory) -> (Files, Memory) {
    let gathered = gather(input);
    let world = World {
        observed: input.observed,
        facts: input.facts,
        marks: input.runs,
        runs: input.runs.by_configuration(),
        time_zone: input.time_zone,
        memory,
        now: input.now,
    };
    let mut by_namespace: BTreeMap<&str, usize> = BTreeMap::new();
    for key in gathered.keys() {
        *by_namespace.entry(&key.namespace).or_default() += 1;
    }
    let (mut files, mut next) = (Files::new(), Memory::default());
    let mut targets: Vec<(String, TargetFile)> = Vec::with_capacity(gathered.len());
    for (key, gathered) in &gathered {
        let fan_out = by_namespace.get(key.namespace.as_str()).is_some_and(|count| *count > FOLDER_FILES_MAX);
        let path = target::path(key, fan_out);
        let known = memory.targets.get(&path).map(|known| &known.conditions);
        let (mut file, ended) = target::file(key, gathered, &world, known);
        files.insert(path.clone(), target::fit(&mut file).into_bytes());
        next.remember(&path, &file);
        let told = |run| Ended { path: path.clone(), target: table::spoken(key), run };
        next.ended.extend(ended.into_iter().map(told));
        targets.push((path, file));
    }
    let cluster = cluster(input, &targets, memory.cluster.as_ref());
    let rows: Vec<index::Row> = targets.iter().map(|(path, file)| index::Row { path, file }).collect();
    let picture = overview::picture(&rows);
    let readme = index::readme(&cluster, input.plan, &rows, picture.is_some());
    files.insert("README.md".to_owned(), readme.into_bytes());
    if let Some(picture) = picture {
        files.insert(overview::FILE.to_owned(), picture.into_bytes());
    }
    for own in rows.chunk_by(|one, other| one.file.target.namespace == other.file.target.namespace) {
        let folder = target::folder(&own[0].file.target.namespace);
        files.insert(format!("{folder}/README.md"), namespace::readme(&folder, own).into_bytes());
    }
    files.insert("cluster.yaml".to_owned(), yaml::write(&cluster).into_bytes());
    files.insert("findings.yaml".to_owned(), findings::file(input.plan));
    next.cluster = Some(cluster);
    (files, next)
}

impl Memory {
    /// As it is read back from the file.
    fn remember(&mut self, path: &str, file: &TargetFile) {
        for backup in &file.backups {
            if let Some(configuration) = &backup.configuration {
                self.pasts.insert(configuration.clone(), backup.past.clone());
            }
        }
        let state = Some(file.state);
        self.targets.insert(path.to_owned(), TargetMemory { state, conditions: file.conditions.clone() });
    }
}

fn gather<'a>(input: &Input<'a>) -> BTreeMap<TargetKey, Gathered<'a>> {
    let mut gathered: BTreeMap<TargetKey, Gathered<'a>> = BTreeMap::new();
    let mut owner = BTreeMap::new();
    for protection in &input.plan.protections {
        gathered.entry(protection.target.clone()).or_default().protections.push(Cow::Borrowed(protection));
        for key in protection.configuration.iter().chain(&protection.repository) {
            owner.insert(key, &protection.target);
        }
    }
    for refusal in &input.plan.refusals {
        let target = refusal.target.as_ref().or_else(|| owner.get(refusal.object.as_ref()?).copied());
        if let Some(target) = target {
            gathered.entry(target.clone()).or_default().refusals.push(refusal);
        }
    }
    for (key, result) in input.applied.results().iter().chain(input.withheld.results()) {
        if let Some(target) = owner.get(key).filter(|_| is_failure(result)) {
            gathered.entry((*target).clone()).or_default().failures.push((key, result));
        }
    }
    let planned: BTreeSet<&ObjectKey> =
        input.plan.protections.iter().filter_map(|one| one.configuration.as_ref()).collect();
    let by_hand = input
        .observed
        .objects
        .iter()
        .filter(|(key, live)| key.kind == Kind::BackupConfiguration && !live.is_ours() && !planned.contains(key));
    for protection in by_hand.filter_map(|(key, live)| by_hand_protection(key, live)) {
        gathered.entry(protection.target.clone()).or_default().protections.push(Cow::Owned(protection));
    }
    gathered
}

/// A configuration that somebody made beside us protects its target as well as ours do.
fn by_hand_protection(key: &ObjectKey, live: &Live) -> Option<Protection> {
    let spec = live.spec();
    Some(Protection {
        target: target_of(key, &spec).filter(target::can_exist)?,
        blueprint: None,
        source: "cluster".to_owned(),
        configuration: Some(key.clone()),
        repository: repository_of(key, &spec),
        schedule: text(&spec, "schedule").map(str::to_owned),
        paused: is_paused(live),
        standing: Standing::Wanted,
    })
}

fn cluster(input: &Input, targets: &[(String, TargetFile)], known: Option<&ClusterFile>) -> ClusterFile {
    let count = |state: State| targets.iter().filter(|(_, file)| file.state == state).count();
    let plan = input.plan;
    let counts = [
        ("targets", targets.len()),
        ("succeeded", count(State::Succeeded)),
        ("failed", count(State::Failed)),
        ("overdue", count(State::Overdue)),
        ("running", count(State::Running)),
        ("waiting", count(State::Waiting)),
        ("paused", count(State::Paused)),
        ("held", plan.held.len()),
        ("refused", plan.refusals.len()),
        ("warnings", plan.warnings.len()),
        ("uncovered", plan.uncovered.len()),
    ];
    let mut acknowledged = known.map(|known| known.acknowledged.clone()).unwrap_or_default();
    for digest in &plan.acknowledged {
        if !acknowledged.iter().any(|one| one.digest == digest.as_str()) {
            let at = plan.revision.as_ref().map(ToString::to_string);
            acknowledged.push(Acknowledged { digest: digest.as_str().to_owned(), at });
        }
    }
    let surplus = acknowledged.len().saturating_sub(ACKNOWLEDGED_MAX);
    acknowledged.drain(..surplus);
    let source = source(input, known.map(|known| &known.source));
    let source_ready = Memory::since(known.map(|known| &known.conditions), source_ready(input));
    let unrotated = history::condition(input.unrotated, input.history, known, input.now);
    ClusterFile {
        api_version: "holdfast.dev/v1alpha1".to_owned(),
        kind: "ClusterStatus".to_owned(),
        schema: 1,
        cluster: ClusterName { name: input.cluster_name.to_owned(), uid: input.cluster_uid.to_owned() },
        writer: input.writer.to_owned(),
        conditions: iter::once(source_ready).chain(unrotated).collect(),
        source,
        history: Some(input.history.clone()),
        counts: counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        acknowledged,
    }
}

/// `seen` and `applied` name the commit at which the inputs last changed, so commits beside them change nothing.
fn source(input: &Input, known: Option<&SourceState>) -> SourceState {
    let inputs = input.plan.inputs.to_string();
    let here = input.plan.revision.as_ref().map(ToString::to_string);
    let same = known.filter(|known| known.inputs == inputs);
    let seen = same.and_then(|known| known.seen.clone()).or(here);
    let applied = if is_applied(input) { seen.clone() } else { known.and_then(|known| known.applied.clone()) };
    SourceState {
        url: input.source_url.to_owned(),
        reference: input.source_reference.to_owned(),
        paths: input.source_paths.to_vec(),
        inputs,
        seen,
        applied,
    }
}

/// Whether all that this commit asks for is so. A commit that was applied once may ask for more as targets come.
fn is_applied(input: &Input) -> bool {
    input.applied.complete() && input.withheld.is_empty()
}

fn source_ready(input: &Input) -> Condition {
    let (status, reason) = if !is_applied(input) {
        ("False", "ApplyFailed")
    } else if input.plan.held.is_empty() {
        ("True", "Applied")
    } else {
        ("True", "AppliedInPart")
    };
    Condition {
        kind: "SourceReady".to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: String::new(),
        since: whole_second(input.now),
    }
}
