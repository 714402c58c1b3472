//! The real `git` program, shut off from this machine's and this user's configuration.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

const CONFIGURATION: &str = "\
[user]
  name = A Person
  email = person@example.org
[init]
  defaultBranch = main
[gc]
  auto = 0
[maintenance]
  auto = false
[advice]
  detachedHead = false
";

/// Runs `git` with a home of its own.
pub(crate) struct Git {
    home: TempDir,
}

impl Git {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        fs::write(home.path().join("gitconfig"), CONFIGURATION).expect("git configuration written");
        Self { home }
    }

    /// The command `git` in `dir`, for what [`Git::run`] cannot do.
    pub(crate) fn command(&self, dir: &Path) -> Command {
        let mut command = Command::new("git");
        command.current_dir(dir);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GIT_") {
                command.env_remove(name);
            }
        }
        command
            .env("HOME", self.home.path())
            .env("GIT_CONFIG_GLOBAL", self.home.path().join("gitconfig"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C");
        command
    }

    /// Runs `git ARGS` in `dir` and gives its exit status and output, whatever they are.
    pub(crate) fn output(&self, dir: &Path, args: &[&str]) -> Output {
        self.command(dir).args(args).output().expect("git can be started: apt-get install -y git")
    }

    /// Runs `git ARGS` in `dir` and gives its standard output without the last line break.
    pub(crate) fn run(&self, dir: &Path, args: &[&str]) -> String {
        let output = self.output(dir, args);
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("git writes UTF-8").trim_end_matches('\n').to_owned()
    }
}
