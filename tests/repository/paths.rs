//! Paths as people write them, and as snapshots name them.

use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use crate::commands::holdfast;
use crate::restic::Restic;

/// What a command prints that is called in the folder above the files.
fn said(restic: &Restic, arguments: &[&str]) -> Result<String, String> {
    let files = restic.files();
    let folder = files.parent().expect("a parent");
    let output = holdfast(restic, arguments).current_dir(folder).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn paths(restic: &Restic, arguments: &[&str]) -> Vec<Value> {
    let listed: Value = serde_json::from_str(&said(restic, arguments).expect("listed")).expect("JSON");
    listed.as_array().expect("a list").iter().map(|snapshot| snapshot["paths"][0].clone()).collect()
}

#[test]
fn a_path_means_the_same_however_it_is_written() {
    let restic = Restic::new();
    restic.write("file", b"content");
    let files = restic.files();
    let (files, above) = (files.to_str().expect("UTF-8"), files.parent().expect("a parent").file_name());
    let around = format!("../{}/files", above.and_then(|name| name.to_str()).expect("UTF-8"));
    restic.done(&["init"]);
    let written = ["files", "./files", "files/", "files/.", "files/../files", &around, files];
    for path in written {
        said(&restic, &["backup", path]).expect("stored");
    }
    let mut theirs = restic.command(&["backup", "./files/", "--host", "theirs"]);
    let theirs = theirs.current_dir(restic.files().parent().expect("a parent")).output().expect("restic is installed");
    assert!(theirs.status.success(), "{theirs:?}");
    let all = paths(&restic, &["snapshots", "--json"]);
    assert_eq!(all, vec![Value::from(files); written.len() + 1], "as restic names it");
    for path in written {
        assert_eq!(paths(&restic, &["snapshots", "--json", "--path", path]), all, "{path}");
    }
    assert_eq!(paths(&restic, &["snapshots", "--json", "--path", "files/file"]), Vec::<Value>::new());
    // restic says the same where it looks for one.
    for (path, found) in [("files/", true), ("./files", true), ("file", false)] {
        let target = restic.files().with_file_name("restored");
        let target = target.to_str().expect("UTF-8");
        let arguments = ["restore", "latest", "--target", target, "--path", path];
        let mut theirs = restic.command(&arguments);
        let theirs = theirs.current_dir(restic.files().parent().expect("a parent")).output().expect("it is installed");
        assert_eq!(theirs.status.success(), found, "{path}: {theirs:?}");
        let _ = std::fs::remove_dir_all(target);
        assert_eq!(said(&restic, &arguments).is_ok(), found, "{path}");
    }
    let windows = paths(&restic, &["snapshots", "--json", "--path", r"C:\files"]);
    assert_eq!(windows, Vec::<Value>::new());
}

/// By its words the path would be another folder than the one that the kernel finds.
#[test]
fn a_path_that_leads_back_over_a_link_is_refused() {
    let restic = Restic::new();
    restic.write("deep/folder/file", b"content");
    restic.write("deep/other/file", b"meant");
    restic.write("other/file", b"not meant");
    symlink(restic.files().join("deep/folder"), restic.files().join("link")).expect("made");
    restic.done(&["init"]);
    let refused = said(&restic, &["backup", "files/link/../other"]).expect_err("it is refused");
    assert!(refused.contains("symbolic link") && refused.contains("link/../other"), "{refused}");
    said(&restic, &["backup", "files/deep/folder/../other"]).expect("no link is on the way");
    let stored = paths(&restic, &["snapshots", "--json"]);
    assert_eq!(stored, [restic.files().join("deep/other").to_str().map(Value::from).expect("UTF-8")]);
    assert!(Path::new(&restic.files()).join("link/../other/file").exists());
}
