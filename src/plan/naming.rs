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
        Self { holders }
    }

    /// The key for one object of an identity that has none yet, and claims it.
    pub(super) fn assign(&mut self, kind: Kind, namespace: &str, identity: &Identity) -> ObjectKey {
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

    pub(super) fn claim(&mut self, key: &ObjectKey, identity: &Identity) {
        if self.holders.get(key) != Some(&Holder::Foreign) {
            self.holders.insert(key.clone(), Holder::Generated(identity.clone()));
        }
    }
}

/// `<kind>-<name>`, with the target's namespace in front for what lives outside it.
fn plain(target: &TargetKey, namespace: &str) -> String {
    let name = format!("{}-{}", target.kind.name_prefix(), target.name);
    if namespace == target.namespace { name } else { format!("{}-{name}", target.namespace) }
}
