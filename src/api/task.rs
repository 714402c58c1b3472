//! `Task`: the steps of a backup or restore, each a Function.

use serde_json::Value;

use super::metadata::Metadata;

wire! {
    Task {
        api_version: String,
        kind: String,
        metadata: Metadata,
        spec: TaskSpec,
    }

    /// Volumes are those of Kubernetes.
    TaskSpec {
        steps: Vec<TaskRef>,
        volumes: Vec<Value>,
    }

    /// Names a Task, or in a Task a Function, with arguments.
    TaskRef {
        name: String,
        params: Vec<Param>,
    }

    Param {
        name: String,
        value: String,
    }
}
