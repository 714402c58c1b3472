//! A repository of ten million blobs: the index names them, and the packs are as long as it says and empty.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use holdfast::repository::{FileId, FileKind, FileName, Folder, Maker, Opened, Store as _, Version, init};

pub(crate) const BLOBS: u64 = 10_000_000;
/// As restic fills a file of the index, and as packs of files of 1 MiB are.
const BLOBS_OF_FILE: u64 = 50_000;
const BLOBS_OF_PACK: u64 = 20;
/// Blobs, a list with 41 bytes for each, and what is around it.
const PACK_BYTES: u64 = BLOBS_OF_PACK * (800_000 + 41) + 36;
pub(crate) const PASSWORD: &str = "bench";

fn name(number: u64) -> String {
    let mixed = |salt: u64| {
        let mut z = number.wrapping_add(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    format!("{:016x}{:016x}{:016x}{:016x}", mixed(1), mixed(1 << 40), mixed(2 << 40), mixed(3 << 40))
}

/// Takes no room but that of its name.
fn make_pack(folder: &Path, pack: &str) {
    let folder = folder.join("data").join(&pack[..2]);
    let made = File::create(folder.join(pack)).or_else(|_| {
        fs::create_dir_all(&folder)?;
        File::create(folder.join(pack))
    });
    made.and_then(|file| file.set_len(PACK_BYTES)).expect("a file with a hole");
}

pub(crate) fn make(folder: &Path) {
    let store = Arc::new(Folder::new(folder.to_owned()));
    let maker = Maker { created: holdfast::clock::now(), username: "bench".to_owned(), hostname: "bench".to_owned() };
    init(&*store, PASSWORD, Version::V2, &maker).expect("nothing was there");
    let opened = Opened::open(store.clone(), PASSWORD).expect("it opens");
    for first in (0..BLOBS).step_by(usize::try_from(BLOBS_OF_FILE).expect("small")) {
        let mut text = r#"{"packs":["#.to_owned();
        for number in first..first + BLOBS_OF_FILE {
            let in_pack = number % BLOBS_OF_PACK;
            if in_pack == 0 {
                let comma = if number == first { "" } else { "]}," };
                let pack = name(number | 1 << 60);
                let _ = write!(text, r#"{comma}{{"id":"{pack}","blobs":["#);
                make_pack(folder, &pack);
            }
            let (comma, offset) = (if in_pack == 0 { "" } else { "," }, in_pack * 800_000);
            let id = name(number);
            let _ = write!(
                text,
                r#"{comma}{{"id":"{id}","type":"data","offset":{offset},"length":800000,"uncompressed_length":1000000}}"#
            );
        }
        text.push_str("]}]}");
        let sealed: bytes::Bytes = opened.seal().close_file(text.as_bytes(), Version::V2).expect("sealed").into();
        let id = FileId::of(std::slice::from_ref(&sealed));
        store.create(FileName::Of(FileKind::Index, id), &[sealed]).expect("written");
    }
}
