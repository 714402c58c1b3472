//! The cache in front of a store: what it spares, and that it never gives wrong data.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use holdfast::repository::{Cached, Fault, FileId, FileKind, FileName, Store, StoreError};
use sha2::{Digest as _, Sha256};

use crate::memory::Memory;
use crate::restic::Restic;

const ID: &str = "some-repository";
const PLENTY: u64 = 1 << 30;

/// Counts the bytes that are read of a store.
#[derive(Debug, Default)]
struct Counted {
    inner: Memory,
    reads: AtomicUsize,
}

impl Store for Counted {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn list(&self, kind: FileKind) -> Result<Vec<(FileId, u64)>, StoreError> {
        self.inner.list(kind)
    }

    fn size(&self, file: FileName) -> Result<u64, StoreError> {
        self.inner.size(file)
    }

    fn read(&self, file: FileName) -> Result<Bytes, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.inner.read(file)
    }

    fn read_part(&self, file: FileName, offset: u64, length: u64) -> Result<Bytes, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.inner.read_part(file, offset, length)
    }

    fn create(&self, file: FileName, content: &[Bytes]) -> Result<(), StoreError> {
        self.inner.create(file, content)
    }

    fn remove(&self, file: FileName) -> Result<(), StoreError> {
        self.inner.remove(file)
    }
}

struct Case {
    store: Arc<Counted>,
    folder: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        Self { store: Arc::default(), folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn cached(&self, bytes_max: u64) -> Cached {
        Cached::new(Arc::clone(&self.store) as Arc<dyn Store>, self.folder.path(), ID, bytes_max)
    }

    /// How often the store itself was read by `work`.
    fn reads(&self, work: impl FnOnce()) -> usize {
        let before = self.store.reads.load(Ordering::SeqCst);
        work();
        self.store.reads.load(Ordering::SeqCst) - before
    }

    /// Where a file lies if it is kept.
    fn path(&self, kind: FileKind, id: FileId) -> PathBuf {
        let id = id.to_string();
        self.folder.path().join(ID).join(kind.folder()).join(&id[..2]).join(id)
    }
}

fn named(content: &Bytes) -> FileId {
    FileId(Sha256::digest(content).into())
}

fn content(number: u8) -> Bytes {
    vec![number; 1000].into()
}

fn store(store: &dyn Store, kind: FileKind, number: u8) -> FileId {
    let id = named(&content(number));
    store.create(FileName::Of(kind, id), &[content(number)]).expect("created");
    id
}

#[test]
fn indexes_and_snapshots_are_read_once() {
    let case = Case::new();
    for kind in [FileKind::Index, FileKind::Snapshot] {
        let id = store(&*case.store, kind, 1);
        let file = FileName::Of(kind, id);
        let read = || assert_eq!(case.cached(PLENTY).read(file).expect("read"), content(1));
        assert_eq!(case.reads(read), 1);
        assert_eq!(case.reads(read), 0, "another process finds it");
        // What we write ourselves is not read at all.
        let own = store(&case.cached(PLENTY), kind, 2);
        assert_eq!(case.reads(|| drop(case.cached(PLENTY).read(FileName::Of(kind, own)).expect("read"))), 0);
    }
    for kind in [FileKind::Key, FileKind::Lock, FileKind::Data] {
        let file = FileName::Of(kind, store(&*case.store, kind, 1));
        let read = || drop(case.cached(PLENTY).read(file).expect("read"));
        assert_eq!((case.reads(read), case.reads(read)), (1, 1), "{kind:?} is not kept");
    }
}

#[test]
fn packs_are_kept_only_where_the_reader_says_so() {
    let case = Case::new();
    let file = FileName::Of(FileKind::Data, store(&*case.store, FileKind::Data, 1));
    let cached = case.cached(PLENTY);
    assert_eq!(case.reads(|| drop(cached.read_part(file, 10, 5).expect("read"))), 1);
    assert_eq!(case.reads(|| drop(cached.read_part_again(file, 10, 5).expect("read"))), 1);
    let all = case.reads(|| {
        for offset in 0..100 {
            assert_eq!(cached.read_part_again(file, offset, 5).expect("read"), content(1).slice(0..5));
        }
    });
    assert_eq!(all, 0);
    let fault = cached.read_part_again(file, 990, 20).expect_err("it ends there").fault;
    assert_eq!(fault, Fault::Short { wanted: 20, got: 10 });
    let wanted = FileName::Of(FileKind::Data, store(&*case.store, FileKind::Data, 2));
    let reads = case.reads(|| {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| cached.read_part_again(wanted, 0, 5).expect("read"));
            }
        });
    });
    assert_eq!(reads, 1, "who wants the same pack waits for it");
}

#[test]
fn a_damaged_cache_gives_no_wrong_data() {
    let case = Case::new();
    let index = store(&*case.store, FileKind::Index, 1);
    let pack = store(&*case.store, FileKind::Data, 1);
    let read = || {
        let cached = case.cached(PLENTY);
        assert_eq!(cached.read(FileName::Of(FileKind::Index, index)).expect("read"), content(1));
        let part = cached.read_part_again(FileName::Of(FileKind::Data, pack), 500, 5).expect("read");
        assert_eq!(part, content(1).slice(0..5));
    };
    assert_eq!(case.reads(read), 2);
    for damage in [vec![], vec![1; 999], vec![2; 1000]] {
        for path in [case.path(FileKind::Index, index), case.path(FileKind::Data, pack)] {
            fs::write(path, &damage).expect("written");
        }
        assert_eq!(case.reads(read), 2, "both are read from the store again");
        assert_eq!(case.reads(read), 0, "and both are mended");
    }
    // What the store itself has damaged is not kept: it may be mended there.
    let wrong = FileName::Of(FileKind::Index, FileId([9; 32]));
    case.store.create(wrong, &[content(3)]).expect("created");
    let cached = case.cached(PLENTY);
    assert_eq!(case.reads(|| (0..2).for_each(|_| drop(cached.read(wrong).expect("read")))), 2);
}

fn kept(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .map(|entry| entry.expect("an entry"))
        .map(|entry| if entry.path().is_dir() { kept(&entry.path()) } else { entry.metadata().expect("a file").len() })
        .sum()
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let case = Case::new();
    let cached = case.cached(10_000);
    let ids: Vec<FileId> = (0..10).map(|number| store(&cached, FileKind::Index, number)).collect();
    for (age, id) in ids.iter().enumerate() {
        let path = case.path(FileKind::Index, *id);
        let used = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age as u64);
        fs::File::options().write(true).open(path).expect("kept").set_modified(used).expect("set");
    }
    // The oldest is used once more.
    let _ = cached.read(FileName::Of(FileKind::Index, ids[0])).expect("read");
    store(&cached, FileKind::Index, 100);
    let is_kept = |number: usize| case.path(FileKind::Index, ids[number]).exists();
    assert!(is_kept(0) && !is_kept(1) && !is_kept(2) && is_kept(3), "{:?}", (0..10).map(is_kept).collect::<Vec<_>>());
    for number in 101..200 {
        store(&cached, FileKind::Index, number);
        assert!(kept(&case.folder.path().join(ID).join("index")) <= 10_000);
    }
    // A smaller limit counts from the start.
    drop(case.cached(3_000));
    assert!(kept(&case.folder.path().join(ID).join("index")) <= 3_000);
}

#[test]
fn what_the_store_has_no_more_is_not_kept() {
    let case = Case::new();
    let cached = case.cached(PLENTY);
    let ids: Vec<FileId> = (0..3).map(|number| store(&cached, FileKind::Snapshot, number)).collect();
    case.store.remove(FileName::Of(FileKind::Snapshot, ids[0])).expect("removed by somebody else");
    cached.remove(FileName::Of(FileKind::Snapshot, ids[1])).expect("removed");
    assert!(!case.path(FileKind::Snapshot, ids[1]).exists());
    assert_eq!(cached.list(FileKind::Snapshot).expect("listed").len(), 1);
    let there: Vec<bool> = ids.iter().map(|id| case.path(FileKind::Snapshot, *id).exists()).collect();
    assert_eq!(there, [false, false, true]);
}

#[test]
fn work_goes_on_without_a_cache_that_cannot_be_written() {
    // From the start, and later.
    for broken in [ID.to_owned(), format!("{ID}/index")] {
        goes_on_without(&broken);
    }
}

fn goes_on_without(broken: &str) {
    let case = Case::new();
    let path = case.folder.path().join(broken);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, "a file in the place of the folder").expect("written");
    let cached = case.cached(PLENTY);
    let file = FileName::Of(FileKind::Index, store(&cached, FileKind::Index, 1));
    assert_eq!(cached.read(file).expect("read"), content(1));
    let pack = FileName::Of(FileKind::Data, store(&cached, FileKind::Data, 1));
    assert_eq!(cached.read_part_again(pack, 1, 2).expect("read"), content(1).slice(0..2));
}

#[test]
fn two_share_one_folder() {
    let case = Case::new();
    let ids: Vec<FileId> = (0..200).map(|number| store(&*case.store, FileKind::Index, number)).collect();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            // Each with a limit that makes them remove what the other reads.
            let cached = case.cached(20_000);
            let ids = &ids;
            scope.spawn(move || {
                for (number, id) in (0..).zip(ids).chain((0..).zip(ids)) {
                    assert_eq!(cached.read(FileName::Of(FileKind::Index, *id)).expect("read"), content(number));
                }
            });
        }
    });
}

#[test]
fn restic_takes_our_cache_for_its_own() {
    let restic = Restic::new();
    restic.done(&["init"]);
    restic.write("file", b"content");
    restic.done(&["backup", restic.files().to_str().expect("UTF-8")]);
    let config = restic.done(&["cat", "config"]);
    let config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
    let id = config["id"].as_str().expect("an id");
    let cache = tempfile::tempdir().expect("a temporary folder");
    let repository = Arc::new(holdfast::repository::Folder::new(restic.repository()));
    let cached = Cached::new(repository.clone(), cache.path(), id, PLENTY);
    let indexes = repository.list(FileKind::Index).expect("listed");
    for (index, _) in &indexes {
        let _ = cached.read(FileName::Of(FileKind::Index, *index)).expect("read");
    }
    let folder = cache.path().to_str().expect("UTF-8");
    // What it keeps there itself.
    restic.done(&["snapshots", "--cache-dir", folder]);
    // With the index gone from the repository only our file can be what it reads.
    for (index, _) in &indexes {
        repository.remove(FileName::Of(FileKind::Index, *index)).expect("removed");
        let name = index.to_string();
        assert!(cache.path().join(id).join("index").join(&name[..2]).join(&name).exists());
        let shown = restic.done(&["cat", "index", &name, "--cache-dir", folder]);
        assert!(shown.contains("packs"), "{shown}");
    }
    // And the other way: what restic kept there is found by us.
    let snapshots = repository.list(FileKind::Snapshot).expect("listed");
    for (snapshot, _) in snapshots {
        let file = FileName::Of(FileKind::Snapshot, snapshot);
        let content = repository.read(file).expect("read");
        let name = snapshot.to_string();
        let theirs = cache.path().join(id).join("snapshots").join(&name[..2]).join(&name);
        assert_eq!(fs::read(theirs).expect("restic keeps it"), content);
    }
}
