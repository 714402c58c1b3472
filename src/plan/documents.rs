//! Objects that documents in Git describe as they shall be.

use serde_json::Value;

use super::draft::Draft;
use super::judge::{Verdict, Why, dotted, judge};
use super::policies::{self, About};
use super::world::{World, repository_of, target_of};
use crate::model::acknowledge::Digest;
use crate::model::desired::{Described, DesiredObject};
use crate::model::finding::ReasonCode;
use crate::model::json::text;
use crate::model::keys;
use crate::model::object::{Kind, ObjectKey};
use crate::model::observed::Live;
use crate::model::plan::{Group, Protection, Reason, Refusal, Standing, Step};

pub(super) fn plan(world: &World, draft: &mut Draft) {
    for (key, document) in &world.desired.documents {
        draft.keep([key.clone()]);
        let standing = one(world, key, document, draft);
        protect(world, key, document, standing, draft);
    }
    for held in &world.desired.held {
        if let Some(Described::Object(key)) = &held.describes {
            draft.keep([key.clone()]);
        }
    }
}

fn one(world: &World, key: &ObjectKey, document: &DesiredObject, draft: &mut Draft) -> Standing {
    let refusal = |code, message, acknowledge| Refusal {
        policy: None,
        code,
        object: Some(key.clone()),
        target: None,
        at: Some(document.at.clone()),
        message,
        acknowledge,
    };
    let about = About { object: Some(key), ..About::default() };
    if policies::put(policies::of_document(world, key, document), about, draft) {
        return Standing::Refused;
    }
    match judge(world, key, document.manifest.clone(), false) {
        Verdict::Unchanged | Verdict::Waiting => Standing::Wanted,
        Verdict::Refused { code, message } => {
            draft.refusals.push(refusal(code, message, None));
            Standing::Refused
        }
        Verdict::Step { action, why, danger } => {
            if let Some(danger) = danger {
                let digest = Digest::of([danger.fact]);
                if !world.acknowledged(None, digest.as_str()) {
                    draft.refusals.push(refusal(danger.code, danger.phrase, Some(digest)));
                    return Standing::Refused;
                }
                draft.acknowledged.insert(digest);
            }
            let reason = reason(key, document, &why);
            draft.steps.push(Step { object: key.clone(), group: Group::Document(key.clone()), reason, action });
            Standing::Wanted
        }
    }
}

fn reason(key: &ObjectKey, document: &DesiredObject, why: &Why) -> Reason {
    let name = format!("{} {}", key.kind.as_str(), key.short());
    let place = format!("{}:{}", document.at.path, document.at.line);
    let (code, message) = match why {
        Why::New => (ReasonCode::InGit, format!("{name} is in Git ({place})")),
        Why::Adopted => (ReasonCode::Adopted, format!("{name} was handed over and is in Git ({place})")),
        Why::Changed(fields) => (ReasonCode::InGit, format!("{}: {place} says so", dotted(fields))),
        Why::Drifted { manager, fields } => {
            (ReasonCode::Drift, format!("{manager} changed {}, which {place} sets: it is set back", dotted(fields)))
        }
        Why::CauseBack => (ReasonCode::CauseBack, format!("{name} is back in Git ({place})")),
    };
    Reason { code, at: Some(document.at.clone()), blueprint: None, target: None, annotation: None, message }
}

/// A configuration in Git protects the target that it names.
fn protect(world: &World, key: &ObjectKey, document: &DesiredObject, standing: Standing, draft: &mut Draft) {
    if key.kind != Kind::BackupConfiguration {
        return;
    }
    let spec = document.manifest.get("spec").unwrap_or(&Value::Null);
    let Some(target) = target_of(key, spec) else { return };
    let live = world.live(key);
    draft.protections.push(Protection {
        target,
        blueprint: None,
        source: document.manifest["metadata"]["annotations"][keys::SOURCE].as_str().unwrap_or_default().to_owned(),
        configuration: Some(key.clone()),
        repository: repository_of(key, spec),
        schedule: text(spec, "schedule").map(str::to_owned),
        paused: live.is_some_and(is_paused),
        standing,
    });
}

/// Whether a configuration shall make no sessions.
pub fn is_paused(live: &Live) -> bool {
    live.spec_mentions("paused") && live.spec().get("paused").and_then(Value::as_bool).unwrap_or(false)
}
