//! What the tests of `git` have in common.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use holdfast::git::{
    Changes, CommitText, EXCHANGE_TIMEOUT, Endpoint, GitUrl, Pushed, ReadError, SigningKey, Source, SourceSettings,
    StatusBranch, Tip,
};
use holdfast::model::tree::{InputPaths, NoticeKind, Tree};
use tempfile::TempDir;

use crate::harness::bare_repository::BareRepository;
use crate::harness::git_cli::Git;

pub(crate) const DOCUMENT: &str = "apiVersion: stash.appscode.com/v1beta1\nkind: BackupBlueprint\n";

/// A folder of credentials, as a mounted Secret.
pub(crate) struct Secret(TempDir);

impl Secret {
    pub(crate) fn new(keys: &[(&str, &str)]) -> Self {
        let secret = Self(tempfile::tempdir().expect("a temporary folder"));
        for (name, value) in keys {
            secret.set(name, value);
        }
        secret
    }

    pub(crate) fn set(&self, name: &str, value: &str) {
        fs::write(self.0.path().join(name), value).expect("file written");
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

pub(crate) fn endpoint(url: &str, secret: Option<&Secret>) -> Endpoint {
    let url = GitUrl::parse(url, true).expect("a URL");
    Endpoint { url, credentials: secret.map(|secret| secret.path().to_owned()), timeout: EXCHANGE_TIMEOUT }
}

/// A source with a cache of its own.
pub(crate) struct TestSource {
    pub(crate) source: Source,
    cache: TempDir,
}

impl TestSource {
    pub(crate) fn new(endpoint: Endpoint, reference: Option<&str>, paths: &[&str]) -> Self {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let paths = InputPaths::parse(paths).expect("paths");
        let settings = SourceSettings { endpoint, reference: reference.map(str::to_owned), paths };
        Self { source: Source::open(settings, cache.path()).expect("opened"), cache }
    }

    pub(crate) fn of(url: &str) -> Self {
        Self::new(endpoint(url, None), None, &[])
    }

    pub(crate) fn read(&mut self) -> Result<Tree, ReadError> {
        self.source.read()
    }

    /// The clones that lie in the cache now.
    pub(crate) fn clones(&self) -> Vec<PathBuf> {
        clones(self.cache.path())
    }
}

/// A status branch with a cache of its own.
pub(crate) struct TestStatus {
    pub(crate) status: StatusBranch,
    cache: TempDir,
}

impl TestStatus {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        let cache = tempfile::tempdir().expect("a temporary folder");
        Self { status: StatusBranch::open(endpoint, STATUS, cache.path()).expect("opened"), cache }
    }

    /// Signed by this key from its first commit on.
    pub(crate) fn signed(endpoint: Endpoint, key: &Path) -> Self {
        let Self { status, cache } = Self::new(endpoint);
        Self { status: status.signed_by(SigningKey::open(key.to_owned()).expect("a key that signs")), cache }
    }

    pub(crate) fn clones(&self) -> Vec<PathBuf> {
        clones(self.cache.path())
    }

    /// Commits on the tip as it is now.
    pub(crate) fn commit(&mut self, files: &[(&str, Option<&str>)]) -> Pushed {
        let tip = self.status.tip().expect("a tip");
        self.commit_on(tip.as_ref(), files)
    }

    pub(crate) fn commit_on(&mut self, base: Option<&Tip>, files: &[(&str, Option<&str>)]) -> Pushed {
        self.status.commit(base, &changes(files), &text("holdfast(prod): 1 succeeded")).expect("committed")
    }
}

pub(crate) const STATUS: &str = "holdfast/prod";

pub(crate) fn changes(files: &[(&str, Option<&str>)]) -> Changes {
    files.iter().map(|(path, text)| ((*path).to_owned(), text.map(|text| text.as_bytes().to_vec()))).collect()
}

pub(crate) fn text(message: &str) -> CommitText {
    CommitText {
        message: message.to_owned(),
        author_name: "Holdfast".to_owned(),
        author_email: "holdfast@example.org".to_owned(),
        when: "2026-11-21T08:00:00Z".parse().expect("a time"),
    }
}

pub(crate) fn done(pushed: Pushed) -> Tip {
    match pushed {
        Pushed::Done(tip) => tip,
        other => panic!("not pushed: {other:?}"),
    }
}

pub(crate) fn paths(tree: &Tree) -> Vec<&str> {
    tree.files().map(|(path, _)| path).collect()
}

pub(crate) fn notices(tree: &Tree) -> Vec<(&str, NoticeKind)> {
    tree.notices.iter().map(|notice| (notice.path.as_str(), notice.kind)).collect()
}

/// Feeds `stream` to `git fast-import`, which makes large and odd trees without a work tree.
pub(crate) fn fast_import(repository: &BareRepository, stream: impl FnOnce(&mut dyn std::io::Write)) {
    let mut import = Git::new()
        .command(&repository.path())
        .args(["fast-import", "--quiet", "--force"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("git can be started");
    let mut input = std::io::BufWriter::new(import.stdin.take().expect("standard input is piped"));
    stream(&mut input);
    drop(input);
    assert!(import.wait().expect("git ends").success());
}

/// Begins a commit on `main` in a stream of `git fast-import`.
pub(crate) const COMMIT: &str = "commit refs/heads/main\ncommitter A Person <person@example.org> 1 +0000\ndata 1\nx\n";

/// Loose objects of a bare repository.
pub(crate) fn loose_objects(repository: &Path) -> usize {
    let folders =
        fs::read_dir(repository.join("objects")).expect("it has objects").map(|folder| folder.expect("an entry"));
    let hashed = folders.filter(|folder| folder.file_name().len() == 2);
    hashed.map(|folder| fs::read_dir(folder.path()).expect("a folder").count()).sum()
}

pub(crate) fn packs(repository: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(repository.join("objects/pack")).expect("it has packs");
    let paths = files.map(|file| file.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "pack")).collect()
}

fn clones(cache: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(cache).expect("the cache is there").map(|entry| entry.expect("an entry").path());
    let mut clones: Vec<_> = entries.filter(|path| path.join("objects").exists()).collect();
    clones.sort();
    clones
}
