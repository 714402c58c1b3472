//! What `deny.toml` bans, read from Cargo.lock.

use super::repository::Complaints;

/// See deny.toml for the reasons.
const BANNED: [&str; 6] = ["aws-lc-sys", "aws-lc-rs", "native-tls", "openssl", "serde_yaml", "serde_yml"];
/// The only crates that may link OpenSSL.
const OPENSSL_USERS: [&str; 3] = ["git2", "libgit2-sys", "libssh2-sys"];

pub(super) fn check(lock: &str, complaints: &mut Complaints) {
    let packages: Vec<&str> = lock.split("[[package]]").skip(1).collect();
    assert!(packages.len() > 100, "Cargo.lock was not understood");
    for package in packages {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
            line.map(|value| value.trim_matches('"'))
        };
        let name = field("name").unwrap_or_default();
        if BANNED.contains(&name) {
            complaints.add("Cargo.lock", 1, format!("{name} is banned"));
        }
        let links_openssl = package.lines().any(|line| line.trim().trim_matches(['"', ',']) == "openssl-sys");
        if links_openssl && !OPENSSL_USERS.contains(&name) {
            complaints.add("Cargo.lock", 1, format!("{name} links OpenSSL"));
        }
        // The package itself has no source.
        let foreign = field("source").is_some_and(|source| !source.starts_with("registry+"));
        if foreign || (field("source").is_none() && name != env!("CARGO_PKG_NAME")) {
            complaints.add("Cargo.lock", 1, format!("{name} does not come from the registry"));
        }
    }
}
