//! Keys of ours open a repository to restic, and restic's to us.

use std::sync::Arc;

use holdfast::repository::keys::{KeysError, add, change, list, remove};
use holdfast::repository::{FileKind, FileName, Folder, Held, Mode, OpenError, Opened, Version};

use crate::backups::{made, maker, opened};
use crate::history::locked;
use crate::restic::Restic;

fn open(restic: &Restic, password: &str) -> Result<Opened, OpenError> {
    Opened::open(Arc::new(Folder::new(restic.repository())), password)
}

fn shared(opened: &Opened) -> Held {
    locked(opened, Mode::Shared)
}

fn opens_to_restic(restic: &Restic, password: &str) -> bool {
    let output = restic.command(&["snapshots"]).env("RESTIC_PASSWORD", password).output().expect("restic is installed");
    output.status.success()
}

#[test]
fn a_key_of_either_opens_it_to_the_other() {
    let restic = made(Version::V1);
    let first = opened(&restic);
    let ours = add(&first, &shared(&first), "a key of ours ü", &maker()).expect("it is made");
    assert!(opens_to_restic(&restic, "a key of ours ü") && !opens_to_restic(&restic, "another"));
    let file = restic.repository().with_file_name("password");
    std::fs::write(&file, "a key of restic\n").expect("written");
    restic.done(&["key", "add", "--new-password-file", file.to_str().expect("UTF-8"), "--host", "far", "--user", "u"]);
    let theirs = open(&restic, "a key of restic").expect("restic made it");

    let listed = list(&first).expect("listed");
    assert_eq!(listed.iter().filter(|key| key.own).map(|key| key.id).collect::<Vec<_>>(), [first.key]);
    let of = |id| listed.iter().find(|key| key.id == id).expect("listed");
    let (of_ours, of_theirs) = (of(ours), of(theirs.key));
    assert_eq!((of_ours.username.as_str(), of_ours.hostname.as_str()), ("backup", "node-1"));
    assert_eq!((of_theirs.username.as_str(), of_theirs.hostname.as_str()), ("u", "far"));
    assert!(of_theirs.created > of_ours.created);
    let said = restic.done(&["key", "list", "--json"]);
    assert!(said.contains(r#""userName":"backup","hostName":"node-1""#), "{said}");

    // Whoever opens it with one removes another, but not that one.
    assert_eq!(remove(&theirs, &theirs.key.to_string()), Err(KeysError::Own(theirs.key)));
    remove(&theirs, &ours.to_string()[..16]).expect("it is another");
    assert!(!opens_to_restic(&restic, "a key of ours ü"));
    assert!(matches!(open(&restic, "a key of ours ü"), Err(OpenError::WrongPassword { .. })));
    restic.done(&["key", "remove", &theirs.key.to_string()]);
    assert!(matches!(open(&restic, "a key of restic"), Err(OpenError::WrongPassword { .. })));
}

#[test]
fn a_changed_password_takes_the_place_of_the_old_one() {
    let restic = made(Version::V2);
    let first = opened(&restic);
    let new = change(&first, &shared(&first), "new", &maker()).expect("it is changed");
    assert_eq!(list(&first).expect("listed").iter().map(|key| key.id).collect::<Vec<_>>(), [new]);
    assert!(opens_to_restic(&restic, "new"));
    let refusal = restic.refused(&["snapshots"]);
    assert!(refusal.contains("wrong password"), "{refusal}");
    let again = open(&restic, "new").expect("it opens");
    assert_eq!(again.key, new);
    assert_eq!(remove(&again, ""), Err(KeysError::Own(new)));
    assert_eq!(remove(&again, "nothing"), Err(KeysError::None("nothing".to_owned())));
    add(&again, &shared(&again), "second", &maker()).expect("it is made");
    assert_eq!(remove(&again, ""), Err(KeysError::Several(String::new())));
    assert_eq!(list(&again).expect("listed").len(), 2);
    // Two who remove each other's key leave one.
    let second = open(&restic, "second").expect("it opens");
    remove(&second, &again.key.to_string()).expect("it is another");
    assert_eq!(remove(&again, &second.key.to_string()), Err(KeysError::Gone));
    assert_eq!(list(&second).expect("listed").len(), 1);
}

#[test]
fn a_damaged_key_keeps_nobody_from_using_another() {
    let restic = made(Version::V2);
    let first = opened(&restic);
    let second = add(&first, &shared(&first), "second", &maker()).expect("it is made");
    let path = restic.repository().join(FileName::Of(FileKind::Key, first.key).to_string());
    let text = std::fs::read_to_string(&path).expect("read");
    for damaged in [text.replace("\"data\":\"", "\"data\":\"AAAA"), text[..60].to_owned(), String::new()] {
        std::fs::remove_file(&path).expect("removed");
        std::fs::write(&path, damaged).expect("written");
        assert_eq!(open(&restic, "second").expect("it opens").key, second);
        let error = open(&restic, crate::restic::PASSWORD).expect_err("its key is damaged");
        assert!(error.to_string().contains(&first.key.to_string()), "{error}");
        assert_eq!(list(&first).expect("listed").len(), 2);
    }
    for (id, _) in first.store().list(FileKind::Key).expect("listed") {
        first.store().remove(FileName::Of(FileKind::Key, id)).expect("removed");
    }
    assert!(matches!(open(&restic, "second"), Err(OpenError::NoKey { .. })));
}
