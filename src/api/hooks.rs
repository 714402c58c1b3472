//! Actions before and after a session.

use serde_json::Value;

wire! {
    BackupHooks {
        pre_backup: Handler,
        post_backup: PostHandler,
    }

    RestoreHooks {
        pre_restore: Handler,
        post_restore: PostHandler,
    }

    /// `exec`, `httpGet` and `tcpSocket` are those of Kubernetes' probes.
    Handler {
        exec: Value,
        http_get: Value,
        http_post: HttpPost,
        tcp_socket: Value,
        container_name: String,
    }

    /// A handler with the outcomes after which it runs.
    PostHandler {
        exec: Value,
        http_get: Value,
        http_post: HttpPost,
        tcp_socket: Value,
        container_name: String,
        execution_policy: String,
    }

    /// `port` is a number or the name of a port; headers are those of Kubernetes' probes.
    HttpPost {
        path: String,
        port: Value,
        host: String,
        scheme: String,
        http_headers: Vec<Value>,
        body: String,
        form: Vec<FormEntry>,
    }

    FormEntry {
        key: String,
        values: Vec<String>,
    }
}
