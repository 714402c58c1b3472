//! A key of OpenSSH that signs commits, and what Git needs to check them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::git_cli::Git;

/// A private key in a file, as a mounted Secret has it.
pub(crate) struct TestKey {
    folder: TempDir,
}

impl TestKey {
    pub(crate) fn ed25519() -> Self {
        Self::made(&["-t", "ed25519", "-N", ""])
    }

    /// By `ssh-keygen` with these arguments.
    pub(crate) fn made(arguments: &[&str]) -> Self {
        let key = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        key.make(arguments);
        key
    }

    fn make(&self, arguments: &[&str]) {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-C", "status", "-f"])
            .arg(self.file())
            .args(arguments)
            .output()
            .expect("ssh-keygen can be started: apt-get install -y openssh-client");
        assert!(made.status.success(), "ssh-keygen {arguments:?}: {}", String::from_utf8_lossy(&made.stderr));
    }

    /// Puts another key in its place, as a Secret is renewed.
    pub(crate) fn renew(&self) {
        for file in [self.file(), self.public_file()] {
            fs::remove_file(file).expect("the key was there");
        }
        self.make(&["-t", "ed25519", "-N", ""]);
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    pub(crate) fn public_file(&self) -> PathBuf {
        self.folder.path().join("key.pub")
    }

    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    pub(crate) fn fingerprint(&self) -> String {
        let printed =
            Command::new("ssh-keygen").arg("-lf").arg(self.public_file()).output().expect("ssh-keygen starts");
        let text = String::from_utf8(printed.stdout).expect("it prints ASCII");
        text.split(' ').nth(1).expect("the second word of `ssh-keygen -l`").to_owned()
    }

    /// The lines of the private key that nobody may see.
    pub(crate) fn secret_lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.file()).expect("the key is there");
        text.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned).collect()
    }

    /// Whether `git verify-commit` of a person who trusts only this key takes the commit, and what it says.
    pub(crate) fn verify(&self, repository: &Path, commit: &str) -> Result<String, String> {
        let public = fs::read_to_string(self.public_file()).expect("ssh-keygen wrote it");
        let signers = self.folder.path().join("allowed_signers");
        fs::write(&signers, format!("holdfast namespaces=\"git\" {public}")).expect("written");
        let trusted = format!("gpg.ssh.allowedSignersFile={}", signers.display());
        let arguments = ["-c", "gpg.format=ssh", "-c", &trusted, "verify-commit", commit];
        let output = Git::new().output(repository, &arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(said) } else { Err(said) }
    }
}
