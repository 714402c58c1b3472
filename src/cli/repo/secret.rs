//! What comes from the environment and from small files.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};

/// More than any password, address or bundle of certificates has.
const BYTES_MAX: u64 = 1 << 20;

#[expect(clippy::disallowed_methods, reason = "this is the command line")]
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[expect(clippy::disallowed_methods, reason = "a file that the caller names, with a limit on its size")]
pub(super) fn bytes(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes));
    read.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(bytes)
}

/// All of a file but white space around it, as restic reads passwords.
pub(super) fn text(file: &Path) -> anyhow::Result<String> {
    let text = String::from_utf8(bytes(file)?).with_context(|| format!("{} is not UTF-8", file.display()))?;
    match text.trim() {
        "" => bail!("{} is empty", file.display()),
        text => Ok(text.to_owned()),
    }
}

pub(super) fn password(file: Option<&Path>, name: &str) -> anyhow::Result<String> {
    match (file, variable(name)) {
        (Some(file), _) => text(file),
        (None, Some(password)) => Ok(password),
        (None, None) => bail!("no password: give a file that holds it, or set {name}"),
    }
}
