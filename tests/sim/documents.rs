//! What people keep in Git, and how they write it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::remote::Sources;

#[derive(Clone, Debug)]
pub(crate) struct Blueprint {
    pub bucket: usize,
    pub schedule: usize,
    pub keep: usize,
    /// Whether each target has a place of its own.
    pub shared_prefix: bool,
    pub broken: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Folder {
    pub blueprints: BTreeMap<usize, Blueprint>,
    /// Functions by number, with the version of their image.
    pub functions: BTreeMap<usize, usize>,
    pub acknowledged: BTreeSet<String>,
    /// Counts commits, so that no two are alike.
    pub commits: usize,
}

impl Folder {
    pub(crate) fn files(&self) -> Sources {
        let mut files = Sources::new();
        files.insert("README.md".to_owned(), format!("commit {}", self.commits));
        for (number, blueprint) in &self.blueprints {
            files.insert(format!("b{number}.yaml"), blueprint.print(*number));
        }
        for (number, version) in &self.functions {
            let text = format!(
                "apiVersion: stash.appscode.com/v1beta1\nkind: Function\nmetadata:\n  name: f{number}\nspec:\n  image: example.com/f:{version}\n"
            );
            files.insert(format!("f{number}.yaml"), text);
        }
        if !self.acknowledged.is_empty() {
            let list: Vec<&str> = self.acknowledged.iter().map(String::as_str).collect();
            let text = format!(
                "apiVersion: stash.appscode.com/v1beta1\nkind: Function\nmetadata:\n  name: word\n  annotations:\n    holdfast.dev/acknowledge: {:?}\nspec:\n  image: example.com/word:1\n",
                list.join(",")
            );
            files.insert("word.yaml".to_owned(), text);
        }
        files
    }
}

impl Blueprint {
    fn print(&self, number: usize) -> String {
        let mut text = format!(
            "apiVersion: stash.appscode.com/v1beta1\nkind: BackupBlueprint\nmetadata:\n  name: b{number}\n{}",
            if self.broken { "spec: [\n" } else { "" }
        );
        if !self.broken {
            let tail = if self.shared_prefix { "" } else { "/${TARGET_NAMESPACE}/${TARGET_KIND}/${TARGET_NAME}" };
            let _ = write!(
                text,
                "spec:\n  backend:\n    s3:\n      endpoint: s3.example.com\n      bucket: bucket{}\n      prefix: /b{number}{tail}\n    storageSecretName: secret\n  schedule: \"{} 2 * * *\"\n  retentionPolicy:\n    name: keep\n    keepLast: {}\n    prune: true\n",
                self.bucket, self.schedule, self.keep
            );
        }
        text
    }
}
