//! The real restic on a repository in a volume of the node.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

pub(crate) const PASSWORD: &str = "changeit";

pub(crate) struct Restic {
    repository: PathBuf,
    cache: tempfile::TempDir,
}

impl Restic {
    pub(crate) fn new(repository: &Path) -> Self {
        Self { repository: repository.to_owned(), cache: tempfile::tempdir().expect("a temporary folder") }
    }

    /// What it printed; it must succeed.
    #[track_caller]
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("restic");
        command.args(arguments).env_clear().env("PATH", std::env::var("PATH").unwrap_or_default());
        command.env("RESTIC_REPOSITORY", &self.repository).env("RESTIC_PASSWORD", PASSWORD);
        command.env("RESTIC_CACHE_DIR", self.cache.path());
        let output = command.output().expect("restic is installed");
        let wrong = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "restic {arguments:?}: {wrong}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// All snapshots, the oldest first. No lock is made, so that nobody has to wait.
    pub(crate) fn snapshots(&self) -> Vec<Value> {
        serde_json::from_str(&self.done(&["snapshots", "--json", "--no-lock"])).expect("JSON")
    }

    /// Host and path of all snapshots, sorted.
    pub(crate) fn stored(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let snapshots = self.snapshots();
        let mut stored: Vec<_> =
            snapshots.iter().map(|snapshot| (text(&snapshot["hostname"]), text(&snapshot["paths"][0]))).collect();
        stored.sort();
        stored
    }

    /// It is whole, every byte of it, and nobody holds a lock.
    #[track_caller]
    pub(crate) fn is_sound(&self) {
        self.is_free();
        self.done(&["check", "--read-data"]);
    }

    /// Nobody holds a lock.
    #[track_caller]
    pub(crate) fn is_free(&self) {
        let locks = std::fs::read_dir(self.repository.join("locks")).expect("a repository has the folder");
        let locks: Vec<_> = locks.map(|lock| lock.expect("listed").file_name()).collect();
        assert!(locks.is_empty(), "locks are left: {locks:?}");
    }
}
