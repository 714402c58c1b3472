//! Pods from their making to their end, on nodes that may be lost.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use holdfast::model::step::INPUT;

use super::cluster::{KUBELET, Key, at, is_deleting, key, stamp};
use super::documents::SECRET;
use super::store::{Begun, Told, failed};
use super::world::{Event, World};

/// So long a step waits for locks of others.
const SHARED_PATIENCE: SignedDuration = SignedDuration::from_secs(30);
const ALONE_PATIENCE: SignedDuration = SignedDuration::from_secs(90);
const KILLED: i64 = 137;
const TERMINATED: i64 = 143;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    New,
    Placed,
    /// The process runs, and waits for a lock since then.
    Locked(Timestamp),
    Working,
    Over,
}

/// What will happen to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Well,
    Unschedulable(Timestamp),
    ImageMissing(Timestamp),
    BadImage,
    OutOfMemory { stored: bool },
    Evicted { gently: bool },
    NoOutcome,
    CutOutcome,
}

/// The truth about a pod, whatever the API server says.
pub(crate) struct Process {
    pub pod: Key,
    pub job_uid: String,
    pub node: Option<usize>,
    pub stage: Stage,
    pub plan: Plan,
    pub told: Told,
    began: Option<Timestamp>,
    /// What a kubelet that is cut off could not say yet.
    report: Option<Value>,
}

impl Process {
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.stage, Stage::Locked(_) | Stage::Working)
    }
}

impl World {
    pub(crate) fn pod_made(&mut self, pod: &Value) {
        let uid = at(pod, "/metadata/uid").to_owned();
        let env = pod.pointer("/spec/containers/0/env").and_then(Value::as_array).cloned().unwrap_or_default();
        let input = env.iter().find(|one| one["name"] == INPUT).map(|one| at(one, "/value")).unwrap_or_default();
        let told = Told::of(&serde_json::from_str(input).unwrap_or_default());
        let plan = self.plan();
        let job_uid = at(pod, "/metadata/ownerReferences/0/uid").to_owned();
        let process = Process {
            pod: super::cluster::key_of(pod),
            job_uid,
            node: None,
            stage: Stage::New,
            plan,
            told,
            began: None,
            report: None,
        };
        self.processes.insert(uid.clone(), process);
        self.soon(20, 400, Event::Kubelet(uid));
    }

    fn plan(&mut self) -> Plan {
        let soon = |world: &mut World| {
            let seconds = i64::try_from(world.rng.between(5, 240)).unwrap_or(5);
            world.time + SignedDuration::from_secs(seconds)
        };
        if self.fault("unschedulable", 20) {
            return Plan::Unschedulable(soon(self));
        }
        if self.fault("image missing", 20) {
            return Plan::ImageMissing(soon(self));
        }
        if self.fault("bad image name", 15) {
            return Plan::BadImage;
        }
        if self.fault("out of memory", 40) {
            return Plan::OutOfMemory { stored: self.rng.chance(500) };
        }
        if self.fault("evicted", 30) {
            return Plan::Evicted { gently: self.rng.chance(500) };
        }
        if self.fault("outcome missing", 30) {
            return Plan::NoOutcome;
        }
        if self.fault("outcome cut", 30) {
            return Plan::CutOutcome;
        }
        Plan::Well
    }

    pub(crate) fn kubelet(&mut self, uid: &str) {
        let Some(process) = self.processes.get(uid) else { return };
        let pod = process.pod.clone();
        match process.stage {
            Stage::New => self.place(uid, &pod),
            Stage::Placed => self.start(uid, &pod),
            Stage::Locked(since) => self.begin(uid, since),
            Stage::Working => self.end(uid),
            Stage::Over => {}
        }
    }

    fn live_pod(&self, uid: &str, pod: &Key) -> Option<Value> {
        let live = self.cluster.get(pod)?;
        (at(live, "/metadata/uid") == uid && !is_deleting(live)).then(|| (**live).clone())
    }

    fn place(&mut self, uid: &str, pod: &Key) {
        if self.live_pod(uid, pod).is_none() {
            self.set_stage(uid, Stage::Over);
            return;
        }
        let plan = self.processes[uid].plan;
        let mut node = self.rng.below(2);
        if self.lost[node] {
            node = 1 - node;
        }
        let later = matches!(plan, Plan::Unschedulable(until) if until > self.time) || self.lost[node];
        if later {
            self.cluster.edit(pod, |pod| {
                pod["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "False",
                    "reason": "Unschedulable", "message": "0/2 nodes are available"}]);
            });
            return self.soon(4000, 6000, Event::Kubelet(uid.to_owned()));
        }
        self.cluster.edit(pod, |pod| {
            pod["spec"]["nodeName"] = json!(format!("node-{node}"));
            pod["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "True"}]);
            pod["status"]["containerStatuses"] = waiting("ContainerCreating", "");
        });
        if let Some(process) = self.processes.get_mut(uid) {
            process.node = Some(node);
            process.stage = Stage::Placed;
        }
        self.soon(100, 1500, Event::Kubelet(uid.to_owned()));
    }

    fn set_stage(&mut self, uid: &str, stage: Stage) {
        if let Some(process) = self.processes.get_mut(uid) {
            process.stage = stage;
        }
    }

    fn is_cut_off(&self, uid: &str) -> bool {
        self.processes[uid].node.is_some_and(|node| self.lost[node])
    }

    fn start(&mut self, uid: &str, pod: &Key) {
        if self.is_cut_off(uid) {
            return self.soon(4000, 6000, Event::Kubelet(uid.to_owned()));
        }
        let Some(live) = self.live_pod(uid, pod) else { return };
        let obstacle = match self.processes[uid].plan {
            Plan::BadImage => Some("InvalidImageName"),
            Plan::ImageMissing(until) if until > self.time => Some("ImagePullBackOff"),
            _ => None,
        };
        if let Some(reason) = obstacle {
            self.cluster.edit(pod, |pod| pod["status"]["containerStatuses"] = waiting(reason, "no such image"));
            return self.soon(4000, 6000, Event::Kubelet(uid.to_owned()));
        }
        let secret = key("Secret", &pod.1, &secret_of(&live));
        if self.cluster.get(&secret).is_none() {
            let list = self.events.entry(uid.to_owned()).or_default();
            list.push(json!({"reason": "FailedMount", "message": "secret not found"}));
            return self.soon(4000, 6000, Event::Kubelet(uid.to_owned()));
        }
        let now = stamp(self.time);
        self.cluster.edit(pod, |pod| {
            pod["status"]["phase"] = json!("Running");
            pod["status"]["containerStatuses"] = json!([{"name": "c", "state": {"running": {"startedAt": now}}}]);
        });
        let since = self.time;
        if let Some(process) = self.processes.get_mut(uid) {
            process.began = Some(since);
            process.stage = Stage::Locked(since);
        }
        self.begin(uid, since);
    }

    /// The agent opens the repository.
    fn begin(&mut self, uid: &str, since: Timestamp) {
        let told = self.processes[uid].told.clone();
        let alive = told.gone_pods.iter().find(|pod| self.processes.get(*pod).is_some_and(Process::is_alive));
        if let Some(pod) = alive {
            self.oracle.broken(format!("{} removes the lock of {pod}, which is alive", self.processes[uid].pod.2));
        }
        let password = self.password_of(uid);
        let store = self.stores.entry(told.address.clone()).or_default();
        match store.begin(&told, uid, &password) {
            Begun::Yes => {
                self.set_stage(uid, Stage::Working);
                let long = self.faults > 0 && self.rng.chance(40);
                let (low, high) = if long { (60_000, 900_000) } else { (300, 15_000) };
                self.soon(low, high, Event::Kubelet(uid.to_owned()));
            }
            Begun::Waits => {
                let patience = if told.work == "finish" { ALONE_PATIENCE } else { SHARED_PATIENCE };
                if self.time.duration_since(since) < patience {
                    return self.soon(4000, 6000, Event::Kubelet(uid.to_owned()));
                }
                if told.work == "finish" {
                    let outcome = store.deferred().to_string();
                    return self.say(uid, 0, "Completed", &outcome);
                }
                self.say(uid, 1, "Error", &failed("RepositoryLocked").to_string());
            }
            Begun::Failed(outcome) => self.say(uid, 1, "Error", &outcome.to_string()),
        }
    }

    fn password_of(&self, uid: &str) -> String {
        let pod = &self.processes[uid].pod;
        let secret = self.cluster.get(pod).map_or_else(|| SECRET.to_owned(), |live| secret_of(live));
        let live = self.cluster.get(&key("Secret", &pod.1, &secret));
        live.map(|live| at(live, "/data/RESTIC_PASSWORD").to_owned()).unwrap_or_default()
    }

    /// The step has come to its end, well or not.
    fn end(&mut self, uid: &str) {
        let (plan, told) = (self.processes[uid].plan, self.processes[uid].told.clone());
        let password = self.password_of(uid);
        let stores = !matches!(plan, Plan::OutOfMemory { stored: false } | Plan::Evicted { .. });
        let mut outcome = Value::Null;
        if stores {
            let mut broken = Vec::new();
            let store = self.stores.entry(told.address.clone()).or_default();
            let before = store.snapshots.clone();
            outcome = store.work(&told, &password, &mut broken);
            let after = store.snapshots.clone();
            for one in broken {
                self.oracle.broken(one);
            }
            self.stored(uid, &told, &before, &after);
        }
        match plan {
            Plan::OutOfMemory { .. } => self.say(uid, KILLED, "OOMKilled", ""),
            Plan::Evicted { gently } => {
                if gently {
                    self.unlock(uid);
                }
                self.say(uid, KILLED, "Evicted", "");
            }
            Plan::NoOutcome => {
                self.unlock(uid);
                self.say(uid, 0, "Completed", "");
            }
            Plan::CutOutcome => {
                self.unlock(uid);
                if let Some(hosts) = outcome.get_mut("hosts").and_then(Value::as_array_mut) {
                    for host in hosts {
                        host["omitted"] = json!(1);
                        host["snapshots"] = json!([]);
                    }
                }
                self.say(uid, 0, "Completed", &outcome.to_string());
            }
            _ => {
                self.unlock(uid);
                self.say(uid, 0, "Completed", &outcome.to_string());
            }
        }
    }

    fn unlock(&mut self, uid: &str) {
        let address = self.processes[uid].told.address.clone();
        if let Some(store) = self.stores.get_mut(&address) {
            store.locks.remove(uid);
        }
    }

    /// The last word of a container, and with it of its pod.
    fn say(&mut self, uid: &str, code: i64, reason: &str, message: &str) {
        let began = self.processes[uid].began.unwrap_or(self.time);
        let mut status = json!({
            "phase": if code == 0 { "Succeeded" } else { "Failed" },
            "containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": code, "reason": reason,
                "message": message, "startedAt": stamp(began), "finishedAt": stamp(self.time)}}}],
        });
        if reason == "Evicted" {
            status["reason"] = json!("Evicted");
            status["message"] = json!("the node was low on memory");
        }
        self.set_stage(uid, Stage::Over);
        if self.is_cut_off(uid) {
            if let Some(process) = self.processes.get_mut(uid) {
                process.report = Some(status);
            }
            return;
        }
        let pod = self.processes[uid].pod.clone();
        self.report(&pod, uid, &status);
    }

    fn report(&mut self, pod: &Key, uid: &str, status: &Value) {
        if self.cluster.get(pod).is_some_and(|live| at(live, "/metadata/uid") == uid) {
            self.cluster.edit(pod, |pod| pod["status"] = status.clone());
        }
    }

    /// Once nothing in the cluster tells of a pod any more, its lock is left to people.
    pub(crate) fn unlock_by_hand(&mut self) {
        for store in self.stores.values_mut() {
            let forgotten: Vec<String> = store
                .locks
                .keys()
                .filter_map(|holder| self.processes.get(holder).map(|process| (holder, process)))
                .filter(|(_, process)| !process.is_alive() && self.cluster.get(&process.pod).is_none())
                .map(|(holder, _)| holder.clone())
                .collect();
            for holder in forgotten {
                store.locks.remove(&holder);
                self.counts.effect("unlocked by hand");
            }
        }
    }

    /// Somebody deleted the pod: its kubelet stops it.
    pub(crate) fn stop(&mut self, uid: &str) {
        let Some(process) = self.processes.get(uid) else { return };
        let pod = process.pod.clone();
        if self.is_cut_off(uid) {
            return;
        }
        if self.processes[uid].is_alive() {
            if self.rng.chance(800) {
                self.unlock(uid);
                self.say(uid, TERMINATED, "Error", &failed("Cancelled").to_string());
            } else {
                self.say(uid, KILLED, "Error", "");
            }
        } else if self.processes[uid].stage != Stage::Over {
            self.set_stage(uid, Stage::Over);
            self.report(&pod, uid, &json!({"phase": "Failed"}));
        }
        if self.cluster.get(&pod).is_some_and(|live| at(live, "/metadata/uid") == uid) {
            self.cluster.drop_finalizer(&pod, KUBELET);
        }
    }

    /// A node stops to answer; its processes go on, or not.
    pub(crate) fn lose_node(&mut self, node: usize, off: bool) {
        self.lost[node] = true;
        if off {
            let there: Vec<String> = self.on_node(node);
            for uid in there {
                if let Some(process) = self.processes.get_mut(&uid).filter(|process| process.is_alive()) {
                    process.stage = Stage::Over;
                    process.report = Some(json!({"phase": "Failed", "containerStatuses": [{"name": "c", "state":
                        {"terminated": {"exitCode": KILLED, "reason": "ContainerStatusUnknown"}}}]}));
                }
            }
        }
    }

    fn on_node(&self, node: usize) -> Vec<String> {
        self.processes.iter().filter(|(_, one)| one.node == Some(node)).map(|(uid, _)| uid.clone()).collect()
    }

    /// Pods of a node that was lost for long are deleted, which nobody there hears.
    pub(crate) fn drain_node(&mut self, node: usize) {
        if !self.lost[node] {
            return;
        }
        for uid in self.on_node(node) {
            let pod = self.processes[&uid].pod.clone();
            if self.live_pod(&uid, &pod).is_some_and(|live| !super::controllers::is_over(&live)) {
                self.delete_quietly(&pod);
            }
        }
    }

    pub(crate) fn find_node(&mut self, node: usize) {
        self.lost[node] = false;
        for uid in self.on_node(node) {
            let pod = self.processes[&uid].pod.clone();
            if let Some(status) = self.processes.get_mut(&uid).and_then(|process| process.report.take()) {
                self.report(&pod, &uid, &status);
            }
            let live = self.cluster.get(&pod).filter(|live| at(live, "/metadata/uid") == uid).cloned();
            match live {
                Some(live) if is_deleting(&live) => self.soon(100, 3000, Event::Stop(uid)),
                Some(_) => {}
                // Its pod was removed behind its back.
                None => self.stop(&uid),
            }
        }
    }
}

fn waiting(reason: &str, message: &str) -> Value {
    json!([{"name": "c", "state": {"waiting": {"reason": reason, "message": message}}}])
}

fn secret_of(pod: &Value) -> String {
    let mut volumes = pod.pointer("/spec/volumes").and_then(Value::as_array).into_iter().flatten();
    volumes.find_map(|volume| volume.pointer("/secret/secretName")?.as_str()).unwrap_or_default().to_owned()
}
