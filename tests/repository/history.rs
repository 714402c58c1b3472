//! A repository with snapshots of both programs, and what was in the files when each of them was made.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use holdfast::clock;
use holdfast::repository::{
    Cancel, Checked, Depth, FileId, FileKind, FileName, Folder, Held, Holes, Index, Mode, Opened, Order, Progress,
    Prune, PruneError, PrunePlan, Reader, Restored, Snapshot, Snapshots, Store as _, check, forget, restore,
};
use jiff::SignedDuration;

use crate::backups::{opened, with};
use crate::locks::nobody;
use crate::restic::Restic;
use crate::trees::{Facts, Seeded, facts};

#[derive(Debug)]
pub(crate) struct History {
    pub(crate) restic: Restic,
    pub(crate) opened: Opened,
    pub(crate) seen: BTreeMap<FileId, BTreeMap<PathBuf, Facts>>,
    random: Seeded,
    /// For backups that follow each other.
    lock: Option<Arc<Held>>,
}

pub(crate) fn locked(opened: &Opened, mode: Mode) -> Held {
    opened.locks(nobody(), clock::now).take(mode, SignedDuration::from_secs(10)).expect("it gets free")
}

pub(crate) fn pruned(opened: &Opened, percent: u64) -> Result<PrunePlan, PruneError> {
    let lock = Arc::new(locked(opened, Mode::Exclusive));
    Prune::plan(opened, lock, percent, &Cancel::default())?.run(&Cancel::default())
}

/// What a prune would do.
pub(crate) fn planned(opened: &Opened, percent: u64) -> PrunePlan {
    let lock = Arc::new(locked(opened, Mode::Exclusive));
    Prune::plan(opened, lock, percent, &Cancel::default()).expect("everything is there").plan
}

/// How many blobs the index names.
pub(crate) fn named(opened: &Opened) -> usize {
    Index::read(opened).expect("it can be read").0.blobs()
}

pub(crate) fn checked(opened: &Opened, depth: Depth) -> Checked {
    check(opened, depth, &Progress::default(), &Cancel::default()).expect("the folder can be read")
}

/// One folder of a snapshot, right into another.
pub(crate) fn restored(reader: &Reader, snapshot: &Snapshot, from: &Path, target: &Path) -> Restored {
    let order = Order {
        from: from.to_owned(),
        target: target.to_owned(),
        include: Vec::new(),
        exclude: Vec::new(),
        existing: None,
        holes: Holes::Made,
    };
    restore(reader, snapshot, &order, &Progress::default(), &Cancel::default()).expect("it can begin")
}

/// Every file of a repository but its locks.
pub(crate) fn files(store: &Folder) -> BTreeMap<FileName, u64> {
    let kinds = [FileKind::Key, FileKind::Snapshot, FileKind::Index, FileKind::Data];
    let listed = kinds.into_iter().flat_map(|kind| {
        let listed = store.list(kind).expect("listed").into_iter();
        listed.map(move |(id, bytes)| (FileName::Of(kind, id), bytes))
    });
    listed.collect()
}

/// A folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let entry = entry.expect("one");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

impl History {
    pub(crate) fn of(restic: Restic, seed: u64) -> Self {
        let opened = opened(&restic);
        Self { restic, opened, seen: BTreeMap::new(), random: Seeded(seed), lock: None }
    }

    pub(crate) fn store(&self) -> Folder {
        Folder::new(self.restic.repository())
    }

    /// Writes a few files anew, and removes one.
    pub(crate) fn change(&mut self) {
        for _ in 0..3 {
            let name = format!("folder {}/file {}", self.random.below(3), self.random.below(4));
            let size = usize::try_from(self.random.below(60_000)).expect("small");
            self.restic.write(&name, &self.random.bytes(size));
        }
        let name = format!("folder {}/file {}", self.random.below(3), self.random.below(4));
        // Not every one is there.
        let _ = fs::remove_file(self.restic.files().join(name));
    }

    /// So many backups of what changes, and every `theirs`-th is restic's.
    pub(crate) fn grow(&mut self, snapshots: usize, theirs: usize) {
        self.lock = Some(Arc::new(locked(&self.opened, Mode::Shared)));
        for number in 0..snapshots {
            self.change();
            if number % theirs == 0 {
                self.theirs()
            } else {
                self.ours()
            };
        }
        self.lock = None;
    }

    pub(crate) fn ours(&mut self) -> FileId {
        let lock = self.lock.clone().unwrap_or_else(|| Arc::new(locked(&self.opened, Mode::Shared)));
        let stored = with(&self.opened, lock, |backup| backup.paths(&[self.restic.files()], &[]));
        let stored = stored.expect("it is stored");
        self.seen.insert(stored.snapshot, facts(&self.restic.files()));
        stored.snapshot
    }

    pub(crate) fn theirs(&mut self) -> FileId {
        self.restic.done(&["backup", "--host", "host-0", self.restic.files().to_str().expect("UTF-8")]);
        let newest = self.snapshots().all.into_iter().find(|snapshot| !self.seen.contains_key(&snapshot.id));
        let id = newest.expect("it is new").id;
        self.seen.insert(id, facts(&self.restic.files()));
        id
    }

    pub(crate) fn snapshots(&self) -> Snapshots {
        Snapshots::read(&self.opened).expect("they can be read")
    }

    pub(crate) fn forget(&mut self, ids: &[FileId]) {
        let lock = locked(&self.opened, Mode::Exclusive);
        forget(&self.opened, &lock, ids).expect("they are removed");
        self.seen.retain(|id, _| !ids.contains(id));
    }

    pub(crate) fn let_restic_forget(&mut self, ids: &[FileId]) {
        let names: Vec<_> = ids.iter().map(ToString::to_string).collect();
        let arguments: Vec<_> = ["forget"].into_iter().chain(names.iter().map(String::as_str)).collect();
        self.restic.done(&arguments);
        self.seen.retain(|id, _| !ids.contains(id));
    }

    /// Bytes of all packs.
    pub(crate) fn bytes(&self) -> u64 {
        self.store().list(FileKind::Data).expect("listed").iter().map(|(_, bytes)| bytes).sum()
    }

    /// What is there is just what is known, and each snapshot restores to it.
    pub(crate) fn assert_restores(&self) {
        let reader = Reader::new(&self.opened).expect("the index can be read");
        let snapshots = self.snapshots();
        assert_eq!((snapshots.all.len(), snapshots.lost.len()), (self.seen.len(), 0));
        for snapshot in &snapshots.all {
            let out = tempfile::tempdir().expect("a temporary folder");
            let result = restored(&reader, snapshot, &self.restic.files(), out.path());
            assert_eq!((result.lost.count, result.unset.count), (0, 0), "{result:?}");
            assert!(self.seen[&snapshot.id] == facts(out.path()), "snapshot {} is another", snapshot.id);
        }
    }

    /// The same by restic, for one of them.
    pub(crate) fn assert_restic_restores(&self, id: FileId) {
        let out = tempfile::tempdir().expect("a temporary folder");
        self.restic.done(&["restore", &id.to_string(), "--target", out.path().to_str().expect("UTF-8")]);
        let inside = out.path().join(self.restic.files().strip_prefix("/").expect("absolute"));
        assert!(self.seen[&id] == facts(&inside), "snapshot {id} is another to restic");
    }

    /// Both find nothing, not even something that takes room for nothing.
    pub(crate) fn assert_tidy(&self) {
        self.restic.done(&["check", "--read-data"]);
        let checked = checked(&self.opened, Depth::All);
        assert!(checked.findings.is_empty(), "{:?}", checked.findings);
    }
}
