//! What every store promises, whatever it is made of.

use bytes::Bytes;
use holdfast::repository::{
    Fault, FileId, FileKind, FileName, Folder, Lookup, Opened, Store, StoreError, Version, init,
};

use crate::backups::maker;
use crate::memory::Memory;
use crate::restic::{PASSWORD, Restic};
use crate::servers::{Repository, Server, azure_sas};

fn fault<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Fault {
    result.expect_err("it fails").fault
}

/// More than a page of a list holds.
const MANY: u16 = 1_100;
pub(crate) const SOME: u16 = 100;

/// All of it, on an empty store.
pub(crate) fn keeps_its_promises(store: &dyn Store, files: u16) {
    files_are_there_as_they_were_written_and_never_overwritten(store);
    many_threads_may_ask(store, files);
}

fn files_are_there_as_they_were_written_and_never_overwritten(store: &dyn Store) {
    let names = FileKind::ALL.map(|kind| FileName::Of(kind, FileId([7; 32]))).into_iter().chain([FileName::Config]);
    for kind in FileKind::ALL {
        assert_eq!(store.list(kind), Ok(vec![]), "nothing is there yet");
    }
    for name in names {
        assert_eq!(fault(store.size(name)), Fault::Missing, "{name} of {store:?}");
        assert_eq!(fault(store.read(name)), Fault::Missing);
        assert_eq!(fault(store.read_part(name, 0, 1)), Fault::Missing);
        store.remove(name).expect("what is gone may be removed");
        store.create(name, &[Bytes::from("ab"), Bytes::new(), Bytes::from("cde")]).expect("created");
        assert_eq!(fault(store.create(name, &[Bytes::from("other")])), Fault::Exists);
        assert_eq!(store.read(name).expect("read"), "abcde");
        assert_eq!(store.size(name), Ok(5));
        assert_eq!(store.read_part(name, 1, 3).expect("read"), "bcd");
        assert_eq!(store.read_part(name, 5, 0).expect("read"), "");
        for (offset, length, got) in [(3, 3, 2), (6, 1, 0), (0, 6, 5)] {
            assert_eq!(fault(store.read_part(name, offset, length)), Fault::Short { wanted: length, got });
        }
    }
    for kind in FileKind::ALL {
        assert_eq!(store.list(kind), Ok(vec![(FileId([7; 32]), 5)]));
        store.remove(FileName::Of(kind, FileId([7; 32]))).expect("removed");
        assert_eq!(store.list(kind), Ok(vec![]));
    }
    store.remove(FileName::Config).expect("removed");
}

/// Written and read by more threads than there are connections.
fn many_threads_may_ask(store: &dyn Store, files: u16) {
    const THREADS: u16 = 16;
    let id = |number: u16| {
        let mut id = [3; 32];
        id[..2].copy_from_slice(&number.to_le_bytes());
        FileId(id)
    };
    let content = |number: u16| Bytes::from(vec![7; usize::from(number) + 1]);
    let each = |work: &(dyn Fn(u16) + Sync)| {
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || (0..files).filter(|number| number % THREADS == thread).for_each(work));
            }
        });
    };
    let name = |number| FileName::Of(FileKind::Data, id(number));
    each(&|number| store.create(name(number), &[content(number)]).expect("created"));
    let mut listed = store.list(FileKind::Data).expect("listed");
    listed.sort_unstable();
    let mut written: Vec<_> = (0..files).map(|number| (id(number), u64::from(number) + 1)).collect();
    written.sort_unstable();
    assert_eq!(listed, written);
    each(&|number| {
        if number % 10 == 0 {
            assert_eq!(store.read(name(number)).expect("read"), content(number));
        }
        store.remove(name(number)).expect("removed");
    });
    assert_eq!(store.list(FileKind::Data), Ok(vec![]));
}

#[test]
fn memory_keeps_its_promises() {
    keeps_its_promises(&Memory::default(), MANY);
}

#[test]
fn a_folder_keeps_its_promises() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    keeps_its_promises(&Folder::new(folder.path().join("deep/repository")), MANY);
}

#[test]
fn s3_on_seaweedfs_keeps_its_promises() {
    let Some(server) = Server::start("seaweedfs") else { return };
    behind_a_server(&server, MANY);
}

/// The bucket in the name of the host, as Amazon wants it. No such name leads to a server here, so that a process of its own
/// takes the server for its proxy, which asks it by the same names.
#[test]
fn s3_with_buckets_as_hosts_keeps_its_promises() {
    const URL: &str = "HOLDFAST_TEST_BUCKETS_AS_HOSTS";
    if let Ok(url) = std::env::var(URL) {
        let keys = [("AWS_ACCESS_KEY_ID", "holdfast"), ("AWS_SECRET_ACCESS_KEY", "holdfast-secret")];
        let repository =
            Repository::new(&format!("s3:{}/bucket/some/prefix", url.replace("127.0.0.1", "localhost")), &keys);
        let store = repository.store_with(|access| access.lookup = Lookup::Dns);
        keeps_its_promises(&*store, SOME);
        store.create(FileName::Config, &[Bytes::from("config")]).expect("created");
        return;
    }
    let Some(server) = Server::start("seaweedfs") else { return };
    server.make("bucket");
    let mut command = std::process::Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "stores::s3_with_buckets_as_hosts_keeps_its_promises"]);
    let output = command.env(URL, server.url()).env("http_proxy", server.url()).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let other = server.repository("bucket").store();
    assert_eq!(other.read(FileName::Config).expect("it is the same place"), "config");
}

#[test]
fn gcs_on_fake_gcs_keeps_its_promises() {
    let Some(server) = Server::start("fake-gcs") else { return };
    behind_a_server(&server, MANY);
}

#[test]
fn azure_on_azurite_keeps_its_promises() {
    let Some(server) = Server::start("azurite") else { return };
    behind_a_server(&server, SOME);
}

#[test]
fn azure_with_a_signature_in_place_of_the_key_keeps_its_promises() {
    let Some(server) = Server::start("azurite") else { return };
    server.make("bucket");
    let mut repository = server.repository("bucket");
    repository.variables.remove("AZURE_ACCOUNT_KEY");
    let with = |sas: &str| repository.clone().with("AZURE_ACCOUNT_SAS", sas).store();
    let sas = azure_sas("rwdlc");
    keeps_its_promises(&*with(&sas), SOME);
    // As the portal shows it.
    with(&format!("?{sas}")).create(FileName::Config, &[Bytes::from("config")]).expect("created");
    let reader = with(&azure_sas("rl"));
    assert_eq!(reader.read(FileName::Config).expect("it may"), "config");
    for refused in [
        reader.remove(FileName::Config),
        reader.create(FileName::Of(FileKind::Data, FileId([7; 32])), &[Bytes::from("x")]),
        with(&sas.replace("sp=rwdlc", "sp=rwdlcx")).size(FileName::Config).map(|_| ()),
    ] {
        let fault = fault(refused);
        assert!(matches!(&fault, Fault::Denied(reason) if !reason.contains("sig=")), "{fault:?}");
    }
}

#[test]
fn swift_keeps_its_promises() {
    let Some(server) = Server::start("swift") else { return };
    behind_a_server(&server, SOME);
    // With a token that somebody else asked for.
    let (storage, token) = server.swift_session();
    let repository = Repository::new("swift:bucket:/other", &[("OS_STORAGE_URL", &storage), ("OS_AUTH_TOKEN", &token)]);
    keeps_its_promises(&*repository.store(), SOME);
    let fault = fault(repository.with("OS_AUTH_TOKEN", "of yesterday").store().size(FileName::Config));
    assert!(matches!(fault, Fault::Denied(_)), "{fault:?}");
}

#[test]
fn swift_behind_keystone_keeps_its_promises() {
    let Some(server) = Server::start("keystone") else { return };
    behind_a_server(&server, SOME);
    let (id, secret) = server.application_credential();
    let application =
        Repository::new("swift:bucket:/other", &[("OS_AUTH_URL", &format!("{}/identity/v3", server.url()))])
            .with("OS_APPLICATION_CREDENTIAL_ID", &id)
            .with("OS_APPLICATION_CREDENTIAL_SECRET", &secret);
    keeps_its_promises(&*application.store(), SOME);
    let wrong = fault(application.with("OS_APPLICATION_CREDENTIAL_SECRET", "wrong").store().size(FileName::Config));
    assert!(matches!(wrong, Fault::Denied(_)), "{wrong:?}");
    let elsewhere = server.repository("bucket").with("OS_REGION_NAME", "nowhere").store();
    let fault = fault(elsewhere.size(FileName::Config));
    assert!(matches!(&fault, Fault::Broken(reason) if reason.contains("OS_REGION_NAME")), "{fault:?}");
}

#[test]
fn rest_on_rclone_keeps_its_promises() {
    let Some(server) = Server::start("rclone") else { return };
    keeps_its_promises(&*server.repository("some").store(), MANY);
}

fn behind_a_server(server: &Server, files: u16) {
    // A bucket that is not there is no empty repository.
    let nowhere: Repository = server.repository("nowhere");
    for fault in [
        fault(nowhere.store().size(FileName::Config)),
        fault(nowhere.store().list(FileKind::Snapshot)),
        fault(nowhere.store().create(FileName::Config, &[Bytes::from("x")])),
    ] {
        assert!(matches!(&fault, Fault::Broken(reason) if reason.contains("the bucket does not exist")), "{fault:?}");
    }
    server.make("bucket");
    keeps_its_promises(&*server.repository("bucket").store(), files);
}

/// Both read what the other wrote, behind the same server.
#[test]
fn restic_and_we_mean_the_same_place() {
    for name in ["seaweedfs", "rclone", "swift"] {
        let Some(server) = Server::start(name) else { continue };
        if name != "rclone" {
            server.make("bucket");
        }
        let repository = server.repository("bucket");
        let store = repository.store();
        init(&*store, PASSWORD, Version::V2, &maker()).expect("nothing was there");
        let restic = Restic::new();
        restic.write("file", b"content");
        let run = |arguments: &[&str]| {
            let mut command = restic.command(arguments);
            command.env("RESTIC_REPOSITORY", &repository.address).envs(&repository.variables);
            let output = command.output().expect("restic is installed");
            assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        run(&["backup", restic.files().to_str().expect("UTF-8")]);
        run(&["check", "--read-data"]);
        assert_eq!(store.list(FileKind::Snapshot).expect("listed").len(), 1, "{name}");
        Opened::open(store, PASSWORD).expect("it opens");
    }
}

#[test]
fn a_folder_lists_only_files_of_a_repository() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Folder::new(folder.path().to_owned());
    let id = FileId([0xab; 32]);
    store.create(FileName::Of(FileKind::Data, id), &[Bytes::from("pack")]).expect("created");
    let data = folder.path().join("data/ab");
    for name in ["unfinished-tmp-1-2".to_owned(), format!("{id}-tmp-1-2"), format!("{id}").to_uppercase()] {
        std::fs::write(data.join(name), "x").expect("written");
    }
    std::fs::create_dir(data.join(FileId([0xac; 32]).to_string())).expect("made");
    assert_eq!(store.list(FileKind::Data), Ok(vec![(id, 4)]));
    let mut left: Vec<_> =
        std::fs::read_dir(&data).expect("listed").map(|entry| entry.expect("an entry").file_name()).collect();
    left.sort();
    assert_eq!(left.len(), 5, "nothing unfinished is left of what was created: {left:?}");
    store.remove_unfinished().expect("removed");
    let left = std::fs::read_dir(&data).expect("listed").count();
    assert_eq!((left, store.list(FileKind::Data)), (4, Ok(vec![(id, 4)])), "only what is ours, and was cut off");
}

/// In a container every process has the number 1: what one has left that was killed is in nobody's way.
#[test]
fn a_folder_takes_what_a_killed_process_has_begun() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join(format!("config-tmp-{}-0", std::process::id())), "h").expect("written");
    let store = Folder::new(folder.path().to_owned());
    store.create(FileName::Config, &[Bytes::from("whole")]).expect("created");
    assert_eq!(store.read(FileName::Config).expect("read"), "whole");
}

#[test]
fn a_folder_may_have_a_name_that_is_no_utf_8() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join(std::ffi::OsStr::from_bytes(b"latin-\xfc"));
    Folder::new(root.clone()).create(FileName::Config, &[Bytes::from("whole")]).expect("created");
    assert_eq!(std::fs::read(root.join("config")).expect("it stands where it belongs"), b"whole");
}
