//! The memory limit of the control group that this process is in, as Kubernetes sets it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::memory::Memory;

/// More than the kernel says about any process.
const BYTES_MAX: u64 = 1 << 20;

/// More than any machine has: how the first version of control groups says that there is no limit.
const NONE: u64 = 1 << 60;

/// The smallest of those that hold; unlimited where nobody says anything.
pub fn memory_limit() -> Memory {
    let groups = text(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let limits = files(&groups).into_iter().filter_map(|file| limit(text(&file)?.trim()));
    limits.min().map_or_else(Memory::default, Memory::of)
}

#[expect(clippy::disallowed_methods, reason = "small files of the kernel, with a limit on their size")]
fn text(file: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(file).ok()?.take(BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// In a container its own group is seen at the root, and outside of one at its path, where those above it hold too.
fn files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, name) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        let path = PathBuf::from(root).join(path.trim_start_matches('/'));
        files.extend(path.ancestors().take_while(|above| above.starts_with(root)).map(|above| above.join(name)));
    }
    files
}

fn limit(text: &str) -> Option<u64> {
    text.parse().ok().filter(|bytes| *bytes < NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_above_is_asked() {
        let texts = |groups| files(groups).iter().map(|file| file.display().to_string()).collect::<Vec<_>>();
        assert_eq!(
            texts("0::/user.slice/session-1.scope\n"),
            [
                "/sys/fs/cgroup/user.slice/session-1.scope/memory.max",
                "/sys/fs/cgroup/user.slice/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
        );
        assert_eq!(texts("0::/\n"), ["/sys/fs/cgroup/memory.max"]);
        assert_eq!(
            texts("12:cpu,cpuacct:/a\n4:memory:/kubepods/pod1\n"),
            [
                "/sys/fs/cgroup/memory/kubepods/pod1/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/kubepods/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes"
            ]
        );
        assert_eq!((files(""), files("no group at all")), (vec![], vec![]));
    }

    #[test]
    fn no_limit_is_none() {
        assert_eq!(limit("536870912"), Some(512 << 20));
        assert_eq!((limit("max"), limit("9223372036854771712"), limit("")), (None, None, None));
    }
}
