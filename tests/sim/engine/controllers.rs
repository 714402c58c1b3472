//! Kubernetes' own controllers of `Job`s and `CronJob`s.

use holdfast::api::BackupConfiguration;
use holdfast::build::rights::TRIGGER;
use holdfast::control::engine::deed::Propagation;
use holdfast::control::engine::new_session;
use holdfast::cron::Schedule;
use holdfast::model::invoker::Invoker;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cluster::{Key, at, has_finalizer, is_deleting, is_owned_by, key, stamp, time_at};
use super::world::{Event, World};

/// Keeps a pod until its Job has counted it.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";
/// A slot that is later than this is missed.
const STARTING_DEADLINE: SignedDuration = SignedDuration::from_secs(300);

/// Whether a pod has ended.
pub(crate) fn is_over(pod: &Value) -> bool {
    matches!(at(pod, "/status/phase"), "Succeeded" | "Failed")
}

pub(crate) fn has_condition(object: &Value, kind: &str) -> bool {
    let list = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    list.into_iter().any(|one| at(one, "/type") == kind && at(one, "/status") == "True")
}

pub(crate) fn is_done(job: &Value) -> bool {
    has_condition(job, "Complete") || has_condition(job, "Failed")
}

impl World {
    pub(crate) fn pods_of(&self, job_uid: &str) -> Vec<(Key, Value)> {
        let pods = self.cluster.of_kind("Pod").filter(|(_, pod)| is_owned_by(pod, job_uid));
        pods.map(|(key, pod)| (key.clone(), (**pod).clone())).collect()
    }

    pub(crate) fn delete_quietly(&mut self, key: &Key) {
        let _ = self.cluster.delete(key, None, Propagation::Background, self.time);
    }

    pub(crate) fn sync_job(&mut self, job_key: &Key) {
        let Some(job) = self.cluster.get(job_key).cloned() else {
            return self.release_orphans(job_key);
        };
        let uid = at(&job, "/metadata/uid").to_owned();
        let pods = self.pods_of(&uid);
        for (pod_key, pod) in &pods {
            let counted = is_over(pod) || at(pod, "/spec/nodeName").is_empty() && is_deleting(pod);
            if counted || is_deleting(&job) {
                self.cluster.drop_finalizer(pod_key, TRACKING);
            }
        }
        if is_done(&job) || is_deleting(&job) {
            return;
        }
        if at(&job, "/status/startTime").is_empty() {
            let now = stamp(self.time);
            self.cluster.edit(job_key, |job| job["status"]["startTime"] = json!(now));
        }
        let began = time_at(&job, "/status/startTime").unwrap_or(self.time);
        let limit = job.pointer("/spec/activeDeadlineSeconds").and_then(Value::as_i64);
        let end = limit.map(|seconds| began + SignedDuration::from_secs(seconds));
        let late = end.is_some_and(|end| end <= self.time);
        if let (Some(end), false) = (end, late) {
            self.at(end, Event::Sync(job_key.clone()));
        }
        let failing = failing_reason(&job);
        if late && failing.is_none() {
            self.fail_job(job_key, "FailureTarget", "DeadlineExceeded");
            for (pod_key, pod) in &pods {
                if !is_over(pod) && !is_deleting(pod) {
                    self.delete_quietly(pod_key);
                }
            }
        } else if let Some(reason) = failing {
            // Since 1.31 a Job has failed only when its pods have ended; before that at once.
            if pods.iter().all(|(_, pod)| is_over(pod)) || self.old_jobs {
                self.fail_job(job_key, "Failed", &reason);
            }
        } else if let Some((_, pod)) = pods.first() {
            match at(pod, "/status/phase") {
                "Succeeded" => {
                    let now = stamp(self.time);
                    let condition = json!([{"type": "Complete", "status": "True", "lastTransitionTime": now}]);
                    self.cluster.edit(job_key, |job| job["status"]["conditions"] = condition);
                }
                "Failed" => self.fail_job(job_key, "FailureTarget", "BackoffLimitExceeded"),
                _ if is_deleting(pod) => self.fail_job(job_key, "FailureTarget", "BackoffLimitExceeded"),
                _ => {}
            }
        } else if has_made_pod(&job) {
            self.fail_job(job_key, "Failed", "BackoffLimitExceeded");
        } else if !late {
            self.make_pod(job_key, &job, &uid);
        }
    }

    /// Pods of a Job that is gone are counted no more.
    fn release_orphans(&mut self, job_key: &Key) {
        let pods = self
            .cluster
            .of_kind("Pod")
            .filter(|(key, pod)| key.1 == job_key.1 && at(pod, "/metadata/ownerReferences/0/name") == job_key.2);
        let pods: Vec<Key> = pods.map(|(key, _)| key.clone()).collect();
        for pod in pods {
            self.cluster.drop_finalizer(&pod, TRACKING);
        }
    }

    fn fail_job(&mut self, job_key: &Key, kind: &str, reason: &str) {
        let condition = json!({"type": kind, "status": "True", "reason": reason, "message": "of the model",
            "lastTransitionTime": stamp(self.time)});
        self.cluster.edit(job_key, |job| {
            let mut list = job.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
            list.push(condition);
            job["status"]["conditions"] = json!(list);
        });
        self.soon(20, 300, Event::Sync(job_key.clone()));
    }

    fn make_pod(&mut self, job_key: &Key, job: &Value, uid: &str) {
        let until = match self.refused_until.get(uid).copied() {
            Some(until) => until,
            None if self.fault("quota", 25) => {
                let seconds = i64::try_from(self.rng.between(3, 200)).unwrap_or(3);
                self.time + SignedDuration::from_secs(seconds)
            }
            None => self.time,
        };
        self.refused_until.insert(uid.to_owned(), until);
        if until > self.time {
            let message = "pods \"x\" is forbidden: exceeded quota: small";
            let list = self.events.entry(uid.to_owned()).or_default();
            list.push(json!({"reason": "FailedCreate", "message": message}));
            return self.soon(3000, 6000, Event::Sync(job_key.clone()));
        }
        self.pods += 1;
        let template = &job["spec"]["template"];
        let mut metadata = template["metadata"].clone();
        metadata["name"] = json!(format!("{}-{}", job_key.2, self.pods));
        metadata["namespace"] = json!(job_key.1);
        metadata["finalizers"] = json!([TRACKING]);
        metadata["ownerReferences"] = json!([{"apiVersion": "batch/v1", "kind": "Job", "name": job_key.2, "uid": uid,
            "controller": true, "blockOwnerDeletion": true}]);
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"],
            "status": {"phase": "Pending"}});
        let (pod, _) = self.cluster.create(&pod, self.time);
        self.cluster.edit(job_key, |job| job["status"]["active"] = json!(1));
        self.pod_made(&pod);
    }

    /// Once a minute: sessions of the slots of each CronJob, as its pod would make them.
    pub(crate) fn cron_jobs(&mut self) {
        let all: Vec<(Key, Value)> =
            self.cluster.of_kind("CronJob").map(|(key, live)| (key.clone(), (**live).clone())).collect();
        for (cron_key, live) in all {
            if is_deleting(&live) || live.pointer("/spec/suspend") == Some(&json!(true)) {
                continue;
            }
            let Ok(schedule) = Schedule::parse(at(&live, "/spec/schedule")) else { continue };
            let Some(slot) = schedule.previous_at_or_before(self.time, "Etc/UTC", "") else { continue };
            let last = time_at(&live, "/status/lastScheduleTime").unwrap_or(Timestamp::MIN);
            let made = time_at(&live, "/metadata/creationTimestamp").unwrap_or(self.time);
            if slot <= last || slot <= made || self.time.duration_since(slot) > STARTING_DEADLINE {
                continue;
            }
            self.cluster.edit(&cron_key, |live| live["status"]["lastScheduleTime"] = json!(stamp(slot)));
            let invoker = key("BackupConfiguration", &cron_key.1, at(&live, "/metadata/ownerReferences/0/name"));
            self.soon(500, 6000, Event::Trigger { invoker, slot, tries: 10 });
        }
        let next = self.time.as_second() / 60 * 60 + 60;
        self.at(Timestamp::from_second(next).expect("a time"), Event::Cron);
    }

    pub(crate) fn trigger(&mut self, invoker: Key, slot: Timestamp, tries: u32) {
        let may = ["ServiceAccount", "RoleBinding"].iter().all(|kind| {
            let live = self.cluster.get(&key(kind, &invoker.1, TRIGGER));
            live.is_some_and(|live| !is_deleting(live))
        });
        if !may {
            if tries > 0 {
                self.soon(10_000, 25_000, Event::Trigger { invoker, slot, tries: tries - 1 });
            }
            return;
        }
        let Some(live) = self.cluster.get(&invoker).filter(|live| !is_deleting(live)) else { return };
        let typed: BackupConfiguration = serde_json::from_value((**live).clone()).expect("it is one");
        let Ok(parsed) = Invoker::parse(&typed) else { return };
        let retries = parsed.retry.map_or(0, |retry| i32::try_from(retry.max).unwrap_or(0));
        let manifest = new_session(&parsed, slot, retries);
        self.cluster.create(&manifest, self.time);
    }
}

fn failing_reason(job: &Value) -> Option<String> {
    let list = job.pointer("/status/conditions").and_then(Value::as_array)?;
    let found = list.iter().find(|one| at(one, "/type") == "FailureTarget")?;
    Some(at(found, "/reason").to_owned())
}

fn has_made_pod(job: &Value) -> bool {
    job.pointer("/status/active").is_some()
}

/// Whether a Job may still do something: nobody has written its end, or a pod of it has not ended.
pub(crate) fn is_live(job: &Value, pods: &[(Key, Value)]) -> bool {
    has_finalizer(job, holdfast::model::keys::FINALIZER)
        && (pods.iter().any(|(_, pod)| !is_over(pod)) || !(is_done(job) || is_deleting(job)))
}
