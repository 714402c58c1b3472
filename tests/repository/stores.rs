//! What every store promises, whatever it is made of.

use bytes::Bytes;
use holdfast::repository::{Fault, FileId, FileKind, FileName, Folder, Memory, Store, StoreError};

fn stores() -> Vec<(Box<dyn Store>, Option<tempfile::TempDir>)> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Folder::new(folder.path().join("deep/repository"));
    vec![(Box::new(store), Some(folder)), (Box::new(Memory::default()), None)]
}

fn fault<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Fault {
    result.expect_err("it fails").fault
}

#[test]
fn files_are_there_as_they_were_written_and_never_overwritten() {
    for (store, _folder) in stores() {
        let names = FileKind::ALL.map(|kind| FileName::Of(kind, FileId([7; 32]))).into_iter().chain([FileName::Config]);
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
}
