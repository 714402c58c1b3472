//! Locks in restic's format: who works in a repository says so in a file, shared with others or alone.

mod held;
mod rule;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use held::{Held, LockError, Locks};
pub use rule::Conflict;

/// A lock is written anew this often…
const REFRESH: SignedDuration = SignedDuration::from_mins(5);
/// … and whoever cannot, stops working before others may take the lock for one that nobody holds: a request that began just
/// before may be tried again for a quarter of an hour.
const LOST: SignedDuration = SignedDuration::from_mins(14);
/// After this, says restic, nobody holds it any more.
const STALE: SignedDuration = SignedDuration::from_mins(30);

/// Whether others may work beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Reads and adds; removes nothing.
    Shared,
    /// May remove what nobody needs.
    Exclusive,
}

/// The content of a lock file. Fields that are not restic's own are ignored by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    pub time: Timestamp,
    pub exclusive: bool,
    #[serde(default)]
    pub hostname: String,
    #[serde(default)]
    pub username: String,
    #[serde(default)]
    pub pid: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Of the cluster and the pod that hold it, so that both can be asked whether they still exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holdfast: Option<Holder>,
}

/// Who of us holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub cluster: String,
    pub namespace: String,
    pub pod: String,
    pub uid: String,
}

impl Lock {
    /// To be taken by this process; time and mode are put in then.
    pub fn of_this_process(hostname: String, username: String, holdfast: Option<Holder>) -> Self {
        Self {
            time: Timestamp::UNIX_EPOCH,
            exclusive: false,
            hostname,
            username,
            pid: std::process::id().into(),
            uid: Some(rustix::process::getuid().as_raw()),
            gid: Some(rustix::process::getgid().as_raw()),
            holdfast,
        }
    }

    pub fn mode(&self) -> Mode {
        if self.exclusive { Mode::Exclusive } else { Mode::Shared }
    }

    pub fn is_stale(&self, now: Timestamp) -> bool {
        now.duration_since(self.time) > STALE
    }

    /// As a sentence about the lock goes on.
    pub fn spoken(&self, now: Timestamp) -> String {
        let age = now.duration_since(self.time).as_secs().max(0);
        let mode = if self.exclusive { "exclusive" } else { "shared" };
        let who = match &self.holdfast {
            Some(holder) => format!("pod {}/{} of cluster {}", holder.namespace, holder.pod, holder.cluster),
            None => format!("{}@{} (process {})", self.username, self.hostname, self.pid),
        };
        format!("{mode} lock of {who}, {} min {} s old", age / 60, age % 60)
    }
}
