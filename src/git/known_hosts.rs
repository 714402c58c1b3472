//! OpenSSH's `known_hosts`, decided here and strictly: a host that is not in the file is refused.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac as _};
use sha1::Sha1;

/// Key types that libssh2 can ask a server for.
const ASKED_TYPES: [&str; 5] =
    ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"];
const DEFAULT_PORT: u16 = 22;

/// What the file says of a server's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Known,
    Revoked,
    /// The host is there with other keys, of these types.
    WrongKey(Vec<String>),
    UnknownHost,
}

struct Line<'a> {
    revoked: bool,
    hosts: &'a str,
    kind: &'a str,
    key: Vec<u8>,
}

/// Judges the key (in SSH's wire form) that `host` showed on `port`.
pub(super) fn judge(file: &str, host: &str, port: u16, key: &[u8]) -> Verdict {
    let place = place(host, port);
    let lines: Vec<Line<'_>> = lines(file).filter(|line| names(line.hosts, &place)).collect();
    if lines.iter().any(|line| line.revoked && line.key == key) {
        return Verdict::Revoked;
    }
    let known: Vec<&Line<'_>> = lines.iter().filter(|line| !line.revoked).collect();
    if known.iter().any(|line| line.key == key) {
        Verdict::Known
    } else if known.is_empty() {
        Verdict::UnknownHost
    } else {
        let mut kinds: Vec<String> = known.iter().map(|line| line.kind.to_owned()).collect();
        kinds.sort();
        kinds.dedup();
        Verdict::WrongKey(kinds)
    }
}

/// The keys of one host as plain lines, so that libssh2 asks the server for a key of a type that can be judged.
pub(super) fn plain_lines(file: &str, host: &str, port: u16) -> String {
    let place = place(host, port);
    let known = lines(file).filter(|line| !line.revoked && ASKED_TYPES.contains(&line.kind));
    let ours = known.filter(|line| names(line.hosts, &place));
    let plain: Vec<String> =
        ours.map(|line| format!("{place} {} {}\n", line.kind, BASE64_STANDARD.encode(line.key))).collect();
    plain.concat()
}

fn place(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == DEFAULT_PORT { host } else { format!("[{host}]:{port}") }
}

/// The lines that hold a key. Authorities of host certificates are left out: libssh2 does not check certificates.
fn lines(file: &str) -> impl Iterator<Item = Line<'_>> {
    file.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let mut hosts = fields.next().filter(|first| !first.starts_with('#'))?;
        let revoked = hosts == "@revoked";
        if revoked {
            hosts = fields.next()?;
        }
        let (kind, key) = (fields.next()?, fields.next()?);
        let key = BASE64_STANDARD.decode(key).ok()?;
        (!hosts.starts_with('@') && kind_of(&key) == Some(kind.as_bytes())).then_some(Line {
            revoked,
            hosts,
            kind,
            key,
        })
    })
}

/// The type that the key itself names.
fn kind_of(key: &[u8]) -> Option<&[u8]> {
    let (length, rest) = key.split_first_chunk::<4>()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// Whether the first field of a line stands for `place`.
fn names(hosts: &str, place: &str) -> bool {
    if let Some(hashed) = hosts.strip_prefix("|1|") {
        return hashed.split_once('|').is_some_and(|(salt, hash)| is_hash_of(salt, hash, place));
    }
    let mut found = false;
    for pattern in hosts.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if fits(pattern.to_ascii_lowercase().as_bytes(), place.as_bytes()) => return false,
            Some(_) => {}
            None => found |= fits(pattern.to_ascii_lowercase().as_bytes(), place.as_bytes()),
        }
    }
    found
}

fn is_hash_of(salt: &str, hash: &str, place: &str) -> bool {
    let (Ok(salt), Ok(hash)) = (BASE64_STANDARD.decode(salt), BASE64_STANDARD.decode(hash)) else { return false };
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&salt) else { return false };
    mac.update(place.as_bytes());
    mac.verify_slice(&hash).is_ok()
}

/// `*` stands for any text and `?` for one character. Steps back to the last `*` only, so it takes at most the product
/// of both lengths.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[from] => {
                at += 1;
                from += 1;
            }
            Some(_) | None => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                from = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, filling: u8) -> Vec<u8> {
        let length = u32::try_from(kind.len()).unwrap().to_be_bytes();
        [&length[..], kind.as_bytes(), &[filling; 40]].concat()
    }

    fn line(hosts: &str, kind: &str, filling: u8) -> String {
        format!("{hosts} {kind} {} comment\n", BASE64_STANDARD.encode(key(kind, filling)))
    }

    #[test]
    fn only_the_right_key_of_the_right_host_is_known() {
        let file = [line("a.example,10.0.0.1", "ssh-ed25519", 1), line("[a.example]:2222", "ssh-rsa", 2)].concat();
        let judge = |host, port, key: &[u8]| judge(&file, host, port, key);
        assert_eq!(judge("A.example", 22, &key("ssh-ed25519", 1)), Verdict::Known);
        assert_eq!(judge("10.0.0.1", 22, &key("ssh-ed25519", 1)), Verdict::Known);
        assert_eq!(judge("a.example", 2222, &key("ssh-rsa", 2)), Verdict::Known);
        assert_eq!(judge("a.example", 2222, &key("ssh-ed25519", 1)), Verdict::WrongKey(vec!["ssh-rsa".to_owned()]));
        assert_eq!(judge("a.example", 2223, &key("ssh-rsa", 2)), Verdict::UnknownHost);
        assert_eq!(judge("b.example", 22, &key("ssh-ed25519", 1)), Verdict::UnknownHost);
    }

    #[test]
    fn revoked_wins_and_authorities_do_not_count() {
        let file = [line("*", "ssh-ed25519", 1), line("@revoked *", "ssh-ed25519", 1)].concat();
        assert_eq!(judge(&file, "a", 22, &key("ssh-ed25519", 1)), Verdict::Revoked);
        let file = line("@cert-authority *", "ssh-ed25519", 1);
        assert_eq!(judge(&file, "a", 22, &key("ssh-ed25519", 1)), Verdict::UnknownHost);
        let only_revoked = line("@revoked *", "ssh-ed25519", 1);
        assert_eq!(judge(&only_revoked, "a", 22, &key("ssh-ed25519", 2)), Verdict::UnknownHost);
    }

    #[test]
    fn patterns_and_hashes_are_understood() {
        let known =
            |hosts: &str, host| judge(&line(hosts, "ssh-rsa", 1), host, 22, &key("ssh-rsa", 1)) == Verdict::Known;
        assert!(known("*.example,!bad.example", "a.example"));
        assert!(!known("*.example,!bad.example", "bad.example"));
        assert!(known("h?st", "host") && !known("h?st", "hoost"));
        assert!(known("*a*b*", "xaybz") && !known("*a*b", "ab-"));
        // Made by `ssh-keygen -H` from the name `host.example`.
        let hashed = "|1|4Lozt83bMkhqWSGqWyfSeD8WSas=|lcYCJ9hF2ixdq3E/mteKFFWKAPo=";
        assert!(known(hashed, "host.example") && !known(hashed, "other.example"));
        assert!(!known("|1|x|y", "host.example") && !known("|1|", "host.example"));
    }

    #[test]
    fn broken_lines_are_passed_over() {
        let file = format!(
            "# comment\n\nhost\nhost ssh-rsa !!!\nhost ssh-ed25519 {}\n{}",
            BASE64_STANDARD.encode(key("ssh-rsa", 1)),
            line("host", "ssh-rsa", 1)
        );
        assert_eq!(judge(&file, "host", 22, &key("ssh-rsa", 1)), Verdict::Known);
        assert_eq!(plain_lines(&file, "host", 22), line("host", "ssh-rsa", 1).replace(" comment", ""));
        assert_eq!(plain_lines(&line("@revoked host", "ssh-rsa", 1), "host", 22), "");
    }
}
