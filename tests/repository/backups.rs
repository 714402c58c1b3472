//! Our backups, restored by restic.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use holdfast::clock;
use holdfast::repository::{Folder, Held, Labels, Mode, Opened, Stored, Version, backup, init};
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::locks::nobody;
use crate::restic::{PASSWORD, Restic};

fn stored(restic: &Restic) -> Stored {
    let opened = Opened::open(Arc::new(Folder::new(restic.repository())), PASSWORD).expect("it opens");
    let lock: Held = opened.locks(nobody(), clock::now).take(Mode::Shared, SignedDuration::ZERO).expect("it is free");
    let labels = Labels {
        host: "host-0".to_owned(),
        tags: vec!["holdfast-target=shop/Deployment/web".to_owned()],
        time: clock::now().to_zoned(TimeZone::UTC),
    };
    backup(&opened, Arc::new(lock), &restic.files(), &labels).expect("it is stored")
}

fn made() -> Restic {
    let restic = Restic::new();
    init(&Folder::new(restic.repository()), PASSWORD, Version::V2).expect("nothing was there");
    restic
}

#[test]
fn restic_restores_what_we_stored() {
    let restic = made();
    restic.write("a/small", b"content");
    restic.write("a/large", &vec![7; 3 << 20]);
    restic.write("empty", b"");
    let first = stored(&restic);
    assert_eq!((first.files, first.unread.count), (3, 0), "{first:?}");
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
    let restic = made();
    restic.write("readable", b"content");
    // Root reads everything but a folder in the place of a file, and what the kernel refuses to anybody.
    std::os::unix::fs::symlink("/proc/self/mem", restic.files().join("link")).expect("made");
    restic.write("closed", b"secret");
    fs::set_permissions(restic.files().join("closed"), fs::Permissions::from_mode(0)).expect("set");
    let stored = stored(&restic);
    let root = fs::read(restic.files().join("closed")).is_ok();
    assert_eq!(stored.unread.count, u64::from(!root), "{stored:?}");
    let listed = restic.done(&["snapshots", "--json"]);
    assert_eq!(listed.contains("holdfast-incomplete"), !root, "{listed}");
}
