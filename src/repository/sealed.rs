//! Small files of a repository: encrypted and signed with its master key, compressed where the repository's version has it.

use std::io::Read as _;

use aes256ctr_poly1305aes::aead::Aead as _;
use aes256ctr_poly1305aes::{Aes256CtrPoly1305Aes, Key, Nonce};
use thiserror::Error;

use super::config::Version;

/// More than any index, the largest of these files; what is larger once it is unpacked was not written by a backup program.
const UNPACKED_BYTES_MAX: u64 = 256 << 20;
/// Of zstd: restic's default too.
const LEVEL: i32 = 3;
const NONCE_BYTES: usize = 16;
/// Nonce and signature, around everything that is sealed.
pub(super) const OVERHEAD: u32 = 32;
/// 32 for AES, 16 and 16 for the signature.
pub(super) const KEY_BYTES: usize = 64;
/// First byte of what is compressed; JSON begins with a bracket.
const COMPRESSED: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    #[error("its signature does not match: it is damaged, or was written with another key")]
    Damaged,
    #[error("it cannot be unpacked")]
    Packed,
    #[error("this system gives no random numbers")]
    Random,
}

/// The key that all files of a repository share.
pub struct Seal {
    cipher: Aes256CtrPoly1305Aes,
    key: [u8; KEY_BYTES],
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// `None` if it is not as long as it must be.
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        let key: [u8; KEY_BYTES] = key.try_into().ok()?;
        Some(Self { cipher: Aes256CtrPoly1305Aes::new(Key::from_slice(&key)), key })
    }

    /// Of a new repository.
    pub(super) fn random() -> Result<Self, SealError> {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(|_| SealError::Random)?;
        // Bits of the signature's key that are always zero; restic refuses a key that has them.
        let r = &mut key[KEY_BYTES - 16..];
        for byte in [3, 7, 11, 15] {
            r[byte] &= 0x0f;
        }
        for byte in [4, 8, 12] {
            r[byte] &= 0xfc;
        }
        Self::new(&key).ok_or(SealError::Random)
    }

    /// For encryption, then the two halves for the signature.
    pub(super) fn key(&self) -> &[u8; KEY_BYTES] {
        &self.key
    }

    /// A file on its own, compressed in a repository whose version has that.
    pub fn close_file(&self, plain: &[u8], version: Version) -> Result<Vec<u8>, SealError> {
        match version {
            Version::V1 => self.close(plain),
            Version::V2 => {
                let packed = zstd::bulk::compress(plain, LEVEL).map_err(|_| SealError::Packed)?;
                self.close(&[&[COMPRESSED], packed.as_slice()].concat())
            }
        }
    }

    /// A blob for a pack; how long it was, if it is compressed.
    pub(super) fn close_blob(&self, plain: &[u8], version: Version) -> Result<(Vec<u8>, Option<u32>), SealError> {
        let packed = match version {
            Version::V1 => None,
            Version::V2 => zstd::bulk::compress(plain, LEVEL).ok().filter(|packed| packed.len() < plain.len()),
        };
        match packed {
            Some(packed) => Ok((self.close(&packed)?, u32::try_from(plain.len()).ok())),
            None => Ok((self.close(plain)?, None)),
        }
    }

    pub fn close(&self, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| SealError::Random)?;
        let sealed = self.cipher.encrypt(Nonce::from_slice(&nonce), plain).map_err(|_| SealError::Damaged)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// A file on its own, which says of itself whether it is compressed.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let plain = self.decrypt(sealed)?;
        match plain.split_first() {
            Some((&COMPRESSED, packed)) => unpacked(packed),
            Some(_) | None => Ok(plain),
        }
    }

    /// A blob of a pack; the index says whether it is compressed, and how long it is then.
    pub fn open_blob(&self, sealed: &[u8], unpacked: Option<u32>) -> Result<Vec<u8>, SealError> {
        let plain = self.decrypt(sealed)?;
        match unpacked.and_then(|length| usize::try_from(length).ok()) {
            None => Ok(plain),
            Some(length) => match zstd::bulk::decompress(&plain, length) {
                Ok(blob) if blob.len() == length => Ok(blob),
                Ok(_) | Err(_) => Err(SealError::Packed),
            },
        }
    }

    fn decrypt(&self, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or(SealError::Damaged)?;
        self.cipher.decrypt(Nonce::from_slice(nonce), sealed).map_err(|_| SealError::Damaged)
    }
}

fn unpacked(packed: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut plain = Vec::new();
    let reader = zstd::Decoder::with_buffer(packed).map_err(|_| SealError::Packed)?;
    reader.take(UNPACKED_BYTES_MAX).read_to_end(&mut plain).map_err(|_| SealError::Packed)?;
    Ok(plain)
}
