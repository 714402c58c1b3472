//! What gives access to a repository: the keys of the storage Secret, and what the cluster says beside it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

/// No Secret is larger.
const BYTES_MAX: u64 = 1 << 20;

/// Values of variables as restic names them.
pub(super) struct Credentials {
    keys: BTreeMap<String, String>,
    beside: fn(&str) -> Option<String>,
}

/// Only the names: the values are secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

impl Credentials {
    /// Without a folder there is nothing in it. Values are taken as they are, as Stash takes them: a line that ends is a part of
    /// a password.
    #[expect(clippy::disallowed_methods, reason = "a mounted Secret, with a limit on its size")]
    pub(super) fn read(folder: &Path, beside: fn(&str) -> Option<String>) -> io::Result<Self> {
        let mut keys = BTreeMap::new();
        let files = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self { keys, beside }),
            other => other?,
        };
        for entry in files {
            let path = entry?.path();
            // Links lead to files in a folder that the kubelet replaces as a whole; the folder itself is hidden.
            let name = path.file_name().and_then(|name| name.to_str()).filter(|name| !name.starts_with('.'));
            let Some(name) = name.filter(|_| path.is_file()) else { continue };
            let mut value = Vec::new();
            File::open(&path)?.take(BYTES_MAX).read_to_end(&mut value)?;
            if let Ok(value) = String::from_utf8(value) {
                keys.insert(name.to_owned(), value);
            }
        }
        Ok(Self { keys, beside })
    }

    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let key = self.keys.get(name).filter(|value| !value.is_empty());
        key.cloned().or_else(|| (self.beside)(name)).filter(|value| !value.is_empty())
    }
}
