//! Requests to the API server, and the ways in which they fail.

use holdfast::model::delete_log::DeleteLog;
use holdfast::model::keys::FIELD_MANAGER;
use holdfast::model::object::{Kind, ObjectKey};
use holdfast::model::observed::Watched;
use serde_json::Value;

use crate::env::Env;
use crate::model::cluster::{Key, Refused};

#[derive(Clone, Debug)]
pub(crate) enum Call {
    Get(ObjectKey),
    Apply { key: ObjectKey, manifest: Value, force: bool },
    Delete { key: ObjectKey, uid: String, version: String, acknowledged: bool },
    WriteLog(DeleteLog),
}

#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Object {
        created: bool,
        object: std::sync::Arc<Value>,
    },
    Done,
    Missing,
    Conflict,
    Invalid(String),
    Denied,
    Throttled,
    Transient,
    /// It may have happened.
    Unknown,
}

pub(crate) fn key_of(key: &ObjectKey) -> Key {
    (Watched::Managed(key.kind), key.namespace.clone(), key.name.clone())
}

/// The request reaches the server, or not.
pub(crate) fn carry_out(env: &mut Env, daemon: usize, identity: &str, call: &Call) -> Reply {
    let reads = matches!(call, Call::Get(_));
    if env.fault("throttled", 12) {
        return Reply::Throttled;
    }
    if env.fault("server error", 10) {
        return Reply::Transient;
    }
    if !reads && env.fault("denied", 8) {
        return Reply::Denied;
    }
    if env.fault("request lost", 10) {
        return if reads { Reply::Transient } else { Reply::Unknown };
    }
    if !reads && env.fault("conflict", 10) {
        return Reply::Conflict;
    }
    let reply = effect(env, daemon, identity, call);
    if env.fault("answer lost", 20) {
        return if reads { Reply::Transient } else { Reply::Unknown };
    }
    reply
}

fn effect(env: &mut Env, daemon: usize, identity: &str, call: &Call) -> Reply {
    let clock = env.clock();
    if !matches!(call, Call::Get(_)) {
        let holder = env.lease.holder.clone();
        env.oracle.writes(daemon, identity, holder.as_deref(), env.time);
    }
    match call {
        Call::Get(key) => {
            env.counts.effect("get");
            match env.cluster.get(&key_of(key)) {
                Some(object) => Reply::Object { created: false, object: std::sync::Arc::new(object.value.clone()) },
                None => Reply::Missing,
            }
        }
        Call::Apply { key, manifest, force } => {
            let before = env.cluster.get(&key_of(key)).cloned();
            match env.cluster.apply(&key_of(key), manifest, FIELD_MANAGER, *force, clock) {
                Ok(written) => {
                    env.counts.effect(if written.created { "create" } else { "update" });
                    let after = env.cluster.get(&key_of(key)).cloned();
                    env.note(|| format!("{identity} applied {key}, force {force}, created {}", written.created));
                    env.oracle.applied(key, before.as_ref(), after.as_ref(), *force);
                    Reply::Object { created: written.created, object: written.object }
                }
                Err(refused) => refusal(refused),
            }
        }
        Call::Delete { key, uid, version, acknowledged } => {
            // The daemon has no right to delete what the table of verbs does not list; the oracle looks all the same.
            if key.kind == Kind::Repository {
                env.oracle.fail(format!("{identity} deletes {key}"));
            }
            let before = env.cluster.get(&key_of(key)).cloned();
            match env.cluster.delete(&key_of(key), Some(uid), Some(version), clock) {
                Ok(()) => {
                    env.counts.effect("delete");
                    env.note(|| format!("{identity} deleted {key}"));
                    let slack = env.set_back;
                    env.oracle.deleted(key, before.as_ref(), *acknowledged, clock, slack);
                    Reply::Done
                }
                Err(refused) => refusal(refused),
            }
        }
        Call::WriteLog(log) => {
            env.counts.effect("write log");
            env.delete_log.clone_from(log);
            Reply::Done
        }
    }
}

fn refusal(refused: Refused) -> Reply {
    match refused {
        Refused::Missing => Reply::Missing,
        Refused::Conflict(_) => Reply::Conflict,
        Refused::Invalid(message) => Reply::Invalid(message),
        Refused::Forbidden(_) => Reply::Denied,
    }
}
