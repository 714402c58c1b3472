//! Backups: what is stored, what is not, and what is said of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use holdfast::model::finding::StepReason;
use serde_json::json;

use crate::pod::{Pod, backup};

#[test]
fn each_path_becomes_a_snapshot_that_says_whose_it_is() {
    let mut pod = Pod::with_repository();
    pod.restic.write("data/a", b"content");
    pod.restic.write("data/skipped.tmp", b"content");
    pod.restic.write("logs/b", &vec![7; 100_000]);
    let work = json!({ "backup": { "host": "host-0", "paths": [pod.path("data/"), pod.path("logs")],
        "exclude": ["*.tmp"], "tags": ["nightly"] } });
    let first = pod.run(&work).done();
    let snapshots = &first.outcome.hosts[0].snapshots;
    assert_eq!(
        snapshots.iter().map(|one| (one.files, one.new, one.bytes)).collect::<Vec<_>>(),
        [(1, 1, 7), (1, 1, 100_000)]
    );
    let listed = pod.snapshots();
    let tags = ["holdfast-session=session-1", "holdfast-target=shop/Deployment/web", "nightly"];
    for (snapshot, path) in listed.iter().zip(["data", "logs"]) {
        assert_eq!((&snapshot["hostname"], &snapshot["paths"]), (&json!("host-0"), &json!([pod.path(path)])));
        assert_eq!(snapshot["tags"], json!(tags));
    }
    assert_eq!(listed.iter().map(|one| one["id"].as_str().expect("a name")).collect::<Vec<_>>(), first.ids());
    assert!(!pod.restic.done(&["ls", "latest", "--path", &pod.path("data")]).contains("skipped"));

    pod.restic.write("data/a", b"changed");
    let second = pod.in_session("session-2").run(&work).done();
    let data = &second.outcome.hosts[0].snapshots[0];
    assert_eq!((data.files, data.new, data.changed), (1, 0, 1));
    assert_eq!(pod.restic.done(&["dump", &data.id, &pod.path("data/a")]), "changed");
    assert!(pod.restic.done(&["check", "--read-data"]).contains("no errors were found"));
    assert_eq!(pod.locks(), 0);
}

#[test]
fn a_pod_that_is_started_twice_stores_once() {
    let mut pod = Pod::with_repository();
    pod.restic.write("data/a", b"content");
    pod.restic.write("logs/b", b"more");
    let first = pod.back_up(&["data"]).done();
    let again = pod.back_up(&["data", "logs"]).done();
    assert_eq!(again.ids()[0], first.ids()[0]);
    let (before, now) = (&first.outcome.hosts[0].snapshots[0], &again.outcome.hosts[0].snapshots[0]);
    assert_eq!((before.files, before.new, before.bytes, before.added), (now.files, now.new, now.bytes, now.added));
    assert_eq!(pod.snapshots().len(), 2);
    // A batch has one session for all of its targets.
    pod.of_target("other");
    let other = pod.back_up(&["data"]).done();
    assert_ne!(other.ids(), first.ids());
    assert_eq!(pod.snapshots().len(), 3);
}

#[test]
fn a_path_that_fails_keeps_no_other_from_being_stored() {
    let pod = Pod::with_repository();
    pod.restic.write("data/a", b"content");
    let ended = pod.back_up(&["missing", "data"]);
    assert_eq!((ended.code, ended.host_reason()), (Some(1), Some(StepReason::NoSource)), "{ended:?}");
    assert_eq!((ended.ids().len(), pod.snapshots().len()), (1, 1));
    let message = &ended.outcome.hosts[0].error.as_ref().expect("said").message;
    assert!(message.contains(&pod.path("missing")), "{message}");
}

#[test]
fn what_nobody_may_ask_for_is_refused() {
    let pod = Pod::with_repository();
    pod.restic.write("data/a", b"content");
    for (field, value) in [
        ("tags", json!(["holdfast-target=shop/Deployment/other"])),
        ("exclude", json!(["!data"])),
        ("paths", json!([])),
    ] {
        let mut work = backup(&[&pod.path("data")]);
        work["backup"][field] = value;
        let ended = pod.run(&work);
        assert_eq!((ended.code, ended.reason()), (Some(1), Some(StepReason::InvalidInput)), "{field}: {ended:?}");
    }
    assert!(pod.snapshots().is_empty());
}

#[test]
fn what_cannot_be_read_makes_the_host_fail_unless_that_is_wanted() {
    let mut pod = Pod::with_repository();
    pod.restic.write("data/readable", b"content");
    pod.restic.write("data/closed", b"secret");
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // As nobody, for whom a file can be closed.
    let home = pod.place("");
    assert!(Command::new("chmod").args(["-R", "a+rwX"]).arg(&home).status().expect("it runs").success());
    fs::set_permissions(pod.restic.files().join("data/closed"), fs::Permissions::from_mode(0o000)).expect("set");
    let mut as_nobody = |session: &str, succeeds: bool| {
        let mut work = backup(&[&pod.path("data")]);
        work["backup"]["incompleteSucceeds"] = json!(succeeds);
        let ours = pod.in_session(session).command(&work);
        let mut nobody = Command::new("setpriv");
        nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(ours.get_program()).args(ours.get_args());
        nobody.env_clear().envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
        pod.ended(&nobody.output().expect("it runs"))
    };
    let failed = as_nobody("session-1", false);
    assert_eq!((failed.code, failed.host_reason()), (Some(1), Some(StepReason::BackupIncomplete)), "{failed:?}");
    assert_eq!(failed.outcome.hosts[0].snapshots[0].unread, 1);
    let message = &failed.outcome.hosts[0].error.as_ref().expect("said").message;
    assert!(message.contains("data/closed") && message.contains("denied"), "{message}");
    let again = as_nobody("session-1", false);
    assert_ne!(again.ids(), failed.ids(), "what lacks something is tried again");
    let taken = as_nobody("session-2", true).done();
    assert_eq!(taken.outcome.hosts[0].snapshots[0].unread, 1);
    for (succeeds, reason) in [(false, Some(StepReason::BackupIncomplete)), (true, None)] {
        let finish = json!({ "retention": {}, "unsettled": ["host-0"], "incompleteSucceeds": succeeds });
        assert_eq!(pod.run(&json!({ "finish": finish })).host_reason(), reason);
    }
    let tagged = pod.snapshots().iter().filter(|one| one["tags"].to_string().contains("holdfast-incomplete")).count();
    assert_eq!(tagged, 3);
}

#[test]
fn the_message_of_many_paths_is_short_and_the_log_has_them_all() {
    let pod = Pod::with_repository();
    let folders: Vec<_> = (0..100).map(|number| format!("folder-{number}")).collect();
    for folder in &folders {
        pod.restic.write(&format!("{folder}/file"), folder.as_bytes());
    }
    let ended = pod.back_up(&folders.iter().map(String::as_str).collect::<Vec<_>>()).done();
    let host = &ended.outcome.hosts[0];
    assert!(!host.snapshots.is_empty() && host.omitted > 80, "{host:?}");
    assert_eq!(host.snapshots.len() as u64 + host.omitted, 100);
    assert_eq!((ended.whole.hosts[0].snapshots.len(), ended.whole.hosts[0].omitted), (100, 0));
    assert_eq!(pod.snapshots().len(), 100);
}
