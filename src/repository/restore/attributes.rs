//! Gives what was restored the owner, mode, extended attributes and times that it had.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

use crate::repository::mode;
use crate::repository::node::{Bytes, Node, NodeKind};

/// In this order: a new owner takes privileges away, and times are last, since the others change them.
/// Every failure is told and none keeps the others from being tried.
pub(super) fn set(path: &Path, node: &Node, mut failed: impl FnMut(String)) {
    let mut tell = |what: &str, done: io::Result<()>| {
        if let Err(error) = done {
            failed(format!("{what}: {error}"));
        }
    };
    tell("owner", std::os::unix::fs::lchown(path, Some(node.uid), Some(node.gid)));
    // A link has no mode of its own.
    if node.kind != NodeKind::Symlink {
        tell("mode", fs::set_permissions(path, fs::Permissions::from_mode(mode::to_unix(node.mode))));
    }
    for attribute in &node.extended_attributes {
        let value = attribute.value.as_ref().map(|Bytes(value)| value.as_slice()).unwrap_or_default();
        tell(&format!("attribute {}", attribute.name), xattr::set(path, &attribute.name, value));
    }
    if let Some(modified) = node.mtime {
        let times =
            Timestamps { last_access: timespec(node.atime.unwrap_or(modified)), last_modification: timespec(modified) };
        tell("times", rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(Into::into));
    }
}

fn timespec(time: Timestamp) -> Timespec {
    let (mut seconds, mut nanoseconds) = (time.as_second(), time.subsec_nanosecond());
    // The kernel counts nanoseconds forwards only, also before 1970.
    if nanoseconds < 0 {
        (seconds, nanoseconds) = (seconds - 1, nanoseconds + 1_000_000_000);
    }
    Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_are_as_the_kernel_has_them() {
        let before = timespec(Timestamp::new(-2, -1).unwrap());
        assert_eq!((before.tv_sec, before.tv_nsec), (-3, 999_999_999));
    }
}
