//! Small files of a repository: encrypted and signed with its master key, compressed where the repository's version has it.

use std::io::Read as _;

use aes256ctr_poly1305aes::aead::Aead as _;
use aes256ctr_poly1305aes::{Aes256CtrPoly1305Aes, Key, Nonce};
use rustic_core::repofile::MasterKey;
use thiserror::Error;

/// More than any lock or snapshot; what is larger once it is unpacked was not written by a backup program.
const UNPACKED_BYTES_MAX: u64 = 64 << 20;
const NONCE_BYTES: usize = 16;
/// 32 for AES, 16 and 16 for the signature.
const KEY_BYTES: usize = 64;
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
pub struct Seal(Aes256CtrPoly1305Aes);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// `None` if the parts of the key are not as long as they must be.
    pub fn new(key: &MasterKey) -> Option<Self> {
        let all = [key.encrypt.as_slice(), &key.mac.k, &key.mac.r].concat();
        (all.len() == KEY_BYTES).then(|| Self(Aes256CtrPoly1305Aes::new(Key::from_slice(&all))))
    }

    pub fn close(&self, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| SealError::Random)?;
        let sealed = self.0.encrypt(Nonce::from_slice(&nonce), plain).map_err(|_| SealError::Damaged)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or(SealError::Damaged)?;
        let plain = self.0.decrypt(Nonce::from_slice(nonce), sealed).map_err(|_| SealError::Damaged)?;
        match plain.split_first() {
            Some((&COMPRESSED, packed)) => unpacked(packed),
            Some(_) | None => Ok(plain),
        }
    }
}

fn unpacked(packed: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut plain = Vec::new();
    let reader = zstd::Decoder::with_buffer(packed).map_err(|_| SealError::Packed)?;
    reader.take(UNPACKED_BYTES_MAX).read_to_end(&mut plain).map_err(|_| SealError::Packed)?;
    Ok(plain)
}
