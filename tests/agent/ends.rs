//! Pods that are told to end, or killed.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast::clock;
use holdfast::model::finding::StepReason;
use holdfast::model::step::Step;
use holdfast::repository::{Folder, Holder, Lock, Mode, Opened};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::pod::{CLUSTER, Pod};
use crate::restic::PASSWORD;

#[test]
fn whoever_is_told_to_end_says_so_and_leaves_no_lock() {
    let pod = Pod::with_repository();
    let child = pod.busy();
    let told = Instant::now();
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("it runs").success());
    let output = child.wait_with_output().expect("it ends");
    assert!(told.elapsed() < Duration::from_secs(3), "it took {:?}", told.elapsed());
    let ended = pod.ended(&output);
    assert_eq!((ended.code, ended.reason()), (Some(143), Some(StepReason::Cancelled)), "{ended:?}");
    assert_eq!((pod.locks(), pod.snapshots().len()), (0, 0));
}

#[test]
fn the_lock_of_a_pod_that_is_gone_is_removed_and_no_other() {
    let mut pod = Pod::with_repository();
    let mut child = pod.busy();
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert_eq!(pod.locks(), 1);
    let opened = Opened::open(Arc::new(Folder::new(pod.restic.repository())), PASSWORD).expect("it opens");
    let of = |cluster: &str, uid: &str| {
        let text = |text: &str| text.to_owned();
        let holder = Holder { cluster: text(cluster), namespace: text("shop"), pod: text("other"), uid: text(uid) };
        let me = Lock::of_this_process(text("node"), text("holdfast"), Some(holder));
        opened.locks(me, clock::now).take(Mode::Shared, SignedDuration::ZERO).expect("it is free")
    };
    let _others = (of(CLUSTER, "pod-2"), of("another cluster", "pod-1"));
    let unlock = json!("unlock");
    pod.uid = "pod-3".to_owned();
    pod.run(&unlock).done();
    assert_eq!(pod.locks(), 3, "nobody is known to be gone");
    pod.gone = vec!["pod-1".to_owned(), "pod-9".to_owned()];
    let done = pod.run(&unlock).done();
    assert_eq!(pod.locks(), 2, "{}", done.log);
    assert!(
        done.log.contains("removed, since its pod is gone: shared lock of pod shop/stash-backup-1"),
        "{}",
        done.log
    );
}

/// As of one who was killed an hour ago.
fn long_ago() -> Timestamp {
    clock::now() - SignedDuration::from_mins(61)
}

#[test]
fn a_lock_that_nobody_refreshes_is_told_with_what_removes_it() {
    let mut pod = Pod::with_repository();
    pod.restic.write("data/a", b"content");
    pod.back_up(&["data"]).done();
    pod.restic.write("data/a", b"changed");
    pod.in_session("session-2").back_up(&["data"]).done();
    let opened = Opened::open(Arc::new(Folder::new(pod.restic.repository())), PASSWORD).expect("it opens");
    let me = Lock::of_this_process("node-7".to_owned(), "restic".to_owned(), None);
    let lock = opened.locks(me, long_ago).take(Mode::Shared, SignedDuration::ZERO).expect("it is free");
    let finish = json!({ "finish": { "retention": { "last": 1 } } });
    let ended = pod.run(&finish);
    let repository = ended.outcome.repository.as_ref().expect("something was done");
    let Some(Step::Failed(failed)) = &repository.retention else { panic!("{ended:?}") };
    assert_eq!((ended.code, failed.reason), (Some(1), StepReason::RepositoryLocked));
    assert!(failed.message.contains("restic@node-7") && failed.message.contains("holdfast repo unlock"), "{failed:?}");
    assert!(matches!(repository.check, Some(Step::Done(_))) && matches!(repository.size, Some(Step::Done(_))));
    drop(lock);
    pod.run(&finish).done();
    assert_eq!(pod.snapshots().len(), 1);
}
