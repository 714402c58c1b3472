//! `holdfast repo` as a person or a script calls it: exit codes, variables, output.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::skipped;
use crate::restic::{PASSWORD, Restic};
use crate::trees::{differences, grow};

pub(crate) fn holdfast(restic: &Restic, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.arg("repo").args(arguments).env_clear();
    command.env("RESTIC_REPOSITORY", restic.repository()).env("RESTIC_PASSWORD", PASSWORD);
    command.env("HOME", restic.repository().with_file_name("home"));
    command
}

fn run(restic: &Restic, arguments: &[&str]) -> Output {
    holdfast(restic, arguments).output().expect("it runs")
}

pub(crate) fn done(restic: &Restic, arguments: &[&str]) -> String {
    let output = run(restic, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "holdfast repo {arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn everything_works_on_a_repository_that_restic_made() {
    let restic = Restic::new();
    grow(&restic.files(), 11);
    let files = restic.files();
    let files = files.to_str().expect("UTF-8");
    restic.done(&["init"]);
    restic.done(&["backup", files, "--tag", "theirs"]);
    let saved = done(&restic, &["backup", files, "--tag", "ours,both", "--json"]);
    let summary = lines(&saved).pop().expect("a summary");
    assert_eq!(
        (summary["message_type"].as_str(), summary["files_unread"].as_u64()),
        (Some("summary"), Some(0)),
        "{saved}"
    );
    let listed = done(&restic, &["snapshots", "--json", "--tag", "ours"]);
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed[0]["id"], summary["snapshot_id"]);
    let out = tempfile::tempdir().expect("a temporary folder");
    let target = out.path().join("target");
    let from = format!("latest:{files}");
    done(&restic, &["restore", &from, "--target", target.to_str().expect("UTF-8"), "--tag", "theirs"]);
    // What restic 0.14 stored of this link it stored as other letters.
    let differences = differences(&restic.files(), &target);
    assert!(differences.iter().all(|line| line.starts_with("link to no UTF-8")), "{differences:?}");
    let small = format!("{files}/small");
    assert_eq!(run(&restic, &["dump", "latest", &small]).stdout, fs::read(restic.files().join("small")).expect("read"));
    let table = done(&restic, &["snapshots"]);
    assert!(table.starts_with("ID ") && table.ends_with("2 snapshots\n"), "{table}");
    assert!(done(&restic, &["check", "--read-data"]).contains("no errors were found"));
    let stats: Value = serde_json::from_str(&done(&restic, &["stats", "--json", "--mode", "raw-data"])).expect("JSON");
    assert_eq!(stats["snapshots_count"], 2);
    assert!(done(&restic, &["forget", "--keep-last", "1", "--group-by", "", "--plan"]).contains("removed"));
    done(&restic, &["forget", "--keep-last", "1", "--group-by", "", "--prune"]);
    done(&restic, &["tag", "--add", "later"]);
    assert!(restic.done(&["snapshots", "--json"]).contains("later"));
    restic.done(&["check", "--read-data"]);
}

#[test]
fn exit_codes_are_those_of_restic() {
    let restic = Restic::new();
    let code = |arguments: &[&str]| run(&restic, arguments).status.code();
    assert_eq!(code(&["snapshots"]), Some(10), "no repository");
    done(&restic, &["init"]);
    assert_eq!(code(&["init"]), Some(1), "it is there already");
    let named =
        holdfast(&restic, &["snapshots", "-r"]).arg(restic.repository()).env_remove("RESTIC_REPOSITORY").output();
    assert!(named.expect("it runs").status.success(), "as a flag, behind the command too");
    let wrong = holdfast(&restic, &["snapshots"]).env("RESTIC_PASSWORD", "wrong").output().expect("it runs");
    assert_eq!(wrong.status.code(), Some(12), "a wrong password");
    assert_eq!(code(&["backup", "/no/such/folder"]), Some(1));
    assert_eq!(code(&["forget"]), Some(1), "no rule at all");
    assert_eq!(code(&["restore", "latest", "--target", "/tmp/never"]), Some(1), "no snapshot");
    let none = holdfast(&restic, &["snapshots"]).env_remove("RESTIC_PASSWORD").output().expect("it runs");
    assert!(String::from_utf8_lossy(&none.stderr).contains("RESTIC_PASSWORD"), "{none:?}");

    let mut theirs = restic.backup_of_a_pipe();
    let begun = Instant::now();
    while fs::read_dir(restic.repository().join("locks")).map_or(0, Iterator::count) == 0 {
        assert!(begun.elapsed() < Duration::from_mins(1), "restic takes no lock");
        std::thread::sleep(Duration::from_millis(20));
    }
    let locked = run(&restic, &["prune"]);
    assert_eq!(locked.status.code(), Some(11), "{locked:?}");
    theirs.stdin.take().expect("a pipe").write_all(b"x").expect("restic reads");
    assert!(theirs.wait().expect("it ends").success());
    let patient = done(&restic, &["prune", "--retry-lock", "60s"]);
    assert!(patient.contains("packs"), "{patient}");
}

#[test]
fn what_is_not_stored_gives_code_3_and_is_named() {
    let restic = Restic::new();
    done(&restic, &["init"]);
    restic.write("readable", b"content");
    restic.write("closed/secret", b"secret");
    // As nobody, for whom a folder can be closed.
    let home = restic.repository();
    let home = home.parent().expect("a parent");
    let open = |mode: &str, path: &std::path::Path| {
        assert!(Command::new("chmod").args(["-R", mode]).arg(path).status().expect("it runs").success());
    };
    if !rustix::process::geteuid().is_root() {
        return;
    }
    open("a+rwX", home);
    fs::set_permissions(restic.files().join("closed/secret"), std::os::unix::fs::PermissionsExt::from_mode(0o000))
        .expect("set");
    let files = restic.files();
    let ours = holdfast(&restic, &["backup", files.to_str().expect("UTF-8")]);
    let mut nobody = Command::new("setpriv");
    nobody
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(ours.get_program())
        .args(ours.get_args())
        .env_clear();
    nobody.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = nobody.output().expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains("closed/secret") && errors.contains("denied"), "{errors}");
    assert!(done(&restic, &["snapshots"]).contains("holdfast-incomplete"));
    let latest = run(&restic, &["dump", "latest", files.join("readable").to_str().expect("UTF-8")]);
    assert!(!latest.status.success(), "an incomplete snapshot is never the latest");
}

#[test]
fn whoever_is_told_to_end_ends_within_a_second_and_leaves_no_lock() {
    let restic = Restic::new();
    done(&restic, &["init"]);
    for signal in ["-INT", "-TERM"] {
        // A pipe that nobody closes.
        let mut command = holdfast(&restic, &["backup", "--stdin"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        let locks = || fs::read_dir(restic.repository().join("locks")).map_or(0, Iterator::count);
        let begun = Instant::now();
        while locks() == 0 {
            assert!(begun.elapsed() < Duration::from_mins(1), "it takes no lock");
            std::thread::sleep(Duration::from_millis(20));
        }
        let told = Instant::now();
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().expect("it runs").success());
        let status = child.wait().expect("it ends");
        assert!(told.elapsed() < Duration::from_secs(2), "it took {:?}", told.elapsed());
        assert_eq!((status.code(), locks()), (Some(130), 0));
    }
    assert!(done(&restic, &["snapshots"]).contains("0 snapshots"));
}

#[test]
fn passwords_can_be_added_and_changed() {
    let restic = Restic::new();
    done(&restic, &["init"]);
    let file = restic.repository().with_file_name("new-password");
    fs::write(&file, "second\n").expect("written");
    let file = file.to_str().expect("UTF-8");
    done(&restic, &["key", "add", "--new-password-file", file]);
    let second =
        |program: &mut Command| program.env("RESTIC_PASSWORD", "second").output().expect("it runs").status.success();
    assert!(second(&mut holdfast(&restic, &["snapshots"])) && second(&mut restic.command(&["snapshots"])));
    let keys: Value = serde_json::from_str(&done(&restic, &["key", "list", "--json"])).expect("JSON");
    let other = keys.as_array().expect("a list").iter().find(|key| key["current"] == false).expect("one");
    done(&restic, &["key", "remove", other["id"].as_str().expect("a name")]);
    assert!(!second(&mut holdfast(&restic, &["snapshots"])));
    done(&restic, &["key", "passwd", "--new-password-file", file]);
    assert!(second(&mut restic.command(&["snapshots"])));
    assert_eq!(run(&restic, &["snapshots"]).status.code(), Some(12), "the old password opens nothing any more");
}

/// What cannot be moved aside is found before anything is restored, and then everything is where it was.
#[test]
fn where_something_is_mounted_nothing_is_replaced() {
    let restic = Restic::new();
    grow(&restic.files(), 3);
    restic.done(&["init"]);
    let files = restic.files();
    done(&restic, &["backup", files.to_str().expect("UTF-8")]);
    let out = tempfile::tempdir().expect("a temporary folder");
    let target = out.path().join("target");
    fs::create_dir_all(target.join("mounted")).expect("made");
    for name in ["a", "b", "y", "z"] {
        fs::write(target.join(name), "precious").expect("written");
    }
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs none $1/mounted && shift && exec \"$@\"";
    command.args(["--mount", "sh", "-ec", script, "sh"]).arg(&target);
    command.args([env!("CARGO_BIN_EXE_holdfast"), "repo", "restore", "--existing", "delete", "--target"]);
    command.arg(&target).arg(format!("latest:{}", files.display()));
    command.env("RESTIC_REPOSITORY", restic.repository()).env("RESTIC_PASSWORD", PASSWORD);
    let output = command.output().expect("unshare is a part of every Linux");
    let said = String::from_utf8_lossy(&output.stderr);
    if said.starts_with("unshare:") {
        skipped("a mount in a restore's way", &said);
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("/mounted: ") && said.contains("busy"), "{said}");
    let mut names: Vec<_> =
        fs::read_dir(&target).expect("listed").map(|entry| entry.expect("one").file_name()).collect();
    names.sort();
    assert_eq!(names, ["a", "b", "mounted", "y", "z"], "{said}");
    assert_eq!(fs::read(target.join("a")).expect("it is there"), b"precious");
}

/// As with a dump that breaks off: what came of it is no snapshot.
#[test]
fn the_output_of_a_command_is_stored_if_it_succeeds() {
    let restic = Restic::new();
    restic.done(&["init"]);
    let backup = |script: &str| {
        let command = ["--stdin-from-command", "--stdin-filename", "db/shop.sql", "--", "sh", "-c", script];
        run(&restic, &[&["backup"], &command[..]].concat())
    };
    let whole = backup("head -c 3000000 /dev/zero; echo the end");
    assert!(whole.status.success(), "{}", String::from_utf8_lossy(&whole.stderr));
    let dumped = restic.run(&["dump", "latest", "/db/shop.sql"]).stdout;
    assert!(dumped.len() == 3_000_008 && dumped.ends_with(b"the end\n"));
    for (script, why) in [
        ("head -c 3000000 /dev/zero; exit 7", "sh ended with exit status: 7"),
        ("head -c 3000000 /dev/zero; kill -9 $$", "sh ended with signal: 9 (SIGKILL)"),
    ] {
        let broken = backup(script);
        let said = String::from_utf8_lossy(&broken.stderr);
        assert!(broken.status.code() == Some(1) && said.contains("nothing was stored") && said.contains(why), "{said}");
    }
    let none = run(&restic, &["backup", "--stdin-from-command", "--", "/no/such/program"]);
    assert!(String::from_utf8_lossy(&none.stderr).contains("/no/such/program cannot be started"));
    let listed: Value = serde_json::from_str(&done(&restic, &["snapshots", "--json"])).expect("JSON");
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    restic.done(&["check"]);
}
