//! The key that signs status commits: an OpenSSH private key in a file, read anew for each commit since it rotates.
//! Only ed25519: the crate refuses every ECDSA key whose number is short by a byte, one in some hundred.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::PathBuf;

use ssh_key::{HashAlg, LineEnding, PrivateKey};
use thiserror::Error;

/// Larger than any key that can be used here.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// What Git's own signatures are for; a signature for anything else is none for a commit.
const NAMESPACE: &str = "git";

/// Why no commit can be signed. Nothing is pushed without a signature then. Never says what the file holds.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SigningError {
    #[error(
        "the signing key {file} cannot be read ({kind}): mount it there, readable for this user, or take --status-signing-key away"
    )]
    Unreadable { file: String, kind: ErrorKind },
    #[error(
        "the signing key {file} is no ed25519 private key in OpenSSH's format: make one with `ssh-keygen -t ed25519 -N '' -f FILE`, and give the file without .pub"
    )]
    NotAKey { file: String },
    #[error(
        "the signing key {file} has a passphrase, which nobody can type here: take it off with `ssh-keygen -p -N '' -f FILE`"
    )]
    Encrypted { file: String },
}

/// Proven to sign when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    file: PathBuf,
}

impl SigningKey {
    /// The key in `file`; an error if it cannot sign.
    pub fn open(file: PathBuf) -> Result<Self, SigningError> {
        let key = Self { file };
        key.sign(b"")?;
        Ok(key)
    }

    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> Result<String, SigningError> {
        Ok(self.read()?.fingerprint(HashAlg::Sha256).to_string())
    }

    /// The armoured signature of a commit without its header `gpgsig`.
    pub(super) fn sign(&self, commit: &[u8]) -> Result<String, SigningError> {
        let key = self.read()?;
        let signed = key.sign(NAMESPACE, HashAlg::Sha512, commit);
        let armoured = signed.and_then(|signature| signature.to_pem(LineEnding::LF));
        armoured.map_err(|_| SigningError::NotAKey { file: self.name() })
    }

    #[expect(clippy::disallowed_methods, reason = "the key is a file")]
    fn read(&self) -> Result<PrivateKey, SigningError> {
        let unreadable = |error: std::io::Error| SigningError::Unreadable { file: self.name(), kind: error.kind() };
        let mut bytes = Vec::new();
        let file = File::open(&self.file).map_err(unreadable)?;
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
        let key = PrivateKey::from_openssh(bytes.trim_ascii());
        // The parser's words are about bytes; what to do is the same for all of them.
        let key = key.map_err(|_| SigningError::NotAKey { file: self.name() })?;
        if key.is_encrypted() { Err(SigningError::Encrypted { file: self.name() }) } else { Ok(key) }
    }

    fn name(&self) -> String {
        self.file.display().to_string()
    }
}
