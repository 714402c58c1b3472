//! Carries out a plan: the only writer of what plans are about.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::Request;
use kube::core::params::GetParams;
use kube::core::request;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::api::Handles;
use super::error::Failure;
use super::exchange::{Answer, exchange};
use super::lease::{Leader, WRITE_TIME_MAX};
use super::state;
use crate::model::applied::{Applied, StepResult};
use crate::model::delete_log::DeleteLog;
use crate::model::json::text;
use crate::model::keys::FIELD_MANAGER;
use crate::model::object::ObjectKey;
use crate::model::observed::Observed;
use crate::model::plan::{Action, Group, Plan, Step};

/// Groups that are carried out at once: enough to hide the round trip, few enough to stay a small part of the share
/// that the API server's flow control gives to a service account.
const GROUPS_AT_ONCE: usize = 8;
/// How often one request is sent again because the server said "too many"; it did nothing, so that is no risk.
const THROTTLED_MAX: u32 = 3;
/// A server that asks for a longer pause is left alone until the next pass.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);

/// Resource versions of what the plan updates, as they were when it was made. They are no part of the plan: two plans
/// that differ in them alone say the same. None is missing if `observed` is what the plan was made from, since only
/// what is there is updated; without its version an update that changed nothing would count as done.
pub fn known_versions(plan: &Plan, observed: &Observed) -> BTreeMap<ObjectKey, String> {
    let updates = plan.steps.iter().filter(|step| matches!(step.action, Action::Update { .. }));
    let known = |step: &Step| Some((step.object.clone(), observed.objects.get(&step.object)?.resource_version.clone()));
    updates.filter_map(known).collect()
}

/// Tries every step, as long as this process is the leader. `known` is what [`known_versions`] gave for this plan.
pub async fn apply(
    handles: &Handles,
    leader: &Leader,
    log: &mut DeleteLog,
    plan: &Plan,
    known: &BTreeMap<ObjectKey, String>,
) -> Applied {
    let recorded = note(handles, leader, log, plan).await;
    let pass = Pass { handles, leader, known, recorded };
    // The futures are made here, not in the stream: a closure over borrowed steps is not general enough to be sent.
    let groups: Vec<_> = group(&plan.steps).into_iter().map(|steps| pass.group(steps)).collect();
    let done: Vec<Vec<(usize, StepResult)>> =
        futures::stream::iter(groups).buffer_unordered(GROUPS_AT_ONCE).collect().await;
    let results: BTreeMap<usize, StepResult> = done.into_iter().flatten().collect();
    plan.settle(results.into_values().collect())
}

/// Writes the deletes of the plan down.
async fn note(handles: &Handles, leader: &Leader, log: &mut DeleteLog, plan: &Plan) -> Result<(), Failure> {
    let uids: BTreeSet<&str> = plan.steps.iter().filter_map(deleted).collect();
    if uids.is_empty() {
        return Ok(());
    }
    let next = log.noted(plan.now, &uids);
    state::write(handles, leader, &next).await?;
    *log = next;
    Ok(())
}

fn deleted(step: &Step) -> Option<&str> {
    match &step.action {
        Action::Delete { uid, .. } => Some(uid),
        Action::Create { .. } | Action::Update { .. } => None,
    }
}

/// Steps with their place in the plan, by group, in the order of the plan.
fn group(steps: &[Step]) -> Vec<Vec<(usize, &Step)>> {
    let mut places: BTreeMap<&Group, usize> = BTreeMap::new();
    let mut groups: Vec<Vec<(usize, &Step)>> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let place = *places.entry(&step.group).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[place].push((index, step));
    }
    groups
}

struct Pass<'a> {
    handles: &'a Handles,
    leader: &'a Leader,
    known: &'a BTreeMap<ObjectKey, String>,
    /// Whether the deletes of the plan were written down.
    recorded: Result<(), Failure>,
}

/// Why a step ended early.
enum End {
    Failure(Failure),
    /// Nothing more may be written.
    NotLeader,
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        End::Failure(failure)
    }
}

impl Pass<'_> {
    async fn group(&self, steps: Vec<(usize, &Step)>) -> Vec<(usize, StepResult)> {
        let mut results = Vec::with_capacity(steps.len());
        let mut blocked: Option<String> = None;
        for (index, step) in steps {
            let result = match &blocked {
                Some(because) => StepResult::Skipped { because: because.clone() },
                None => self.step(step).await,
            };
            blocked = blocked.or(match &result {
                StepResult::Done | StepResult::Unchanged => None,
                StepResult::Skipped { because } => Some(because.clone()),
                StepResult::Failed { .. } | StepResult::Unknown { .. } => {
                    Some(format!("{} did not succeed", words(step)))
                }
            });
            results.push((index, result));
        }
        results
    }

    async fn step(&self, step: &Step) -> StepResult {
        let result = match &step.action {
            Action::Create { manifest } => self.create(step, manifest).await,
            Action::Update { manifest, before: _, uid } => self.update(step, manifest, uid).await,
            Action::Delete { uid, resource_version } => self.delete(step, uid, resource_version).await,
        };
        match result {
            Ok(result) => result,
            Err(End::Failure(failure)) => failure.into_result(),
            Err(End::NotLeader) => StepResult::Skipped { because: "this process may not write any more".to_owned() },
        }
    }

    /// Two requests: proof that the name is free, then the apply. Without force, so that what somebody else sets in
    /// between stays; and where it only added to such an object, our fields are taken back.
    async fn create(&self, step: &Step, manifest: &Value) -> Result<StepResult, End> {
        match self.send(step, |path, name| path.get_metadata(name, &GetParams::default())).await {
            Err(End::Failure(Failure::Missing(_))) => {}
            Err(end) => return Err(end),
            Ok(_) => {
                let message = format!("{}: an object of this name has appeared since the plan", words(step));
                return Err(Failure::Conflict(message).into());
            }
        }
        let answer = self.put(step, manifest, false).await?;
        if answer.created {
            return Ok(StepResult::Done);
        }
        let metadata = &answer.object["metadata"];
        let nothing = json!({
            "apiVersion": manifest["apiVersion"], "kind": manifest["kind"],
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]},
        });
        self.put(step, &nothing, false).await?;
        let message = format!("{}: somebody else created it at the same moment", words(step));
        Err(Failure::Conflict(message).into())
    }

    /// One request; the UID in it makes the server refuse to write to an object that was deleted and made again.
    async fn update(&self, step: &Step, manifest: &Value, uid: &str) -> Result<StepResult, End> {
        let mut manifest = manifest.clone();
        manifest["metadata"]["uid"] = json!(uid);
        let answer = self.put(step, &manifest, true).await?;
        let version = text(&answer.object["metadata"], "resourceVersion");
        let unchanged = version.is_some() && version == self.known.get(&step.object).map(String::as_str);
        Ok(if unchanged { StepResult::Unchanged } else { StepResult::Done })
    }

    /// One request, for exactly the object that the plan saw.
    async fn delete(&self, step: &Step, uid: &str, resource_version: &str) -> Result<StepResult, End> {
        if !Handles::may_delete(step.object.kind) {
            let message = format!("{}: this kind is never deleted", words(step));
            return Err(Failure::Denied(message).into());
        }
        self.recorded.clone()?;
        let preconditions =
            Preconditions { uid: Some(uid.to_owned()), resource_version: Some(resource_version.to_owned()) };
        let params = DeleteParams::background().preconditions(preconditions);
        match self.send(step, |path, name| path.delete(name, &params)).await {
            Ok(_) => Ok(StepResult::Done),
            Err(End::Failure(Failure::Missing(_))) => Ok(StepResult::Unchanged),
            Err(end) => Err(end),
        }
    }

    async fn put(&self, step: &Step, manifest: &Value, force: bool) -> Result<Answer, End> {
        let params = PatchParams { force, ..PatchParams::apply(FIELD_MANAGER) };
        self.send(step, |path, name| path.patch(name, &params, &Patch::Apply(manifest))).await
    }

    /// Sends one request of a step, again only where the server says that it was not even looked at.
    async fn send(
        &self,
        step: &Step,
        build: impl Fn(&Request, &str) -> Result<http::Request<Vec<u8>>, request::Error>,
    ) -> Result<Answer, End> {
        let what = words(step);
        let path = Request::new(self.handles.managed(&step.object).resource_url());
        let mut throttled = 0;
        loop {
            let request = build(&path, &step.object.name)
                .map_err(|error| Failure::Invalid(format!("{what}: the request cannot be built: {error}")))?;
            let permit = self.leader.permit().await.ok_or(End::NotLeader)?;
            let answer = exchange(self.handles.client(), request, WRITE_TIME_MAX, &what).await;
            drop(permit);
            match answer {
                Err(Failure::Throttled { retry_after, message: _ })
                    if throttled < THROTTLED_MAX && retry_after <= RETRY_AFTER_MAX =>
                {
                    throttled += 1;
                    sleep(retry_after).await;
                }
                answer => return Ok(answer?),
            }
        }
    }
}

/// `create BackupConfiguration shop/web`.
fn words(step: &Step) -> String {
    format!("{} {} {}", step.action.as_str(), step.object.kind.as_str(), step.object.short())
}
