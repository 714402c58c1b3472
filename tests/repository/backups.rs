//! Backups of folders, as restic sees them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use holdfast::clock;
use holdfast::repository::{
    Backup, BackupError, Cancel, Folder, Held, Labels, Maker, Mode, Opened, Progress, Stored, Version, init,
};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::locks::nobody;
use crate::restic::{PASSWORD, Restic};

pub(crate) fn opened(restic: &Restic) -> Opened {
    Opened::open(Arc::new(Folder::new(restic.repository())), PASSWORD).expect("it opens")
}

/// Does a backup with a lock of its own.
pub(crate) fn with_lock<T>(opened: &Opened, work: impl FnOnce(&Backup<'_>) -> T) -> T {
    let lock = opened.locks(nobody(), clock::now).take(Mode::Shared, SignedDuration::ZERO).expect("it is free");
    with(opened, lock, work)
}

pub(crate) fn with<T>(opened: &Opened, lock: impl Into<Arc<Held>>, work: impl FnOnce(&Backup<'_>) -> T) -> T {
    let labels = Labels {
        host: "host-0".to_owned(),
        username: "backup".to_owned(),
        tags: BTreeSet::from(["holdfast-target=shop/Deployment/web".to_owned()]),
        time: clock::now().to_zoned(TimeZone::UTC),
        clock: clock::now,
    };
    let (progress, cancel) = (Progress::default(), Cancel::default());
    work(&Backup { opened, lock: lock.into(), labels: &labels, progress: &progress, cancel: &cancel })
}

pub(crate) fn stored(restic: &Restic) -> Stored {
    with_lock(&opened(restic), |backup| backup.paths(&[restic.files()], &[])).expect("it is stored")
}

pub(crate) fn maker() -> Maker {
    Maker { created: Timestamp::UNIX_EPOCH, username: "backup".to_owned(), hostname: "node-1".to_owned() }
}

pub(crate) fn made(version: Version) -> Restic {
    let restic = Restic::new();
    init(&Folder::new(restic.repository()), PASSWORD, version, &maker()).expect("nothing was there");
    crate::cheap::make(&restic.repository(), PASSWORD);
    restic
}

#[test]
fn restic_restores_what_we_stored() {
    let restic = made(Version::V2);
    restic.write("a/small", b"content");
    restic.write("a/large", &vec![7; 3 << 20]);
    restic.write("empty", b"");
    let first = stored(&restic);
    assert_eq!((first.counts.files(), first.unread.count), (3, 0), "{first:?}");
    restic.write("a/small", b"other");
    let second = stored(&restic);
    restic.done(&["check", "--read-data"]);
    let out = tempfile::tempdir().expect("a temporary folder");
    let target = out.path().to_str().expect("UTF-8");
    restic.done(&["restore", &second.snapshot.to_string(), "--target", target]);
    let restored = out.path().join(restic.files().strip_prefix("/").expect("absolute"));
    assert_eq!(fs::read(restored.join("a/small")).expect("restored"), b"other");
    assert_eq!(fs::read(restored.join("a/large")).expect("restored"), vec![7; 3 << 20]);
    let listed = restic.done(&["snapshots", "--json", "--host", "host-0"]);
    assert!(listed.contains("holdfast-target=shop/Deployment/web"), "{listed}");
}

#[test]
fn what_cannot_be_read_is_named_and_the_snapshot_says_so() {
    let restic = made(Version::V2);
    restic.write("readable", b"content");
    // Root reads everything but a folder in the place of a file, and what the kernel refuses to anybody.
    std::os::unix::fs::symlink("/proc/self/mem", restic.files().join("link")).expect("made");
    restic.write("closed", b"secret");
    fs::set_permissions(restic.files().join("closed"), fs::Permissions::from_mode(0o000)).expect("set");
    let stored = stored(&restic);
    let root = fs::read(restic.files().join("closed")).is_ok();
    assert_eq!(stored.unread.count, u64::from(!root), "{stored:?}");
    let listed = restic.done(&["snapshots", "--json"]);
    assert_eq!(listed.contains("holdfast-incomplete"), !root, "{listed}");
}

#[test]
fn what_has_not_changed_is_not_read_again_whoever_stored_it() {
    let restic = made(Version::V2);
    for number in 0..20 {
        restic.write(&format!("folder {number}/file"), &vec![number; 10_000]);
    }
    restic.done(&["backup", "--host", "host-0", restic.files().to_str().expect("UTF-8")]);
    // Our tree of the same folder is restic's but for the names of users.
    let first = stored(&restic);
    assert_eq!((first.counts.files_unmodified, first.counts.files()), (20, 20), "{first:?}");
    assert_eq!(first.added.bytes, first.added.bytes.min(20 * 2_000), "only trees are stored: {first:?}");
    restic.write("folder 7/file", b"changed");
    let second = stored(&restic);
    assert_eq!((second.counts.files_unmodified, second.counts.files_changed), (19, 1), "{second:?}");
    let third = stored(&restic);
    // Folders above, which others change meanwhile, are part of a snapshot too.
    assert!(third.added.blobs <= 2 && third.added.bytes < 2_000, "{third:?}");
    let theirs = restic.done(&["backup", "--json", "--host", "host-0", restic.files().to_str().expect("UTF-8")]);
    assert!(theirs.contains(r#""files_unmodified":20"#), "restic trusts what we stored: {theirs}");
}

#[test]
fn a_folder_behind_a_link_is_backed_up_and_a_link_stays_one() {
    let restic = made(Version::V2);
    restic.write("real/folder/file", b"content");
    std::os::unix::fs::symlink("real", restic.files().join("link")).expect("linked");
    let behind = restic.files().join("link/folder");
    let stored =
        with_lock(&opened(&restic), |backup| backup.paths(std::slice::from_ref(&behind), &[])).expect("it is stored");
    assert_eq!((stored.counts.files(), stored.unread.count), (1, 0), "{stored:?}");
    let file = behind.join("file");
    assert_eq!(restic.done(&["dump", "latest", file.to_str().expect("UTF-8")]), "content");
    let link = restic.files().join("link");
    let stored = with_lock(&opened(&restic), |backup| backup.paths(&[link], &[])).expect("it is stored");
    assert_eq!(stored.counts.files(), 0, "the link itself: {stored:?}");
}

#[test]
fn a_file_that_is_also_a_tree_is_stored_as_both() {
    let restic = made(Version::V2);
    restic.write("file", b"{\"nodes\":[]}\n");
    fs::create_dir(restic.files().join("empty")).expect("made");
    stored(&restic);
    restic.done(&["check", "--read-data"]);
}

#[test]
fn excluded_and_other_folders_are_left_out() {
    let restic = made(Version::V2);
    for name in ["a/keep", "a/skip/x", "b/keep", "c/keep", "a/keep.tmp"] {
        restic.write(name, name.as_bytes());
    }
    let paths = ["a", "b/keep"].map(|name| restic.files().join(name));
    let exclude = ["skip", "*.tmp"].map(|pattern| pattern.parse().expect("a pattern"));
    let stored = with_lock(&opened(&restic), |backup| backup.paths(&paths, &exclude)).expect("it is stored");
    assert_eq!(stored.counts.files(), 2, "{stored:?}");
    let listed = restic.done(&["ls", "latest"]);
    let names = |suffix: &str| listed.lines().filter(|line| line.ends_with(suffix)).count();
    assert_eq!(
        (names("/a/keep"), names("/b/keep"), names("/c"), names("/skip"), names(".tmp")),
        (1, 1, 0, 0, 0),
        "{listed}"
    );
    let missing = with_lock(&opened(&restic), |backup| backup.paths(&[PathBuf::from("/no/such")], &[]));
    assert!(matches!(missing, Err(BackupError::NoSource { .. })), "{missing:?}");
}

/// Ends with an error where others end.
struct Dying<'a>(&'a [u8]);
impl std::io::Read for Dying<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match std::io::Read::read(&mut self.0, buffer)? {
            0 => Err(std::io::Error::other("connection lost")),
            read => Ok(read),
        }
    }
}

#[test]
fn a_stream_is_a_file_only_when_it_ended_well() {
    let restic = made(Version::V2);
    let opened = opened(&restic);
    let bytes: Vec<u8> = crate::trees::Seeded(9).bytes(20 << 20);
    let name = PathBuf::from("dumps/all.sql");
    let stored = with_lock(&opened, |backup| backup.stream(&name, bytes.as_slice(), || Ok(()))).expect("it is stored");
    assert_eq!(stored.counts.bytes, 20 << 20);
    let dumped = restic.run(&["dump", "latest", "/dumps/all.sql"]).stdout;
    assert!(dumped == bytes, "restic dumps what was streamed");

    let dying = with_lock(&opened, |backup| backup.stream(&name, Dying(&bytes[..16 << 20]), || Ok(())));
    assert!(dying.expect_err("it died").to_string().contains("connection lost"));
    let failed = with_lock(&opened, |backup| backup.stream(&name, bytes.as_slice(), || Err("exit code 1".to_owned())));
    assert!(failed.expect_err("it failed").to_string().contains("exit code 1"));
    assert_eq!(restic.done(&["snapshots", "--json"]).matches("short_id").count(), 1);
    restic.done(&["check", "--read-data"]);
    for bad in ["", "/", "../x", "a/../b"] {
        let error = with_lock(&opened, |backup| backup.stream(&PathBuf::from(bad), [].as_slice(), || Ok(())));
        assert!(matches!(error, Err(BackupError::Name(_))), "{bad}: {error:?}");
    }
}
