//! A command whose output is backed up. The snapshot is written only when the command says that all of it came.

use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::Context as _;

#[derive(Debug)]
pub(super) struct Producer {
    child: Child,
    name: String,
}

impl Producer {
    #[expect(clippy::disallowed_methods, reason = "the caller names the program, and only its end says that all came")]
    pub(super) fn start(words: &[PathBuf]) -> anyhow::Result<(Self, ChildStdout)> {
        let (program, arguments) = words.split_first().context("no command: give it after `--`")?;
        let name = program.display().to_string();
        let mut command = Command::new(program);
        let child = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("{name} cannot be started"))?;
        let output = child.stdout.take().context("it has no output")?;
        Ok((Self { child, name }, output))
    }

    /// Waits for its end, which comes soon after that of its output.
    pub(super) fn ended(&mut self) -> Result<(), String> {
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{} ended with {status}", self.name)),
            Err(error) => Err(format!("{} cannot be waited for: {error}", self.name)),
        }
    }
}

/// Nobody reads its output any more.
impl Drop for Producer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
