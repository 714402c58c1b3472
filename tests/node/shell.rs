//! Shell commands as people type them, with the programs of the tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::harness::lab;

/// Runs commands in the root of the repository, with a home of its own.
pub(crate) struct Shell {
    path: String,
    home: TempDir,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Shell {
    /// With `helm`, `kubectl` and `holdfast`; none, and one loud line, where they cannot be built.
    pub(crate) fn new(kubeconfig: Option<&Path>) -> Option<Self> {
        let helm = lab::tool("./helm.sh", &[])?;
        let kubernetes = lab::tool("bash", &["-c", "set -e; ./build.sh; . ./env.sh; echo \"$BIN\""])?;
        let folder =
            |program: &str| Path::new(program).parent().expect("a program is in a folder").display().to_string();
        let own = [folder(&helm), kubernetes, folder(env!("CARGO_BIN_EXE_holdfast"))].join(":");
        let path = format!("{own}:{}", std::env::var("PATH").unwrap_or_default());
        let home = tempfile::tempdir().expect("a temporary folder");
        let environment = kubeconfig.map(|file| ("KUBECONFIG", file.to_owned())).into_iter().collect();
        Some(Self { path, home, environment })
    }

    pub(crate) fn set(&mut self, variable: &'static str, file: &Path) {
        self.environment.push((variable, file.to_owned()));
    }

    /// Runs commands that must succeed, and gives what they print.
    #[track_caller]
    pub(crate) fn run(&self, commands: &str) -> String {
        let output = self.output(commands);
        let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{commands}\n{}\n{said}\n{wrong}", output.status);
        said.into_owned()
    }

    pub(crate) fn output(&self, commands: &str) -> Output {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", commands]).current_dir(env!("CARGO_MANIFEST_DIR"));
        bash.env("PATH", &self.path);
        // What helm keeps of this user is not asked.
        for folder in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            bash.env(folder, self.home.path());
        }
        bash.envs(self.environment.iter().map(|(variable, file)| (*variable, file)));
        bash.output().expect("bash runs")
    }

    /// A file of the shell's own home.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }
}
