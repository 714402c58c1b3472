//! The API server's audit log: who asked it for what, and what it answered.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use k8s_openapi::{api::core::v1::ConfigMap, jiff::Timestamp};
use kube::{Api, Client};
use serde_json::Value;

use super::wait::eventually;

const WRITTEN_WITHIN: Duration = Duration::from_secs(10);
const BARRIER: &str = "audit-barrier-";

/// One request to the API server. A watch is there from its start on, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuditEntry {
    pub(crate) verb: String,
    /// Empty for the core group.
    pub(crate) group: String,
    /// Empty for a path that is no resource, such as `/readyz`.
    pub(crate) resource: String,
    /// `status`, `token` ...; empty for the object itself.
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// `system:serviceaccount:NAMESPACE:NAME` for a service account.
    pub(crate) user: String,
    /// HTTP status of the answer.
    pub(crate) code: u16,
    pub(crate) user_agent: String,
    /// When the request came.
    pub(crate) time: Timestamp,
}

/// The log of a cluster that tests/lab started.
pub(crate) struct AuditLog {
    path: PathBuf,
    admin: Client,
}

/// A place in the log: requests that end later come after it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AuditMark(u64);

impl AuditLog {
    pub(super) fn new(path: PathBuf, admin: Client) -> Self {
        Self { path, admin }
    }

    pub(crate) fn mark(&self) -> AuditMark {
        AuditMark(self.path.metadata().expect("the API server has made it").len())
    }

    /// The requests since `mark`, of `user` alone if one is given. Complete: a request that was
    /// answered before this call is in it.
    pub(crate) async fn since(&self, mark: AuditMark, user: Option<&str>) -> Vec<AuditEntry> {
        self.barrier(mark).await;
        let mut entries = self.read(mark);
        entries.retain(|entry| !entry.name.starts_with(BARRIER) && user.is_none_or(|user| entry.user == user));
        entries
    }

    /// Makes a request of its own and waits until it is in the log: the API server writes a line
    /// just after it has sent the answer.
    async fn barrier(&self, mark: AuditMark) {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{BARRIER}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let _not_there = Api::<ConfigMap>::namespaced(self.admin.clone(), "default").get_opt(&name).await;
        eventually(WRITTEN_WITHIN, "audit log written", async || {
            let written = self.read(mark).iter().any(|entry| entry.name == name);
            if written { Ok(()) } else { Err("the last request is not in it") }
        })
        .await;
    }

    fn read(&self, mark: AuditMark) -> Vec<AuditEntry> {
        let mut file = File::open(&self.path).expect("the API server has made it");
        file.seek(SeekFrom::Start(mark.0)).expect("a file can be sought");
        let mut text = Vec::new();
        file.read_to_end(&mut text).expect("a file can be read");
        // The last line may be half written.
        text.truncate(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        let mut known = BTreeSet::new();
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let events = lines.map(|line| serde_json::from_slice::<Value>(line).expect("a line is JSON"));
        events.filter(|event| known.insert(text_at(event, "/auditID"))).map(|event| entry(&event)).collect()
    }
}

fn entry(event: &Value) -> AuditEntry {
    AuditEntry {
        verb: text_at(event, "/verb"),
        group: text_at(event, "/objectRef/apiGroup"),
        resource: text_at(event, "/objectRef/resource"),
        subresource: text_at(event, "/objectRef/subresource"),
        namespace: text_at(event, "/objectRef/namespace"),
        name: text_at(event, "/objectRef/name"),
        user: text_at(event, "/user/username"),
        code: event
            .pointer("/responseStatus/code")
            .and_then(Value::as_u64)
            .map_or(0, |code| u16::try_from(code).expect("an HTTP status")),
        user_agent: text_at(event, "/userAgent"),
        time: text_at(event, "/requestReceivedTimestamp").parse().expect("an RFC 3339 time"),
    }
}

fn text_at(event: &Value, pointer: &str) -> String {
    event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
