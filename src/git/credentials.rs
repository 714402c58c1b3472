//! Credentials from a folder with the key names of Flux's Secrets, read anew for each connection since they rotate.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use thiserror::Error;

use super::redact::Redactor;
use super::url::{GitUrl, Scheme};

/// Larger than any key or bundle of authorities; Kubernetes takes a Secret of 1 MiB in all.
const FILE_BYTES_MAX: u64 = 256 << 10;
/// The lines of a private key that are worth hiding; shorter ones are its frame.
const KEY_LINE_CHARS_MIN: usize = 16;
/// The account that every forge gives to Git over SSH.
const SSH_USER_DEFAULT: &str = "git";

/// Why the credentials cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CredentialsError {
    #[error("the credentials folder {folder} cannot be read: {kind}")]
    Folder { folder: String, kind: ErrorKind },
    #[error("the credential {name} cannot be read: {kind}")]
    Unreadable { name: &'static str, kind: ErrorKind },
    #[error("the credential {name} is over {FILE_BYTES_MAX} bytes")]
    TooLarge { name: &'static str },
    #[error("the credential {name} is not one line of text")]
    NotALine { name: &'static str },
    #[error("the credential {name} is not UTF-8 text")]
    NotText { name: &'static str },
    #[error("the credentials hold both bearerToken and username or password: keep one")]
    TwoWays,
    #[error("the credentials hold a username without password: add it, or give a bearerToken")]
    NoPassword,
    #[error(
        "there is no identity: SSH needs a folder of credentials (--git-credentials) with identity, a private key, and known_hosts"
    )]
    NoIdentity,
    #[error(
        "the credentials hold no known_hosts: put the line there that `ssh-keyscan HOST` prints, once you have checked it"
    )]
    NoKnownHosts,
    #[error("the credential ca.crt holds no certificate in PEM form")]
    NoAuthority,
}

/// How we show who we are.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Proof {
    None,
    Password { user: String, password: String },
    Bearer { token: String },
    Key { user: String, private: String, public: Option<String>, passphrase: Option<String> },
}

/// All that one connection needs.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) proof: Proof,
    /// PEM. The only authorities that are trusted, if given.
    pub(super) authorities: Option<Vec<u8>>,
    pub(super) known_hosts: String,
}

impl Credentials {
    /// What `folder` holds for `url`. User and password of the address count where the folder has none.
    #[expect(clippy::disallowed_methods, reason = "credentials are files of a folder")]
    pub(super) fn read(folder: Option<&Path>, url: &GitUrl) -> Result<Self, CredentialsError> {
        if let Some(folder) = folder {
            std::fs::read_dir(folder).map_err(|error| CredentialsError::Folder {
                folder: folder.display().to_string(),
                kind: error.kind(),
            })?;
        }
        let files = Files(folder);
        let none = Self { proof: Proof::None, authorities: None, known_hosts: String::new() };
        match url.scheme() {
            Scheme::Local => Ok(none),
            Scheme::Https | Scheme::Http => {
                let authorities = files.bytes("ca.crt")?;
                Ok(Self { proof: http_proof(&files, url)?, authorities, ..none })
            }
            Scheme::Ssh => {
                let private = files.text("identity")?.ok_or(CredentialsError::NoIdentity)?;
                let known_hosts = files.text("known_hosts")?.ok_or(CredentialsError::NoKnownHosts)?;
                let (public, passphrase) = (files.text("identity.pub")?, files.line("password")?);
                let user = url.user().unwrap_or(SSH_USER_DEFAULT).to_owned();
                Ok(Self { proof: Proof::Key { user, private, public, passphrase }, known_hosts, ..none })
            }
        }
    }

    /// Hides everything secret here and in the address.
    pub(super) fn redactor(&self, url: &GitUrl) -> Redactor {
        let mut secrets: Vec<String> = url.password().map(str::to_owned).into_iter().collect();
        match &self.proof {
            Proof::None => {}
            Proof::Password { user, password } => {
                secrets.extend([password.clone(), BASE64_STANDARD.encode(format!("{user}:{password}"))]);
                // A token may stand in the place of the user.
                secrets.extend(url.user().map(str::to_owned));
            }
            Proof::Bearer { token } => secrets.push(token.clone()),
            Proof::Key { user: _, private, public: _, passphrase } => {
                secrets.extend(private.lines().filter(|line| line.len() >= KEY_LINE_CHARS_MIN).map(str::to_owned));
                secrets.extend(passphrase.clone());
            }
        }
        Redactor::new(secrets)
    }
}

/// Says which parts there are, never what they are.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proof = match self.proof {
            Proof::None => "none",
            Proof::Password { .. } => "password",
            Proof::Bearer { .. } => "bearer token",
            Proof::Key { .. } => "key",
        };
        write!(f, "Credentials({proof})")
    }
}

fn http_proof(files: &Files<'_>, url: &GitUrl) -> Result<Proof, CredentialsError> {
    let (user, password, token) = (files.line("username")?, files.line("password")?, files.line("bearerToken")?);
    match (user, password, token) {
        (None, None, Some(token)) => Ok(Proof::Bearer { token }),
        (_, _, Some(_)) => Err(CredentialsError::TwoWays),
        (user, Some(password), None) => Ok(Proof::Password { user: user.unwrap_or_default(), password }),
        (Some(_), None, None) => Err(CredentialsError::NoPassword),
        (None, None, None) => Ok(match (url.user(), url.password()) {
            (None, None) => Proof::None,
            (user, password) => Proof::Password {
                user: user.unwrap_or_default().to_owned(),
                password: password.unwrap_or_default().to_owned(),
            },
        }),
    }
}

struct Files<'a>(Option<&'a Path>);

impl Files<'_> {
    #[expect(clippy::disallowed_methods, reason = "credentials are files of a folder")]
    fn bytes(&self, name: &'static str) -> Result<Option<Vec<u8>>, CredentialsError> {
        let Some(folder) = self.0 else { return Ok(None) };
        let unreadable = |error: std::io::Error| CredentialsError::Unreadable { name, kind: error.kind() };
        let file = match File::open(folder.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(CredentialsError::TooLarge { name });
        }
        Ok(Some(bytes))
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, CredentialsError> {
        let text = self.bytes(name)?.map(String::from_utf8).transpose();
        text.map_err(|_| CredentialsError::NotText { name })
    }

    /// Without the line break that an editor leaves at the end. An empty file is as good as none.
    fn line(&self, name: &'static str) -> Result<Option<String>, CredentialsError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let line = text.trim_end_matches(['\r', '\n']);
        if line.contains(char::is_control) {
            return Err(CredentialsError::NotALine { name });
        }
        Ok((!line.is_empty()).then(|| line.to_owned()))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests write the folder")]
mod tests {
    use super::*;

    fn read(url: &str, files: &[(&str, &str)]) -> Result<Credentials, CredentialsError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        Credentials::read(Some(folder.path()), &GitUrl::parse(url, true).unwrap())
    }

    fn password(user: &str, password: &str) -> Proof {
        Proof::Password { user: user.to_owned(), password: password.to_owned() }
    }

    #[test]
    fn the_keys_of_flux_are_understood() {
        let basic =
            read("https://h/a", &[("username", "bot\n"), ("password", "pl4nted\r\n"), ("ca.crt", "x")]).unwrap();
        assert!(basic.proof == password("bot", "pl4nted") && basic.authorities == Some(b"x".to_vec()));
        let bearer = read("https://user:pw@h/a", &[("bearerToken", "pl4nted")]).unwrap();
        assert!(bearer.proof == Proof::Bearer { token: "pl4nted".to_owned() });
        let in_url = read("https://user:pl4nted@h/a", &[]).unwrap();
        assert!(in_url.proof == password("user", "pl4nted"));
        let ssh = read("h.example:a", &[("identity", "key"), ("known_hosts", "h"), ("password", "pass")]).unwrap();
        assert!(
            matches!(&ssh.proof, Proof::Key { user, passphrase: Some(pass), .. } if user == "git" && pass == "pass")
        );
        assert!(read("https://h/a", &[("password", "")]).unwrap().proof == Proof::None);
        for credentials in [basic, bearer, in_url] {
            assert!(!format!("{credentials:?}").contains("pl4nted"));
        }
    }

    #[test]
    fn what_cannot_work_is_said_before_connecting() {
        for (url, files, expected) in [
            ("https://h/a", &[("bearerToken", "a"), ("username", "b")][..], CredentialsError::TwoWays),
            ("https://h/a", &[("username", "b")], CredentialsError::NoPassword),
            ("https://h/a", &[("password", "b\nc")], CredentialsError::NotALine { name: "password" }),
            ("ssh://h/a", &[("known_hosts", "b")], CredentialsError::NoIdentity),
            ("ssh://h/a", &[("identity", "b")], CredentialsError::NoKnownHosts),
        ] {
            assert_eq!(read(url, files).err(), Some(expected), "{url} {files:?}");
        }
        let large = "x".repeat(300 << 10);
        assert!(matches!(read("https://h/a", &[("ca.crt", &large)]), Err(CredentialsError::TooLarge { .. })));
        let url = GitUrl::parse("https://h/a", false).unwrap();
        let missing = Credentials::read(Some(Path::new("/does/not/exist")), &url);
        assert!(matches!(missing, Err(CredentialsError::Folder { .. })));
    }

    #[test]
    fn every_form_of_a_secret_is_hidden() {
        let url = GitUrl::parse("https://us3r:url-secret@h/a", false).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), "pl4nted").unwrap();
        let redactor = Credentials::read(Some(folder.path()), &url).unwrap().redactor(&url);
        let encoded = BASE64_STANDARD.encode(":pl4nted");
        let said = redactor.clean(&format!("pl4nted url-secret us3r {encoded} end"));
        assert_eq!(said, "*** *** *** *** end");
    }
}
