//! What is to become of each pack: a plan, made of what is used.

use std::collections::BTreeMap;

use crate::repository::packs::PackUse;
use crate::repository::store::FileId;

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Nothing in them is needed, or no index names them.
    pub remove: BTreeMap<FileId, u64>,
    /// What is needed of them is written anew, before they are removed.
    pub repack: BTreeMap<FileId, u64>,
    /// Used bytes of those.
    pub copied_bytes: u64,
    pub kept_packs: u64,
    pub kept_bytes: u64,
    /// What stays although nobody needs it: within what was allowed.
    pub unused_bytes: u64,
    /// Named by an index, and not there; nothing in them is needed.
    pub gone: Vec<FileId>,
}

impl Plan {
    pub fn changes_nothing(&self) -> bool {
        self.remove.is_empty() && self.repack.is_empty() && self.gone.is_empty()
    }

    pub fn freed_bytes(&self) -> u64 {
        self.remove.values().chain(self.repack.values()).sum::<u64>().saturating_sub(self.copied_bytes)
    }
}

/// `unused_percent` of what is used may stay unused.
pub(super) fn plan(packs: &BTreeMap<FileId, PackUse>, unused_percent: u64) -> Plan {
    let mut plan = Plan::default();
    let mut mixed = Vec::new();
    let mut used_in_all = 0;
    for (id, pack) in packs {
        used_in_all += pack.used_bytes;
        match (pack.bytes, pack.used_blobs) {
            (Some(bytes), 0) => drop(plan.remove.insert(*id, bytes)),
            (None, 0) => plan.gone.push(*id),
            (Some(bytes), _) => mixed.push((*id, *pack, bytes)),
            // Refused before anything is planned.
            (None, _) => {}
        }
    }
    // The most wasteful first: each byte that is copied then frees the most.
    mixed.sort_by_key(|(id, pack, _)| {
        let share = u128::from(pack.used_bytes) * 1_000_000 / u128::from(pack.named_bytes.max(1));
        (share, *id)
    });
    plan.unused_bytes = mixed.iter().map(|(_, pack, _)| pack.named_bytes - pack.used_bytes).sum();
    let allowed = used_in_all / 100 * unused_percent;
    for (id, pack, bytes) in mixed {
        let unused = pack.named_bytes - pack.used_bytes;
        if unused > 0 && plan.unused_bytes > allowed {
            plan.repack.insert(id, bytes);
            plan.copied_bytes += pack.used_bytes;
            plan.unused_bytes -= unused;
        } else {
            plan.kept_packs += 1;
            plan.kept_bytes += bytes;
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pack(used: u64, unused: u64) -> PackUse {
        let named_bytes = used + unused;
        PackUse {
            bytes: Some(named_bytes + 100),
            named_bytes,
            named_blobs: u32::from(used > 0) + u32::from(unused > 0),
            used_blobs: u32::from(used > 0),
            used_bytes: used,
            list_bytes: 64,
        }
    }

    #[test]
    fn the_most_wasteful_are_written_anew_until_little_is_unused() {
        let packs =
            [(1, pack(1000, 0)), (2, pack(0, 500)), (3, pack(100, 900)), (4, pack(990, 10)), (5, pack(500, 500))];
        let packs: BTreeMap<_, _> = packs.into_iter().map(|(number, pack)| (FileId([number; 32]), pack)).collect();
        let plan = super::plan(&packs, 5);
        assert_eq!(plan.remove, BTreeMap::from([(FileId([2; 32]), 600)]));
        assert_eq!(plan.repack.keys().map(|id| id.0[0]).collect::<Vec<_>>(), [3, 5]);
        assert_eq!((plan.copied_bytes, plan.unused_bytes, plan.kept_packs), (600, 10, 2));
        assert!(super::plan(&packs, 1_000_000).repack.is_empty());
        assert_eq!(super::plan(&packs, 0).repack.len(), 3);
    }

    proptest! {
        #[test]
        fn nothing_that_is_used_is_removed(sizes in prop::collection::vec((0..50_u64, 0..50_u64), 0..30), percent in 0..100_u64) {
            let numbered = sizes.iter().enumerate().map(|(number, (used, unused))| {
                (FileId([u8::try_from(number).unwrap(); 32]), pack(*used, *unused))
            });
            let packs: BTreeMap<_, _> = numbered.collect();
            let plan = super::plan(&packs, percent);
            let used: u64 = packs.values().map(|pack| pack.used_bytes).sum();
            prop_assert!(plan.remove.keys().all(|id| packs[id].used_blobs == 0));
            prop_assert!(plan.repack.keys().all(|id| !plan.remove.contains_key(id)));
            prop_assert!(plan.unused_bytes <= used / 100 * percent);
            let kept = packs.len() - plan.remove.len() - plan.repack.len();
            prop_assert_eq!(u64::try_from(kept).unwrap(), plan.kept_packs);
        }
    }
}
