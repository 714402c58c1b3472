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

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test writes files")]
mod tests {
    use super::*;

    /// As the kubelet lays a Secret out.
    fn mounted(keys: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("..2026_11_22");
        fs::create_dir(&data).unwrap();
        std::os::unix::fs::symlink("..2026_11_22", folder.path().join("..data")).unwrap();
        for (name, value) in keys {
            fs::write(data.join(name), value).unwrap();
            std::os::unix::fs::symlink(format!("..data/{name}"), folder.path().join(name)).unwrap();
        }
        folder
    }

    fn beside(name: &str) -> Option<String> {
        matches!(name, "AWS_ROLE_ARN" | "RESTIC_PASSWORD" | "EMPTY").then(|| "from the pod".to_owned())
    }

    #[test]
    fn the_secret_comes_before_what_the_pod_says() {
        let keys: [(&str, &[u8]); 4] =
            [("RESTIC_PASSWORD", b"a line\n"), ("EMPTY", b""), ("BINARY", b"\xff"), ("OTHER", b"1")];
        let folder = mounted(&keys);
        let read = Credentials::read(folder.path(), beside).unwrap();
        for (name, value) in [
            ("RESTIC_PASSWORD", Some("a line\n")),
            ("AWS_ROLE_ARN", Some("from the pod")),
            ("EMPTY", Some("from the pod")),
            ("BINARY", None),
            ("..data", None),
            ("NOTHING", None),
        ] {
            assert_eq!(read.variable(name).as_deref(), value, "{name}");
        }
        let shown = format!("{read:?}");
        assert!(shown.contains("OTHER") && !shown.contains("line"), "{shown}");
    }

    #[test]
    fn without_a_secret_there_is_what_the_pod_says() {
        let read = Credentials::read(Path::new("/no/such/folder"), beside).unwrap();
        assert_eq!(read.variable("AWS_ROLE_ARN").as_deref(), Some("from the pod"));
        assert_eq!(read.variable("OTHER"), None);
    }
}
