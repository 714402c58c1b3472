//! The real restic, as Debian ships it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

pub(crate) const PASSWORD: &str = "correct horse";

/// One repository in a folder, and restic working on it.
#[derive(Debug)]
pub(crate) struct Restic {
    home: tempfile::TempDir,
}

impl Restic {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.home.path().join("repository")
    }

    /// A folder for files to back up, made with the first call.
    pub(crate) fn files(&self) -> PathBuf {
        let files = self.home.path().join("files");
        std::fs::create_dir_all(&files).expect("it can be made");
        files
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("restic");
        command.args(arguments).env_clear().env("PATH", std::env::var("PATH").unwrap_or_default());
        command.env("RESTIC_REPOSITORY", self.repository()).env("RESTIC_PASSWORD", PASSWORD);
        command.env("HOME", self.home.path()).env("RESTIC_CACHE_DIR", self.home.path().join("cache"));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("restic is installed")
    }

    /// What it printed; it must succeed.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "restic {arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What it complained about; it must fail.
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "restic {arguments:?} did it");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// A backup of standard input that goes on until the pipe is closed.
    pub(crate) fn backup_of_a_pipe(&self) -> Child {
        let mut command = self.command(&["backup", "--stdin"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("restic is installed")
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        let path = self.files().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("it can be made");
        std::fs::write(path, content).expect("it can be written");
    }

    /// The files of all packs.
    pub(crate) fn packs(&self) -> Vec<PathBuf> {
        let folders = std::fs::read_dir(self.repository().join("data")).expect("listed");
        let files = folders.flat_map(|folder| std::fs::read_dir(folder.expect("one").path()).expect("listed"));
        files.map(|file| file.expect("one").path()).collect()
    }
}
