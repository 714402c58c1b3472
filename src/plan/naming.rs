//! Names of generated objects: who holds a name keeps it, and two identities never share one.

use std::collections::BTreeMap;

use super::world::{Identity, World};
use crate::model::names::{NAME_LENGTH_MAX, limited, with_hash};
use crate::model::object::{Kind, ObjectKey, TargetKey};

/// Who has a name in this pass.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Holder {
    Generated(Identity),
    /// A document in Git, or an object of ours that came from one.
    Document,
    Foreign,
}

pub(super) struct Names {
    holders: BTreeMap<ObjectKey, Holder>,
}

impl Names {
    pub(super) fn new(world: &World) -> Self {
        let mut holders = BTreeMap::new();
        for (key, live) in &world.observed.objects {
            if !matches!(key.kind, Kind::Repository | Kind::BackupConfiguration) {
                continue;
            }
            let holder = match live.identity() {
                _ if !live.is_ours() => Holder::Foreign,
                Some((target, blueprint)) => Holder::Generated((target, blueprint.to_owned())),
                None => Holder::Document,
            };
            holders.insert(key.clone(), holder);
        }
        for key in world.desired.documents.keys() {
            holders.insert(key.clone(), Holder::Document);
        }
        // Both halves of a pair have one name, so the name of one that is not seen is not free either.
        let twins: Vec<(ObjectKey, Holder)> = holders
            .iter()
            .filter(|(_, holder)| matches!(holder, Holder::Generated(_)))
            .filter_map(|(key, holder)| Some((twin(key)?, holder.clone())))
            .collect();
        for (key, holder) in twins {
            holders.entry(key).or_insert(holder);
        }
        Self { holders }
    }

    /// Keys of a Repository and its configuration. A half that is missing takes the name of the half that exists, so
    /// that a view that lacks one half leads to the name that it has, and never to a second one.
    pub(super) fn pair(
        &mut self,
        (repository, repository_namespace): (Option<ObjectKey>, &str),
        (configuration, configuration_namespace): (Option<ObjectKey>, &str),
        identity: &Identity,
    ) -> (ObjectKey, ObjectKey) {
        for known in repository.iter().chain(&configuration) {
            self.claim(known, identity);
        }
        let repository = repository
            .or_else(|| self.beside(configuration.as_ref()?, Kind::Repository, repository_namespace, identity))
            .unwrap_or_else(|| self.assign(Kind::Repository, repository_namespace, identity));
        let configuration = configuration
            .or_else(|| self.beside(&repository, Kind::BackupConfiguration, configuration_namespace, identity))
            .unwrap_or_else(|| self.assign(Kind::BackupConfiguration, configuration_namespace, identity));
        (repository, configuration)
    }

    /// The name of the other half, unless another identity has it; in another namespace names are formed otherwise.
    fn beside(&mut self, half: &ObjectKey, kind: Kind, namespace: &str, identity: &Identity) -> Option<ObjectKey> {
        let key = ObjectKey::new(kind, namespace, &half.name);
        let free = match self.holders.get(&key) {
            Some(Holder::Generated(holder)) => holder == identity,
            Some(Holder::Document) => false,
            Some(Holder::Foreign) | None => true,
        };
        (free && half.namespace == namespace).then(|| {
            self.claim(&key, identity);
            key
        })
    }

    /// The key for one object of an identity that has none yet, and claims it.
    fn assign(&mut self, kind: Kind, namespace: &str, identity: &Identity) -> ObjectKey {
        let (target, blueprint) = identity;
        let plain = plain(target, namespace);
        let first = ObjectKey::new(kind, namespace, &limited(&plain, NAME_LENGTH_MAX));
        let held_by_sibling = matches!(
            self.holders.get(&first),
            Some(Holder::Generated((holder, other))) if holder == target && other != blueprint
        );
        let name = if held_by_sibling { format!("{plain}-{blueprint}") } else { plain };
        let mut key = ObjectKey::new(kind, namespace, &limited(&name, NAME_LENGTH_MAX));
        let another = match self.holders.get(&key) {
            Some(Holder::Generated(holder)) => holder != identity,
            Some(Holder::Document) => true,
            // Refused later, by name: a way around it would hide that two people want one name.
            Some(Holder::Foreign) | None => false,
        };
        if another {
            key.name = with_hash(&name, &format!("{}/{blueprint}", target.identity()), NAME_LENGTH_MAX);
        }
        self.claim(&key, identity);
        key
    }

    fn claim(&mut self, key: &ObjectKey, identity: &Identity) {
        if self.holders.get(key) != Some(&Holder::Foreign) {
            self.holders.insert(key.clone(), Holder::Generated(identity.clone()));
            // As it will be seen in the next pass; else a pass that was cut off would lead to other names than a whole one.
            if let Some(twin) = twin(key) {
                self.holders.entry(twin).or_insert_with(|| Holder::Generated(identity.clone()));
            }
        }
    }
}

/// The key of the other half of a pair, if it has one name with this.
fn twin(key: &ObjectKey) -> Option<ObjectKey> {
    let kind = match key.kind {
        Kind::Repository => Kind::BackupConfiguration,
        Kind::BackupConfiguration => Kind::Repository,
        Kind::Function | Kind::Task | Kind::BackupBatch => return None,
    };
    Some(ObjectKey::new(kind, &key.namespace, &key.name))
}

/// `<kind>-<name>`, with the target's namespace in front for what lives outside it.
fn plain(target: &TargetKey, namespace: &str) -> String {
    let name = format!("{}-{}", target.kind.name_prefix(), target.name);
    if namespace == target.namespace { name } else { format!("{}-{name}", target.namespace) }
}
