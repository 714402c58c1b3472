//! Names: what Kubernetes accepts, and how generated names are built and cut.

use sha2::{Digest, Sha256};

/// Longest name of a generated object: label values and host names take 63 characters.
pub const NAME_LENGTH_MAX: usize = 63;

/// First `digits` hexadecimal digits of the SHA-256 of a text (at most 64).
pub fn hash_hex(text: &str, digits: usize) -> String {
    let mut text = hex(&Sha256::digest(text.as_bytes()));
    text.truncate(digits);
    text
}

/// Two hexadecimal digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// `name`, or a cut of it that ends in a hash of the whole when it is over `limit`.
pub fn limited(name: &str, limit: usize) -> String {
    if name.len() <= limit { name.to_owned() } else { with_hash(name, name, limit) }
}

/// `<name>-<hash8 of identity>`, with `name` cut so that the whole fits `limit`.
pub fn with_hash(name: &str, identity: &str, limit: usize) -> String {
    let hash = hash_hex(identity, 8);
    let room = limit.saturating_sub(hash.len() + 1);
    let mut end = room.min(name.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}-{hash}", name[..end].trim_end_matches(['-', '.']))
}

/// DNS-1123 label: namespaces.
pub fn is_label(name: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.chars().all(|c| alphanumeric(c) || c == '-')
        && name.starts_with(alphanumeric)
        && name.ends_with(alphanumeric)
}

/// DNS-1123 subdomain: names of objects.
pub fn is_subdomain(name: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=253).contains(&name.len())
        && name.split('.').all(|part| {
            !part.is_empty()
                && part.chars().all(|c| alphanumeric(c) || c == '-')
                && part.starts_with(alphanumeric)
                && part.ends_with(alphanumeric)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_and_stay_distinct() {
        let long = format!("deployment-{}", "a".repeat(80));
        let other = format!("deployment-{}", "a".repeat(81));
        assert_eq!(limited(&long, 63).len(), 63);
        assert_ne!(limited(&long, 63), limited(&other, 63));
        assert_eq!(limited("deployment-web", 63), "deployment-web");
        assert!(is_subdomain(&limited(&long, 63)));
    }

    #[test]
    fn a_cut_never_leaves_a_separator_before_the_hash() {
        let name = format!("{}-{}", "a".repeat(53), "b".repeat(30));
        assert!(!limited(&name, 63).contains("--"), "{}", limited(&name, 63));
    }
}
