//! A pack for the local clone, with its objects as they are: what is pushed is compressed then, and once is enough.
//! libgit2's own builder makes deltas and looks for a twin of each object, which takes it twice the time of `git
//! fast-import`; its indexer checks what is made here, every object of it.

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use git2::ObjectType;
use sha1::{Digest as _, Sha1};

use super::error::Failure;

pub(super) struct Pack(Vec<u8>);

impl Pack {
    pub(super) fn new(objects: usize) -> Result<Self, Failure> {
        let objects = u32::try_from(objects).map_err(|_| Failure::clone("too many objects for one pack"))?;
        let mut bytes = b"PACK".to_vec();
        bytes.extend_from_slice(&2_u32.to_be_bytes());
        bytes.extend_from_slice(&objects.to_be_bytes());
        Ok(Self(bytes))
    }

    pub(super) fn add(&mut self, kind: ObjectType, content: &[u8]) -> Result<(), Failure> {
        let kind: u8 = match kind {
            ObjectType::Commit => 1,
            ObjectType::Tree => 2,
            ObjectType::Blob => 3,
            ObjectType::Tag => 4,
            ObjectType::Any => return Err(Failure::clone("an object of no type")),
        };
        self.header(kind, content.len());
        self.deflate(content).map_err(|error| Failure::clone(error.to_string()))
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let hash = Sha1::digest(&self.0);
        self.0.extend_from_slice(&hash);
        self.0
    }

    /// Type and size: four bits of it, then seven a byte, the lowest first.
    fn header(&mut self, kind: u8, size: usize) {
        let low = |size: usize, mask: u8| size.to_le_bytes()[0] & mask;
        let (mut byte, mut rest) = ((kind << 4) | low(size, 0x0f), size >> 4);
        while rest > 0 {
            self.0.push(byte | 0x80);
            (byte, rest) = (low(rest, 0x7f), rest >> 7);
        }
        self.0.push(byte);
    }

    fn deflate(&mut self, content: &[u8]) -> io::Result<()> {
        let mut encoder = ZlibEncoder::new(&mut self.0, Compression::none());
        encoder.write_all(content)?;
        encoder.finish().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use git2::{Oid, Repository};

    use super::*;

    /// The indexer and the reader of libgit2 take objects of all sizes that matter.
    #[test]
    fn libgit2_reads_what_was_packed() {
        let folder = tempfile::tempdir().unwrap();
        let clone = Repository::init_bare(folder.path()).unwrap();
        let contents: Vec<Vec<u8>> = [0, 1, 15, 16, 2047, 2048, 5552, 5553, 65_535, 65_536, 200_000]
            .map(|size: usize| (0..size).map(|at| (at * 7 % 251).to_le_bytes()[0]).collect())
            .into();
        let mut pack = Pack::new(contents.len()).unwrap();
        for content in &contents {
            pack.add(ObjectType::Blob, content).unwrap();
        }
        let odb = clone.odb().unwrap();
        let mut writer = odb.packwriter().unwrap();
        writer.write_all(&pack.finish()).unwrap();
        writer.commit().unwrap();
        for content in &contents {
            let id = Oid::hash_object(ObjectType::Blob, content).unwrap();
            assert_eq!(clone.find_blob(id).unwrap().content(), content, "{} bytes", content.len());
        }
    }
}
