//! What needs more memory than there is, is refused with the number; nothing is stored, and nothing is lost.

use std::fs;

use holdfast::repository::{
    BackupError, Cancel, Copying, Depth, Fault, Memory, Mode, Progress, Prune, PruneError, Reader, StoreError,
    TooLittle, Version, WriteError, check,
};

use crate::backups::{made, opened, stored, with_lock};
use crate::history::{checked, locked};
use crate::restic::Restic;

fn many(restic: &Restic, files: u32) {
    for number in 0..files {
        restic.write(&format!("{number}"), &number.to_le_bytes());
    }
}

fn needed(error: &StoreError) -> TooLittle {
    let StoreError { fault: Fault::Memory(little), .. } = error else { panic!("{error}") };
    *little
}

#[test]
fn an_index_that_is_too_large_is_refused_with_the_number() {
    let restic = made(Version::V2);
    many(&restic, 500);
    stored(&restic);
    let opened = opened(&restic);
    let within = |bytes| opened.clone().within(Memory::of(bytes));
    let little = needed(&Reader::new(&within(1)).expect_err("a byte"));
    assert_eq!(little.allowed, 1);
    needed(&Reader::new(&within(little.needed - 1)).expect_err("one byte less"));
    let reader = Reader::new(&within(little.needed)).expect("as much as was said");
    let text = Reader::new(&within(64 << 20)).expect_err("64 MiB").to_string();
    assert!(
        text.ends_with("and this process may take 64 MiB: give it more (in Kubernetes: its memory limit)"),
        "{text}"
    );
    let (small, none) = (within(little.needed - 1), Cancel::default());
    needed(&check(&small, Depth::All, &Progress::default(), &none).expect_err("it needs the index"));
    let lock = locked(&small, Mode::Exclusive);
    let pruned = Prune::plan(&small, lock.into(), 0, &none);
    assert!(matches!(pruned, Err(PruneError::Store(StoreError { fault: Fault::Memory(_), .. }))), "{pruned:?}");
    // With another index beside it, the same is too little.
    let lock = locked(&opened, Mode::Shared);
    let enough = within(little.needed);
    let copying = Copying::begin((&opened, &reader), &enough, lock.into());
    needed(&copying.expect_err("two of them"));
}

#[test]
fn what_is_new_counts_as_well() {
    let restic = made(Version::V2);
    many(&restic, 3);
    stored(&restic);
    let enough = needed(&Reader::new(&opened(&restic).within(Memory::of(1))).expect_err("a byte")).needed;
    many(&restic, 500);
    let backup = |bytes| {
        let within = opened(&restic).within(Memory::of(bytes));
        with_lock(&within, |backup| backup.paths(&[restic.files()], &[]))
    };
    let refused = |bytes| {
        let error = backup(bytes).expect_err("it is too little");
        let BackupError::Write(WriteError::Store(error)) = error else { panic!("{error}") };
        needed(&error)
    };
    let little = refused(enough);
    assert!(little.needed > enough, "to write takes more than to read");
    let first = refused(little.needed);
    assert!(first.needed > little.needed, "what was said is enough for the first, and 500 are more");
    assert_eq!(restic.done(&["snapshots", "--compact"]).matches("host-0").count(), 1);
    assert!(checked(&opened(&restic), Depth::All).is_sound());
    // Whoever has enough goes on from what was stored.
    backup(first.needed + (1 << 20)).expect("now it is enough");
    restic.done(&["check", "--read-data"]);
    assert!(fs::read_dir(restic.files()).expect("it is there").count() == 500);
}
