//! The session of a slot.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{labels, names};
use crate::model::invoker::Invoker;

/// A session for a moment: of that name there is one, however often it is asked for.
pub fn new_session(invoker: &Invoker, at: Timestamp, retry_left: i32) -> Value {
    json!({
        "apiVersion": "stash.appscode.com/v1beta1", "kind": "BackupSession",
        "metadata": {
            "name": names::session(&invoker.name.name, at),
            "namespace": invoker.name.namespace,
            "labels": labels::session(&invoker.name, "BackupConfiguration", invoker.member.target.as_ref()),
            "ownerReferences": [{
                "apiVersion": "stash.appscode.com/v1beta1", "kind": "BackupConfiguration", "name": invoker.name.name,
                "uid": invoker.uid, "controller": true, "blockOwnerDeletion": false,
            }],
        },
        "spec": {
            "invoker": {"apiGroup": "stash.appscode.com", "kind": "BackupConfiguration", "name": invoker.name.name},
            "retryLeft": retry_left,
        },
    })
}
