//! Two identities never share a place for their data, and none lies inside another's.

use std::collections::{BTreeMap, BTreeSet};

use super::wanted::Wanted;
use super::world::World;
use crate::model::address::Address;
use crate::model::object::{Kind, ObjectKey};

/// Addresses of the Repositories in the cluster and of those that are wanted.
pub(super) struct Addresses {
    /// Sorted by address, so that what lies inside an address follows it.
    taken: BTreeMap<String, BTreeSet<ObjectKey>>,
    /// Where the Repositories in the cluster are.
    live: BTreeMap<ObjectKey, Address>,
}

impl Addresses {
    pub(super) fn new(world: &World, wanted: &[Wanted]) -> Self {
        let mut taken: BTreeMap<String, BTreeSet<ObjectKey>> = BTreeMap::new();
        let mut live = BTreeMap::new();
        let mut take = |address: &Address, key: &ObjectKey| {
            taken.entry(address.as_str().to_owned()).or_default().insert(key.clone());
        };
        for (key, repository) in world.observed.objects.iter().filter(|(key, _)| key.kind == Kind::Repository) {
            if let Ok(address) = Address::of(&repository.spec()["backend"], &key.namespace) {
                take(&address, key);
                live.insert(key.clone(), address);
            }
        }
        for (key, document) in world.desired.documents.iter().filter(|(key, _)| key.kind == Kind::Repository) {
            if let Ok(address) = Address::of(&document.manifest["spec"]["backend"], &key.namespace) {
                take(&address, key);
            }
        }
        for one in wanted {
            take(&one.address, &one.repository);
        }
        Self { taken, live }
    }

    /// Another Repository whose place equals this one's, holds it, or lies in it. A Repository that exists is never
    /// the one to give way; of two that are new, both do, since neither has a better right.
    pub(super) fn conflict(&self, one: &Wanted) -> Option<&ObjectKey> {
        if self.live.get(&one.repository) == Some(&one.address) {
            return None;
        }
        let own = &one.repository;
        let above = one.address.ancestors().filter_map(|ancestor| self.taken.get(ancestor)).flatten();
        let start = one.address.as_str();
        let inside = self.taken.range(start.to_owned()..).take_while(|(address, _)| address.starts_with(start));
        above.chain(inside.flat_map(|(_, keys)| keys)).find(|key| *key != own)
    }
}
