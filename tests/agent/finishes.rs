//! What is done after all hosts have ended: retention, check, size, and hosts that nobody heard of.

use std::fs;

use holdfast::model::finding::StepReason;
use holdfast::model::step::{Removed, RepositoryOutcome, Step};
use serde_json::{Value, json};

use crate::pod::{Ended, Pod, backup};

fn finish(pod: &Pod, retention: &Value, more: &Value) -> Ended {
    let mut work = json!({ "retention": retention });
    for (name, value) in more.as_object().into_iter().flatten() {
        work[name] = value.clone();
    }
    pod.run(&json!({ "finish": work }))
}

fn repository(ended: &Ended) -> &RepositoryOutcome {
    ended.outcome.repository.as_ref().expect("something was done")
}

fn removed(ended: &Ended) -> (u64, u64) {
    match &repository(ended).retention {
        Some(Step::Done(Removed { kept, removed })) => (*kept, *removed),
        other => panic!("{other:?}"),
    }
}

fn grown(pod: &mut Pod, target: &str, times: usize) {
    pod.of_target(target);
    for number in 0..times {
        pod.restic.write("data/a", format!("{target} {number}").as_bytes());
        pod.restic.write("data/large", &vec![u8::try_from(number).expect("small"); 200_000]);
        pod.in_session(&format!("session-{target}-{number}")).back_up(&["data"]).done();
    }
}

fn of(pod: &Pod, word: &str) -> usize {
    pod.snapshots().iter().filter(|one| one["tags"].to_string().contains(word)).count()
}

#[test]
fn retention_is_of_one_target_and_restic_agrees() {
    let mut pod = Pod::with_repository();
    grown(&mut pod, "other", 3);
    grown(&mut pod, "web", 4);
    for _ in 0..2 {
        pod.restic.done(&["backup", "--host", "host-0", &pod.path("data")]);
    }
    let nothing = json!({});
    assert_eq!(removed(&finish(&pod, &nothing, &nothing).done()), (4, 0), "without a rule all is kept");
    let trial = finish(&pod, &json!({ "last": 2, "prune": true, "trial": true }), &nothing).done();
    assert_eq!(removed(&trial), (2, 2), "what would be");
    assert_eq!((pod.snapshots().len(), trial.log.matches("would be removed").count()), (9, 3), "{}", trial.log);
    let done = finish(&pod, &json!({ "last": 2 }), &nothing).done();
    assert_eq!(removed(&done), (2, 2));
    assert_eq!((of(&pod, "/web"), of(&pod, "/other"), pod.snapshots().len()), (2, 3, 7), "{}", done.log);
    let Some(Step::Done(size)) = repository(&done).size else { panic!("{done:?}") };
    let stats: Value =
        serde_json::from_str(&pod.restic.done(&["stats", "--json", "--mode", "raw-data"])).expect("JSON");
    assert_eq!((size.snapshots, json!(size.bytes)), (7, stats["total_size"].clone()));
    // Of a repository that nobody else uses.
    let ours = finish(&pod, &json!({ "last": 1 }), &json!({ "untaggedAreOurs": true })).done();
    assert_eq!(removed(&ours), (1, 3));
    assert_eq!((of(&pod, "/other"), pod.snapshots().len()), (3, 4));
    assert!(pod.restic.done(&["check", "--read-data"]).contains("no errors were found"));
    assert_eq!(pod.locks(), 0);
}

#[test]
fn a_prune_gives_back_the_room() {
    let mut pod = Pod::with_repository();
    grown(&mut pod, "web", 3);
    let before = pod.restic.packs().len();
    let kept = finish(&pod, &json!({ "last": 1 }), &json!({})).done();
    assert_eq!((removed(&kept), pod.restic.packs().len()), ((1, 2), before));
    // Nothing is left to forget, and yet there is room to give back.
    let pruned = finish(&pod, &json!({ "last": 1, "prune": true }), &json!({})).done();
    assert_eq!(removed(&pruned), (1, 0));
    assert!(pod.restic.packs().len() < before, "{}", pruned.log);
    assert!(pod.restic.done(&["check", "--read-data"]).contains("no errors were found"));
    assert_eq!(pod.restic.done(&["dump", "latest", &pod.path("data/a")]), "web 2");
}

#[test]
fn damage_is_found_and_the_other_steps_are_done() {
    let mut pod = Pod::with_repository();
    grown(&mut pod, "web", 2);
    let largest = pod.restic.packs().into_iter().max_by_key(|pack| fs::metadata(pack).expect("there").len());
    fs::remove_file(largest.expect("one")).expect("removed");
    let ended = finish(&pod, &json!({ "last": 1 }), &json!({}));
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    let Some(Step::Failed(failed)) = &repository(&ended).check else { panic!("{ended:?}") };
    assert_eq!(failed.reason, StepReason::RepositoryDamaged);
    assert!(failed.message.contains("holdfast repo check"), "{failed:?}");
    assert_eq!(removed(&ended), (1, 1));
}

#[test]
fn what_the_repository_holds_says_what_became_of_a_host() {
    let mut pod = Pod::with_repository();
    pod.restic.write("data/a", b"content");
    pod.restic.write("logs/b", b"more");
    pod.session = "session-0".to_owned();
    pod.back_up(&["data", "logs"]).done();
    pod.session = "session-1".to_owned();
    let stored = pod.back_up(&["data"]).done();
    let unsettled = |more: Value| {
        let mut all = json!({ "unsettled": ["host-0", "host-1"] });
        for (name, value) in more.as_object().into_iter().flatten() {
            all[name] = value.clone();
        }
        finish(&pod, &json!({}), &all)
    };
    let ended = unsettled(json!({}));
    assert_eq!(ended.code, Some(1));
    let [one, other] = ended.outcome.hosts.as_slice() else { panic!("{ended:?}") };
    assert_eq!((one.host.as_str(), &one.error), ("host-0", &None));
    let (said, found) = (&stored.outcome.hosts[0].snapshots[0], &one.snapshots[0]);
    assert_eq!((&found.id, &found.path, found.files, found.bytes), (&said.id, &said.path, said.files, said.bytes));
    assert_eq!((found.new, found.changed, found.added), (said.new, said.changed, said.added));
    let missing = other.error.as_ref().expect("said");
    assert_eq!((other.host.as_str(), missing.reason), ("host-1", StepReason::NothingStored));
    // Of two paths only one was stored before the pod was lost.
    let half = unsettled(json!({ "paths": [pod.path("data/"), pod.path("logs")] }));
    let error = half.outcome.hosts[0].error.as_ref().expect("said");
    assert!(error.reason == StepReason::NothingStored && error.message.contains("logs"), "{error:?}");
    assert_eq!(half.outcome.hosts[0].snapshots.len(), 1);
}

#[test]
fn a_repository_that_does_not_open_is_an_error_of_the_whole_step() {
    let pod = Pod::with_repository();
    pod.password("wrong");
    let ended = finish(&pod, &json!({ "last": 1 }), &json!({}));
    assert_eq!((ended.code, ended.reason()), (Some(1), Some(StepReason::WrongPassword)));
    assert_eq!(ended.outcome.repository, None);
    pod.restic.write("data/a", b"content");
    assert_eq!(pod.run(&backup(&[&pod.path("data")])).reason(), Some(StepReason::WrongPassword));
}
