//! The files of the repository, as the checks see them.

#![expect(clippy::disallowed_methods, reason = "the checks read the repository")]

use std::fs;
use std::path::{Path, PathBuf};

use super::code::Code;

/// Folders that hold no file of ours.
const SKIPPED: [&str; 3] = [".git", ".demo", "target"];

/// One text file.
pub(super) struct File {
    /// From the root of the repository, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl File {
    /// Name of the module of `src/lib.rs` that the file belongs to.
    pub(super) fn module(&self) -> String {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inner.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned()
    }

    pub(super) fn code(&self) -> Code {
        Code::of(&self.text)
    }
}

/// What is wrong, and where.
#[derive(Default)]
pub(super) struct Complaints(Vec<String>);

impl Complaints {
    pub(super) fn add(&mut self, path: &str, line: usize, message: impl AsRef<str>) {
        self.0.push(format!("{path}:{line}: {}", message.as_ref()));
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    #[track_caller]
    pub(super) fn assert_none(&self, rule: &str) {
        assert!(self.0.is_empty(), "{} complaints; {rule}:\n{}", self.0.len(), self.0.join("\n"));
    }
}

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(super) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Rust files below `src`.
pub(super) fn sources() -> impl Iterator<Item = File> {
    rust("src/")
}

/// Rust files below `tests`.
pub(super) fn tests() -> impl Iterator<Item = File> {
    rust("tests/")
}

fn rust(folder: &str) -> impl Iterator<Item = File> {
    let is_rust = |file: &File| Path::new(&file.path).extension().is_some_and(|extension| extension == "rs");
    all().filter(move |file| file.path.starts_with(folder) && is_rust(file))
}

/// Every text file, by path.
pub(super) fn all() -> impl Iterator<Item = File> {
    let mut paths = Vec::new();
    walk(root(), &mut paths);
    paths.sort();
    assert!(paths.len() > 100, "the repository was not found at {}", root().display());
    paths.into_iter().filter_map(|path| {
        let text = String::from_utf8(fs::read(&path).ok()?).ok()?;
        let path = path.strip_prefix(root()).ok()?.to_str()?.to_owned();
        Some(File { path, text })
    })
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && !SKIPPED.iter().any(|skipped| entry.file_name() == *skipped) {
            walk(&entry.path(), paths);
        } else if kind.is_file() {
            paths.push(entry.path());
        }
    }
}
