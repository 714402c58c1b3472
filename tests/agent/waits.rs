//! Somebody else holds a lock, and is alive.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Output};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use holdfast::clock;
use holdfast::model::finding::StepReason;
use holdfast::repository::{Folder, Held, Lock, Mode, Opened};
use jiff::SignedDuration;

use crate::pod::{Pod, backup};
use crate::restic::PASSWORD;

fn locked(pod: &Pod) -> Held {
    let opened = Opened::open(Arc::new(Folder::new(pod.restic.repository())), PASSWORD).expect("it opens");
    let me = Lock::of_this_process("node-7".to_owned(), "restic".to_owned(), None);
    opened.locks(me, clock::now).take(Mode::Exclusive, SignedDuration::ZERO).expect("it is free")
}

/// When it says that it waits, `then` happens; what it has left in the end.
fn when_it_waits(mut child: Child, then: impl FnOnce(&Child)) -> Output {
    let (lines, said) = channel();
    let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
    let reader = thread::spawn(move || {
        let mut line = String::new();
        while log.read_line(&mut line).is_ok_and(|read| read > 0) {
            let _ = lines.send(std::mem::take(&mut line));
        }
    });
    let mut stderr = String::new();
    while !stderr.contains("waiting") {
        stderr.push_str(&said.recv_timeout(Duration::from_mins(1)).expect("it says that it waits"));
    }
    then(&child);
    let mut stdout = Vec::new();
    child.stdout.take().expect("a pipe").read_to_end(&mut stdout).expect("read");
    let status = child.wait().expect("it ends");
    reader.join().expect("it ends with the log");
    stderr.extend(said.iter());
    Output { status, stdout, stderr: stderr.into_bytes() }
}

#[test]
fn a_backup_waits_for_whoever_has_the_repository_alone() {
    let pod = Pod::with_repository();
    pod.restic.write("data/a", b"content");
    let lock = locked(&pod);
    let output = when_it_waits(pod.started(&backup(&[&pod.path("data")])), |_| drop(lock));
    let ended = pod.ended(&output).done();
    assert!(ended.log.contains("exclusive lock of restic@node-7"), "{}", ended.log);
    assert_eq!((pod.snapshots().len(), pod.locks()), (1, 0));
}

#[test]
fn whoever_waits_can_be_told_to_end() {
    let pod = Pod::with_repository();
    pod.restic.write("data/a", b"content");
    let _lock = locked(&pod);
    let mut told = Instant::now();
    let output = when_it_waits(pod.started(&backup(&[&pod.path("data")])), |child| {
        told = Instant::now();
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("it runs").success());
    });
    assert!(told.elapsed() < Duration::from_secs(3), "it took {:?}", told.elapsed());
    let ended = pod.ended(&output);
    assert_eq!((ended.code, ended.reason()), (Some(143), Some(StepReason::Cancelled)), "{ended:?}");
    assert_eq!(pod.locks(), 1, "the other's");
}
