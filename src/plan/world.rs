//! The inputs of one planning pass, indexed once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Settings, policies};
use crate::model::desired::{Blueprint, Described, Desired, HeldSource};
use crate::model::json::text;
use crate::model::keys;
use crate::model::object::{Kind, ObjectKey, TargetKey, TargetKind};
use crate::model::observed::{Live, Observed, Watched};
use crate::policy::{Decision, Judge};

/// A target and the blueprint that protects it: what a pair of generated objects stands for.
pub(super) type Identity = (TargetKey, String);

/// The objects that exist for one identity.
#[derive(Clone, Debug, Default)]
pub(super) struct Existing {
    pub repository: Option<ObjectKey>,
    pub configuration: Option<ObjectKey>,
}

pub(super) struct World<'a> {
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    pub settings: &'a Settings,
    pub now: Timestamp,
    /// Blueprints that live in the cluster, or why one cannot be used.
    pub cluster_blueprints: BTreeMap<String, Result<Blueprint, String>>,
    pub existing: BTreeMap<Identity, Existing>,
    /// Configurations that name a target and are not generated: in the cluster by others, or in Git.
    pub claims: BTreeMap<TargetKey, BTreeSet<ObjectKey>>,
    pub judge: Judge<'a>,
    /// What the policies say of the blueprints, by name, where they say something.
    pub blueprint_decisions: BTreeMap<String, Vec<Decision>>,
}

/// What a blueprint name stands for.
pub(super) enum Found<'a> {
    Usable(&'a Blueprint),
    Broken(&'a str),
    InBothPlaces(&'a Blueprint),
    /// Held back, or possibly in a file that is.
    Held(&'a HeldSource),
    /// Neither in Git nor in the cluster.
    Missing,
    /// Not in Git, and the cluster's blueprints are not known.
    Unknown,
}

impl<'a> World<'a> {
    pub(super) fn new(desired: &'a Desired, observed: &'a Observed, settings: &'a Settings, now: Timestamp) -> Self {
        let cluster_blueprints = observed
            .blueprints
            .iter()
            .map(|(name, live)| (name.clone(), Blueprint::from_cluster(name, live)))
            .collect();
        let mut world = Self {
            desired,
            observed,
            settings,
            now,
            cluster_blueprints,
            existing: BTreeMap::new(),
            claims: BTreeMap::new(),
            judge: judge(desired, observed, settings, now),
            blueprint_decisions: BTreeMap::new(),
        };
        world.index_objects();
        world.judge_blueprints();
        world
    }

    fn judge_blueprints(&mut self) {
        let in_cluster = self.cluster_blueprints.values().filter_map(|blueprint| blueprint.as_ref().ok());
        let judged = self.desired.blueprints.values().chain(in_cluster);
        let decided = judged.map(|blueprint| (blueprint.name.clone(), policies::of_blueprint(self, blueprint)));
        self.blueprint_decisions = decided.filter(|(_, decisions)| !decisions.is_empty()).collect();
    }

    fn index_objects(&mut self) {
        for (key, live) in &self.observed.objects {
            let identity = live.identity().filter(|_| live.is_ours());
            if let Some((target, blueprint)) = identity {
                let existing = self.existing.entry((target, blueprint.to_owned())).or_default();
                match key.kind {
                    Kind::Repository => existing.repository = Some(key.clone()),
                    Kind::BackupConfiguration => existing.configuration = Some(key.clone()),
                    Kind::Function | Kind::Task | Kind::BackupBatch => {}
                }
            } else if key.kind == Kind::BackupConfiguration {
                self.claim(key, &live.spec());
            }
        }
        for (key, document) in &self.desired.documents {
            if key.kind == Kind::BackupConfiguration {
                self.claim(key, document.manifest.get("spec").unwrap_or(&Value::Null));
            }
        }
    }

    fn claim(&mut self, key: &ObjectKey, spec: &Value) {
        if let Some(target) = target_of(key, spec) {
            self.claims.entry(target).or_default().insert(key.clone());
        }
    }

    pub(super) fn live(&self, key: &ObjectKey) -> Option<&'a Live> {
        self.observed.objects.get(key)
    }

    pub(super) fn is_complete(&self, watched: Watched) -> bool {
        self.observed.complete.contains(&watched)
    }

    pub(super) fn blueprint(&self, name: &str) -> Found<'_> {
        let in_git = self.desired.blueprints.get(name);
        let in_cluster = self.cluster_blueprints.get(name);
        match (in_git, in_cluster) {
            (Some(blueprint), Some(_)) => Found::InBothPlaces(blueprint),
            (Some(blueprint), None) => Found::Usable(blueprint),
            (None, cluster) => match (self.held_blueprint(name), cluster) {
                (Some(held), _) => Found::Held(held),
                (None, Some(Ok(blueprint))) => Found::Usable(blueprint),
                (None, Some(Err(error))) => Found::Broken(error),
                (None, None) => self.absent_blueprint(),
            },
        }
    }

    fn absent_blueprint(&self) -> Found<'_> {
        if let Some(held) = self.desired.held.iter().find(|held| held.describes.is_none()) {
            return Found::Held(held);
        }
        if self.is_complete(Watched::Blueprint) { Found::Missing } else { Found::Unknown }
    }

    fn held_blueprint(&self, name: &str) -> Option<&HeldSource> {
        self.desired
            .held
            .iter()
            .find(|held| matches!(&held.describes, Some(Described::Blueprint(held)) if held == name))
    }

    /// Digests that a person gave for something that `target` causes.
    pub(super) fn acknowledged(&self, target: Option<&TargetKey>, digest: &str) -> bool {
        let on_target = target
            .and_then(|key| self.observed.targets.get(key))
            .and_then(|target| target.annotations.get(keys::ACKNOWLEDGE))
            .is_some_and(|given| crate::model::acknowledge::given(given).any(|given| given == digest));
        on_target || self.desired.acknowledged.contains(digest)
    }
}

fn judge<'a>(desired: &'a Desired, observed: &Observed, settings: &Settings, now: Timestamp) -> Judge<'a> {
    let mut cluster = Map::new();
    if !settings.cluster_name.is_empty() {
        cluster.insert("name".to_owned(), settings.cluster_name.clone().into());
    }
    if let Some(uid) = &observed.cluster_uid {
        cluster.insert("uid".to_owned(), uid.clone().into());
    }
    Judge::new(desired.policies.values(), Value::Object(cluster), now)
}

/// The target that a BackupConfiguration names; its namespace defaults to the configuration's.
pub fn target_of(key: &ObjectKey, spec: &Value) -> Option<TargetKey> {
    let reference = spec.pointer("/target/ref")?;
    let kind = TargetKind::of(text(reference, "apiVersion")?, text(reference, "kind")?)?;
    let namespace = text(reference, "namespace").filter(|namespace| !namespace.is_empty()).unwrap_or(&key.namespace);
    Some(TargetKey { namespace: namespace.to_owned(), kind, name: text(reference, "name")?.to_owned() })
}

/// The Repository that a BackupConfiguration names; its namespace defaults to the configuration's.
pub fn repository_of(key: &ObjectKey, spec: &Value) -> Option<ObjectKey> {
    let reference = spec.get("repository")?;
    let namespace = text(reference, "namespace").filter(|namespace| !namespace.is_empty()).unwrap_or(&key.namespace);
    let name = text(reference, "name").filter(|name| !name.is_empty())?;
    Some(ObjectKey::new(Kind::Repository, namespace, name))
}
