//! A bare repository in a temporary folder, what people push to it, and what is in it.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::git_cli::Git;

/// The name under which servers offer the repository.
pub(crate) const NAME: &str = "repository.git";

/// A repository as a server holds it. All changes go through a real `git push`, so hooks run.
pub(crate) struct BareRepository {
    folder: TempDir,
    git: Git,
}

/// One commit as `git log` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoggedCommit {
    pub(crate) id: String,
    pub(crate) parents: Vec<String>,
    /// `Name <address>`.
    pub(crate) author: String,
    /// `Name <address>`.
    pub(crate) committer: String,
    /// Subject, body and trailers, without the last line break.
    pub(crate) message: String,
}

/// A hook of the server's side.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hook {
    /// Once a push, refs on standard input as `OLD NEW REF`; a failure refuses all of them.
    PreReceive,
    /// Once a ref, as arguments `REF OLD NEW`; a failure refuses this one.
    Update,
    /// Once a push, after the refs have moved; input as for `PreReceive`.
    PostReceive,
}

impl BareRepository {
    /// An empty repository; its default branch will be `main`.
    pub(crate) fn create() -> Self {
        let repository = Self { folder: tempfile::tempdir().expect("a temporary folder"), git: Git::new() };
        let root = repository.folder.path();
        repository.git.run(root, &["init", "--quiet", "--bare", NAME]);
        repository.git.run(&repository.path(), &["config", "http.receivepack", "true"]);
        repository.git.run(&repository.path(), &["config", "receive.autogc", "false"]);
        repository
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join(NAME)
    }

    /// The folder that holds nothing but the repository: what a server serves.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Commits `files` (path, content) on top of `branch`, pushes, and gives the commit's id.
    /// A branch that is not there starts without history.
    pub(crate) fn push_files(&self, branch: &str, files: &[(&str, &str)], message: &str) -> String {
        self.push_change(branch, message, |tree| {
            for (path, content) in files {
                let path = tree.join(path);
                fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("folder made");
                fs::write(path, content).expect("file written");
            }
        })
    }

    /// Commits the removal of `paths` (files or folders) on `branch`, pushes, and gives the commit's id.
    pub(crate) fn remove_files(&self, branch: &str, paths: &[&str], message: &str) -> String {
        self.push_change(branch, message, |tree| {
            for path in paths.iter().map(|path| tree.join(path)) {
                let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                removed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            }
        })
    }

    /// Commits whatever `change` does to the checked-out tree of `branch`, pushes, and gives the commit's id.
    pub(crate) fn push_change(&self, branch: &str, message: &str, change: impl FnOnce(&Path)) -> String {
        let work = tempfile::tempdir().expect("a temporary folder");
        let (tree, origin) = (work.path(), self.path());
        let origin = origin.to_str().expect("the temporary folder has a UTF-8 path");
        self.git.run(tree, &["init", "--quiet", "--initial-branch=work"]);
        if self.commit_at(branch).is_some() {
            self.git.run(tree, &["fetch", "--quiet", origin, branch]);
            self.git.run(tree, &["reset", "--quiet", "--hard", "FETCH_HEAD"]);
        }
        change(tree);
        self.git.run(tree, &["add", "--all"]);
        self.git.run(tree, &["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git.run(tree, &["push", "--quiet", origin, &format!("HEAD:refs/heads/{branch}")]);
        self.git.run(tree, &["rev-parse", "HEAD"])
    }

    /// Moves `branch` to `commit` (an id or another branch of the repository) whatever it held before.
    pub(crate) fn force_push(&self, branch: &str, commit: &str) {
        self.git.run(&self.path(), &["push", "--quiet", "--force", ".", &format!("{commit}:refs/heads/{branch}")]);
    }

    pub(crate) fn delete_branch(&self, branch: &str) {
        // The server refuses to delete the branch that HEAD names unless told otherwise.
        self.git.run(&self.path(), &["config", "receive.denyDeleteCurrent", "ignore"]);
        self.git.run(&self.path(), &["push", "--quiet", ".", &format!(":refs/heads/{branch}")]);
    }

    /// The id of the commit `branch` is at.
    pub(crate) fn commit_at(&self, branch: &str) -> Option<String> {
        let reference = format!("refs/heads/{branch}");
        let output = self.git.output(&self.path(), &["rev-parse", "--verify", "--quiet", &reference]);
        let id = String::from_utf8(output.stdout).expect("an id is ASCII");
        output.status.success().then(|| id.trim().to_owned())
    }

    /// The commits of `branch`, newest first.
    pub(crate) fn log(&self, branch: &str) -> Vec<LoggedCommit> {
        let format = "--format=%H%n%P%n%an <%ae>%n%cn <%ce>%n%B";
        let log = self.git.run(&self.path(), &["log", "-z", format, &format!("refs/heads/{branch}")]);
        let commit = |text: &str| {
            let mut lines = text.splitn(5, '\n');
            let mut next = || lines.next().expect("git log follows its format").to_owned();
            LoggedCommit {
                id: next(),
                parents: next().split_whitespace().map(str::to_owned).collect(),
                author: next(),
                committer: next(),
                message: next().trim_end().to_owned(),
            }
        };
        log.split('\0').filter(|text| !text.is_empty()).map(commit).collect()
    }

    /// All files of `branch` (path to content); empty if the branch is not there.
    pub(crate) fn files(&self, branch: &str) -> BTreeMap<String, String> {
        let Some(commit) = self.commit_at(branch) else { return BTreeMap::new() };
        let content = |path: String| {
            let blob = self.git.output(&self.path(), &["cat-file", "blob", &format!("{commit}:{path}")]).stdout;
            (path, String::from_utf8(blob).expect("files of tests are UTF-8"))
        };
        self.paths(&commit).into_iter().map(content).collect()
    }

    /// The paths of all files of `branch` (or of a commit); none if it is not there.
    pub(crate) fn paths(&self, branch: &str) -> Vec<String> {
        let output = self.git.output(&self.path(), &["ls-tree", "-r", "-z", "--name-only", branch]);
        let paths = String::from_utf8(output.stdout).expect("paths of tests are UTF-8");
        paths.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect()
    }

    /// Installs `script` (for `sh`) as the hook.
    pub(crate) fn set_hook(&self, hook: Hook, script: &str) {
        // Another process writes the file: had this one the file open while one of its threads starts
        // a program, that program would inherit it for a moment and git could not run the hook (ETXTBSY).
        let mut writer = Command::new("sh")
            .args(["-c", "mkdir -p hooks && cat > \"hooks/$1\" && chmod 755 \"hooks/$1\"", "sh", hook.file_name()])
            .current_dir(self.path())
            .stdin(Stdio::piped())
            .spawn()
            .expect("sh can be started");
        let mut input = writer.stdin.take().expect("standard input is piped");
        write!(input, "#!/bin/sh\n{script}\n").expect("hook written");
        drop(input);
        assert!(writer.wait().expect("sh ends").success(), "hook {hook:?} not written");
    }

    /// Refuses every push to `reference` (full name, such as `refs/heads/main`) with the message
    /// `protected branch`.
    pub(crate) fn refuse(&self, reference: &str) {
        self.set_hook(
            Hook::Update,
            &format!("[ \"$1\" != '{reference}' ] || {{ echo 'protected branch' >&2; exit 1; }}"),
        );
    }

    pub(crate) fn remove_hook(&self, hook: Hook) {
        fs::remove_file(self.path().join("hooks").join(hook.file_name())).expect("the hook was set");
    }
}

impl Hook {
    fn file_name(self) -> &'static str {
        match self {
            Self::PreReceive => "pre-receive",
            Self::Update => "update",
            Self::PostReceive => "post-receive",
        }
    }
}
