//! What a `BackupConfiguration` or a `RestoreSession` asks of the engine, parsed once: what is wrong has the name of its field.

use jiff::SignedDuration;
use serde_json::Value;

use super::step::RetentionRules;
use crate::api::backup_configuration::BackupConfigurationSpec;
use crate::api::claim::ClaimTemplate;
use crate::api::field::Field;
use crate::api::hooks::{BackupHooks, RestoreHooks};
use crate::api::metadata::Metadata;
use crate::api::reference::ObjectReference;
use crate::api::restore_session::RestoreSessionSpec;
use crate::api::retention::{RetentionPolicy, RetryConfig};
use crate::api::runtime::{RuntimeSettings, TempDir};
use crate::api::target::TargetRef;
use crate::api::task::TaskRef;
use crate::api::{BackupConfiguration, RestoreSession};
use crate::cron::{self, Schedule};

/// Finished sessions that are kept when nothing else is said, as in Stash.
const HISTORY_LIMIT: u32 = 1;
/// Longer lists are no description of one target. As for annotations.
const ENTRIES_MAX: usize = 100;

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct BadField {
    pub field: &'static str,
    pub message: String,
}

fn bad<T>(field: &'static str, message: impl Into<String>) -> Result<T, BadField> {
    Err(BadField { field, message: message.into() })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    Restic,
    VolumeSnapshotter,
}

/// An object by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    pub namespace: String,
    pub name: String,
}

/// A target with its namespace filled in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    pub api_version: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

impl Target {
    /// `Kind namespace/name`, as sentences name it.
    pub fn spoken(&self) -> String {
        format!("{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// What pods of a run are made of, be it a backup or a restore.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// None where the Task alone says what is backed up.
    pub target: Option<Target>,
    /// In place of `host` in the names of hosts.
    pub alias: Option<String>,
    pub paths: Vec<String>,
    /// As in a container.
    pub mounts: Vec<Value>,
    pub exclude: Vec<String>,
    pub args: Vec<String>,
    pub task: Option<String>,
    /// In their order; the last of a name counts.
    pub params: Vec<(String, String)>,
    pub runtime: RuntimeSettings,
    pub scratch: TempDir,
    pub interim: Option<ClaimTemplate>,
    pub snapshot_class: Option<String>,
    pub has_hooks: bool,
}

/// Where the data of a claim is mounted when nobody says where.
pub const DATA_FOLDER: &str = "/stash-data";

impl Member {
    pub fn paths_or_default(&self) -> Vec<String> {
        if self.paths.is_empty() { vec![DATA_FOLDER.to_owned()] } else { self.paths.clone() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    pub max: u32,
    pub delay: SignedDuration,
}

/// A sound `BackupConfiguration`.
#[derive(Clone, Debug, PartialEq)]
pub struct Invoker {
    pub name: Named,
    pub uid: String,
    pub driver: Driver,
    pub repository: Option<Named>,
    pub member: Member,
    pub schedule: Option<Schedule>,
    pub retention: RetentionRules,
    pub paused: bool,
    pub history_limit: u32,
    pub time_out: Option<SignedDuration>,
    pub retry: Option<Retry>,
}

/// A sound `RestoreSession`.
#[derive(Clone, Debug, PartialEq)]
pub struct Restore {
    pub name: Named,
    pub uid: String,
    pub driver: Driver,
    pub repository: Option<Named>,
    pub member: Member,
    pub rules: Vec<Rule>,
    pub replicas: Option<u32>,
    pub claims: Vec<ClaimTemplate>,
    pub time_out: Option<SignedDuration>,
}

/// Which data a host gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// None: all hosts that no other rule names.
    pub hosts: Vec<String>,
    /// None: the host's own.
    pub source: Option<String>,
    pub snapshots: Vec<String>,
    pub paths: Vec<String>,
    pub include: Vec<String>,
    pub exclude: Vec<String>,
}

impl Invoker {
    pub fn parse(object: &BackupConfiguration) -> Result<Self, BadField> {
        let (name, uid) = identity(&object.metadata);
        let none = BackupConfigurationSpec::default();
        let spec = object.spec.get().unwrap_or(&none);
        let target = spec.target.get();
        let schedule = match texted(&spec.schedule) {
            Some(text) => match Schedule::parse(&text) {
                Ok(schedule) => Some(schedule),
                Err(error) => return bad("spec.schedule", error.to_string()),
            },
            None => None,
        };
        let driver = driver(&spec.driver)?;
        Ok(Self {
            repository: repository(&spec.repository, &name, driver)?,
            member: Member {
                target: target_of(target.and_then(|target| target.r#ref.get()), &name)?,
                alias: target.and_then(|target| texted(&target.alias)),
                paths: absolute("spec.target.paths", target.and_then(|target| target.paths.get()))?,
                mounts: few("spec.target.volumeMounts", target.and_then(|target| target.volume_mounts.get()))?,
                exclude: few("spec.target.exclude", target.and_then(|target| target.exclude.get()))?,
                args: few("spec.target.args", target.and_then(|target| target.args.get()))?,
                task: task_of(&spec.task),
                params: params_of(&spec.task),
                runtime: spec.runtime_settings.get().cloned().unwrap_or_default(),
                scratch: spec.temp_dir.get().cloned().unwrap_or_default(),
                interim: interim(&spec.interim_volume_template)?,
                snapshot_class: target.and_then(|target| texted(&target.snapshot_class_name)),
                has_hooks: spec.hooks.get().is_some_and(|hooks| *hooks != BackupHooks::default()),
            },
            schedule,
            retention: retention(spec.retention_policy.get())?,
            paused: spec.paused.get().copied().unwrap_or(false),
            history_limit: count("spec.backupHistoryLimit", spec.backup_history_limit.get(), HISTORY_LIMIT)?,
            time_out: duration("spec.timeOut", &spec.time_out)?,
            retry: spec.retry_config.get().map(retry).transpose()?,
            driver,
            name,
            uid,
        })
    }
}

impl Restore {
    pub fn parse(object: &RestoreSession) -> Result<Self, BadField> {
        let (name, uid) = identity(&object.metadata);
        let none = RestoreSessionSpec::default();
        let spec = object.spec.get().unwrap_or(&none);
        let target = spec.target.get();
        let claims =
            few("spec.target.volumeClaimTemplates", target.and_then(|target| target.volume_claim_templates.get()))?;
        // The older place of the rules counts where the newer is empty.
        let rules = target.and_then(|target| target.rules.get()).filter(|rules| !rules.is_empty());
        let rules = rules.or_else(|| spec.rules.get()).map(Vec::as_slice).unwrap_or_default();
        let driver = driver(&spec.driver)?;
        Ok(Self {
            repository: repository(&spec.repository, &name, driver)?,
            member: Member {
                target: target_of(target.and_then(|target| target.r#ref.get()), &name)?,
                alias: target.and_then(|target| texted(&target.alias)),
                paths: Vec::new(),
                mounts: few("spec.target.volumeMounts", target.and_then(|target| target.volume_mounts.get()))?,
                exclude: Vec::new(),
                args: few("spec.target.args", target.and_then(|target| target.args.get()))?,
                task: task_of(&spec.task),
                params: params_of(&spec.task),
                runtime: spec.runtime_settings.get().cloned().unwrap_or_default(),
                scratch: spec.temp_dir.get().cloned().unwrap_or_default(),
                interim: interim(&spec.interim_volume_template)?,
                snapshot_class: None,
                has_hooks: spec.hooks.get().is_some_and(|hooks| *hooks != RestoreHooks::default()),
            },
            rules: sound_rules(rules)?,
            replicas: target
                .and_then(|target| target.replicas.get())
                .map(|replicas| count("spec.target.replicas", Some(replicas), 1))
                .transpose()?,
            claims,
            time_out: duration("spec.timeOut", &spec.time_out)?,
            driver,
            name,
            uid,
        })
    }

    /// The rule of a host: the first that names it, else the one that names none.
    pub fn rule_of(&self, host: &str) -> Option<&Rule> {
        let named = self.rules.iter().find(|rule| rule.hosts.iter().any(|named| named == host));
        named.or_else(|| self.rules.iter().find(|rule| rule.hosts.is_empty()))
    }
}

fn identity(metadata: &Field<Metadata>) -> (Named, String) {
    let text = |pick: fn(&Metadata) -> &Field<String>| {
        metadata.get().and_then(|metadata| pick(metadata).get()).cloned().unwrap_or_default()
    };
    let name = Named { namespace: text(|metadata| &metadata.namespace), name: text(|metadata| &metadata.name) };
    (name, text(|metadata| &metadata.uid))
}

/// Clients of Go write empty texts for absent ones.
fn texted(field: &Field<String>) -> Option<String> {
    field.get().filter(|text| !text.is_empty()).cloned()
}

fn driver(field: &Field<String>) -> Result<Driver, BadField> {
    match texted(field).as_deref() {
        None | Some("Restic") => Ok(Driver::Restic),
        Some("VolumeSnapshotter") => Ok(Driver::VolumeSnapshotter),
        Some(other) => bad("spec.driver", format!("{other:?} is none; write Restic or VolumeSnapshotter")),
    }
}

fn repository(field: &Field<ObjectReference>, own: &Named, driver: Driver) -> Result<Option<Named>, BadField> {
    let named = field.get().and_then(|reference| {
        let namespace = texted(&reference.namespace).unwrap_or_else(|| own.namespace.clone());
        Some(Named { namespace, name: texted(&reference.name)? })
    });
    match (named, driver) {
        (None, Driver::Restic) => bad("spec.repository.name", "is missing; name a Repository"),
        (named, _) => Ok(named),
    }
}

fn target_of(reference: Option<&TargetRef>, own: &Named) -> Result<Option<Target>, BadField> {
    let Some(reference) = reference else { return Ok(None) };
    let (Some(kind), Some(name)) = (texted(&reference.kind), texted(&reference.name)) else { return Ok(None) };
    let Some(api_version) = texted(&reference.api_version) else {
        return bad("spec.target.ref.apiVersion", format!("is missing; {kind} may be of any group"));
    };
    let namespace = texted(&reference.namespace).unwrap_or_else(|| own.namespace.clone());
    Ok(Some(Target { api_version, kind, namespace, name }))
}

fn task_of(task: &Field<TaskRef>) -> Option<String> {
    task.get().and_then(|task| texted(&task.name))
}

fn params_of(task: &Field<TaskRef>) -> Vec<(String, String)> {
    let params = task.get().and_then(|task| task.params.get()).into_iter().flatten();
    params.filter_map(|param| Some((texted(&param.name)?, param.value.get().cloned().unwrap_or_default()))).collect()
}

fn interim(field: &Field<ClaimTemplate>) -> Result<Option<ClaimTemplate>, BadField> {
    match field.get() {
        Some(template) if template.spec.get().is_none() => {
            bad("spec.interimVolumeTemplate.spec", "is missing; say accessModes and resources.requests.storage")
        }
        template => Ok(template.cloned()),
    }
}

fn few<T: Clone>(field: &'static str, list: Option<&Vec<T>>) -> Result<Vec<T>, BadField> {
    match list {
        Some(list) if list.len() > ENTRIES_MAX => {
            bad(field, format!("has {} entries; {ENTRIES_MAX} are the most", list.len()))
        }
        list => Ok(list.cloned().unwrap_or_default()),
    }
}

fn absolute(field: &'static str, list: Option<&Vec<String>>) -> Result<Vec<String>, BadField> {
    let paths = few(field, list)?;
    match paths.iter().find(|path| !path.starts_with('/') || path.split('/').any(|part| part == "..")) {
        Some(path) => bad(field, format!("{path:?} is not an absolute path without `..`")),
        None => Ok(paths),
    }
}

fn count(field: &'static str, value: Option<&i32>, otherwise: u32) -> Result<u32, BadField> {
    match value {
        None => Ok(otherwise),
        Some(value) => u32::try_from(*value).or_else(|_| bad(field, format!("{value} is negative"))),
    }
}

fn duration(field: &'static str, value: &Field<String>) -> Result<Option<SignedDuration>, BadField> {
    let Some(text) = texted(value) else { return Ok(None) };
    match cron::duration_seconds(&text) {
        // Clients of Go write a zero for what is absent.
        Ok(0) => Ok(None),
        Ok(seconds) => Ok(Some(SignedDuration::from_secs(seconds))),
        Err(error) => bad(field, error.to_string()),
    }
}

fn retry(config: &RetryConfig) -> Result<Retry, BadField> {
    Ok(Retry {
        max: count("spec.retryConfig.maxRetry", config.max_retry.get(), 1)?,
        delay: duration("spec.retryConfig.delay", &config.delay)?.unwrap_or_default(),
    })
}

fn retention(policy: Option<&RetentionPolicy>) -> Result<RetentionRules, BadField> {
    let Some(policy) = policy else { return Ok(RetentionRules::default()) };
    let keep = |field: &'static str, value: &Field<i64>| match value.get() {
        None => Ok(0),
        Some(value) => u32::try_from(*value).or_else(|_| bad(field, format!("{value} is no number of snapshots"))),
    };
    Ok(RetentionRules {
        last: keep("spec.retentionPolicy.keepLast", &policy.keep_last)?,
        hourly: keep("spec.retentionPolicy.keepHourly", &policy.keep_hourly)?,
        daily: keep("spec.retentionPolicy.keepDaily", &policy.keep_daily)?,
        weekly: keep("spec.retentionPolicy.keepWeekly", &policy.keep_weekly)?,
        monthly: keep("spec.retentionPolicy.keepMonthly", &policy.keep_monthly)?,
        yearly: keep("spec.retentionPolicy.keepYearly", &policy.keep_yearly)?,
        tags: few("spec.retentionPolicy.keepTags", policy.keep_tags.get())?,
        prune: policy.prune.get().copied().unwrap_or(false),
        trial: policy.dry_run.get().copied().unwrap_or(false),
    })
}

fn sound_rules(rules: &[crate::api::target::Rule]) -> Result<Vec<Rule>, BadField> {
    const FIELD: &str = "spec.target.rules";
    let list = |field: &Field<Vec<String>>| few(FIELD, field.get());
    let mut sound: Vec<Rule> = Vec::new();
    for rule in rules {
        let rule = Rule {
            hosts: list(&rule.target_hosts)?,
            source: texted(&rule.source_host),
            snapshots: list(&rule.snapshots)?,
            paths: absolute(FIELD, rule.paths.get())?,
            include: list(&rule.include)?,
            exclude: list(&rule.exclude)?,
        };
        if !rule.snapshots.is_empty() && !rule.paths.is_empty() {
            return bad(FIELD, "a rule has snapshots and paths; give one of them");
        }
        if rule.hosts.is_empty() && sound.iter().any(|other| other.hosts.is_empty()) {
            return bad(FIELD, "two rules name no target host; only one may be for all others");
        }
        if let Some(host) = rule.hosts.iter().find(|host| sound.iter().any(|other| other.hosts.contains(host))) {
            return bad(FIELD, format!("host {host} is in two rules"));
        }
        sound.push(rule);
    }
    Ok(sound)
}
