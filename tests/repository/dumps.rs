//! A file goes to a stream byte for byte as restic gives it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use holdfast::repository::{Cancel, DumpError, Progress, Reader, Version, dump};

use crate::backups::made;
use crate::history::History;
use crate::trees::{Seeded, grow};

fn dumped(history: &History, path: &Path, out: &mut impl Write) -> Result<u64, DumpError> {
    let reader = Reader::new(&history.opened).expect("the index can be read");
    let newest = history.snapshots().all.pop().expect("one");
    dump(&reader, &newest, path, out, &Progress::default(), &Cancel::default())
}

fn grown() -> History {
    let mut history = History::of(made(Version::V2), 1);
    grow(&history.restic.files(), 9);
    history.restic.write("large", &Seeded(5).bytes(20 << 20));
    history.ours();
    history
}

#[test]
fn it_is_what_restic_dumps() {
    let history = grown();
    for name in ["large", "empty", "small", "sparse", "deep/er/est/large", "deep/second name", "ünïcödé 漢字"] {
        let path = history.restic.files().join(name);
        let mut ours = Vec::new();
        let bytes = dumped(&history, &path, &mut ours).expect("it is given");
        let theirs = history.restic.run(&["dump", "latest", path.to_str().expect("UTF-8")]);
        assert!(theirs.status.success() && theirs.stdout == ours, "{name}");
        assert_eq!(bytes, ours.len() as u64);
    }
    let odd = PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"not \xff UTF-8"));
    let mut ours = Vec::new();
    dumped(&history, &history.restic.files().join(odd), &mut ours).expect("it is given");
    assert_eq!(ours, b"not \xff UTF-8");
    for name in ["", "deep", "link", "fifo"] {
        let error = dumped(&history, &history.restic.files().join(name), &mut Vec::new()).expect_err("it is no file");
        assert!(matches!(error, DumpError::NoFile(_)), "{name}: {error}");
    }
    for name in ["missing", "small/below a file"] {
        let error = dumped(&history, &history.restic.files().join(name), &mut Vec::new()).expect_err("it is missing");
        assert!(matches!(error, DumpError::Path(_)), "{name}: {error}");
    }
}

#[test]
fn an_error_says_where_it_ends() {
    struct Short(usize);
    impl Write for Short {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe));
            }
            let written = bytes.len().min(self.0);
            self.0 -= written;
            Ok(written)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let history = grown();
    let path = history.restic.files().join("large");
    let error = dumped(&history, &path, &mut Short(10 << 20)).expect_err("nobody reads the rest");
    assert!(matches!(error, DumpError::Write { after, .. } if after <= 10 << 20), "{error}");

    let whole = std::fs::read(&path).expect("read");
    let packs = history.restic.packs();
    let lengths = packs.iter().map(|path| (std::fs::metadata(path).expect("there").len(), path));
    let (_, last) = lengths.filter(|(bytes, _)| *bytes > 1 << 20).min().expect("some are large");
    std::fs::remove_file(last).expect("removed");
    let mut out = Vec::new();
    match dumped(&history, &path, &mut out).expect_err("a part is lost") {
        DumpError::Blob { after, error } => {
            assert_eq!(after, out.len() as u64);
            assert!(whole.starts_with(&out) && out.len() < whole.len());
            assert!(error.to_string().contains("data/"), "{error}");
        }
        other => panic!("{other}"),
    }
}
