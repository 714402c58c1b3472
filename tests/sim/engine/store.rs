//! Repositories, and what the agent in a pod does with them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::cluster::at;

#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub number: u64,
    pub session: String,
    /// Whose data it is; empty without the tag of a target.
    pub target: String,
    pub host: String,
    pub path: String,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    /// The password that opens it; none before it is made.
    pub password: Option<String>,
    pub snapshots: Vec<Snapshot>,
    /// By the UID of the pod; true: nobody else may work.
    pub locks: BTreeMap<String, bool>,
    made: u32,
    next: u64,
}

/// What a step is told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub address: String,
    pub session: String,
    pub target: String,
    pub gone_pods: BTreeSet<String>,
    pub work: String,
    pub details: Value,
}

impl Told {
    pub(crate) fn of(input: &Value) -> Self {
        let (work, details) = match &input["work"] {
            Value::Object(fields) => {
                fields.iter().next().map(|(name, value)| (name.clone(), value.clone())).unwrap_or_default()
            }
            word => (word.as_str().unwrap_or_default().to_owned(), Value::Null),
        };
        let target = &input["target"];
        Self {
            address: at(input, "/repository/address").to_owned(),
            session: at(input, "/session").to_owned(),
            target: format!("{}/{}/{}", at(target, "/namespace"), at(target, "/kind"), at(target, "/name")),
            gone_pods: texts(&input["gonePods"]).into_iter().collect(),
            work,
            details,
        }
    }

    /// How its lock is; nothing is locked before there is a repository.
    fn is_exclusive(&self) -> Option<bool> {
        match self.work.as_str() {
            "backup" | "restore" => Some(false),
            "finish" => Some(true),
            _ => None,
        }
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

pub(crate) fn failed(reason: &str) -> Value {
    json!({"error": {"reason": reason, "message": format!("the agent says {reason}")}})
}

/// Whether the work may begin.
pub(crate) enum Begun {
    Yes,
    /// Somebody holds a lock.
    Waits,
    Failed(Value),
}

impl Store {
    /// Removes locks as told, opens, and takes the lock.
    pub(crate) fn begin(&mut self, told: &Told, pod: &str, password: &str) -> Begun {
        match &self.password {
            None if told.work == "initialize" => return Begun::Yes,
            None => return Begun::Failed(failed("RepositoryMissing")),
            Some(known) if known != password => return Begun::Failed(failed("WrongPassword")),
            Some(_) => {}
        }
        self.locks.retain(|holder, _| !told.gone_pods.contains(holder));
        let Some(exclusive) = told.is_exclusive() else { return Begun::Yes };
        if self.locks.iter().any(|(holder, alone)| holder != pod && (exclusive || *alone)) {
            return Begun::Waits;
        }
        self.locks.insert(pod.to_owned(), exclusive);
        Begun::Yes
    }

    /// The work, done at its end. Faults of the engine are named.
    pub(crate) fn work(&mut self, told: &Told, password: &str, broken: &mut Vec<String>) -> Value {
        match told.work.as_str() {
            "initialize" => self.initialize(told, password, broken),
            "backup" => self.back_up(told, broken),
            "finish" => self.finish(told),
            "restore" => {
                let host = at(&told.details, "/host");
                json!({"hosts": [{"host": host, "seconds": 1, "snapshots": []}]})
            }
            _ => json!({}),
        }
    }

    fn initialize(&mut self, told: &Told, password: &str, broken: &mut Vec<String>) -> Value {
        let made = self.password.is_none();
        if made {
            self.made += 1;
            self.password = Some(password.to_owned());
            if self.made > 1 {
                broken.push(format!("{} was made {} times", told.address, self.made));
            }
        }
        json!({"repository": {"made": made}})
    }

    fn back_up(&mut self, told: &Told, broken: &mut Vec<String>) -> Value {
        let host = at(&told.details, "/host").to_owned();
        for path in texts(&told.details["paths"]) {
            let same = |known: &&Snapshot| known.session == told.session && known.host == host && known.path == path;
            if self.snapshots.iter().any(|known| same(&known)) {
                broken.push(format!("session {} stored {host}:{path} twice", told.session));
            }
            self.next += 1;
            let (session, target) = (told.session.clone(), told.target.clone());
            self.snapshots.push(Snapshot { number: self.next, session, target, host: host.clone(), path });
        }
        json!({"hosts": [self.of_session(told, &host)]})
    }

    fn of_session(&self, told: &Told, host: &str) -> Value {
        let own = self.snapshots.iter().filter(|known| known.session == told.session && known.host == host);
        let snapshots: Vec<Value> = own
            .map(|known| json!({"id": format!("{:064x}", known.number), "path": known.path, "files": 1, "bytes": 10, "added": 10, "seconds": 1}))
            .collect();
        let mut outcome = json!({"host": host, "seconds": 1, "snapshots": snapshots});
        if snapshots.is_empty() {
            outcome["error"] = failed("NothingStored")["error"].clone();
        }
        outcome
    }

    /// Nobody was let in alone: what others only read is still tried.
    pub(crate) fn deferred(&self) -> Value {
        let locked = json!({"failed": failed("RepositoryLocked")["error"]});
        if self.locks.values().any(|alone| *alone) {
            return json!({"repository": {"retention": locked, "check": locked, "size": locked}});
        }
        json!({"repository": {"retention": locked, "check": {"done": {}}, "size": {"done": {"bytes": 10, "snapshots": 1}}}})
    }

    fn finish(&mut self, told: &Told) -> Value {
        let unsettled = texts(&told.details["unsettled"]);
        let hosts: Vec<Value> = unsettled.iter().map(|host| self.of_session(told, host)).collect();
        let keep = told.details.pointer("/retention/last").and_then(Value::as_u64).unwrap_or(0);
        let takes_untagged = told.details["untaggedAreOurs"] == json!(true);
        let before = self.snapshots.len();
        if keep > 0 {
            let mut kept: BTreeMap<(String, String), u64> = BTreeMap::new();
            let mut stay: Vec<Snapshot> = Vec::new();
            for snapshot in self.snapshots.iter().rev() {
                let ours = snapshot.target == told.target || (takes_untagged && snapshot.target.is_empty());
                let count = kept.entry((snapshot.host.clone(), snapshot.path.clone())).or_default();
                if ours {
                    *count += 1;
                }
                if !ours || *count <= keep {
                    stay.push(snapshot.clone());
                }
            }
            stay.reverse();
            self.snapshots = stay;
        }
        let removed = before - self.snapshots.len();
        json!({"hosts": hosts, "repository": {
            "retention": {"done": {"kept": self.snapshots.len(), "removed": removed}},
            "check": {"done": {}}, "size": {"done": {"bytes": 10, "snapshots": self.snapshots.len()}}}})
    }

    /// Snapshots that are there before anything of ours is.
    pub(crate) fn legacy(&mut self, host: &str, path: &str) {
        self.next += 1;
        let (session, target) = (String::new(), String::new());
        self.snapshots.push(Snapshot {
            number: self.next,
            session,
            target,
            host: host.to_owned(),
            path: path.to_owned(),
        });
    }
}
