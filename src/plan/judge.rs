//! One wanted object against its live twin: create, update, leave alone, or refuse.

use serde_json::Value;

use super::compare::{Difference, difference, put};
use super::world::World;
use crate::model::address::{self, Address};
use crate::model::finding::RefusalCode;
use crate::model::json::join;
use crate::model::keys;
use crate::model::names::hash_hex;
use crate::model::object::{Kind, ObjectKey};
use crate::model::observed::{Live, Watched};
use crate::model::plan::Action;
use crate::model::retention;

/// After this many undone changes by one manager in a row the next one is refused instead of undone.
const UNDONE_MAX: u32 = 2;

/// What is to be done about one wanted object.
pub(super) enum Verdict {
    Unchanged,
    /// It is being deleted; it is made anew once it is gone.
    Waiting,
    Step {
        action: Action,
        why: Why,
        danger: Option<Danger>,
    },
    Refused {
        code: RefusalCode,
        message: String,
    },
}

/// Why an object is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    New,
    Adopted,
    /// Fields that Git now says otherwise.
    Changed(Vec<String>),
    Drifted {
        manager: String,
        fields: Vec<String>,
    },
    CauseBack,
}

/// A change that would lose data, and the facts that its acknowledgement covers.
pub(super) struct Danger {
    pub code: RefusalCode,
    pub phrase: String,
    pub fact: String,
}

pub(super) fn judge(world: &World, key: &ObjectKey, mut manifest: Value, adopt: bool) -> Verdict {
    if !world.is_complete(Watched::Managed(key.kind)) {
        let kind = key.kind.as_str();
        let message = format!(
            "the cluster does not serve {kind}, or could not list it: apply `holdfast crds`, or give the right to list it"
        );
        return Verdict::Refused { code: RefusalCode::KindNotServed, message };
    }
    if let Some(error) = no_place(key, &manifest) {
        let message = format!("{} {}: {error}", key.kind.as_str(), key.short());
        return Verdict::Refused { code: RefusalCode::InvalidResult, message };
    }
    let Some(live) = world.live(key) else { return create(world, key, manifest) };
    let ours = live.is_ours();
    if !ours && !adopt && !live.is_handed_over() {
        let message = format!(
            "{} {} exists and was made by {}: rename it, or hand it over with the annotation {}=true",
            key.kind.as_str(),
            key.short(),
            live.made_by(),
            keys::ADOPT
        );
        return Verdict::Refused { code: RefusalCode::ForeignObject, message };
    }
    if live.deleting {
        return Verdict::Waiting;
    }
    // The mark stays while nothing else changes, and goes with the next change that Git asks for.
    let undone = live.annotations.get(keys::UNDONE).cloned();
    mark_undone(&mut manifest, undone.as_deref());
    let change = match difference(&manifest, live) {
        Some(change) => change,
        None if ours => return Verdict::Unchanged,
        // Equal, but not by us: one write makes it ours.
        None => Difference { before: manifest.clone(), fields: Vec::new(), drifted_by: None },
    };
    let why = why(ours, live, &change);
    if let Why::Drifted { manager, fields } = &why {
        mark_undone(&mut manifest, None);
        let wanted = hash_hex(&manifest.to_string(), 8);
        let same = live.undone().filter(|undone| undone.manager == manager && undone.wanted == wanted);
        let count = same.map_or(0, |undone| undone.count);
        if count >= UNDONE_MAX {
            let message = format!(
                "{manager} has changed {} of {} {} again after it was set back {count} times: agree with it in Git, or stop that manager and take the annotation {} off the object",
                dotted(fields),
                key.kind.as_str(),
                key.short(),
                keys::UNDONE
            );
            return Verdict::Refused { code: RefusalCode::DriftContested, message };
        }
        mark_undone(&mut manifest, Some(&format!("{}:{wanted} {manager}", count + 1)));
    } else {
        mark_undone(&mut manifest, None);
    }
    // The marks moved after the comparison, so it is made again for an honest diff.
    let change = difference(&manifest, live).unwrap_or(change);
    let danger = danger(key, &manifest, live);
    Verdict::Step { action: Action::Update { manifest, before: change.before, uid: live.uid.clone() }, why, danger }
}

/// Why nobody could find the snapshots of a Repository like this one.
fn no_place(key: &ObjectKey, manifest: &Value) -> Option<address::Error> {
    match key.kind {
        Kind::Repository => Address::of(&manifest["spec"]["backend"], &key.namespace).err(),
        Kind::Function | Kind::Task | Kind::BackupConfiguration | Kind::BackupBatch => None,
    }
}

fn create(world: &World, key: &ObjectKey, manifest: Value) -> Verdict {
    if key.kind.namespaced() && world.is_complete(Watched::Namespace) {
        match world.observed.namespaces.get(&key.namespace) {
            Some(namespace) if !namespace.terminating => {}
            known => {
                let state = match known {
                    Some(_) => {
                        "is being deleted: wait until it is gone and create it anew, or take out what asks for this"
                    }
                    None => "does not exist: create it, or correct the name",
                };
                let message = format!("namespace {} {state}", key.namespace);
                return Verdict::Refused { code: RefusalCode::NamespaceMissing, message };
            }
        }
    }
    Verdict::Step { action: Action::Create { manifest }, why: Why::New, danger: None }
}

fn why(ours: bool, live: &Live, change: &Difference) -> Why {
    if !ours {
        return Why::Adopted;
    }
    let mark = join("/metadata/annotations", keys::MISSING_SINCE);
    if live.annotations.contains_key(keys::MISSING_SINCE) && change.fields == [mark] {
        return Why::CauseBack;
    }
    match &change.drifted_by {
        Some(manager) => Why::Drifted { manager: manager.clone(), fields: change.fields.clone() },
        None => Why::Changed(change.fields.clone()),
    }
}

fn mark_undone(manifest: &mut Value, mark: Option<&str>) {
    match mark {
        Some(mark) => put(manifest, &join("/metadata/annotations", keys::UNDONE), mark.into()),
        None => {
            if let Some(annotations) = manifest["metadata"]["annotations"].as_object_mut() {
                annotations.remove(keys::UNDONE);
            }
        }
    }
}

/// Moving a Repository or keeping fewer snapshots loses data that nobody asked to lose.
fn danger(key: &ObjectKey, manifest: &Value, live: &Live) -> Option<Danger> {
    let spec = live.spec();
    match key.kind {
        Kind::Repository => {
            // A place that cannot be told may be any place.
            let from = Address::of(&spec["backend"], &key.namespace);
            let to = Address::of(&manifest["spec"]["backend"], &key.namespace);
            if from.is_ok() && from == to {
                return None;
            }
            let spoken = |place: Result<Address, _>| place.map_or("an unknown place".to_owned(), |at| at.to_string());
            let (from, to) = (spoken(from), spoken(to));
            Some(Danger {
                code: RefusalCode::BackendMoved,
                phrase: format!(
                    "Repository {} would move from {from} to {to}; the snapshots at {from} would be orphaned",
                    key.short()
                ),
                fact: format!("move {key} {} {} {from} {to}", live.uid, live.generation.unwrap_or_default()),
            })
        }
        Kind::BackupConfiguration | Kind::BackupBatch => {
            let (from, to) = (&spec["retentionPolicy"], &manifest["spec"]["retentionPolicy"]);
            let lost = retention::weakened(from, to);
            (!lost.is_empty()).then(|| Danger {
                code: RefusalCode::RetentionWeakened,
                phrase: format!("{} {} would keep less: {}", key.kind.as_str(), key.short(), lost.join(", ")),
                fact: format!("retention {key} {} {} {from} {to}", live.uid, live.generation.unwrap_or_default()),
            })
        }
        Kind::Function | Kind::Task => None,
    }
}

/// Pointers as people write them, capped.
pub(super) fn dotted(fields: &[String]) -> String {
    const SHOWN_MAX: usize = 3;
    let mut shown: Vec<String> = fields
        .iter()
        .take(SHOWN_MAX)
        .map(|pointer| pointer.split('/').skip(1).map(crate::model::json::token).collect::<Vec<_>>().join("."))
        .collect();
    if fields.len() > SHOWN_MAX {
        shown.push(format!("{} more", fields.len() - SHOWN_MAX));
    }
    shown.join(", ")
}
