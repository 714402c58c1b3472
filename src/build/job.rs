//! Jobs of a run, each whole: what is sent to the API server.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::args::{self, Args};
use super::fault::Fault;
use super::labels::{self, Component};
use super::names::{self, Part};
use super::place::Place;
use super::pod::{self, Order, Step};
use super::security::{Identity, PodSecurity};
use super::task::{self, Resolved};
use super::variables::{self, Context};
use super::workload::{Access, Host};
use crate::install::catalogue::{self, Native};
use crate::model::facts::Facts;
use crate::model::invoker::{DATA_FOLDER, Member, Named, Rule, Target};
use crate::model::keys;
use crate::model::names::hash_hex;
use crate::model::step::{BackupWork, ExistingFiles, RestoreWork, RetentionRules, StepInput, TargetName, Wanted, Work};

/// Task of a claim, and of the volumes of a workload.
const VOLUMES_BACKUP: &str = "pvc-backup";
const VOLUMES_RESTORE: &str = "pvc-restore";

/// The run that a Job is a part of.
pub struct Run<'a> {
    pub namespace: &'a str,
    /// Of the session, or of the `RestoreSession`.
    pub name: &'a str,
    pub uid: &'a str,
    pub component: Component,
    /// Kind and name of the invoker.
    pub invoker: (&'a str, &'a str),
    pub member: &'a Member,
    pub repository: &'a Named,
    pub place: &'a Place,
    /// Canonical address: so many at a time may work there.
    pub address: &'a str,
    /// Name of the storage Secret in this namespace.
    pub secret: &'a str,
    pub retention: Option<&'a RetentionRules>,
    pub time_out: Option<SignedDuration>,
    pub image: &'a str,
    pub cluster: &'a str,
    pub level: PodSecurity,
    pub gone_pods: &'a [String],
    pub account: Option<&'a str>,
    /// Claim of the interim volume, which is there before the Job.
    pub interim_claim: Option<&'a str>,
}

impl Run<'_> {
    pub fn job_name(&self, part: &Part) -> String {
        match self.component {
            Component::Backup => names::backup_job(self.name, part),
            Component::Restore => names::restore_job(self.name, part),
        }
    }

    fn input(&self, work: Work) -> StepInput {
        let target = match &self.member.target {
            Some(Target { kind, namespace, name, .. }) => {
                TargetName { namespace: namespace.clone(), kind: kind.clone(), name: name.clone() }
            }
            None => TargetName {
                namespace: self.namespace.to_owned(),
                kind: self.invoker.0.to_owned(),
                name: self.invoker.1.to_owned(),
            },
        };
        StepInput {
            repository: self.place.repository.clone(),
            session: self.uid.to_owned(),
            target,
            cluster: self.cluster.to_owned(),
            gone_pods: self.gone_pods.to_vec(),
            work,
        }
    }

    /// A Job for the repository alone. In a volume it works as the user whose backups lie there: what one user writes, another may
    /// not read.
    pub fn repository_job(&self, part: &Part, work: Work, identity: Identity) -> Result<Value, Fault> {
        let input = self.input(work);
        let steps = [(part.word(), Step::Native { input: &input })];
        let exclusive = matches!(input.work, Work::Initialize | Work::Finish(_));
        // What serves the data of a target works with its rights; this one reads none of it.
        let identity = if self.place.volume.is_some() { identity } else { Identity::default() };
        self.job(part, exclusive, &steps, (None, identity), &[], &[], Access::Read)
    }

    /// The Job of one host of a backup.
    pub fn backup_job(&self, facts: &Facts, host: &Host, alone: bool) -> Result<Value, Fault> {
        let args = args::parse(&self.member.args)?;
        let Args { tags, exclude, .. } = args;
        let work = Work::Backup(BackupWork {
            host: host.name.clone(),
            paths: self.member.paths_or_default(),
            exclude: [self.member.exclude.as_slice(), &exclude].concat(),
            tags,
            incomplete_succeeds: false,
        });
        self.host_job(facts, host, alone, None, &work, Access::Read)
    }

    /// The Job of one host of a restore.
    pub fn restore_job(&self, facts: &Facts, host: &Host, alone: bool, rule: &Rule) -> Result<Value, Fault> {
        let Args { tags, include, exclude } = args::parse(&self.member.args)?;
        let source = rule.source.clone().unwrap_or_else(|| host.name.clone());
        let wanted = if rule.snapshots.is_empty() {
            let paths = if rule.paths.is_empty() { vec![DATA_FOLDER.to_owned()] } else { rule.paths.clone() };
            Wanted::Paths { source, paths }
        } else {
            Wanted::Snapshots { source, ids: rule.snapshots.clone() }
        };
        let work = Work::Restore(RestoreWork {
            host: host.name.clone(),
            wanted,
            include: [rule.include.as_slice(), &include].concat(),
            exclude: [rule.exclude.as_slice(), &exclude].concat(),
            tags,
            existing: ExistingFiles::Keep,
        });
        self.host_job(facts, host, alone, Some(rule), &work, Access::Write)
    }

    fn host_job(
        &self,
        facts: &Facts,
        host: &Host,
        alone: bool,
        rule: Option<&Rule>,
        work: &Work,
        access: Access,
    ) -> Result<Value, Fault> {
        let resolved = self.resolve(facts, host, rule, access)?;
        let inputs = self.inputs(&resolved, host, work)?;
        let own_mounts = host.mounts.is_empty();
        let mut steps = Vec::new();
        for (index, (step, input)) in resolved.steps.iter().zip(&inputs).enumerate() {
            let name = format!("{}-{index}", step.function);
            match input {
                Told::Left => {}
                Told::Input(input) => steps.push((name, Step::Native { input })),
                Told::Foreign => {
                    steps.push((name, Step::Foreign { container: &step.container, settings: &step.settings }));
                }
            }
        }
        let mounts = resolved.steps.iter().find(|step| is_data(step)).filter(|_| own_mounts);
        let mounts = mounts.and_then(|step| step.container.get("volumeMounts")).and_then(Value::as_array).cloned();
        let mut mounts = mounts.unwrap_or_default();
        for mount in &mut mounts {
            mount["readOnly"] = json!(access == Access::Read);
        }
        let part = Part::Host { host: host.name.clone(), alone };
        self.job(&part, false, &steps, (Some(host), host.identity.clone()), &resolved.volumes, &mounts, access)
    }

    fn resolve(&self, facts: &Facts, host: &Host, rule: Option<&Rule>, access: Access) -> Result<Resolved, Fault> {
        let ours = match access {
            Access::Read => VOLUMES_BACKUP,
            Access::Write => VOLUMES_RESTORE,
        };
        let name = self.member.task.as_deref().unwrap_or(ours);
        let variables = variables::of(&Context {
            repository: Some((self.repository, self.place)),
            member: self.member,
            namespace: self.namespace,
            invoker: self.invoker,
            session: (self.name, access == Access::Write),
            retention: self.retention,
            rule,
            host: &host.name,
            image: self.image,
            cache: self.place.repository.cache,
        });
        task::resolve(facts, name, &variables, host.mounts.is_empty())
    }

    /// What each step is told. The last step of a Task of ours has nothing left to report, so it is no container.
    fn inputs(&self, resolved: &Resolved, host: &Host, work: &Work) -> Result<Vec<Told>, Fault> {
        let is_foreign = resolved.steps.iter().any(|step| step.native.is_none());
        let told = resolved.steps.iter().map(|step| match &step.native {
            None => Ok(Told::Foreign),
            Some(Native::PvcBackup) if matches!(work, Work::Backup(_)) => {
                Ok(Told::Input(Box::new(self.input(work.clone()))))
            }
            Some(Native::PvcRestore) if matches!(work, Work::Restore(_)) => {
                Ok(Told::Input(Box::new(self.input(work.clone()))))
            }
            Some(Native::PvcBackup | Native::PvcRestore) => {
                let restores = matches!(work, Work::Restore(_));
                let (is, wanted) = if restores { ("backs up", "restores") } else { ("restores", "backs up") };
                let message = format!("Function {} {is}: name a Task that {wanted}", step.function);
                Err(Fault::new("WrongTask", message))
            }
            Some(Native::UpdateStatus) if is_foreign => {
                let folder =
                    step.output.clone().unwrap_or_else(|| format!("{}/output", crate::model::step::SCRATCH_FOLDER));
                Ok(Told::Input(Box::new(self.input(Work::Report { folder, host: host.name.clone() }))))
            }
            Some(Native::UpdateStatus) => Ok(Told::Left),
            Some(addon @ Native::Addon { .. }) => {
                let message = catalogue::refusal(self.member.task.as_deref().unwrap_or_default(), *addon);
                Err(Fault::new("AddonMissing", message.unwrap_or_default()))
            }
        });
        told.collect()
    }

    #[expect(clippy::too_many_arguments, reason = "the parts in which Jobs of a run differ")]
    fn job(
        &self,
        part: &Part,
        exclusive: bool,
        steps: &[(String, Step<'_>)],
        (host, identity): (Option<&Host>, Identity),
        volumes: &[Value],
        mounts: &[Value],
        access: Access,
    ) -> Result<Value, Fault> {
        let labels = labels::run(self.component, self.name);
        let template = pod::template(&Order {
            steps,
            image: self.image,
            member: self.member,
            host,
            identity,
            volumes,
            mounts,
            place: self.place,
            secret: self.secret,
            interim_claim: self.interim_claim.filter(|_| host.is_some()),
            account: self.account,
            level: self.level,
            access,
            labels: &labels,
        })?;
        let mut metadata = json!({
            "name": self.job_name(part),
            "namespace": self.namespace,
            "labels": labels,
            "annotations": {keys::PART: part.word(), keys::ADDRESS: hash_hex(self.address, 16)},
            "finalizers": [keys::FINALIZER],
            "ownerReferences": [self.owner()],
        });
        if let Part::Host { host, .. } = part {
            metadata["annotations"]["holdfast.dev/host"] = json!(host);
        }
        if exclusive {
            metadata["annotations"][keys::EXCLUSIVE] = json!("true");
        }
        let mut spec = json!({"backoffLimit": 0, "completions": 1, "parallelism": 1, "template": template});
        if let Some(time_out) = self.time_out {
            // From the start of the Job: what it waits before is not its own time.
            spec["activeDeadlineSeconds"] = json!(time_out.as_secs().max(1));
        }
        Ok(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}))
    }

    pub fn owner(&self) -> Value {
        let kind = match self.component {
            Component::Backup => "BackupSession",
            Component::Restore => "RestoreSession",
        };
        json!({
            "apiVersion": "stash.appscode.com/v1beta1", "kind": kind, "name": self.name, "uid": self.uid,
            "controller": true, "blockOwnerDeletion": false,
        })
    }
}

enum Told {
    Input(Box<StepInput>),
    Foreign,
    /// No container.
    Left,
}

fn is_data(step: &task::Step) -> bool {
    matches!(step.native, Some(Native::PvcBackup | Native::PvcRestore))
}
