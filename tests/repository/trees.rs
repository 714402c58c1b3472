//! Trees of files with everything that Linux has, and whether two are the same.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, Timespec, Timestamps};
use sha2::{Digest as _, Sha256};

/// Everything about one file that a restore must give back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    size: u64,
    device: u64,
    content: String,
    attributes: BTreeMap<OsString, Vec<u8>>,
    /// The first of all names of a file, in the order of names.
    first_name: PathBuf,
}

impl Facts {
    pub(crate) fn is_file(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }

    pub(crate) fn first_name(&self) -> &Path {
        &self.first_name
    }
}

pub(crate) fn facts(root: &Path) -> BTreeMap<PathBuf, Facts> {
    let mut all = BTreeMap::new();
    let mut first_names = BTreeMap::new();
    gather(root, Path::new(""), &mut all, &mut first_names);
    all
}

fn gather(
    root: &Path,
    name: &Path,
    all: &mut BTreeMap<PathBuf, Facts>,
    first_names: &mut BTreeMap<(u64, u64), PathBuf>,
) {
    let path = if name.as_os_str().is_empty() { root.to_owned() } else { root.join(name) };
    let meta = fs::symlink_metadata(&path).expect("it is there");
    let kind = meta.file_type();
    let content = if kind.is_file() {
        format!("{:x}", Sha256::digest(fs::read(&path).expect("it can be read")))
    } else if kind.is_symlink() {
        format!("{:?}", fs::read_link(&path).expect("a link").as_os_str().as_encoded_bytes())
    } else {
        String::new()
    };
    let attributes = xattr::list(&path).map_or_else(
        |_| BTreeMap::new(),
        |names| names.map(|name| (name.clone(), xattr::get(&path, &name).ok().flatten().unwrap_or_default())).collect(),
    );
    let first_name = if kind.is_dir() {
        name.to_owned()
    } else {
        first_names.entry((meta.dev(), meta.ino())).or_insert_with(|| name.to_owned()).clone()
    };
    let device = if kind.is_char_device() || kind.is_block_device() { meta.rdev() } else { 0 };
    let facts = Facts {
        mode: meta.mode(),
        owner: (meta.uid(), meta.gid()),
        modified: (meta.mtime(), meta.mtime_nsec()),
        size: if kind.is_dir() { 0 } else { meta.size() },
        device,
        content,
        attributes,
        first_name,
    };
    all.insert(name.to_owned(), facts);
    if kind.is_dir() {
        let mut names: Vec<_> =
            fs::read_dir(&path).expect("listed").map(|entry| entry.expect("one").file_name()).collect();
        names.sort();
        for child in &names {
            gather(root, &name.join(child), all, first_names);
        }
    }
}

/// The paths that differ, with what is there and there; empty for equal trees.
pub(crate) fn differences(one: &Path, other: &Path) -> Vec<String> {
    let (one, other) = (facts(one), facts(other));
    let names: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
    names
        .into_iter()
        .filter(|name| one.get(*name) != other.get(*name))
        .map(|name| format!("{}: {:?} / {:?}", name.display(), one.get(name), other.get(name)))
        .collect()
}

/// Random numbers that are the same in each run.
#[derive(Debug)]
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        // SplitMix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..count.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(count);
        bytes
    }
}

/// Every kind of file, name, owner, mode, time and attribute. As root only for owners and devices.
pub(crate) fn grow(root: &Path, seed: u64) {
    let mut random = Seeded(seed);
    fs::create_dir_all(root.join("deep/er/est")).expect("made");
    fs::create_dir(root.join("empty folder")).expect("made");
    for (name, size) in [
        ("empty", 0),
        ("small", 100),
        ("deep/er/est/large", 5 << 20),
        ("deep/medium", 300_000),
        ("small.holdfast-incomplete", 200),
    ] {
        fs::write(root.join(name), random.bytes(size)).expect("written");
    }
    fs::write(root.join("deep/twice"), fs::read(root.join("small")).expect("read")).expect("written");
    for number in 0..40 {
        let size = usize::try_from(random.below(2_000)).expect("small");
        fs::write(root.join(format!("deep/er/file {number}")), random.bytes(size)).expect("written");
    }
    for name in [b"not \xff UTF-8".as_slice(), "ünïcödé 漢字".as_bytes(), b"quote\"back\\slash\nline", &[b'x'; 250]]
    {
        fs::write(root.join(OsStr::from_bytes(name)), name).expect("written");
    }
    let sparse = File::create(root.join("sparse")).expect("made");
    sparse.set_len(8 << 20).expect("set");
    sparse.write_all_at(b"in the middle", 3 << 20).expect("written");
    fs::hard_link(root.join("small"), root.join("deep/second name")).expect("linked");
    fs::hard_link(root.join("small"), root.join("a third name")).expect("linked");
    symlink("small", root.join("link")).expect("linked");
    symlink("/nowhere", root.join("deep/broken link")).expect("linked");
    symlink(OsString::from_vec(b"\xfe\xff".to_vec()), root.join("link to no UTF-8")).expect("linked");
    rustix::fs::mknodat(CWD, root.join("fifo"), rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o640), 0)
        .expect("made");
    xattr::set(root.join("small"), "user.comment", b"bytes \x00\xff").expect("set");
    xattr::set(root.join("deep"), "user.folder", b"of a folder").expect("set");
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::lchown(root.join("link"), Some(1234), Some(5678)).expect("set");
        std::os::unix::fs::chown(root.join("deep/medium"), Some(1000), Some(1001)).expect("set");
        let device = rustix::fs::makedev(1, 3);
        let kind = rustix::fs::FileType::CharacterDevice;
        rustix::fs::mknodat(CWD, root.join("null"), kind, Mode::from_raw_mode(0o666), device).expect("made");
    }
    for (name, mode) in
        [("deep/er/file 1", 0o4755), ("deep/er/file 2", 0o2750), ("deep/er/file 3", 0), ("deep/er", 0o1777)]
    {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).expect("set");
    }
    for (name, seconds, nanoseconds) in [
        ("deep/er/file 4", 0, 1),
        ("deep/er/file 5", -100, 999_999_999),
        ("link", 1_000_000_000, 123_456_789),
        ("deep", 7, 0),
    ] {
        let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        let times = Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(CWD, root.join(name), &times, AtFlags::SYMLINK_NOFOLLOW).expect("set");
    }
}
