//! Restores to where the data came from, and snapshots that could be another's.

use std::fs;

use holdfast::model::finding::StepReason;
use serde_json::{Value, json};

use crate::pod::{Ended, Pod};

fn paths(pod: &Pod, names: &[&str]) -> Value {
    json!({ "paths": { "source": "host-0", "paths": names.iter().map(|name| pod.path(name)).collect::<Vec<_>>() } })
}

fn ids(ids: &[&str]) -> Value {
    json!({ "snapshots": { "source": "host-0", "ids": ids } })
}

fn restore(pod: &Pod, wanted: &Value, more: &Value) -> Ended {
    let mut work = json!({ "host": "host-0", "wanted": wanted, "existing": "refuse" });
    for (name, value) in more.as_object().into_iter().flatten() {
        work[name] = value.clone();
    }
    pod.run(&json!({ "restore": work }))
}

fn read(pod: &Pod, name: &str) -> Option<String> {
    fs::read_to_string(pod.path(name)).ok()
}

fn world() -> Pod {
    let pod = Pod::with_repository();
    pod.restic.write("data/a", b"first");
    pod.restic.write("data/b.log", b"log");
    pod.restic.write("other/c", b"other");
    pod
}

#[test]
fn data_goes_back_to_where_it_came_from() {
    let mut pod = world();
    let old = pod.back_up(&["data", "other"]).done();
    pod.restic.write("data/a", b"second");
    pod.in_session("session-2").back_up(&["data"]).done();
    fs::remove_dir_all(pod.restic.files()).expect("removed");
    let nothing = json!({});
    let restored = restore(&pod, &paths(&pod, &["data/", "other"]), &nothing).done();
    assert_eq!(read(&pod, "data/a").as_deref(), Some("second"), "the newest");
    assert_eq!(read(&pod, "other/c").as_deref(), Some("other"));
    let snapshots = &restored.outcome.hosts[0].snapshots;
    assert_eq!(snapshots.iter().map(|one| (one.files, one.bytes)).collect::<Vec<_>>(), [(2, 9), (1, 5)]);

    let refused = restore(&pod, &paths(&pod, &["data"]), &nothing);
    assert_eq!((refused.code, refused.host_reason()), (Some(1), Some(StepReason::TargetNotEmpty)));
    pod.restic.write("data/new", b"new");
    let name = &old.ids()[0][..8];
    restore(&pod, &ids(&[name]), &json!({ "existing": "keep" })).done();
    assert_eq!((read(&pod, "data/a").as_deref(), read(&pod, "data/new").as_deref()), (Some("first"), Some("new")));
    restore(&pod, &ids(&[name]), &json!({ "existing": "delete" })).done();
    assert_eq!((read(&pod, "data/a").as_deref(), read(&pod, "data/new")), (Some("first"), None));
    fs::remove_dir_all(pod.restic.files()).expect("removed");
    restore(&pod, &ids(&["latest"]), &json!({ "exclude": ["*.log"] })).done();
    assert_eq!((read(&pod, "data/a").as_deref(), read(&pod, "data/b.log")), (Some("second"), None));
    assert_eq!(pod.locks(), 0);
}

#[test]
fn what_is_not_there_is_said_before_anything_is_restored() {
    let mut pod = world();
    pod.back_up(&["data"]).done();
    fs::remove_dir_all(pod.restic.files()).expect("removed");
    let nothing = json!({});
    for (wanted, more, reason) in [
        (paths(&pod, &["data", "nowhere"]), nothing.clone(), StepReason::SnapshotNotFound),
        (paths(&pod, &["data"]), json!({ "tags": ["weekly"] }), StepReason::SnapshotNotFound),
        (ids(&["latest", "0000000000"]), nothing.clone(), StepReason::SnapshotNotFound),
        (ids(&["latest", "x"]), nothing.clone(), StepReason::InvalidInput),
        (ids(&[]), nothing.clone(), StepReason::InvalidInput),
        (
            json!({ "paths": { "source": "host-9", "paths": [pod.path("data")] } }),
            nothing,
            StepReason::SnapshotNotFound,
        ),
    ] {
        let ended = restore(&pod, &wanted, &more);
        assert_eq!((ended.code, ended.reason()), (Some(1), Some(reason)), "{wanted}: {ended:?}");
        assert!(!pod.restic.repository().with_file_name("files").join("data").exists(), "{wanted}");
    }
    pod.restic.write("data/a", b"of another");
    pod.of_target("other");
    let other = pod.back_up(&["data"]).done();
    pod.restic.done(&["backup", "--host", "host-0", &pod.path("data")]);
    let all = paths(&pod, &["data"]);
    let several = restore(&pod, &all, &json!({ "existing": "keep" }));
    assert_eq!(several.reason(), Some(StepReason::AmbiguousSnapshot), "{several:?}");
    let message = &several.outcome.error.as_ref().expect("said").message;
    for one in ["shop/Deployment/web (newest ", "shop/Deployment/other (newest ", "no target (newest "] {
        assert!(message.contains(one), "{message}");
    }
    assert!(message.contains(&other.ids()[0][..8]), "{message}");
    let more = json!({ "existing": "keep", "tags": ["holdfast-target=shop/Deployment/web"] });
    restore(&pod, &all, &more).done();
    assert_eq!(read(&pod, "data/a").as_deref(), Some("first"));
}

#[test]
fn what_is_lost_in_the_repository_makes_the_host_fail() {
    let pod = world();
    pod.restic.write("data/large", &vec![9; 3 << 20]);
    pod.back_up(&["data"]).done();
    let largest = pod.restic.packs().into_iter().max_by_key(|pack| fs::metadata(pack).expect("there").len());
    let largest = largest.expect("one");
    let mut content = fs::read(&largest).expect("read");
    content[100] ^= 1;
    fs::set_permissions(&largest, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
    fs::write(&largest, content).expect("written");
    fs::remove_dir_all(pod.restic.files()).expect("removed");
    let ended = restore(&pod, &paths(&pod, &["data"]), &json!({}));
    assert_eq!((ended.code, ended.host_reason()), (Some(1), Some(StepReason::RestoreIncomplete)), "{ended:?}");
    assert!(ended.outcome.hosts[0].snapshots[0].unread > 0);
}
