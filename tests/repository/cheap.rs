//! A key that opens a repository at no cost: tests and restic open theirs some hundred times, and the work that a guess of the
//! password must cost would be most of what they do.

use std::fs;
use std::path::Path;

use aes256ctr_poly1305aes::aead::Aead as _;
use aes256ctr_poly1305aes::{Aes256CtrPoly1305Aes, Key, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use holdfast::repository::FileId;
use scrypt::Params;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const NONCE_BYTES: usize = 16;

fn cipher(key: &Value, password: &str) -> Aes256CtrPoly1305Aes {
    let number = |name: &str| key[name].as_u64().expect("a number");
    let small = |name| u32::try_from(number(name)).expect("small");
    let log_n = u8::try_from(number("N").ilog2()).expect("small");
    let params = Params::new(log_n, small("r"), small("p")).expect("they can be");
    let mut bytes = [0; 64];
    scrypt::scrypt(password.as_bytes(), &of_base64(&key["salt"]), &params, &mut bytes).expect("long enough");
    Aes256CtrPoly1305Aes::new(Key::from_slice(&bytes))
}

fn of_base64(value: &Value) -> Vec<u8> {
    BASE64.decode(value.as_str().expect("text")).expect("base64")
}

/// Puts such a key in the place of the only one; the password stays.
pub(crate) fn make(repository: &Path, password: &str) {
    let folder = repository.join("keys");
    let mut keys = fs::read_dir(&folder).expect("listed").map(|entry| entry.expect("one").path());
    let old = keys.next().expect("one");
    let mut key: Value = serde_json::from_slice(&fs::read(&old).expect("read")).expect("JSON");
    let sealed = of_base64(&key["data"]);
    let (nonce, sealed) = sealed.split_at(NONCE_BYTES);
    let plain = cipher(&key, password).decrypt(Nonce::from_slice(nonce), sealed).expect("the password opens it");
    key["N"] = json!(2);
    key["r"] = json!(1);
    key["p"] = json!(1);
    let sealed = cipher(&key, password).encrypt(Nonce::from_slice(nonce), plain.as_slice()).expect("sealed");
    key["data"] = json!(BASE64.encode([nonce, &sealed].concat()));
    let text = key.to_string();
    let name = FileId(Sha256::digest(&text).into()).to_string();
    fs::write(folder.join(name), text).expect("written");
    fs::remove_file(old).expect("removed");
}
