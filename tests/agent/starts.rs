//! What comes before any work: the repository is made, and what cannot be done is said.

use std::fs;

use holdfast::model::finding::StepReason;
use serde_json::json;

use crate::pod::{Pod, backup};

#[test]
fn a_repository_is_made_once_and_restic_opens_it() {
    let pod = Pod::new();
    let made = |pod: &Pod| pod.run(&json!("initialize")).done().outcome.repository.expect("said").made;
    assert!(made(&pod));
    let config = fs::read(pod.restic.repository().join("config")).expect("it is there");
    assert!(!made(&pod), "the second time it is there");
    assert_eq!(fs::read(pod.restic.repository().join("config")).expect("it is there"), config);
    assert!(pod.snapshots().is_empty());
    pod.password("another");
    let refused = pod.run(&json!("initialize"));
    assert_eq!((refused.code, refused.reason()), (Some(1), Some(StepReason::WrongPassword)), "{refused:?}");
}

#[test]
fn where_something_else_lies_nothing_is_made() {
    let pod = Pod::new();
    let name = "ab".repeat(32);
    let folder = pod.restic.repository().join("snapshots");
    fs::create_dir_all(&folder).expect("made");
    fs::write(folder.join(name), "somebody's").expect("written");
    let refused = pod.run(&json!("initialize"));
    assert_eq!((refused.code, refused.reason()), (Some(1), Some(StepReason::PlaceTaken)), "{refused:?}");
    assert!(!pod.restic.repository().join("config").exists());
}

#[test]
fn no_other_step_makes_a_repository() {
    let pod = Pod::new();
    pod.restic.write("data/file", b"content");
    let finish = json!({ "finish": { "retention": {} } });
    for work in [backup(&[&pod.path("data")]), finish, json!("unlock")] {
        let ended = pod.run(&work);
        assert_eq!((ended.code, ended.reason()), (Some(1), Some(StepReason::RepositoryMissing)), "{work}: {ended:?}");
        assert!(!pod.restic.repository().exists(), "{work}");
    }
}

#[test]
fn what_is_wrong_with_the_pod_is_said() {
    let pod = Pod::with_repository();
    pod.restic.write("data/file", b"content");
    let work = backup(&[&pod.path("data")]);
    pod.password("wrong");
    assert_eq!(pod.run(&work).reason(), Some(StepReason::WrongPassword));
    fs::remove_file(pod.place("storage").join("RESTIC_PASSWORD")).expect("removed");
    let none = pod.run(&work);
    assert_eq!(none.reason(), Some(StepReason::StorageIncomplete));
    assert!(none.log.contains("RESTIC_PASSWORD"), "{}", none.log);
    let changed = |name: &str, value: &str| {
        let mut command = pod.command(&work);
        if value.is_empty() {
            command.env_remove(name)
        } else {
            command.env(name, value)
        };
        pod.ended(&command.output().expect("it runs")).reason()
    };
    assert_eq!(changed("POD_UID", ""), Some(StepReason::InvalidInput));
    for step in ["", "{}", "no JSON", r#"{"work":"initialize"}"#] {
        assert_eq!(changed("HOLDFAST_STEP", step), Some(StepReason::InvalidInput), "{step}");
    }
    assert!(pod.snapshots().is_empty());
}
