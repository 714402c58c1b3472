//! Packs: blobs one after the other, and at the end a list of them, so that an index that was lost can be made again.

use bytes::Bytes;
use thiserror::Error;

use super::blob::{BlobId, BlobKind};
use super::index::WrittenBlob;
use super::sealed::{OVERHEAD, Seal, SealError};

/// A pack is written when it has so many bytes, as in restic.
const PACK_BYTES: usize = 16 << 20;
/// So that its list stays small.
const BLOBS_MAX: usize = 10_000;
/// Of the length of the list, at the very end.
const LENGTH_BYTES: usize = 4;
/// In the list: kind, length and name; a compressed blob has two lengths.
const PLAIN_ENTRY_BYTES: u64 = 1 + 4 + 32;
const PACKED_ENTRY_BYTES: u64 = PLAIN_ENTRY_BYTES + 4;
/// Of the list beside its entries, with its length.
pub(super) const LIST_OVERHEAD: u64 = OVERHEAD as u64 + LENGTH_BYTES as u64;
/// More than any pack of restic's has.
const LIST_BYTES_MAX: u64 = 16 << 20;

/// A pack in the making.
#[derive(Debug, Default)]
pub(super) struct Pack {
    content: Vec<Bytes>,
    bytes: usize,
    pub(super) blobs: Vec<WrittenBlob>,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum PackError {
    #[error("it is too short to be a pack")]
    Short,
    #[error("the list of its blobs: {0}")]
    Seal(#[from] SealError),
    #[error("the list of its blobs makes no sense")]
    List,
}

impl Pack {
    /// Nothing for a blob that is too long for the format.
    #[must_use]
    pub(super) fn add(&mut self, id: BlobId, kind: BlobKind, sealed: Vec<u8>, unpacked: Option<u32>) -> Option<()> {
        let (offset, length) = (u32::try_from(self.bytes).ok()?, u32::try_from(sealed.len()).ok()?);
        self.bytes += sealed.len();
        self.content.push(sealed.into());
        self.blobs.push(WrittenBlob { id, kind, offset, length, uncompressed_length: unpacked.unwrap_or(0) });
        Some(())
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= PACK_BYTES || self.blobs.len() >= BLOBS_MAX
    }

    /// All of the file, and the blobs in it.
    pub(super) fn finish(self, seal: &Seal) -> Result<(Vec<Bytes>, Vec<WrittenBlob>), SealError> {
        let Self { mut content, blobs, .. } = self;
        let list = seal.close(&list(&blobs))?;
        let length = u32::try_from(list.len()).unwrap_or(u32::MAX).to_le_bytes();
        content.extend([list.into(), Bytes::copy_from_slice(&length)]);
        Ok((content, blobs))
    }
}

/// Of one blob in the list.
pub(super) fn entry_bytes(packed: bool) -> u64 {
    if packed { PACKED_ENTRY_BYTES } else { PLAIN_ENTRY_BYTES }
}

fn list(blobs: &[WrittenBlob]) -> Vec<u8> {
    let mut list = Vec::with_capacity(blobs.len() * 41);
    for blob in blobs {
        let packed = blob.uncompressed_length > 0;
        list.push(match (blob.kind, packed) {
            (BlobKind::Data, false) => 0,
            (BlobKind::Tree, false) => 1,
            (BlobKind::Data, true) => 2,
            (BlobKind::Tree, true) => 3,
        });
        list.extend(blob.length.to_le_bytes());
        if packed {
            list.extend(blob.uncompressed_length.to_le_bytes());
        }
        list.extend(blob.id.0);
    }
    list
}

/// The blobs that a pack itself says are in it: `read(offset, length)` gives parts of it.
pub(super) fn blobs<E: From<PackError>>(
    seal: &Seal,
    bytes: u64,
    read: impl Fn(u64, u64) -> Result<Bytes, E>,
) -> Result<Vec<WrittenBlob>, E> {
    let end = bytes.checked_sub(LENGTH_BYTES as u64).ok_or(PackError::Short)?;
    let length = read(end, LENGTH_BYTES as u64)?;
    let length = u32::from_le_bytes(length.as_ref().try_into().map_err(|_| PackError::Short)?);
    let begin =
        end.checked_sub(length.into()).filter(|_| u64::from(length) <= LIST_BYTES_MAX).ok_or(PackError::List)?;
    let sealed = read(begin, length.into())?;
    let list = seal.open_blob(&sealed, None).map_err(PackError::Seal)?;
    parse(&list, begin).ok_or(PackError::List.into())
}

fn parse(mut list: &[u8], end: u64) -> Option<Vec<WrittenBlob>> {
    let mut blobs = Vec::new();
    let mut offset = 0_u32;
    while let Some((kind, rest)) = list.split_first() {
        let (kind, packed) = match kind {
            0 => (BlobKind::Data, false),
            1 => (BlobKind::Tree, false),
            2 => (BlobKind::Data, true),
            3 => (BlobKind::Tree, true),
            _ => return None,
        };
        let (length, rest) = number(rest)?;
        let (uncompressed_length, rest) = if packed { number(rest)? } else { (0, rest) };
        let (id, rest) = rest.split_first_chunk::<32>()?;
        blobs.push(WrittenBlob { id: BlobId(*id), kind, offset, length, uncompressed_length });
        offset = offset.checked_add(length)?;
        list = rest;
    }
    (u64::from(offset) == end).then_some(blobs)
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    bytes.split_first_chunk::<4>().map(|(number, rest)| (u32::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_says_what_is_in_it() {
        let seal = Seal::random().unwrap();
        let mut pack = Pack::default();
        pack.add(BlobId([1; 32]), BlobKind::Data, vec![1; 100], None).unwrap();
        pack.add(BlobId([2; 32]), BlobKind::Tree, vec![2; 50], Some(500)).unwrap();
        let (content, blobs) = pack.finish(&seal).unwrap();
        let all = content.concat();
        let read = |bytes: &[u8]| {
            let bytes = Bytes::copy_from_slice(bytes);
            super::blobs::<PackError>(&seal, bytes.len() as u64, |offset, length| {
                let range = usize::try_from(offset).unwrap()..usize::try_from(offset + length).unwrap();
                Ok(bytes.slice(range))
            })
        };
        assert_eq!(all.len() as u64, 150 + entry_bytes(false) + entry_bytes(true) + LIST_OVERHEAD);
        assert_eq!(read(&all).unwrap(), blobs);
        assert_eq!(read(&all[1..]), Err(PackError::List));
        assert_eq!(read(&all[..3]), Err(PackError::Short));
        let mut flipped = all.clone();
        flipped[160] ^= 1;
        assert_eq!(read(&flipped), Err(PackError::Seal(SealError::Damaged)));
    }
}
