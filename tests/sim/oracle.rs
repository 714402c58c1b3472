//! What must hold after every effect, judged from what really happened and never from what a daemon believes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast::model::desired::Desired;
use holdfast::model::finding::ReasonCode;
use holdfast::model::keys;
use holdfast::model::object::{Kind, ObjectKey, TargetKey};
use holdfast::model::observed::{Observed, Watched};
use holdfast::model::plan::{Action, Plan};
use holdfast::plan::Settings;
use jiff::{SignedDuration, Timestamp};

use crate::model::cluster::Cluster;
use crate::model::fields;
use crate::model::object::Object;
use crate::remote::{Files, Remote, StatusCommit};
use crate::shell::call::key_of;

const DELETES_PER_HOUR_MAX: usize = 10;

#[derive(Default)]
pub(crate) struct Oracle {
    pub failures: Vec<String>,
    pub commits: u64,
    pub writes: u64,
    /// UIDs of objects that Holdfast made or was given.
    ours: BTreeSet<String>,
    handed_over: BTreeSet<String>,
    /// Since when each object's cause was seen missing without a break.
    missing: BTreeMap<String, Timestamp>,
    deletes: Vec<Timestamp>,
    /// Collections that the server refuses to list to a daemon.
    unlisted: BTreeSet<(usize, Watched)>,
    delay: SignedDuration,
}

impl Oracle {
    pub(crate) fn fail(&mut self, what: String) {
        if self.failures.len() < 20 {
            self.failures.push(what);
        }
    }

    /// The server refused to list a collection, or listed it.
    pub(crate) fn listed(&mut self, daemon: usize, watched: Watched, listed: bool) {
        if listed {
            self.unlisted.remove(&(daemon, watched));
        } else {
            self.unlisted.insert((daemon, watched));
        }
    }

    /// Somebody gives an object to Holdfast.
    pub(crate) fn handed_over(&mut self, uid: &str) {
        self.handed_over.insert(uid.to_owned());
    }

    /// A write reaches the server: its sender must hold the Lease at that moment.
    pub(crate) fn writes(&mut self, daemon: usize, identity: &str, holder: Option<&str>, time: Timestamp) {
        self.writes += 1;
        if holder != Some(identity) {
            self.fail(format!("daemon {daemon} ({identity}) writes at {time} while {holder:?} holds the Lease"));
        }
    }

    pub(crate) fn applied(&mut self, key: &ObjectKey, before: Option<&Object>, after: Option<&Object>, force: bool) {
        let Some(after) = after else { return };
        let Some(before) = before else {
            self.ours.insert(after.uid().to_owned());
            return;
        };
        if self.ours.contains(before.uid()) {
            return;
        }
        if self.handed_over.contains(before.uid()) && force {
            self.ours.insert(before.uid().to_owned());
            return;
        }
        if force {
            self.fail(format!("{key} of somebody else is written by force"));
        }
        let schema = before.schema();
        let changed = fields::owned(&before.value, schema)
            .into_iter()
            .find(|path| fields::get(&before.value, path) != fields::get(&after.value, path));
        let theirs = |path: &fields::Path| {
            before.managers.iter().any(|((manager, _), set)| manager != keys::FIELD_MANAGER && set.contains(path))
        };
        if let Some(path) = changed.filter(theirs) {
            self.fail(format!("{} of {key} belongs to somebody else and is changed", path.join("/")));
        }
    }

    pub(crate) fn deleted(
        &mut self,
        key: &ObjectKey,
        before: Option<&Object>,
        acknowledged: bool,
        clock: Timestamp,
        slack: SignedDuration,
    ) {
        let uid = before.map(Object::uid).unwrap_or_default().to_owned();
        if !self.ours.contains(&uid) {
            self.fail(format!("{key} of somebody else is deleted"));
        }
        let slack = slack + SignedDuration::from_secs(1);
        match self.missing.get(&uid) {
            Some(since) if clock.duration_since(*since) + slack >= self.delay => {}
            since => self.fail(format!(
                "{key} is deleted at {clock}, its cause is missing since {since:?}, the delay is {:#}",
                self.delay
            )),
        }
        self.deletes.push(clock);
        let hour_ago = clock - SignedDuration::from_hours(1) + slack;
        let recent = self.deletes.iter().filter(|time| **time > hour_ago && **time <= clock).count();
        if recent > DELETES_PER_HOUR_MAX && !acknowledged {
            self.fail(format!("{key} is delete number {recent} within an hour and nobody allowed it"));
        }
    }

    /// Looks at a pass through its own inputs: whose cause is missing, and whether it may delete at all.
    pub(crate) fn planned(
        &mut self,
        daemon: usize,
        desired: &Desired,
        observed: &Observed,
        plan: &Plan,
        cluster: &Cluster,
        settings: &Settings,
    ) {
        let clock = plan.now;
        self.delay = settings.delete_delay;
        for (key, live) in &observed.objects {
            if is_missing(key, live.identity(), desired, observed) {
                self.missing.entry(live.uid.clone()).or_insert(clock);
                continue;
            }
            // The mark is what counts, so the time goes on until it is off the object.
            let real = cluster.get(&key_of(key)).filter(|object| object.uid() == live.uid);
            if real.is_none_or(|object| object.annotation(keys::MISSING_SINCE).is_none()) {
                self.missing.remove(&live.uid);
            }
        }
        let mut names = BTreeMap::new();
        for step in &plan.steps {
            match &step.action {
                Action::Delete { .. } => self.may_delete(
                    daemon,
                    &step.object,
                    step.reason.code,
                    step.reason.target.as_ref(),
                    desired,
                    observed,
                ),
                Action::Create { .. } => {
                    let identity = (step.reason.target.clone(), step.reason.blueprint.clone(), step.object.kind);
                    if identity.0.is_some() && names.insert(identity, step.object.clone()).is_some() {
                        self.fail(format!("{} is the second of its identity in one plan", step.object));
                    }
                }
                Action::Update { .. } => {}
            }
        }
    }

    fn may_delete(
        &mut self,
        daemon: usize,
        key: &ObjectKey,
        code: ReasonCode,
        target: Option<&TargetKey>,
        desired: &Desired,
        observed: &Observed,
    ) {
        let by_git = matches!(code, ReasonCode::BlueprintGone | ReasonCode::DocumentGone);
        if by_git && !desired.held.is_empty() {
            self.fail(format!("{key} is to be deleted while a file is held"));
        }
        if code == ReasonCode::BlueprintGone && !observed.complete.contains(&Watched::Blueprint) {
            self.fail(format!("{key} is to be deleted while the blueprints of the cluster are not known"));
        }
        let listed = |watched| observed.complete.contains(&watched) && !self.unlisted.contains(&(daemon, watched));
        if !listed(Watched::Managed(key.kind)) || target.is_some_and(|target| !listed(Watched::Target(target.kind))) {
            self.fail(format!("{key} is to be deleted while its kind or that of its target is not listed"));
        }
    }

    /// A push of ours reached the server: no commit is gone, and every archive holds what it held.
    pub(crate) fn pushed(&mut self, remote: &Remote, before: &Kept) {
        let lost = before.commits.difference(&remote.reachable()).count();
        if lost > 0 {
            self.fail(format!("{lost} commits are neither on the status branch nor in an archive any more"));
        }
        for (name, commit) in &before.archives {
            if remote.archives.get(name) != Some(commit) {
                self.fail(format!("{name} no longer holds what it held"));
            }
        }
    }

    /// A daemon believes that the branch says this.
    pub(crate) fn recorded(&mut self, files: &Arc<Files>, status: &[StatusCommit]) {
        let known =
            status.iter().rev().any(|commit| commit.report.as_ref().is_some_and(|report| Arc::ptr_eq(report, files)));
        if !known {
            self.fail("a report counts as recorded that was never on the branch".to_owned());
        }
    }

    /// At most one object of a kind for one target and blueprint.
    pub(crate) fn one_name_each(&mut self, cluster: &Cluster) {
        let mut names: BTreeMap<(Kind, &str, &str), &crate::model::cluster::Key> = BTreeMap::new();
        let mut twice = Vec::new();
        for (key, object) in cluster.objects() {
            let Watched::Managed(kind) = key.0 else { continue };
            let identity = (object.annotation(keys::TARGET), object.annotation(keys::BLUEPRINT));
            let (Some(target), Some(blueprint)) = identity else { continue };
            if !self.ours.contains(object.uid()) || object.is_deleting() {
                continue;
            }
            if let Some(other) = names.insert((kind, target, blueprint), key) {
                twice.push(format!("{target} has two of blueprint {blueprint}: {other:?} and {key:?}"));
            }
        }
        for what in twice {
            self.fail(what);
        }
    }
}

/// What the server has to go on keeping.
pub(crate) struct Kept {
    commits: BTreeSet<usize>,
    archives: BTreeMap<String, usize>,
}

impl Kept {
    pub(crate) fn of(remote: &Remote) -> Self {
        Self { commits: remote.reachable(), archives: remote.archives.clone() }
    }
}

/// Whether nothing asks for the object any more, as far as these inputs tell.
fn is_missing(key: &ObjectKey, identity: Option<(TargetKey, &str)>, desired: &Desired, observed: &Observed) -> bool {
    let Some((target, blueprint)) = identity else { return !desired.documents.contains_key(key) };
    let Some(annotations) = observed.targets.get(&target).map(|target| &target.annotations) else { return true };
    let named = annotations
        .get(keys::BACKUP_BLUEPRINT)
        .is_some_and(|list| list.split(',').any(|name| name.trim() == blueprint));
    !named || !(desired.blueprints.contains_key(blueprint) || observed.blueprints.contains_key(blueprint))
}
