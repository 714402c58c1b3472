//! Random trees go into a repository and come out as they were.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use holdfast::repository::{Reader, Version};
use rustix::fs::{AtFlags, CWD, Mode, Timespec, Timestamps};

use crate::backups::made;
use crate::history::{History, restored};
use crate::trees::{Seeded, differences};

const TREES: u64 = 30;
/// Where the cutting of files begins, what a piece has on the average, and what it has at most.
const BORDERS: [u64; 3] = [512 << 10, 1 << 20, 8 << 20];

/// A tree in the making.
struct Growing {
    random: Seeded,
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
    /// Only what restic 0.14 keeps too: it loses bytes of targets of links that are no UTF-8.
    for_restic: bool,
}

impl Growing {
    fn number(&mut self, end: u64) -> usize {
        usize::try_from(self.random.below(end)).expect("small")
    }

    /// Any bytes that a name may have.
    fn name(&mut self) -> OsString {
        let length = match self.random.below(8) {
            0 => 255,
            1 => 200,
            _ => 1 + self.number(20),
        };
        let text = self.random.below(2) == 0;
        let mut bytes = self.random.bytes(length);
        for byte in &mut bytes {
            match *byte {
                0 | b'/' => *byte = b'_',
                other if text => *byte = b'a' + other % 26,
                _ => {}
            }
        }
        if matches!(bytes.as_slice(), b"." | b"..") { OsString::from("dot") } else { OsString::from_vec(bytes) }
    }

    fn path(&mut self) -> PathBuf {
        let folder = self.number(self.folders.len() as u64);
        let name = self.name();
        self.folders[folder].join(name)
    }

    fn size(&mut self, large: bool) -> u64 {
        match self.random.below(if large { 6 } else { 4 }) {
            0 => 0,
            1 => 1 + self.random.below(100),
            2 => self.random.below(5_000),
            3 => self.random.below(100_000),
            border => {
                let border = BORDERS[self.number(if border == 4 { 2 } else { 3 })];
                border - 1 + self.random.below(3)
            }
        }
    }

    fn file(&mut self, large: bool) {
        let path = self.path();
        let size = self.size(large);
        let Ok(file) = File::create_new(&path) else { return };
        match self.random.below(4) {
            0 => {
                file.set_len(size).expect("set");
                let written = self.random.bytes(10);
                if size > 10 {
                    let at = self.random.below(size - 10);
                    file.write_all_at(&written, at).expect("written");
                }
            }
            _ => fs::write(&path, self.random.bytes(usize::try_from(size).expect("small"))).expect("written"),
        }
        self.files.push(path);
    }

    fn one(&mut self, large: bool) {
        match self.random.below(8) {
            0 | 1 => {
                let path = self.path();
                if path.as_os_str().len() < 2_500 && fs::create_dir(&path).is_ok() {
                    self.folders.push(path);
                }
            }
            2 if !self.files.is_empty() => {
                let file = self.number(self.files.len() as u64);
                let path = self.path();
                if fs::hard_link(&self.files[file], &path).is_ok() {
                    self.files.push(path);
                }
            }
            3 => {
                let target = if self.for_restic { OsString::from("../ünï") } else { self.name() };
                let path = self.path();
                // Not if the name is taken.
                let _ = symlink(target, path);
            }
            _ => self.file(large),
        }
    }

    /// Attributes, owners, modes and times, from the inside to the outside.
    fn dress(&mut self) {
        let all: Vec<_> = self.files.iter().chain(self.folders.iter().rev()).cloned().collect();
        for path in &all {
            for number in 0..self.random.below(3) {
                let length = self.number(200);
                let value = self.random.bytes(length);
                xattr::set(path, format!("user.{number}"), &value).expect("set");
            }
            if rustix::process::geteuid().is_root() {
                let (user, group) = (self.number(70_000), self.number(70_000));
                let id = |number| Some(u32::try_from(number).expect("small"));
                std::os::unix::fs::lchown(path, id(user), id(group)).expect("set");
            }
            let mode = u32::try_from(self.number(0o10000)).expect("small");
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
        }
        for path in &all {
            let seconds = i64::try_from(self.random.below(6_000_000_000)).expect("small") - 2_000_000_000;
            let time =
                Timespec { tv_sec: seconds, tv_nsec: i64::try_from(self.random.below(1_000_000_000)).expect("small") };
            let times = Timestamps { last_access: time, last_modification: time };
            rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("set");
        }
    }
}

fn grow(root: &Path, seed: u64, for_restic: bool) {
    fs::create_dir_all(root).expect("made");
    let folders = vec![root.to_owned()];
    let mut growing = Growing { random: Seeded(seed), folders, files: Vec::new(), for_restic };
    // A path that leads far down.
    let mut deep = root.join("deep");
    for _ in 0..growing.random.below(60) {
        deep = deep.join(OsStr::from_bytes(b"d\xe9"));
    }
    fs::create_dir_all(&deep).expect("made");
    growing.folders.push(deep);
    let large = seed.is_multiple_of(5);
    for _ in 0..5 + growing.random.below(60) {
        let large = large && growing.random.below(6) == 0;
        growing.one(large);
    }
    if growing.random.below(2) == 0 {
        let fifo = growing.path();
        let _ = rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0);
    }
    growing.dress();
}

#[test]
fn what_goes_in_comes_out() {
    let mut repositories = [made(Version::V1), made(Version::V2)].map(|restic| History::of(restic, 0));
    for seed in 0..TREES {
        let history = &mut repositories[usize::try_from(seed % 2).expect("small")];
        let by_restic = seed.is_multiple_of(5);
        let files = history.restic.files();
        fs::remove_dir_all(&files).expect("removed");
        grow(&files, seed, by_restic);
        let snapshot = history.ours();
        let reader = Reader::new(&history.opened).expect("the index can be read");
        let newest = history.snapshots().all.into_iter().find(|one| one.id == snapshot).expect("it is there");
        let out = tempfile::tempdir().expect("a temporary folder");
        let result = restored(&reader, &newest, &files, out.path());
        assert_eq!((result.lost.count, result.unset.count), (0, 0), "seed {seed}: {result:?}");
        assert_eq!(differences(&files, out.path()), Vec::<String>::new(), "seed {seed}");
        if by_restic {
            history.assert_restic_restores(snapshot);
        }
    }
    for history in &repositories {
        history.assert_tidy();
    }
}
