//! Files in `keys`: each holds the key of the repository, sealed with a key that is made of a password.

use jiff::Timestamp;
use scrypt::Params;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::node::Bytes;
use super::sealed::{KEY_BYTES, Seal, SealError};

/// Work and memory that a guess costs: 32 MiB, and as long as OWASP asks for. It is spent at every opening, in small pods too.
const LOG_N: u8 = 15;
const R: u32 = 8;
const P: u32 = 3;
const SALT_BYTES: usize = 64;
/// Of a key file from elsewhere: more than anybody writes, and not enough to run out of memory.
const LOG_N_MAX: u32 = 20;
const MEMORY_MAX: u64 = 1 << 30;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    #[error("the password does not open it")]
    Password,
    #[error("it is no key: {0}")]
    NoKey(String),
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Who made a key, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maker {
    pub created: Timestamp,
    pub username: String,
    pub hostname: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct KeyFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) created: Option<Timestamp>,
    #[serde(default)]
    pub(super) username: String,
    #[serde(default)]
    pub(super) hostname: String,
    kdf: String,
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
    salt: Bytes,
    data: Bytes,
}

/// The key of the repository as it lies in a key file.
#[derive(Serialize, Deserialize)]
struct Master {
    mac: Mac,
    encrypt: Bytes,
}

#[derive(Serialize, Deserialize)]
struct Mac {
    k: Bytes,
    r: Bytes,
}

impl KeyFile {
    pub(super) fn parse(text: &[u8]) -> Result<Self, KeyError> {
        let key: Self = serde_json::from_slice(text).map_err(|error| KeyError::NoKey(error.to_string()))?;
        if key.kdf != "scrypt" {
            return Err(KeyError::NoKey(format!("{:?} is no way to make a key that restic knows", key.kdf)));
        }
        Ok(key)
    }

    pub(super) fn open(&self, password: &str) -> Result<Seal, KeyError> {
        let log_n = self.n.checked_ilog2().filter(|log| self.n == 1 << log && (1..=LOG_N_MAX).contains(log));
        let memory = self.n.saturating_mul(self.r.into()).saturating_mul(128);
        let log_n = log_n.filter(|_| memory <= MEMORY_MAX).and_then(|log| u8::try_from(log).ok());
        let log_n = log_n.ok_or_else(|| KeyError::NoKey(format!("N = {}, r = {} cannot be", self.n, self.r)))?;
        let params = Params::new(log_n, self.r, self.p).map_err(|error| KeyError::NoKey(error.to_string()))?;
        let seal = of_password(password, &self.salt.0, &params)?;
        let plain = seal.open(&self.data.0).map_err(|_| KeyError::Password)?;
        let master: Master = serde_json::from_slice(&plain).map_err(|error| KeyError::NoKey(error.to_string()))?;
        let all = [master.encrypt.0, master.mac.k.0, master.mac.r.0].concat();
        Seal::new(&all).ok_or_else(|| KeyError::NoKey("the key in it is too short".to_owned()))
    }

    pub(super) fn make(master: &Seal, password: &str, maker: &Maker) -> Result<Self, KeyError> {
        let params = Params::new(LOG_N, R, P).map_err(|error| KeyError::NoKey(error.to_string()))?;
        let mut salt = vec![0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|_| SealError::Random)?;
        let seal = of_password(password, &salt, &params)?;
        let (encrypt, mac) = master.key().split_at(KEY_BYTES / 2);
        let (k, r) = mac.split_at(KEY_BYTES / 4);
        let [encrypt, k, r] = [encrypt, k, r].map(|part| Bytes(part.to_vec()));
        let plain = serde_json::to_vec(&Master { mac: Mac { k, r }, encrypt }).unwrap_or_default();
        Ok(Self {
            created: Some(maker.created),
            username: maker.username.clone(),
            hostname: maker.hostname.clone(),
            kdf: "scrypt".to_owned(),
            n: 1 << LOG_N,
            r: R,
            p: P,
            salt: Bytes(salt),
            data: Bytes(seal.close(&plain)?),
        })
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

fn of_password(password: &str, salt: &[u8], params: &Params) -> Result<Seal, KeyError> {
    let mut key = [0; KEY_BYTES];
    scrypt::scrypt(password.as_bytes(), salt, params, &mut key).map_err(|error| KeyError::NoKey(error.to_string()))?;
    Seal::new(&key).ok_or_else(|| KeyError::NoKey("too short".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_opens_a_key() {
        let master = Seal::random().unwrap();
        let maker = Maker { created: Timestamp::UNIX_EPOCH, username: "u".into(), hostname: "h".into() };
        let text = KeyFile::make(&master, "right", &maker).unwrap().to_json();
        let key = KeyFile::parse(&text).unwrap();
        assert_eq!(key.open("right").unwrap().key(), master.key());
        assert!(matches!(key.open("wrong"), Err(KeyError::Password)));
    }

    #[test]
    fn hostile_keys_cost_nothing() {
        for (n, r) in [(0, 8), (3, 8), (1 << 40, 8), (1 << 20, 1 << 20), (u64::MAX, u32::MAX)] {
            let text = format!(r#"{{"kdf":"scrypt","N":{n},"r":{r},"p":1,"salt":"AA==","data":"AA=="}}"#);
            let error = KeyFile::parse(text.as_bytes()).unwrap().open("x").unwrap_err();
            assert!(error.to_string().contains("cannot be"), "{error}");
        }
    }
}
