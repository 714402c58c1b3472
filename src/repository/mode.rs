//! Modes of files: repositories hold them as Go counts their bits, file systems as Unix does.

const PERMISSIONS: u32 = 0o777;
/// Bits beside the permissions: Go's and the kernel's.
const SPECIAL: [(u32, u32); 3] = [(1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000)];
/// Kinds of files: the kernel's and Go's.
const KINDS: [(u32, u32); 6] = [
    (0o040_000, 1 << 31),
    (0o120_000, 1 << 27),
    (0o060_000, 1 << 26),
    (0o020_000, 1 << 26 | 1 << 21),
    (0o010_000, 1 << 25),
    (0o140_000, 1 << 24),
];
const KIND: u32 = 0o170_000;

pub(super) fn to_go(unix: u32) -> u32 {
    let special = SPECIAL.iter().filter(|(_, bit)| unix & bit != 0).fold(0, |mode, (go, _)| mode | go);
    let kind = KINDS.iter().find(|(kind, _)| unix & KIND == *kind).map_or(0, |(_, go)| *go);
    unix & PERMISSIONS | special | kind
}

/// Without the kind.
pub(super) fn to_unix(go: u32) -> u32 {
    let special = SPECIAL.iter().filter(|(bit, _)| go & bit != 0).fold(0, |mode, (_, unix)| mode | unix);
    go & PERMISSIONS | special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_go_both_ways() {
        for (unix, go) in [
            (0o100_644, 0o644),
            (0o040_755, 1 << 31 | 0o755),
            (0o041_777, 1 << 31 | 1 << 20 | 0o777),
            (0o106_750, 1 << 23 | 1 << 22 | 0o750),
            (0o020_666, 1 << 26 | 1 << 21 | 0o666),
        ] {
            assert_eq!((to_go(unix), to_unix(go)), (go, unix & 0o7777));
        }
    }
}
