//! A store that fails, is full, cuts what it gives, lies about sizes and lists what was there before: no snapshot that looks
//! complete lacks anything, and when the store is well again everything goes on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use holdfast::clock;
use holdfast::repository::{
    Cancel, Depth, Fault, FileId, FileKind, FileName, Holes, Mode, Opened, Order, Progress, Prune, Reader, Snapshots,
    Store, StoreError, Version, check, forget, restore,
};
use jiff::SignedDuration;

use crate::backups::{made, opened};
use crate::guarded::{Deed, Guarded};
use crate::locks::nobody;
use crate::restic::Restic;
use crate::trees::{Seeded, differences};

#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// Everything fails from this operation on.
    FailsFrom(u64),
    /// Nothing new has room after so many files.
    FullAfter(u64),
    /// Half of what is read does not come, and nothing is said of it.
    CutsReads,
    /// Lists and sizes say one byte more.
    LiesAboutSizes,
    /// Lists are those that it gave first.
    ListsOfBefore,
}

#[derive(Debug)]
struct Faulty {
    inner: Arc<dyn Store>,
    trouble: Trouble,
    operations: AtomicU64,
    created: AtomicU64,
    lists: Mutex<BTreeMap<FileKind, Vec<(FileId, u64)>>>,
}

impl Faulty {
    fn over(opened: &Opened, trouble: Trouble) -> (Opened, Arc<Self>) {
        let inner = opened.store();
        let lists = FileKind::ALL.map(|kind| (kind, inner.list(kind).expect("listed"))).into();
        let (operations, created) = (AtomicU64::new(0), AtomicU64::new(0));
        let faulty = Arc::new(Self { inner, trouble, operations, created, lists: Mutex::new(lists) });
        (opened.clone().over(faulty.clone()), faulty)
    }

    fn error(&self, file: &(impl ToString + ?Sized), fault: Fault) -> StoreError {
        StoreError { location: self.location(), file: file.to_string(), fault }
    }

    fn step(&self, file: &(impl ToString + ?Sized)) -> Result<(), StoreError> {
        let number = self.operations.fetch_add(1, Ordering::SeqCst);
        match self.trouble {
            Trouble::FailsFrom(first) if number >= first => {
                Err(self.error(file, Fault::Unavailable("the connection was lost".to_owned())))
            }
            Trouble::FailsFrom(_)
            | Trouble::FullAfter(_)
            | Trouble::CutsReads
            | Trouble::LiesAboutSizes
            | Trouble::ListsOfBefore => Ok(()),
        }
    }

    fn cut(&self, bytes: Bytes) -> Bytes {
        if matches!(self.trouble, Trouble::CutsReads) { bytes.slice(..bytes.len() / 2) } else { bytes }
    }

    fn more(&self) -> u64 {
        u64::from(matches!(self.trouble, Trouble::LiesAboutSizes))
    }
}

impl Store for Faulty {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn list(&self, kind: FileKind) -> Result<Vec<(FileId, u64)>, StoreError> {
        self.step(kind.folder())?;
        if matches!(self.trouble, Trouble::ListsOfBefore) {
            return Ok(self.lists.lock().expect("no panic").get(&kind).cloned().unwrap_or_default());
        }
        Ok(self.inner.list(kind)?.into_iter().map(|(id, size)| (id, size + self.more())).collect())
    }

    fn size(&self, file: FileName) -> Result<u64, StoreError> {
        self.step(&file)?;
        Ok(self.inner.size(file)? + self.more())
    }

    fn read(&self, file: FileName) -> Result<Bytes, StoreError> {
        self.step(&file)?;
        Ok(self.cut(self.inner.read(file)?))
    }

    fn read_part(&self, file: FileName, offset: u64, length: u64) -> Result<Bytes, StoreError> {
        self.step(&file)?;
        Ok(self.cut(self.inner.read_part(file, offset, length)?))
    }

    fn create(&self, file: FileName, content: &[Bytes]) -> Result<(), StoreError> {
        self.step(&file)?;
        if let Trouble::FullAfter(files) = self.trouble
            && self.created.fetch_add(1, Ordering::SeqCst) >= files
        {
            return Err(self.error(&file, Fault::Full));
        }
        self.inner.create(file, content)
    }

    fn remove(&self, file: FileName) -> Result<(), StoreError> {
        self.step(&file)?;
        self.inner.remove(file)
    }
}

fn world(seed: u64) -> (Restic, Opened) {
    let restic = made(Version::V2);
    let mut random = Seeded(seed);
    for number in 0..6 {
        restic.write(&format!("folder {number}/large"), &random.bytes(4 << 20));
        restic.write(&format!("folder {number}/small"), &random.bytes(1000));
    }
    let opened = opened(&restic);
    (restic, opened)
}

fn backup(opened: &Opened, restic: &Restic) -> Result<FileId, String> {
    let stored = with_lock_of(opened, restic).map_err(|error| error.to_string())?;
    assert_eq!(stored.unread.count, 0);
    Ok(stored.snapshot)
}

/// The lock is on the well store: what is tested is the work.
fn with_lock_of(
    opened: &Opened,
    restic: &Restic,
) -> Result<holdfast::repository::Stored, holdfast::repository::BackupError> {
    let well = crate::backups::opened(restic);
    let lock = well.locks(nobody(), clock::now).take(Mode::Shared, SignedDuration::ZERO).expect("it is free");
    crate::backups::with(opened, lock, |backup| backup.paths(&[restic.files()], &[]))
}

fn sound(opened: &Opened, what: &str) {
    let checked = check(opened, Depth::All, &Progress::default(), &Cancel::default()).expect("it is checked");
    assert!(checked.is_sound(), "{what}: {:?}", checked.findings);
}

fn names(opened: &Opened) -> Vec<FileId> {
    Snapshots::read(opened).expect("they can be read").all.iter().map(|snapshot| snapshot.id).collect()
}

fn order(restic: &Restic, target: &std::path::Path) -> Order {
    let (include, exclude) = (Vec::new(), Vec::new());
    Order { from: restic.files(), target: target.to_owned(), include, exclude, existing: None, holes: Holes::Filled }
}

fn restores(opened: &Opened, restic: &Restic, what: &str) {
    let out = tempfile::tempdir().expect("a temporary folder");
    let snapshots = Snapshots::read(opened).expect("they can be read");
    let reader = Reader::new(opened).expect("the index can be read");
    let order = order(restic, &out.path().join("target"));
    let newest = snapshots.all.last().expect("there is one");
    restore(&reader, newest, &order, &Progress::default(), &Cancel::default()).expect("it is restored");
    assert_eq!(differences(&restic.files(), &order.target), Vec::<String>::new(), "{what}");
}

#[test]
fn a_backup_that_fails_at_any_operation_leaves_nothing_that_looks_whole() {
    let (restic, well) = world(1);
    let mut failed = 0;
    for first in 0.. {
        let (opened, _) = Faulty::over(&well, Trouble::FailsFrom(first));
        let what = format!("everything fails from operation {first} on");
        match backup(&opened, &restic) {
            Err(error) => {
                assert!(error.contains("connection was lost"), "{error}");
                assert_eq!(names(&well), [], "{what}");
                failed += 1;
            }
            Ok(_) => break,
        }
        sound(&well, &what);
    }
    assert!(failed >= 6, "{failed}");
    restores(&well, &restic, "at last");
    let lock = well.locks(nobody(), clock::now).take(Mode::Exclusive, SignedDuration::ZERO).expect("it is free");
    let pruned = Prune::plan(&well, Arc::new(lock), 0, &Cancel::default()).expect("planned").run(&Cancel::default());
    pruned.expect("it is pruned");
    let bytes: u64 = well.store().list(FileKind::Data).expect("listed").iter().map(|(_, size)| size).sum();
    assert!(bytes < 26 << 20, "what was left behind was given back: {bytes}");
    restic.done(&["check", "--read-data"]);
}

#[test]
fn a_store_that_is_full_says_so_and_nothing_is_lost() {
    let (restic, well) = world(2);
    backup(&well, &restic).expect("it is stored");
    let before = names(&well);
    for number in 0..6 {
        restic.write(&format!("folder {number}/large"), &Seeded(50 + number).bytes(4 << 20));
    }
    for files in 0..4 {
        let (opened, _) = Faulty::over(&well, Trouble::FullAfter(files));
        match backup(&opened, &restic) {
            Err(error) => assert!(error.contains("no space left") && names(&well) == before, "{error}"),
            Ok(_) => assert!(files > 1, "with room for {files} files"),
        }
        sound(&well, "full");
        if names(&well) != before {
            return restores(&well, &restic, "there was room");
        }
    }
    backup(&well, &restic).expect("there is room again");
    restores(&well, &restic, "after it was full");
}

#[test]
fn cut_reads_and_wrong_sizes_give_no_wrong_content() {
    let (restic, well) = world(3);
    backup(&well, &restic).expect("it is stored");
    let (cut, _) = Faulty::over(&well, Trouble::CutsReads);
    let out = tempfile::tempdir().expect("a temporary folder");
    let newest = Snapshots::read(&well).expect("they can be read").all.pop().expect("one");
    let snapshots = Snapshots::read(&cut).expect("listed");
    assert_eq!((snapshots.all.len(), snapshots.lost.len()), (0, 1), "a snapshot that is cut is none");
    let reader = Reader::new(&cut).expect("what can be read is");
    assert!(!reader.lost.is_empty());
    let order = order(&restic, &out.path().join("target"));
    assert!(restore(&reader, &newest, &order, &Progress::default(), &Cancel::default()).is_err());
    // With an index that is whole, nothing of what is cut becomes a file.
    let (late, faulty) = Faulty::over(&well, Trouble::CutsReads);
    drop(late);
    let reader = Reader::new(&well).expect("read").through(faulty);
    let error = restore(&reader, &newest, &order, &Progress::default(), &Cancel::default());
    assert!(error.is_err() || error.is_ok_and(|restored| restored.lost.count > 0 && restored.files == 0));
    assert!(backup(&cut, &restic).is_err());

    let (liar, _) = Faulty::over(&well, Trouble::LiesAboutSizes);
    let checked = check(&liar, Depth::Structure, &Progress::default(), &Cancel::default()).expect("it is checked");
    assert!(!checked.is_sound(), "packs of another size are found");
    backup(&liar, &restic).expect("sizes are not trusted, so they harm nothing");
    restores(&well, &restic, "lies");
    sound(&well, "lies");
}

/// All but the index is as it is now.
#[derive(Debug)]
struct OldIndex(Arc<dyn Store>, Vec<(FileId, u64)>);
impl Store for OldIndex {
    fn location(&self) -> String {
        self.0.location()
    }
    fn list(&self, kind: FileKind) -> Result<Vec<(FileId, u64)>, StoreError> {
        if kind == FileKind::Index { Ok(self.1.clone()) } else { self.0.list(kind) }
    }
    fn size(&self, file: FileName) -> Result<u64, StoreError> {
        self.0.size(file)
    }
    fn read(&self, file: FileName) -> Result<Bytes, StoreError> {
        self.0.read(file)
    }
    fn read_part(&self, file: FileName, offset: u64, length: u64) -> Result<Bytes, StoreError> {
        self.0.read_part(file, offset, length)
    }
    fn create(&self, file: FileName, content: &[Bytes]) -> Result<(), StoreError> {
        self.0.create(file, content)
    }
    fn remove(&self, file: FileName) -> Result<(), StoreError> {
        self.0.remove(file)
    }
}

#[test]
fn old_lists_make_a_prune_stop_and_cost_a_backup_room_only() {
    let (restic, well) = world(4);
    backup(&well, &restic).expect("it is stored");
    let (old, _) = Faulty::over(&well, Trouble::ListsOfBefore);
    restic.write("folder 1/large", &Seeded(70).bytes(4 << 20));
    backup(&well, &restic).expect("it is stored");
    // The backup does not see the index of the one before, and stores again what it holds.
    backup(&old, &restic).expect("it is stored");
    sound(&well, "a backup with an old list");
    restores(&well, &restic, "a backup with an old list");
    // Packs are new and the index is old: what no index names would look unused.
    let snapshots = names(&well);
    forget(&well, &with_exclusive(&well), &snapshots[..1]).expect("it is forgotten");
    let mut index = well.store().list(FileKind::Index).expect("listed");
    index.truncate(1);
    let stale = well.clone().over(Arc::new(OldIndex(well.store(), index)));
    let planned = Prune::plan(&stale, Arc::new(with_exclusive(&well)), 0, &Cancel::default());
    assert!(
        planned.is_err_and(|error| error.to_string().contains("nothing was removed")),
        "needed blobs have no index"
    );
    sound(&well, "a prune with an old list");
}

fn with_exclusive(opened: &Opened) -> holdfast::repository::Held {
    opened.locks(nobody(), clock::now).take(Mode::Exclusive, SignedDuration::ZERO).expect("it is free")
}

#[test]
fn an_outage_is_no_damage_and_removes_nothing() {
    let restic = made(Version::V2);
    restic.write("file", b"content");
    let well = opened(&restic);
    backup(&well, &restic).expect("it is stored");
    // The list comes, and what is in it does not.
    for first in 0..2 {
        let gone = || Faulty::over(&well, Trouble::FailsFrom(first)).0;
        assert!(Reader::new(&gone()).is_err_and(|error| error.fault.is_passing()), "{first}");
        assert!(Snapshots::read(&gone()).is_err_and(|error| error.fault.is_passing()), "{first}");
    }
    let (gone, before) = (Faulty::over(&well, Trouble::FailsFrom(0)).0, names(&well));
    assert!(forget(&gone, &with_exclusive(&well), &before).is_err(), "nothing is forgotten");
    assert_eq!(names(&well), before);
}

/// As a store may that was cut off.
#[test]
fn half_a_file_under_its_name_is_not_taken_for_the_whole() {
    let restic = made(Version::V2);
    restic.write("file", b"content");
    let well = opened(&restic);
    let root = restic.repository();
    let halving = well.clone().over(Guarded::new(root.clone(), move |deed| {
        if let Deed::Create(file @ FileName::Of(FileKind::Data, _)) = deed {
            let path = root.join(file.to_string());
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, "half").expect("written");
        }
        Ok(())
    }));
    let error = backup(&halving, &restic).expect_err("half of it is there");
    assert!(error.contains("4 of ") && names(&well).is_empty(), "{error}");
    backup(&well, &restic).expect("it is stored");
    restores(&well, &restic, "after half a pack");
}
