//! Decides which files of a source count, the same for Git and for a plain folder. Whoever walks the source offers each
//! entry and reads only what is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha1::{Digest, Sha1};

use super::exclude::{Excludes, below};
use super::mention::mentions;
use super::paths::{InputPaths, Relation};
use super::{
    DOCUMENTS_MAX, ENTRIES_MAX, FILE_BYTES_MAX, FOLDER_DEPTH_MAX, GROUPS, InputsHash, NoticeKind, PathNotice, Revision,
    SEARCHED_BYTES_MAX, SOURCE_BYTES_MAX, Tree, TreeError, WARNINGS_MAX,
};

const EXTENSIONS: [&str; 3] = [".yaml", ".yml", ".json"];

/// A tree in the making. Folders are offered before what is in them, depth first.
pub struct TreeBuilder {
    paths: InputPaths,
    excludes: Excludes,
    entries: usize,
    bytes: u64,
    seen: BTreeSet<String>,
    files: BTreeMap<String, Arc<[u8]>>,
    /// Those that hold something back, never cut off.
    holding: Vec<PathNotice>,
    warnings: Vec<PathNotice>,
}

/// The place of a file that may count.
#[must_use]
pub struct Slot(String);

impl TreeBuilder {
    pub fn new(paths: InputPaths) -> Self {
        Self {
            paths,
            excludes: Excludes::default(),
            entries: 0,
            bytes: 0,
            seen: BTreeSet::new(),
            files: BTreeMap::new(),
            holding: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The ignore file of `folder` (empty: the root), before anything else in that folder is offered. None stands for
    /// one over [`super::IGNORE_FILE_BYTES_MAX`].
    pub fn exclude(&mut self, folder: &str, content: Option<&[u8]>) -> Result<(), TreeError> {
        self.excludes.add(folder, content)
    }

    /// Offers a folder; its path if what is in it is to be offered too.
    pub fn folder(&mut self, parent: &str, name: &[u8]) -> Result<Option<String>, TreeError> {
        self.count()?;
        let Some(path) = self.judge(parent, name, true) else { return Ok(None) };
        if path.split('/').count() > FOLDER_DEPTH_MAX {
            self.holding.push(PathNotice { path, kind: NoticeKind::TooDeep });
            return Ok(None);
        }
        Ok(Some(path))
    }

    /// Offers what is neither file nor folder.
    pub fn link(&mut self, parent: &str, name: &[u8], kind: NoticeKind) -> Result<(), TreeError> {
        self.count()?;
        if let Some(path) = self.judge(parent, name, false)
            && self.paths.relation(&path) == Relation::Inside
        {
            self.warn(path, kind);
        }
        Ok(())
    }

    /// Offers a file by its name; a place for its content if that may count.
    pub fn file(&mut self, parent: &str, name: &[u8]) -> Result<Option<Slot>, TreeError> {
        self.count()?;
        if !EXTENSIONS.iter().any(|extension| name.ends_with(extension.as_bytes())) {
            return Ok(None);
        }
        let path = self.judge(parent, name, false);
        Ok(path.filter(|path| self.paths.relation(path) == Relation::Inside).map(Slot))
    }

    /// Takes the content of a file of so many `bytes`, which is read only if it can be kept or searched.
    pub fn fill<E: From<TreeError>>(
        &mut self,
        slot: Slot,
        bytes: u64,
        read: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<(), E> {
        let Slot(path) = slot;
        if bytes > SEARCHED_BYTES_MAX {
            self.holding.push(PathNotice { path, kind: NoticeKind::TooLarge });
            return Ok(());
        }
        let content = read()?;
        if !mentions(&content, &GROUPS) {
            return Ok(());
        }
        // A file in a folder may have grown since its size was asked.
        if content.len() as u64 > FILE_BYTES_MAX {
            self.holding.push(PathNotice { path, kind: NoticeKind::TooLarge });
            return Ok(());
        }
        Ok(self.keep(path, content)?)
    }

    /// The tree, once everything was offered.
    pub fn finish(self, revision: Option<Revision>) -> Result<Tree, TreeError> {
        let Self { paths, excludes: _, entries: _, bytes: _, seen, files, mut holding, mut warnings } = self;
        if let Some(path) = paths.missing(&seen) {
            return Err(TreeError::PathMissing(path.to_owned()));
        }
        holding.append(&mut warnings);
        holding.sort();
        Ok(Tree { revision, inputs: hash(&files, &holding), notices: holding, files })
    }

    fn keep(&mut self, path: String, content: Vec<u8>) -> Result<(), TreeError> {
        let count = self.files.len() + 1;
        if count > DOCUMENTS_MAX {
            return Err(TreeError::TooManyFiles { path, count });
        }
        self.bytes += content.len() as u64;
        if self.bytes > SOURCE_BYTES_MAX {
            return Err(TreeError::TooManyBytes { path, bytes: self.bytes });
        }
        self.files.insert(path, Arc::from(content));
        Ok(())
    }

    fn count(&mut self) -> Result<(), TreeError> {
        self.entries += 1;
        if self.entries > ENTRIES_MAX { Err(TreeError::TooManyEntries) } else { Ok(()) }
    }

    /// The path of an entry that may count; a notice if only its name is in the way.
    fn judge(&mut self, parent: &str, name: &[u8], is_folder: bool) -> Option<String> {
        // The folder of Git itself, in a checkout.
        if name == b".git" {
            return None;
        }
        let shown = below(parent, &printable(name));
        if self.paths.relation(&shown) == Relation::Outside || self.excludes.matches(&shown, is_folder) {
            return None;
        }
        let kind = match std::str::from_utf8(name) {
            Ok(text) if is_good(text) => {
                if self.paths.contains(&shown) {
                    self.seen.insert(shown.clone());
                }
                return Some(shown);
            }
            Ok(_) => NoticeKind::BadName,
            Err(_) => NoticeKind::NotUtf8Path,
        };
        self.warn(shown, kind);
        None
    }

    fn warn(&mut self, path: String, kind: NoticeKind) {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(PathNotice { path, kind });
        }
    }
}

fn is_good(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(|c: char| matches!(c, '/' | '\\') || c.is_control())
}

/// The name as it can be shown: one line, no control characters.
fn printable(name: &[u8]) -> String {
    let shown = |c: char| if c.is_control() || matches!(c, '/' | '\\') { char::REPLACEMENT_CHARACTER } else { c };
    String::from_utf8_lossy(name).chars().map(shown).collect()
}

/// Each entry with the length of its parts, so that no two trees give the same text.
fn hash(files: &BTreeMap<String, Arc<[u8]>>, notices: &[PathNotice]) -> InputsHash {
    let mut all = Sha1::new();
    for (path, content) in files {
        all.update(format!("file {} {path} {}\n", path.len(), content.len()));
        all.update(content);
    }
    for PathNotice { path, kind } in notices {
        all.update(format!("notice {} {path} {kind:?}\n", path.len()));
    }
    let digits: Vec<String> = all.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    InputsHash(digits.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &[u8] = b"apiVersion: stash.appscode.com/v1beta1\n";

    fn builder(paths: &[&str]) -> TreeBuilder {
        TreeBuilder::new(InputPaths::parse(paths).unwrap())
    }

    /// Offers `path` with all its folders.
    fn offer(builder: &mut TreeBuilder, path: &str, content: &[u8]) -> Result<(), TreeError> {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut parent = String::new();
        for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
            let Some(path) = builder.folder(&parent, folder.as_bytes())? else { return Ok(()) };
            parent = path;
        }
        match builder.file(&parent, name.as_bytes())? {
            Some(slot) => builder.fill(slot, content.len() as u64, || Ok(content.to_vec())),
            None => Ok(()),
        }
    }

    /// Offers a file that is too large to be read.
    fn offer_huge(builder: &mut TreeBuilder, name: &str) {
        let slot = builder.file("", name.as_bytes()).unwrap().unwrap();
        builder.fill::<TreeError>(slot, SEARCHED_BYTES_MAX + 1, || panic!("not to be read")).unwrap();
    }

    fn tree(paths: &[&str], files: &[(&str, &[u8])]) -> Result<Tree, TreeError> {
        let mut builder = builder(paths);
        for (path, content) in files {
            offer(&mut builder, path, content)?;
        }
        builder.finish(None)
    }

    fn paths(tree: &Tree) -> Vec<&str> {
        tree.files().map(|(path, _)| path).collect()
    }

    #[test]
    fn only_documents_of_our_groups_count() {
        let files = [
            ("a/b.yaml", DOCUMENT),
            ("a/c.yml", b"x: holdfast.dev/v1alpha1"),
            ("d.json", DOCUMENT),
            ("e.txt", DOCUMENT),
            ("f.yaml", b"kind: Deployment"),
            (".git/g.yaml", DOCUMENT),
        ];
        assert_eq!(paths(&tree(&[], &files).unwrap()), ["a/b.yaml", "a/c.yml", "d.json"]);
        assert_eq!(paths(&tree(&["d.json"], &files).unwrap()), ["d.json"]);
        assert_eq!(paths(&tree(&["./a/"], &files).unwrap()), ["a/b.yaml", "a/c.yml"]);
        assert_eq!(tree(&["a", "nowhere/b"], &files), Err(TreeError::PathMissing("nowhere/b".to_owned())));
    }

    #[test]
    fn the_hash_speaks_of_what_counts_only() {
        let base = tree(&[], &[("a.yaml", DOCUMENT)]).unwrap();
        let beside = tree(&[], &[("a.yaml", DOCUMENT), ("README.md", b"x"), ("values.yaml", b"a: 1")]).unwrap();
        assert_eq!(base.inputs, beside.inputs);
        for other in [("b.yaml", DOCUMENT), ("a.yaml", b"# stash.appscode.com/" as &[u8])] {
            assert_ne!(base.inputs, tree(&[], &[other]).unwrap().inputs);
        }
        assert_eq!(tree(&[], &[]).unwrap().inputs.to_string(), "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709");
    }

    #[test]
    fn large_files_and_deep_folders_are_told_not_dropped() {
        let mut large = DOCUMENT.to_vec();
        large.resize(2 << 20, b'#');
        let plain = vec![b'#'; 2 << 20];
        let deep = format!("{}x.yaml", "d/".repeat(17));
        let reach = format!("{}x.yaml", "e/".repeat(16));
        let files = [("large.yaml", &large[..]), ("plain.yaml", &plain), (&deep, DOCUMENT), (&reach, DOCUMENT)];
        let tree = tree(&[], &files).unwrap();
        assert_eq!(paths(&tree), [reach.as_str()]);
        let notices: Vec<_> = tree.notices.iter().map(|notice| (notice.path.len(), notice.kind)).collect();
        assert_eq!(notices, [(33, NoticeKind::TooDeep), (10, NoticeKind::TooLarge)]);
        let mut builder = builder(&[]);
        offer_huge(&mut builder, "huge.json");
        assert_eq!(builder.finish(None).unwrap().notices[0].kind, NoticeKind::TooLarge);
    }

    #[test]
    fn bad_names_are_noticed_once_they_matter() {
        let mut builder = builder(&["in"]);
        builder.folder("", b"in").unwrap().unwrap();
        for name in [&b".."[..], b"a\\b.yaml", b"a\nb.yaml", b"\xff.yaml", b"a\tb.txt"] {
            let _ = builder.file("in", name).unwrap();
        }
        assert!(builder.folder("in", b"..").unwrap().is_none());
        builder.link("in", b"link", NoticeKind::Symlink).unwrap();
        builder.link("", b"outside", NoticeKind::Symlink).unwrap();
        let tree = builder.finish(None).unwrap();
        let notices: Vec<_> = tree.notices.iter().map(|notice| (notice.path.as_str(), notice.kind)).collect();
        let expected = [
            ("in/..", NoticeKind::BadName),
            ("in/a\u{fffd}b.yaml", NoticeKind::BadName),
            ("in/a\u{fffd}b.yaml", NoticeKind::BadName),
            ("in/link", NoticeKind::Symlink),
            ("in/\u{fffd}.yaml", NoticeKind::NotUtf8Path),
        ];
        assert_eq!(notices, expected);
    }

    #[test]
    fn a_source_has_an_end() {
        let mut builder = builder(&[]);
        let mut content = DOCUMENT.to_vec();
        content.resize(1 << 20, b'#');
        for number in 0..10 {
            offer(&mut builder, &format!("{number}.yaml"), &content).unwrap();
        }
        assert!(matches!(offer(&mut builder, "x.yaml", DOCUMENT), Err(TreeError::TooManyBytes { .. })));
        let mut builder = TreeBuilder::new(InputPaths::default());
        for number in 0..DOCUMENTS_MAX {
            offer(&mut builder, &format!("{number}.yaml"), DOCUMENT).unwrap();
        }
        assert!(matches!(offer(&mut builder, "x.yaml", DOCUMENT), Err(TreeError::TooManyFiles { count: 5001, .. })));
        let mut builder = TreeBuilder::new(InputPaths::default());
        let last = (0..=ENTRIES_MAX).map(|_| builder.file("", b"x").map(drop)).find(Result::is_err);
        assert_eq!(last, Some(Err(TreeError::TooManyEntries)));
    }

    #[test]
    fn warnings_are_capped_and_held_files_are_not() {
        let mut builder = builder(&[]);
        for number in 0..WARNINGS_MAX + 50 {
            builder.link("", format!("{number}").as_bytes(), NoticeKind::Symlink).unwrap();
            offer_huge(&mut builder, &format!("{number}.yaml"));
        }
        let notices = builder.finish(None).unwrap().notices;
        let count = |kind| notices.iter().filter(|notice| notice.kind == kind).count();
        assert_eq!((count(NoticeKind::Symlink), count(NoticeKind::TooLarge)), (WARNINGS_MAX, WARNINGS_MAX + 50));
    }

    #[test]
    fn the_fetch_limits_hold_at_their_edge() {
        use crate::model::tree::{FETCH_BYTES_MAX, FETCH_OBJECTS_MAX, check_fetch};
        assert_eq!(check_fetch(FETCH_BYTES_MAX, FETCH_OBJECTS_MAX), Ok(()));
        assert!(matches!(check_fetch(FETCH_BYTES_MAX + 1, 1), Err(TreeError::FetchTooLarge { .. })));
        assert!(matches!(check_fetch(1, FETCH_OBJECTS_MAX + 1), Err(TreeError::FetchTooManyObjects { .. })));
    }

    #[test]
    fn a_revision_reads_as_in_flux() {
        let revision = Revision { reference: "main".to_owned(), commit: "9f3c1e7a5d".repeat(4) };
        assert_eq!(revision.to_string(), format!("main@sha1:{}", "9f3c1e7a5d".repeat(4)));
        assert_eq!(revision.short(), "main@9f3c1e7");
    }
}
