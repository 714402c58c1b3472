//! Repositories of ours that nothing uses any more: never deleted, so they are named.

use std::collections::BTreeSet;

use super::draft::Draft;
use super::world::{World, repository_of};
use crate::model::finding::WarningCode;
use crate::model::object::{Kind, ObjectKey};
use crate::model::observed::Watched;
use crate::model::plan::Warning;

pub(super) fn plan(world: &World, draft: &mut Draft) {
    let users = [Kind::BackupConfiguration, Kind::BackupBatch];
    if !world.desired.held.is_empty() || users.iter().any(|kind| !world.is_complete(Watched::Managed(*kind))) {
        return;
    }
    let idle: Vec<&ObjectKey> = world
        .observed
        .objects
        .iter()
        .filter(|(key, live)| key.kind == Kind::Repository && live.is_ours() && !draft.stays.contains(key))
        .map(|(key, _)| key)
        .collect();
    if idle.is_empty() {
        return;
    }
    let used = used(world);
    for key in idle.into_iter().filter(|key| !used.contains(key)) {
        let message =
            format!("nothing uses Repository {} any more; its snapshots stay until a person removes them", key.short());
        draft.warnings.push(Warning {
            policy: None,
            code: WarningCode::RepositoryUnused,
            at: None,
            object: Some(key.clone()),
            message,
        });
    }
}

fn used(world: &World) -> BTreeSet<ObjectKey> {
    let configurations = world
        .observed
        .objects
        .iter()
        .filter(|(key, live)| matches!(key.kind, Kind::BackupConfiguration | Kind::BackupBatch) && !live.deleting);
    let live = configurations.filter_map(|(key, live)| repository_of(key, &live.spec()));
    let documents = world.desired.documents.iter();
    live.chain(documents.filter_map(|(key, document)| repository_of(key, &document.manifest["spec"]))).collect()
}
